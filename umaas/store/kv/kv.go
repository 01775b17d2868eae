// Package kv is the contract between everything durable and the engine that keeps it: a small ordered key-value store with
// serializable transactions. The typed store of the authorization server (umaas/store) and the state of the resource server
// (resourceserver/state) are written once over it; engines stand beside it (boltkv: one file; memkv: memory). It is kept so
// small, and its limits so tight, that an engine over several machines can be added without touching what lies above.
//
// It owns the contract, its limits and Overlay, the piece every engine needs; it does not own keys, records or expiry.
package kv

import (
	"context"
	"errors"
)

// The limits of every engine.
const (
	MaxKey    = 1 << 10   // bytes of a key; a key has at least one
	MaxValue  = 256 << 10 // bytes of a value; it may be empty
	MaxWrites = 100       // Put and Delete calls of one transaction
	MaxScan   = 1000      // pairs of one Scan
)

var (
	// ErrNotFound is Get's answer for an absent key.
	ErrNotFound = errors.New("kv: not found")
	// ErrTooLarge refuses a key, a value, a scan or a transaction beyond the limits.
	ErrTooLarge = errors.New("kv: beyond the limits of the store")
	// ErrReadOnly refuses a write inside View.
	ErrReadOnly = errors.New("kv: write in a reading transaction")
	// ErrConflict is for engines alone: a transaction lost against another one and is run again. It never leaves Update.
	ErrConflict = errors.New("kv: conflict")
	// ErrClosed is returned by a closed engine, and by a Tx whose function has returned.
	ErrClosed = errors.New("kv: closed")
)

// Engine is an ordered key-value store. All methods are safe for concurrent use, by several processes where the engine
// allows more than one.
//
// Transactions are serializable: the outcome is that of running all functions that succeeded one after the other. A call
// that begins after another has returned sees its effects.
type Engine interface {
	// View runs fn on one consistent state. A done context refuses before fn is run. fn's error is returned as it is.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn and commits all its writes or none. When it returns nil they are durable: they survive the loss of
	// the process and of the machine's power. When fn returns an error nothing is written and that error is returned as
	// it is. Any other error means that nothing was written, except where an engine over a network says otherwise.
	//
	// fn may run more than once, on another goroutine and on a newer state each time; only the last run counts. So it has
	// no effects beside tx and variables that every run sets anew, calls nothing that waits (no network), and opens no
	// transaction of its own. A write that tx refuses makes the whole transaction fail, even if fn drops that error.
	//
	// A context that ends while fn has not begun cancels it; once begun, Update waits for the outcome.
	Update(ctx context.Context, fn func(Tx) error) error

	// Close waits for running transactions; later calls are ErrClosed. It may be called twice.
	Close() error
}

// Tx is one transaction, for use by one goroutine inside its function only. Reads see the transaction's own writes.
// Keys are compared byte by byte, without any folding. Slices handed in are copied before a call returns; slices handed
// out belong to the caller.
type Tx interface {
	// Get returns a value, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Put stores a value, replacing what was there.
	Put(key, value []byte) error
	// Delete removes a key; an absent one is no error, so that single use asks with Get first.
	Delete(key []byte) error
	// Scan returns pairs whose key begins with prefix and is greater than after, in ascending order of keys, at most limit
	// (1 … MaxScan). A nil after starts at the beginning; the last key of a full page is the next page's after.
	Scan(prefix, after []byte, limit int) ([]Pair, error)
}

// Pair is one key with its value.
type Pair struct{ Key, Value []byte }
