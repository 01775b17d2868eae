package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// committer runs all writes. While one commit is on its way to disk the next ones queue up, and are then run in one transaction: group
// commit without a timer, so a lone writer never waits and many writers share one fsync.
type committer struct {
	s     *Store
	queue chan *write
	done  chan struct{}
	last  time.Time // time of the last commit; version times never run backwards

	mu     sync.RWMutex
	closed bool
}

// write is one queued change. apply may run more than once and must only keep its result in variables it resets itself.
type write struct {
	ctx    context.Context
	apply  func(*txn) error
	err    error
	finish chan struct{}
}

const maxGroup = 256

var (
	errClosed    = errors.New("fhir store is closed")
	errUnchanged = errors.New("nothing written") // rolls back a group in which everybody was refused: no fsync for a refusal
)

func newCommitter(s *Store, last time.Time) *committer {
	c := &committer{s: s, queue: make(chan *write, maxGroup), done: make(chan struct{}), last: last}
	go c.run()
	return c
}

func (c *committer) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.queue)
	}
	c.mu.Unlock()
	<-c.done
}

// do queues a change and waits until it is on disk, or refused. Once queued it is not given up: the answer tells what happened.
func (c *committer) do(ctx context.Context, apply func(*txn) error) error {
	w := &write{ctx: ctx, apply: apply, finish: make(chan struct{})}
	c.mu.RLock()
	if c.closed {
		c.mu.RUnlock()
		return errClosed
	}
	select {
	case c.queue <- w:
		c.mu.RUnlock()
	case <-ctx.Done():
		c.mu.RUnlock()
		return refuse(http.StatusServiceUnavailable, "timeout", "the server is busy, try again")
	}
	<-w.finish
	return w.err
}

func (c *committer) run() {
	defer close(c.done)
	for first := range c.queue {
		group := append(make([]*write, 0, 8), first)
	gather:
		for len(group) < maxGroup {
			select {
			case w, ok := <-c.queue:
				if !ok {
					break gather
				}
				group = append(group, w)
			default:
				break gather
			}
		}
		c.commit(group)
	}
}

// commit runs the group in one transaction. A change that fails after its first write is answered with its error and the rest runs again.
func (c *committer) commit(group []*write) {
	for len(group) > 0 {
		broken := -1
		err := c.s.db.Update(func(tx *bolt.Tx) error {
			t := c.s.begin(tx)
			t.writable, t.now = true, c.clock()
			wrote := false
			for i, w := range group {
				t.dirty = false
				w.err = c.apply(t, w)
				if w.err != nil && t.dirty {
					broken = i
					return w.err
				}
				wrote = wrote || t.dirty
			}
			if !wrote {
				return errUnchanged
			}
			c.last = t.now
			return nil
		})
		switch {
		case broken >= 0:
			close(group[broken].finish)
			group = append(group[:broken:broken], group[broken+1:]...)
			continue
		case err != nil && !errors.Is(err, errUnchanged):
			for _, w := range group {
				w.err = fmt.Errorf("commit: %w", err)
			}
		}
		for _, w := range group {
			close(w.finish)
		}
		return
	}
}

// apply turns a panic of one change into its own failure: the other writers of the group and the committer go on.
func (c *committer) apply(t *txn, w *write) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.dirty = true // what it did is unknown: roll back
			err = fmt.Errorf("write panicked: %v", p)
		}
	}()
	if w.ctx.Err() != nil {
		return refuse(http.StatusServiceUnavailable, "timeout", "the request was given up before it was written")
	}
	return w.apply(t)
}

func (c *committer) clock() time.Time {
	now := c.s.opts.Now().UTC().Truncate(time.Millisecond)
	if now.Before(c.last) {
		return c.last
	}
	return now
}
