package store

import (
	"bytes"
	"sync"
)

// decodedCache spares decoding records that are read again and again: clients, accounts, policies, resources. An entry
// counts only while the stored bytes are those it was decoded from, so it can never be wrong, whoever else writes to the
// store and whatever becomes of a transaction. Its values are shared: their slices are not changed in place.
type decodedCache struct {
	mu      sync.RWMutex
	entries map[string]decodedEntry
}

type decodedEntry struct {
	raw   []byte
	value any
}

const decodedCacheSize = 4096

func newDecodedCache() *decodedCache { return &decodedCache{entries: map[string]decodedEntry{}} }

func (c *decodedCache) get(key, raw []byte) (any, bool) {
	c.mu.RLock()
	e, ok := c.entries[string(key)]
	c.mu.RUnlock()
	return e.value, ok && bytes.Equal(e.raw, raw)
}

func (c *decodedCache) put(key, raw []byte, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= decodedCacheSize {
		clear(c.entries)
	}
	c.entries[string(key)] = decodedEntry{raw: bytes.Clone(raw), value: value}
}

// readAgain is read for records that are read often and change seldom.
func readAgain[T any](t tx, key []byte, fields func(*codec, *T)) (T, error) {
	raw, err := t.get(key)
	if err != nil {
		var zero T
		return zero, err
	}
	return decodeAgain(t, key, raw, fields)
}

func decodeAgain[T any](t tx, key, raw []byte, fields func(*codec, *T)) (T, error) {
	if kept, ok := t.store.decoded.get(key, raw); ok {
		if v, ok := kept.(T); ok {
			return v, nil
		}
	}
	v, err := decode(raw, fields)
	if err == nil {
		t.store.decoded.put(key, raw, v)
	}
	return v, err
}
