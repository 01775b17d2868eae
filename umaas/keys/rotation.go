package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"
)

// State is where a key stands in its life.
type State string

// The states of a key.
const (
	Next     State = "next"
	Active   State = "active"
	Retiring State = "retiring"
)

var algorithms = [...]Algorithm{ES256, RS256}

// Prepare makes and publishes a next key per algorithm, where there is none.
func (r *Ring) Prepare(ctx context.Context) error {
	err := r.change(ctx, func(keys []*key, now time.Time) ([]*key, bool, error) {
		changed := false
		for _, alg := range algorithms {
			if find(keys, alg, Next) != nil {
				continue
			}
			k, err := r.generate(alg, Next, now)
			if err != nil {
				return nil, false, err
			}
			keys, changed = append(keys, k), true
		}
		return keys, changed, nil
	})
	if err != nil {
		return fmt.Errorf("prepare keys: %w", err)
	}
	return nil
}

// Rotate lets the next keys sign and the active ones retire. Without a prepared key a fresh one signs at once; verifiers
// then learn it when they meet its id.
func (r *Ring) Rotate(ctx context.Context) error {
	if err := r.change(ctx, r.rotated); err != nil {
		return fmt.Errorf("rotate keys: %w", err)
	}
	return nil
}

func (r *Ring) rotated(keys []*key, now time.Time) ([]*key, bool, error) {
	for _, alg := range algorithms {
		next := find(keys, alg, Next)
		if next == nil {
			k, err := r.generate(alg, Next, now)
			if err != nil {
				return nil, false, err
			}
			next, keys = k, append(keys, k)
		}
		if old := find(keys, alg, Active); old != nil {
			old.State, old.Since = Retiring, now
		}
		next.State, next.Since = Active, now
	}
	return keys, true, nil
}

// Drop removes a key at once, in whatever state it is: for a key that became known. An active one is replaced.
// Everything it signed stops verifying.
func (r *Ring) Drop(ctx context.Context, id string) error {
	found := false
	err := r.change(ctx, func(keys []*key, now time.Time) ([]*key, bool, error) {
		found = false
		var kept []*key
		for _, k := range keys {
			if k.ID == id {
				found = true
				continue
			}
			kept = append(kept, k)
		}
		if !found {
			return keys, false, nil
		}
		kept, _, err := r.complete(kept, now)
		return kept, true, err
	})
	switch {
	case err != nil:
		return fmt.Errorf("drop key: %w", err)
	case !found:
		return fmt.Errorf("drop key: no key %q", id)
	}
	return nil
}

// Maintain does what is due: it removes retired keys after Overlap, prepares the next ones Lead before the active ones are
// Period old, and rotates then. Call it now and then; any number of services may.
func (r *Ring) Maintain(ctx context.Context) error {
	err := r.change(ctx, func(keys []*key, now time.Time) ([]*key, bool, error) {
		changed := false
		var kept []*key
		for _, k := range keys {
			if k.State == Retiring && !now.Before(k.Since.Add(r.o.Overlap)) {
				changed = true
				continue
			}
			kept = append(kept, k)
		}
		for _, alg := range algorithms {
			active, next := find(kept, alg, Active), find(kept, alg, Next)
			switch {
			case active == nil || now.Before(active.Since.Add(r.o.Period-r.o.Lead)):
			case next == nil:
				k, err := r.generate(alg, Next, now)
				if err != nil {
					return nil, false, err
				}
				kept, changed = append(kept, k), true
			case !now.Before(active.Since.Add(r.o.Period)) && !now.Before(next.Since.Add(r.o.Lead)):
				active.State, active.Since = Retiring, now
				next.State, next.Since = Active, now
				changed = true
			}
		}
		return kept, changed, nil
	})
	if err != nil {
		return fmt.Errorf("maintain keys: %w", err)
	}
	return nil
}

// complete makes an active key for each algorithm that has none, from the next one where there is one.
func (r *Ring) complete(keys []*key, now time.Time) ([]*key, bool, error) {
	changed := false
	for _, alg := range algorithms {
		if find(keys, alg, Active) != nil {
			continue
		}
		changed = true
		if next := find(keys, alg, Next); next != nil {
			next.State, next.Since = Active, now
			continue
		}
		k, err := r.generate(alg, Active, now)
		if err != nil {
			return nil, false, err
		}
		keys = append(keys, k)
	}
	return keys, changed, nil
}

func find(keys []*key, alg Algorithm, s State) *key {
	for _, k := range keys {
		if k.Alg == alg && k.State == s {
			return k
		}
	}
	return nil
}

func (r *Ring) generate(alg Algorithm, s State, now time.Time) (*key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), r.o.Random)
	case RS256:
		private, err = rsa.GenerateKey(r.o.Random, 2048) // RFC 7518 §3.3: 2048 bits or more
	default:
		err = errors.New("unknown algorithm")
	}
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", alg, err)
	}
	return newKey(alg, s, private, now)
}

// change applies a function to the stored keys by compare-and-swap, re-reading when another service came first. The
// function gets copies and may run more than once.
func (r *Ring) change(ctx context.Context, fn func([]*key, time.Time) ([]*key, bool, error)) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	const attempts = 8
	for range attempts {
		if err := r.load(ctx); err != nil {
			return err
		}
		current := r.state.Load()
		copies := make([]*key, len(current.keys))
		for i, k := range current.keys {
			copied := *k
			copies[i] = &copied
		}
		keys, changed, err := fn(copies, r.o.Now())
		if err != nil || !changed {
			return err
		}
		raw, err := r.seal(keys)
		if err != nil {
			return err
		}
		err = r.o.Storage.Swap(ctx, current.raw, raw)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		return r.load(ctx)
	}
	return ErrConflict
}
