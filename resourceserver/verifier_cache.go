package resourceserver

import (
	"encoding/binary"
	"sync"
)

// tokenCache remembers what is known of tokens by hash, in a bounded number: each shard has a young and an old generation, and
// when the young one is full it becomes the old one. Nothing has to be counted or swept, and what is used stays.
type tokenCache[V any] struct {
	shards [cacheShards]cacheShard[V]
	each   int
}

const cacheShards = 16

type cacheShard[V any] struct {
	mu         sync.Mutex
	young, old map[[32]byte]V
}

func newTokenCache[V any](size int) *tokenCache[V] {
	c := &tokenCache[V]{each: max(size/cacheShards/2, 1)}
	for i := range c.shards {
		c.shards[i].young = map[[32]byte]V{}
	}
	return c
}

func (c *tokenCache[V]) shard(hash [32]byte) *cacheShard[V] {
	return &c.shards[binary.BigEndian.Uint32(hash[:4])%cacheShards]
}

func (c *tokenCache[V]) get(hash [32]byte) (V, bool) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.young[hash]; ok {
		return r, true
	}
	r, ok := s.old[hash]
	return r, ok
}

func (c *tokenCache[V]) put(hash [32]byte, r V) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= c.each {
		s.old, s.young = s.young, make(map[[32]byte]V, c.each)
	}
	s.young[hash] = r
	delete(s.old, hash)
}

func (c *tokenCache[V]) drop(hash [32]byte) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, hash)
	delete(s.old, hash)
}
