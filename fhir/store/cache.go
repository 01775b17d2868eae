package store

import (
	"container/list"
	"sync"

	"github.com/umaas/umaas/fhir"
)

// parsedCache keeps parsed resources by version sequence. A version never changes, so an entry is never stale; the cache is no
// authority on what is current.
type parsedCache struct {
	mu    sync.Mutex
	limit int64
	used  int64
	order *list.List // front = used last
	bySeq map[uint64]*list.Element
}

type cached struct {
	seq uint64
	r   *fhir.Resource
}

func newParsedCache(limit int64) *parsedCache {
	return &parsedCache{limit: limit, order: list.New(), bySeq: map[uint64]*list.Element{}}
}

func (c *parsedCache) get(seq uint64) *fhir.Resource {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.bySeq[seq]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(cached).r
}

func (c *parsedCache) put(seq uint64, r *fhir.Resource) {
	size := int64(len(r.Raw()))
	if size > c.limit/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.bySeq[seq]; ok {
		return
	}
	c.bySeq[seq] = c.order.PushFront(cached{seq, r})
	c.used += size
	for c.used > c.limit {
		last := c.order.Back()
		old := c.order.Remove(last).(cached)
		delete(c.bySeq, old.seq)
		c.used -= int64(len(old.r.Raw()))
	}
}
