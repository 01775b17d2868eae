package conformance

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"
)

// T is what one check works with. Its methods may be used from several goroutines of the check, but those that stop it
// (Fatalf, Skipf and the fixtures, which stop it when they cannot be made) only from the goroutine that Run called.
type T struct {
	ctx   context.Context
	env   *Env
	check Check

	mu       sync.Mutex
	failed   bool
	skipped  bool
	blocked  bool
	messages []string
	log      []string
	kept     []*Exchange
	dropped  int
	secrets  []string // seen in exchanges; they do not stand in messages
	cleanups []func()
}

// maxKept bounds the exchanges kept of one check; races send many.
const maxKept = 120

// Context ends when the check's time is over.
func (t *T) Context() context.Context { return t.ctx }

// Env is what all checks of a run share.
func (t *T) Env() *Env { return t.env }

// Check is the check that runs.
func (t *T) Check() Check { return t.check }

// Errorf marks the check as failed and goes on.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = true
	t.messages = append(t.messages, fmt.Sprintf(format, args...))
}

// Fatalf marks the check as failed and stops it.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Skipf stops the check without a verdict on the server, with a reason a person understands. A check that failed before
// stays failed.
func (t *T) Skipf(format string, args ...any) {
	t.mu.Lock()
	t.skipped = true
	t.messages = append(t.messages, fmt.Sprintf(format, args...))
	t.mu.Unlock()
	runtime.Goexit()
}

// Blockf stops the check because what it stands on could not be had: a fixture the server refused, a page that did not
// come. That is no verdict on what the check asks, and never a pass: a run with a blocked MUST check does not succeed.
func (t *T) Blockf(format string, args ...any) {
	t.mu.Lock()
	t.blocked = true
	t.messages = append(t.messages, "could not be examined: "+fmt.Sprintf(format, args...))
	t.mu.Unlock()
	runtime.Goexit()
}

// Logf tells something for the reader of the result.
func (t *T) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = append(t.log, fmt.Sprintf(format, args...))
}

// Failed tells whether the check has failed so far.
func (t *T) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// Require skips the check when the server or the profile lacks something it needs from here on. What the whole check
// needs belongs into Check.Needs.
func (t *T) Require(needs ...Need) {
	for _, n := range needs {
		if why := t.env.Missing(n); why != "" {
			t.Skipf("needs %s: %s", n.Words(), why)
		}
	}
}

// Cleanup runs f when the check has ended, last one first, with a context of its own.
func (t *T) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// Wait sleeps, or skips the check when the profile does not want to wait that long, or stops it when its time is over.
// Where the suite holds the server's clock, time only seems to pass, for everybody: a check that waits for more than a few
// seconds is Serial.
func (t *T) Wait(d time.Duration, forWhat string) {
	if limit := t.env.Profile.MaxWait.Duration(); d > limit && !t.env.warps {
		t.Skipf("would wait %s for %s; the profile's max_wait is %s", d.Round(time.Second), forWhat, limit)
	}
	if err := t.env.sleep(t.ctx, d); err != nil {
		t.Blockf("stopped while waiting for %s: %v", forWhat, err)
	}
}

// PostForm sends a form with a client's authentication.
func (t *T) PostForm(target string, form url.Values, auth Auth) *Exchange {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	body := url.Values{}
	for name, values := range form {
		body[name] = append([]string(nil), values...)
	}
	if auth != nil {
		auth(h, body)
	}
	return t.Request(http.MethodPost, target, []byte(body.Encode()), h)
}

// PostJSON sends a JSON body with a bearer token; "" sends none.
func (t *T) PostJSON(target string, body any, bearer string) *Exchange {
	return t.SendJSON(http.MethodPost, target, body, bearer)
}

// Get asks with a bearer token; "" sends none.
func (t *T) Get(target, bearer string) *Exchange {
	h := http.Header{"Accept": {"application/json"}}
	if bearer != "" {
		h.Set("Authorization", "Bearer "+bearer)
	}
	return t.Request(http.MethodGet, target, nil, h)
}

// Delete deletes with a bearer token.
func (t *T) Delete(target, bearer string) *Exchange {
	h := http.Header{"Accept": {"application/json"}}
	if bearer != "" {
		h.Set("Authorization", "Bearer "+bearer)
	}
	return t.Request(http.MethodDelete, target, nil, h)
}
