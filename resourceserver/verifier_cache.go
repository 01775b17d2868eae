package resourceserver

import (
	"encoding/binary"
	"sync"
)

// grantCache remembers verified tokens by hash, in a bounded number: each shard has a young and an old generation, and when
// the young one is full it becomes the old one. Nothing has to be counted or swept, and what is used stays.
type grantCache struct {
	shards [cacheShards]cacheShard
	each   int
}

const cacheShards = 16

type cacheShard struct {
	mu         sync.Mutex
	young, old map[[32]byte]verified
}

func newGrantCache(size int) *grantCache {
	c := &grantCache{each: max(size/cacheShards/2, 1)}
	for i := range c.shards {
		c.shards[i].young = map[[32]byte]verified{}
	}
	return c
}

func (c *grantCache) shard(hash [32]byte) *cacheShard {
	return &c.shards[binary.BigEndian.Uint32(hash[:4])%cacheShards]
}

func (c *grantCache) get(hash [32]byte) (verified, bool) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.young[hash]; ok {
		return r, true
	}
	r, ok := s.old[hash]
	return r, ok
}

func (c *grantCache) put(hash [32]byte, r verified) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= c.each {
		s.old, s.young = s.young, make(map[[32]byte]verified, c.each)
	}
	s.young[hash] = r
	delete(s.old, hash)
}

func (c *grantCache) drop(hash [32]byte) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.young, hash)
	delete(s.old, hash)
}
