package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/umaas/umaas/umaas/store/kv"
)

// A resource server registers the same few scope lists, of several hundred entries each, with all of its resources: so a
// list is stored once, under the hash of its content, and never changed (decisions 3).

// scopeHash names a list; zero: none.
type scopeHash [lookupHashLength]byte

// inlineScopes is the size up to which a list stands in its resource's record.
const inlineScopes = 64

func scopesFields(c *codec, v *[]string) { c.list(v) }

func (t tx) putScopes(scopes []string) (scopeHash, error) {
	var raw []byte
	h, known := t.store.scopes.find(scopes)
	if !known {
		if raw = encode(&scopes, scopesFields); len(raw) <= inlineScopes {
			return scopeHash{}, nil
		}
		sum := sha256.Sum256(raw)
		h = scopeHash(sum[:lookupHashLength])
		t.store.scopes.put(h, slices.Clone(scopes))
	}
	key := plainKey(regionScopes, string(h[:]))
	there, err := t.has(key) // the cache knows names, not what this transaction's state holds
	if err != nil || there {
		return h, err
	}
	if known {
		raw = encode(&scopes, scopesFields)
	}
	return h, t.kv.Put(key, raw)
}

func (t tx) scopeList(h scopeHash) ([]string, error) {
	if list, ok := t.store.scopes.get(h); ok {
		return list, nil
	}
	raw, err := t.kv.Get(plainKey(regionScopes, string(h[:])))
	if errors.Is(err, kv.ErrNotFound) {
		return nil, fmt.Errorf("%w: its scope list is missing", errDamaged)
	}
	if err != nil {
		return nil, err
	}
	list, err := decode(raw, scopesFields)
	if err != nil {
		return nil, err
	}
	t.store.scopes.put(h, list)
	return list, nil
}

// scopeCache keeps decoded lists. What it holds is named by its content and can never be wrong, whoever else writes to the
// store; a list read in a transaction that comes to nothing is still that hash's list.
type scopeCache struct {
	mu    sync.RWMutex
	lists map[scopeHash][]string
}

const scopeCacheSize = 256

func newScopeCache() *scopeCache { return &scopeCache{lists: map[scopeHash][]string{}} }

func (c *scopeCache) get(h scopeHash) ([]string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	list, ok := c.lists[h]
	return list, ok
}

// find gives the name of a list that was seen before: comparing costs a fraction of encoding and hashing, and happens inside
// the one writing transaction.
func (c *scopeCache) find(list []string) (scopeHash, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for h, known := range c.lists {
		if slices.Equal(known, list) {
			return h, true
		}
	}
	return scopeHash{}, false
}

func (c *scopeCache) put(h scopeHash, list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lists) >= scopeCacheSize {
		clear(c.lists)
	}
	c.lists[h] = list[:len(list):len(list)] // an append copies
}
