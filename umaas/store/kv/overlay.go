package kv

import (
	"bytes"
	"fmt"
	"slices"
)

// Snapshot is what Overlay reads from: the reading half of Tx on one consistent state, without limits to check. Its results
// obey Tx's rules (copies, order, limit).
type Snapshot interface {
	Get(key []byte) ([]byte, error)
	Scan(prefix, after []byte, limit int) ([]Pair, error)
}

// Overlay is a Tx that keeps its writes to itself: engines run a function on it and apply Writes when the function has
// succeeded, so that a failed one leaves no trace. It enforces the limits.
type Overlay struct {
	base     Snapshot
	readOnly bool
	ended    bool
	count    int     // Put and Delete calls
	writes   []Write // ordered by key, one per key
	refused  error   // the first refused write; it fails the transaction
}

// Write is the last thing a transaction did to a key.
type Write struct {
	Key, Value []byte
	Delete     bool
}

var _ Tx = (*Overlay)(nil)

// NewOverlay makes a Tx over a state.
func NewOverlay(base Snapshot, readOnly bool) *Overlay {
	return &Overlay{base: base, readOnly: readOnly}
}

// Run calls fn and returns its error, or the first write refused. Afterwards the Tx is of no more use to fn.
func (o *Overlay) Run(fn func(Tx) error) error {
	defer func() { o.ended = true }()
	if err := fn(o); err != nil {
		return err
	}
	return o.refused
}

// Writes are the effects of the transaction in the order of keys.
func (o *Overlay) Writes() []Write { return o.writes }

// Get implements Tx.
func (o *Overlay) Get(key []byte) ([]byte, error) {
	if err := o.usable(key); err != nil {
		return nil, err
	}
	if i, ok := o.find(key); ok {
		if o.writes[i].Delete {
			return nil, ErrNotFound
		}
		return copied(o.writes[i].Value), nil
	}
	return o.base.Get(key)
}

// Put implements Tx.
func (o *Overlay) Put(key, value []byte) error {
	if len(value) > MaxValue {
		return o.refuse(fmt.Errorf("%w: value of %d bytes, at most %d", ErrTooLarge, len(value), MaxValue))
	}
	return o.write(Write{Key: key, Value: value})
}

// Delete implements Tx.
func (o *Overlay) Delete(key []byte) error { return o.write(Write{Key: key, Delete: true}) }

func (o *Overlay) write(w Write) error {
	if err := o.usable(w.Key); err != nil {
		return o.refuse(err)
	}
	if o.readOnly {
		return o.refuse(ErrReadOnly)
	}
	if o.count++; o.count > MaxWrites {
		return o.refuse(fmt.Errorf("%w: more than %d writes in one transaction; split it", ErrTooLarge, MaxWrites))
	}
	w.Value = copied(w.Value)
	i, ok := o.find(w.Key)
	if ok {
		o.writes[i].Value, o.writes[i].Delete = w.Value, w.Delete
		return nil
	}
	w.Key = copied(w.Key)
	o.writes = slices.Insert(o.writes, i, w)
	return nil
}

// Scan implements Tx: the base's pairs with the transaction's own writes merged in.
func (o *Overlay) Scan(prefix, after []byte, limit int) ([]Pair, error) {
	switch {
	case o.ended:
		return nil, ErrClosed
	case len(prefix) > MaxKey || len(after) > MaxKey:
		return nil, fmt.Errorf("%w: scan by a key of more than %d bytes", ErrTooLarge, MaxKey)
	case limit < 1 || limit > MaxScan:
		return nil, fmt.Errorf("%w: scan of %d pairs, want 1 to %d; take more in pages", ErrTooLarge, limit, MaxScan)
	}
	own := o.within(prefix, after)
	gone := 0
	for _, w := range own {
		if w.Delete {
			gone++
		}
	}
	pairs, err := o.base.Scan(prefix, after, limit+gone)
	if err != nil || len(own) == 0 {
		return pairs, err
	}
	return merge(pairs, own, limit), nil
}

// merge joins two ordered lists; own wins over base.
func merge(base []Pair, own []Write, limit int) []Pair {
	out := make([]Pair, 0, min(len(base)+len(own), limit))
	for len(out) < limit && len(base)+len(own) > 0 {
		order := -1
		switch {
		case len(base) == 0:
			order = 1
		case len(own) > 0:
			order = bytes.Compare(base[0].Key, own[0].Key)
		}
		if order < 0 {
			out, base = append(out, base[0]), base[1:]
			continue
		}
		if order == 0 {
			base = base[1:]
		}
		if !own[0].Delete {
			out = append(out, Pair{Key: copied(own[0].Key), Value: copied(own[0].Value)})
		}
		own = own[1:]
	}
	return out
}

// within gives the transaction's writes inside a scan's range.
func (o *Overlay) within(prefix, after []byte) []Write {
	if len(o.writes) == 0 {
		return nil
	}
	from, _ := o.find(prefix)
	if bytes.Compare(after, prefix) >= 0 && after != nil {
		var exact bool
		if from, exact = o.find(after); exact {
			from++
		}
	}
	to := from
	for to < len(o.writes) && bytes.HasPrefix(o.writes[to].Key, prefix) {
		to++
	}
	return o.writes[from:to]
}

func (o *Overlay) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(o.writes, key, func(w Write, k []byte) int { return bytes.Compare(w.Key, k) })
}

func (o *Overlay) usable(key []byte) error {
	switch {
	case o.ended:
		return ErrClosed
	case len(key) == 0:
		return fmt.Errorf("%w: empty key", ErrTooLarge)
	case len(key) > MaxKey:
		return fmt.Errorf("%w: key of %d bytes, at most %d", ErrTooLarge, len(key), MaxKey)
	}
	return nil
}

func (o *Overlay) refuse(err error) error {
	if o.refused == nil {
		o.refused = err
	}
	return err
}

func copied(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }
