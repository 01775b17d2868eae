package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// RunOptions say how a run goes. The zero value runs two checks at a time, each for at most a minute.
type RunOptions struct {
	Parallel int           // checks at a time; 0: 2
	Timeout  time.Duration // of one check; 0: a minute
	Suite    string        // version, for the reports
	Started  func(Check)   // called before a check, from its goroutine
	Done     func(Result)  // called after a check, one at a time
}

const cleanupTime = 20 * time.Second

// Execute runs checks against the server of env: those that may run side by side first, then the serial ones one by one. It ends
// early when ctx does; checks that did not run are skipped with that reason.
func Execute(ctx context.Context, env *Env, checks []Check, o RunOptions) Run {
	if o.Parallel < 1 {
		o.Parallel = 2
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	run := Run{
		Issuer: env.Issuer, Server: env.Profile.Server, Suite: o.Suite, Started: time.Now(), Metadata: env.Raw, Results: make([]Result, len(checks)),
	}
	var report sync.Mutex
	one := func(i int) {
		if o.Started != nil {
			o.Started(checks[i])
		}
		r := execute(ctx, env, checks[i], o)
		report.Lock()
		defer report.Unlock()
		run.Results[i] = r
		if o.Done != nil {
			o.Done(r)
		}
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, o.Parallel)
	for i, c := range checks {
		if c.Serial {
			continue
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			one(i)
		})
	}
	wait.Wait()
	for i, c := range checks {
		if c.Serial {
			one(i)
		}
	}
	run.Took = time.Since(run.Started)
	return run
}

// execute runs one check.
func execute(ctx context.Context, env *Env, c Check, o RunOptions) Result {
	r := Result{Check: c, Started: time.Now()}
	if ctx.Err() != nil {
		r.Verdict, r.Messages = Skip, []string{"the run was stopped: " + context.Cause(ctx).Error()}
		return r
	}
	for _, n := range c.Needs {
		if why := env.Missing(n); why != "" {
			r.Messages = append(r.Messages, "needs "+n.Words()+": "+why)
		}
	}
	if len(r.Messages) > 0 {
		r.Verdict = Skip
		return r
	}
	limited, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("the check took longer than %s", o.Timeout))
	t := &T{ctx: limited, env: env, check: c}
	if !t.guard(limited, func() { c.Run(t) }) {
		cancel()
		r.Verdict, r.Messages, r.Took = Fail, []string{context.Cause(limited).Error() + ", and did not stop; this is a fault of the check"}, time.Since(r.Started)
		return r
	}
	if limited.Err() != nil && !t.skipped && !t.blocked {
		t.Errorf("%v", context.Cause(limited))
	}
	cancel()
	t.finish(ctx)
	r.Messages, r.Log, r.Exchanges, r.Dropped = without(t.messages, t.secrets), without(t.log, t.secrets), t.kept, t.dropped
	switch {
	case t.failed:
		r.Verdict = Fail
	case t.blocked:
		r.Verdict = Blocked
	case t.skipped:
		r.Verdict = Skip
	default:
		r.Verdict = Pass
	}
	r.Took = time.Since(r.Started)
	return r
}

// patience is how long a check that should have stopped is waited for.
const patience = 5 * time.Second

// guard runs f to its end in a goroutine of its own, which Fatalf and Skipf may end. A panic is a failure of the check. It
// reports false when f goes on well after ctx has ended; f is left alone then.
func (t *T) guard(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	go func() {
		ended := false
		defer close(done)
		defer func() {
			if ended {
				return
			}
			if p := recover(); p != nil {
				t.Errorf("the check itself broke: %v\n%s", p, clip(string(debug.Stack()), 1500))
			}
		}()
		f()
		ended = true
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(patience):
		return false
	}
}

// finish runs the cleanups. What they send is not kept, and what goes wrong in them is not the server's failure.
func (t *T) finish(ctx context.Context) {
	t.mu.Lock()
	list := slices.Clone(t.cleanups)
	t.mu.Unlock()
	if len(list) == 0 {
		return
	}
	limited, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), cleanupTime, errors.New("cleaning up took too long"))
	defer cancel()
	t.ctx = limited
	before := struct {
		failed, skipped, blocked bool
		messages, log            []string
		kept                     []*Exchange
		dropped                  int
	}{t.failed, t.skipped, t.blocked, t.messages, t.log, t.kept, t.dropped}
	for i := len(list) - 1; i >= 0; i-- {
		t.guard(limited, list[i])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed, t.skipped, t.blocked = before.failed, before.skipped, before.blocked
	t.messages, t.log, t.kept, t.dropped = before.messages, before.log, before.kept, before.dropped
}
