// Package mutation tests the checks themselves: for every check, our own server is made to misbehave in one way, and the
// check must fail, and no other. It owns the ways to misbehave (a handler around the server's own that changes requests or
// answers and may keep state, other hooks, other lifetimes) and the judge. The mutations stand beside the checks' suites in
// the tests of this package: a table from check id to Mutation.
//
// The flow: Run boots a server in memory, puts the mutation in front, runs the checks and gives each one's verdict. A check
// that is blocked, because its fixtures stumbled over the fault, says nothing; a check that fails names the fault.
package mutation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/ours"
	"github.com/umaas/umaas/umaas"
)

// Mutation is one way to misbehave. Nil members leave things as they are.
type Mutation struct {
	// Handler stands in front of the server. State lives in its closure: one handler is made per run.
	Handler func(next http.Handler) http.Handler
	Hooks   func(conformance.Hooks) conformance.Hooks // in place of the honest decisions
	Adjust  func(*umaas.Limits)                       // lifetimes and bounds
	Profile func(*conformance.Profile)                // what the suite believes of the server
	HEART   bool                                      // our server runs under the HEART profile
	Also    []string                                  // checks that cannot help but fail with it
	Why     string                                    // why they cannot; required with Also
}

// Run gives the result of every check under a mutation. The zero Mutation is the honest server.
func Run(ctx context.Context, m Mutation, checks []conformance.Check) (_ conformance.Run, err error) {
	clock := &ours.Clock{}
	provider, err := conformance.NewProvider(ctx, "127.0.0.1:0", "", clock.Now, ours.Random())
	if err != nil {
		return conformance.Run{}, err
	}
	defer func() { err = errors.Join(err, provider.Close()) }()
	s, err := ours.Start(ctx, ours.Options{Adjust: m.Adjust, HEART: m.HEART, Provider: provider, Clock: clock})
	if err != nil {
		return conformance.Run{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var o conformance.Options
	if m.Handler != nil {
		o.Transport = ours.Transport(m.Handler(s.Handler))
	}
	if m.Hooks != nil {
		o.Hooks = m.Hooks(s)
	}
	p := s.Profile()
	if m.Profile != nil {
		m.Profile(&p)
	}
	env, err := conformance.NewEnv(ctx, p, s.Options(&o))
	if err != nil {
		return conformance.Run{}, fmt.Errorf("the mutated server cannot be examined at all: %w", err)
	}
	defer func() { err = errors.Join(err, env.Close()) }()
	return conformance.Execute(ctx, env, checks, conformance.RunOptions{Parallel: 4, Timeout: 20 * time.Second}), nil
}

// Judge compares which checks failed with which one should have: id, what stands in Also, and nothing else.
func Judge(r conformance.Run, id string, m Mutation) error {
	var errs []error
	if len(m.Also) > 0 && m.Why == "" {
		errs = append(errs, errors.New("a mutation with Also needs a reason in Why"))
	}
	want := append([]string{id}, m.Also...)
	for _, one := range r.Results {
		failed, wanted := one.Verdict == conformance.Fail, slices.Contains(want, one.Check.ID)
		switch {
		case wanted && !failed && one.Check.ID == id:
			errs = append(errs, fmt.Errorf("%s does not see the fault: %s %v", id, one.Verdict, one.Messages))
		case !wanted && failed:
			errs = append(errs, fmt.Errorf("%s fails too: %v", one.Check.ID, one.Messages))
		}
	}
	return errors.Join(errs...)
}

// Exchange is one request to the server with its answer, which a mutation may change.
type Exchange struct {
	Request *http.Request
	Form    url.Values // of a form body; changes count only Before
	Sent    []byte     // the request body

	Status int
	Header http.Header
	Body   []byte
}

// Before changes requests that match before the server sees them: form and header changes are sent on; true from answer
// means that ex holds the answer already and the server is not asked.
func Before(match func(*http.Request) bool, change func(ex *Exchange) (answered bool)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !match(r) {
				next.ServeHTTP(w, r)
				return
			}
			ex := open(r)
			before := ex.Form.Encode()
			if change(ex) {
				ex.write(w)
				return
			}
			if after := ex.Form.Encode(); after != before {
				ex.Sent = []byte(after)
			}
			ex.restore()
			next.ServeHTTP(w, ex.Request)
		})
	}
}

// After changes answers to requests that match.
func After(match func(*http.Request) bool, change func(ex *Exchange)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !match(r) {
				next.ServeHTTP(w, r)
				return
			}
			ex := open(r)
			ex.Serve(next)
			change(ex)
			ex.write(w)
		})
	}
}

// Around leaves everything to the mutation: it asks the server with ex.Serve(next), as often as it likes.
func Around(match func(*http.Request) bool, act func(ex *Exchange, next http.Handler)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !match(r) {
				next.ServeHTTP(w, r)
				return
			}
			ex := open(r)
			act(ex, next)
			ex.write(w)
		})
	}
}

// Chain puts several in a row, the first one outermost.
func Chain(list ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		for _, one := range slices.Backward(list) {
			next = one(next)
		}
		return next
	}
}

// At matches a method ("" any) and a path suffix such as "/token".
func At(method, suffix string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.HasSuffix(r.URL.Path, suffix)
	}
}

// Below matches a method ("" any) and a part of the path such as "/resource_set/".
func Below(method, part string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.Contains(r.URL.Path, part)
	}
}

func open(r *http.Request) *Exchange {
	ex := &Exchange{Request: r, Form: url.Values{}, Header: http.Header{}, Status: http.StatusOK}
	if r.Body != nil {
		ex.Sent, _ = io.ReadAll(io.LimitReader(r.Body, 4<<20)) // a body in memory
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		ex.Form, _ = url.ParseQuery(string(ex.Sent)) // what can be read of it
	}
	ex.restore()
	return ex
}

func (ex *Exchange) restore() {
	ex.Request.Body, ex.Request.ContentLength = io.NopCloser(bytes.NewReader(ex.Sent)), int64(len(ex.Sent))
	ex.Request.Form, ex.Request.PostForm = nil, nil
}

// Serve asks the server with the request as it stands and takes its answer.
func (ex *Exchange) Serve(next http.Handler) {
	ex.restore()
	res, err := ours.Transport(next).RoundTrip(ex.Request)
	if err != nil {
		ex.Status, ex.Body = http.StatusBadGateway, []byte(err.Error())
		return
	}
	defer func() { _ = res.Body.Close() }() // from memory
	ex.Status, ex.Header = res.StatusCode, res.Header
	ex.Body, _ = io.ReadAll(res.Body) // likewise
	ex.restore()
}

// SetForm makes the form the request's body.
func (ex *Exchange) SetForm(form url.Values) { ex.Form, ex.Sent = form, []byte(form.Encode()) }

// JSON is the answer's body as an object; nil when it is none.
func (ex *Exchange) JSON() map[string]any {
	var out map[string]any
	if json.Unmarshal(ex.Body, &out) != nil {
		return nil
	}
	return out
}

// Text is a string member of the answer's body.
func (ex *Exchange) Text(member string) string {
	s, _ := ex.JSON()[member].(string)
	return s
}

// SetJSON makes v the answer's body.
func (ex *Exchange) SetJSON(v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		raw = []byte(`{"error":"server_error"}`)
	}
	ex.Body = raw
	if ex.Header.Get("Content-Type") == "" {
		ex.Header.Set("Content-Type", "application/json")
	}
}

// Edit changes members of a JSON answer; other bodies stay as they are.
func (ex *Exchange) Edit(change func(m map[string]any)) {
	if m := ex.JSON(); m != nil {
		change(m)
		ex.SetJSON(m)
	}
}

func (ex *Exchange) write(w http.ResponseWriter) {
	h := w.Header()
	for name := range h {
		delete(h, name)
	}
	for name, values := range ex.Header {
		h[name] = values
	}
	h.Del("Content-Length")
	if len(ex.Body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(ex.Body)))
	}
	w.WriteHeader(ex.Status)
	_, _ = w.Write(ex.Body) //nolint:gosec // into the memory of a test
}

// EditJSON is After for JSON answers of one status (0: any).
func EditJSON(match func(*http.Request) bool, status int, change func(m map[string]any)) func(http.Handler) http.Handler {
	return After(match, func(ex *Exchange) {
		if status == 0 || ex.Status == status {
			ex.Edit(change)
		}
	})
}
