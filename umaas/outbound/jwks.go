package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// How long what was fetched is good. A key that an issuer takes away is gone here after keysFresh; while the issuer cannot be
// reached its keys serve for keysStale at most.
const (
	keysFresh = 15 * time.Minute
	keysStale = time.Hour
	retry     = time.Minute // between two fetches for one issuer, failed ones included
	maxKept   = 1000
)

// Getter fetches a JSON document; *Client is one.
type Getter interface {
	GetJSON(ctx context.Context, target string) ([]byte, error)
}

// KeySource keeps the public keys of issuers that the operator configured. It is asked with the configured address alone; what
// a token says leads nowhere (SEC-16). It is safe for concurrent use; requests for one issuer wait for the one fetch.
type KeySource struct {
	get Getter
	now func() time.Time

	mu      sync.Mutex
	entries map[string]*keyEntry
}

type keyEntry struct {
	mu      sync.Mutex
	set     []byte
	ids     map[string]bool
	fetched time.Time // of set
	tried   time.Time
	failed  error
}

// NewKeySource makes an empty one.
func NewKeySource(get Getter, now func() time.Time) *KeySource {
	return &KeySource{get: get, now: now, entries: map[string]*keyEntry{}}
}

// KeySet is the key set at uri, an issuer's configured address. A kid that the kept set lacks is looked up again, at most once
// a minute: rotation is felt at once, and made-up kids cost the issuer nothing. An error means no keys.
func (s *KeySource) KeySet(ctx context.Context, issuer, uri, kid string) ([]byte, error) {
	e := s.entry(issuer + "\x00" + uri)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := s.now()
	age := now.Sub(e.fetched)
	if e.set != nil && age >= 0 && age < keysFresh && (kid == "" || e.ids[kid]) {
		return e.set, nil
	}
	if since := now.Sub(e.tried); e.tried.IsZero() || since < 0 || since >= retry {
		e.tried = now
		// The fetch serves everybody who waits: the end of the request that happened to start it must not cut it short. The client
		// has a time limit of its own.
		if e.failed = e.fetch(context.WithoutCancel(ctx), s.get, uri, now); e.failed == nil {
			return e.set, nil
		}
	}
	if e.set != nil && age >= 0 && age < keysStale {
		return e.set, nil
	}
	if e.failed != nil {
		return nil, fmt.Errorf("keys of %s: %w", issuer, e.failed)
	}
	return nil, fmt.Errorf("keys of %s: not to be had", issuer)
}

func (s *KeySource) entry(name string) *keyEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[name]
	if !ok {
		if len(s.entries) >= maxKept {
			clear(s.entries)
		}
		e = &keyEntry{}
		s.entries[name] = e
	}
	return e
}

func (e *keyEntry) fetch(ctx context.Context, get Getter, uri string, now time.Time) error {
	raw, err := get.GetJSON(ctx, uri)
	if err != nil {
		return err
	}
	var doc struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	const maxKeys = 100
	if err := json.Unmarshal(raw, &doc); err != nil || doc.Keys == nil || len(doc.Keys) > maxKeys {
		return fmt.Errorf("%w: not a JSON Web Key Set of at most %d keys", ErrRefused, maxKeys)
	}
	e.set, e.fetched, e.ids = raw, now, make(map[string]bool, len(doc.Keys))
	for _, k := range doc.Keys {
		e.ids[k.ID] = true
	}
	return nil
}
