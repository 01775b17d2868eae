package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
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
	raw := encode(&scopes, scopesFields)
	if len(raw) <= inlineScopes {
		return scopeHash{}, nil
	}
	sum := sha256.Sum256(raw)
	h := scopeHash(sum[:lookupHashLength])
	key := plainKey(regionScopes, string(h[:]))
	there, err := t.has(key)
	if err != nil || there {
		return h, err
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

func (c *scopeCache) put(h scopeHash, list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lists) >= scopeCacheSize {
		clear(c.lists)
	}
	c.lists[h] = list[:len(list):len(list)] // an append copies
}
