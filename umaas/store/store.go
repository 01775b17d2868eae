package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv"
)

// Options of New.
type Options struct {
	// Now judges expiry where the core hands over no moment (lists, access-event ids, garbage). Nil: time.Now.
	Now func() time.Time
	// Random names the holder of the garbage collection's lease. Nil: crypto/rand.
	Random io.Reader
}

// Store implements umaas.Store. It keeps nothing in memory but copies of what can never change.
type Store struct {
	engine  kv.Engine
	now     func() time.Time
	random  io.Reader
	scopes  *scopeCache
	decoded *decodedCache
}

var _ umaas.Store = (*Store)(nil)

// New takes over an engine: an empty one gets the current schema, an older one is brought up to it, any other is refused
// and left as it was (and open). Close closes the engine.
func New(ctx context.Context, engine kv.Engine, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if err := prepare(ctx, engine); err != nil {
		return nil, err
	}
	return &Store{engine: engine, now: o.Now, random: o.Random, scopes: newScopeCache(), decoded: newDecodedCache()}, nil
}

// View implements umaas.Store.
func (s *Store) View(ctx context.Context, fn func(umaas.Reader) error) error {
	return s.engine.View(ctx, func(t kv.Tx) error { return fn(tx{kv: t, store: s}) })
}

// Update implements umaas.Store.
func (s *Store) Update(ctx context.Context, fn func(umaas.Tx) error) error {
	return s.engine.Update(ctx, func(t kv.Tx) error { return fn(tx{kv: t, store: s}) })
}

// Close closes the engine.
func (s *Store) Close() error { return s.engine.Close() }

// tx is one transaction of either kind; the engine refuses writes in a reading one.
type tx struct {
	kv    kv.Tx
	store *Store
}

var _ umaas.Tx = tx{}

// get reads raw bytes, with the core's word for absence.
func (t tx) get(key []byte) ([]byte, error) {
	raw, err := t.kv.Get(key)
	if errors.Is(err, kv.ErrNotFound) || errors.Is(err, kv.ErrTooLarge) { // nothing has a key that long
		return nil, umaas.ErrNotFound
	}
	return raw, err
}

func (t tx) has(key []byte) (bool, error) {
	_, err := t.get(key)
	if errors.Is(err, umaas.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// read loads and decodes one record.
func read[T any](t tx, key []byte, fields func(*codec, *T)) (T, error) {
	raw, err := t.get(key)
	if err != nil {
		var zero T
		return zero, err
	}
	return decode(raw, fields)
}

// readLive is read for a record that expires. A record without an end has ended: absent means deny.
func readLive[T any](t tx, key []byte, now time.Time, fields func(*codec, *T), expires func(*T) time.Time) (T, error) {
	v, err := read(t, key, fields)
	if err == nil && !now.Before(expires(&v)) {
		err = umaas.ErrNotFound
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// page reads a run of records that lie one after the other under prefix.
func page[T any](t tx, prefix, after []byte, limit int, fields func(*codec, *T)) ([]T, error) {
	pairs, err := t.kv.Scan(prefix, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(pairs))
	for _, p := range pairs {
		v, err := decode(p.Value, fields)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// named refuses ids that cannot stand in a key: empty ones, and such with the byte that ends an id there.
func named(kind string, ids ...string) error {
	for _, id := range ids {
		if id == "" || len(id) > maxID {
			return fmt.Errorf("%s: an id has 1 to %d bytes", kind, maxID)
		}
		for i := range len(id) {
			if id[i] == 0 {
				return fmt.Errorf("%s: an id has no zero byte", kind)
			}
		}
	}
	return nil
}
