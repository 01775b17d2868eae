package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// fixture is one thing the run shares. Whoever asks first makes it; others wait. A failure is kept too, so that a server
// that refuses something is asked for it once and every check that needs it says why it stopped.
type fixture struct {
	mu    sync.Mutex
	made  bool
	value any
	err   error
	good  time.Time // zero: for the whole run
}

// lacking is an error that skips a check.
type lacking struct{ why string }

func (l lacking) Error() string { return l.why }

// shared gives the fixture of that name, making it if need be. make reports how long the value is good.
func shared[V any](t *T, name string, build func() (V, time.Time, error)) V {
	e := t.env
	e.mu.Lock()
	f, ok := e.fixtures[name]
	if !ok {
		f = &fixture{}
		e.fixtures[name] = f
	}
	e.mu.Unlock()
	value, err := shareOne(t.ctx, e, f, build)
	must(t, err)
	return value
}

func shareOne[V any](ctx context.Context, e *Env, f *fixture, build func() (V, time.Time, error)) (V, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.made || !f.good.IsZero() && !e.now().Before(f.good) {
		value, good, err := build()
		if err != nil && ctx.Err() != nil {
			return value, fmt.Errorf("stopped: %w", context.Cause(ctx)) // not the server's last word
		}
		f.made, f.value, f.good, f.err = true, value, good, err
	}
	value, _ := f.value.(V)
	return value, f.err
}

// must stops the check: skipped when something is lacking, failed otherwise.
func must(t *T, err error) {
	var l lacking
	switch {
	case err == nil:
	case errors.As(err, &l):
		t.Skipf("%s", l.why)
	default:
		t.Blockf("%v", err)
	}
}

// Shared gives a thing that a check package makes once per run. It is closed with the Env; close may be nil. An error is
// kept for the whole run.
func (e *Env) Shared(ctx context.Context, key string, build func(ctx context.Context) (value any, close func() error, err error)) (any, error) {
	e.mu.Lock()
	f, ok := e.fixtures["shared "+key]
	if !ok {
		f = &fixture{}
		e.fixtures["shared "+key] = f
	}
	e.mu.Unlock()
	return shareOne(ctx, e, f, func() (any, time.Time, error) {
		value, closing, err := build(ctx)
		if closing != nil {
			e.mu.Lock()
			e.closing = append(e.closing, closing)
			e.mu.Unlock()
		}
		return value, time.Time{}, err
	})
}
