// Package memkv is the engine in memory: for tests, and for demonstrations that leave nothing behind. A state is an
// immutable tree; a reader holds one, a writer builds the next and swaps it in if nobody was faster, else runs again.
//
// It can be made to lose: Options.Conflict stands for the other machines of a distributed engine, so that what lies above
// is proved to live with functions that run more than once.
package memkv

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/umaas/umaas/umaas/store/kv"
)

// Options of New.
type Options struct {
	// Conflict, if set, is asked after each run of a function, before its commit; true makes the run count for nothing and
	// repeats it. It is called by many goroutines. An Update stops asking after 64 runs.
	Conflict func() bool
}

// Engine implements kv.Engine.
type Engine struct {
	options Options
	state   atomic.Pointer[node] // nil: empty
	commits sync.Mutex
	running sync.RWMutex // held for reading by transactions, for writing by Close
	closed  bool
}

var _ kv.Engine = (*Engine)(nil)

// New makes an empty engine.
func New(o Options) *Engine { return &Engine{options: o} }

// View implements kv.Engine.
func (e *Engine) View(ctx context.Context, fn func(kv.Tx) error) error {
	e.running.RLock()
	defer e.running.RUnlock()
	if err := e.ready(ctx); err != nil {
		return err
	}
	return kv.NewOverlay(snapshot{e.state.Load()}, true).Run(fn)
}

// Update implements kv.Engine. The first runs are optimistic, side by side with others; one that keeps losing goes on alone.
func (e *Engine) Update(ctx context.Context, fn func(kv.Tx) error) error {
	const optimistic, injected = 4, 64
	e.running.RLock()
	defer e.running.RUnlock()
	for run := 0; ; run++ {
		if err := e.ready(ctx); err != nil {
			return err
		}
		conflict := e.options.Conflict
		if run >= injected {
			conflict = nil
		}
		done, err := e.attempt(fn, conflict, run >= optimistic)
		if done {
			return err
		}
	}
}

func (e *Engine) attempt(fn func(kv.Tx) error, conflict func() bool, alone bool) (done bool, err error) {
	if alone {
		e.commits.Lock()
		defer e.commits.Unlock()
	}
	before := e.state.Load()
	tx := kv.NewOverlay(snapshot{before}, false)
	err = tx.Run(fn)
	if conflict != nil && conflict() {
		return false, nil
	}
	if err != nil {
		return true, err // what it saw was the state at one moment of this call, so its answer stands
	}
	if !alone {
		e.commits.Lock()
		defer e.commits.Unlock()
		if e.state.Load() != before {
			return false, nil
		}
	}
	after := before
	for _, w := range tx.Writes() {
		if w.Delete {
			after = after.without(string(w.Key))
		} else {
			after = after.with(string(w.Key), w.Value)
		}
	}
	e.state.Store(after)
	return true, nil
}

// Close implements kv.Engine.
func (e *Engine) Close() error {
	e.running.Lock()
	defer e.running.Unlock()
	e.closed = true
	e.state.Store(nil)
	return nil
}

func (e *Engine) ready(ctx context.Context) error {
	if e.closed {
		return kv.ErrClosed
	}
	return ctx.Err()
}
