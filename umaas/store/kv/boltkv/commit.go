package boltkv

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/umaas/umaas/umaas/store/kv"
	bolt "go.etcd.io/bbolt"
)

// The states of a request. Only the one who moves it away from waiting may run or drop it, so that fn never runs after its
// caller went away.
const (
	waiting int32 = iota
	taken
	dropped
)

// request is one Update in the queue.
type request struct {
	ctx   context.Context
	fn    func(kv.Tx) error
	state atomic.Int32
	err   error
	panic any           // what fn panicked with, thrown again in its caller
	done  chan struct{} // closed when err and panic are final
}

// Update implements kv.Engine.
func (e *Engine) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, fn: fn, done: make(chan struct{})}
	if err := e.enqueue(r); err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, dropped) {
			return ctx.Err()
		}
		<-r.done
	}
	if r.panic != nil {
		panic(r.panic)
	}
	return r.err
}

func (e *Engine) enqueue(r *request) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return kv.ErrClosed
	}
	select {
	case e.queue <- r:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

func (e *Engine) commitLoop() {
	batch := make([]*request, 0, queueLength)
	finished := false
	defer func() {
		if finished {
			close(e.stopped)
			return
		}
		// A function left through runtime.Goexit (as testing's FailNow does) and takes this goroutine along. bbolt has
		// rolled back; tell the batch and go on with another goroutine.
		for _, r := range batch {
			if !r.state.CompareAndSwap(dropped, dropped) { // a dropped one has no reader of err
				r.err = errors.New("commit: a function of the same batch ended the goroutine")
			}
			close(r.done)
		}
		go e.commitLoop()
	}()
	for first := range e.queue {
		batch = e.gather(append(batch[:0], first))
		e.commit(batch)
		for i, r := range batch {
			close(r.done)
			batch[i] = nil
		}
		batch = batch[:0]
		runtime.Gosched() // lets those just answered ask again, and share the next commit; nobody waits for it
	}
	finished = true
}

// gather takes what is in the queue now, without waiting.
func (e *Engine) gather(batch []*request) []*request {
	for len(batch) < queueLength {
		select {
		case r, open := <-e.queue:
			if !open {
				return batch
			}
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// errNothing rolls back a bbolt transaction that has nothing to commit, and so spares its fsync.
var errNothing = errors.New("nothing to commit")

// commit runs a batch in one bbolt transaction. A function that fails has only its own overlay dropped. When the commit
// itself fails, every request of the batch fails, those too whose own answer was an error: they may have seen writes that
// never came to be.
func (e *Engine) commit(batch []*request) {
	wrote := 0
	err := e.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketName())
		b.FillPercent = fill
		for _, r := range batch {
			n, err := r.run(b)
			if err != nil {
				return err
			}
			if n > 0 {
				wrote++
			}
		}
		if wrote == 0 {
			return errNothing
		}
		return nil
	})
	switch {
	case err == nil:
		e.commits.Add(1)
		e.updates.Add(int64(wrote))
		return
	case errors.Is(err, errNothing):
		return
	}
	for _, r := range batch {
		r.state.CompareAndSwap(waiting, taken) // those whose turn never came fail too
		if r.state.Load() == taken {
			r.err = fmt.Errorf("commit: %w", err)
		}
	}
}

// run gives the number of writes applied. Its error is bbolt's, and fatal to the batch.
func (r *request) run(b *bolt.Bucket) (int, error) {
	if !r.state.CompareAndSwap(waiting, taken) {
		return 0, nil
	}
	tx := kv.NewOverlay(snapshot{b}, false)
	if r.err = r.ctx.Err(); r.err == nil {
		r.err = r.call(tx)
	}
	if failed := r.err != nil || r.panic != nil; failed {
		return 0, nil // for its caller to know; the batch goes on
	}
	for _, w := range tx.Writes() {
		var err error
		if w.Delete {
			err = b.Delete(w.Key)
		} else {
			err = b.Put(w.Key, w.Value)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(tx.Writes()), nil
}

func (r *request) call(tx *kv.Overlay) error {
	defer func() { r.panic = recover() }()
	return tx.Run(r.fn)
}
