package inproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// world is one running product with what its log had to say.
type world struct {
	*demo.Demo
	Options demo.Options
	Faults  *faults
}

// faults keeps what was logged as an error: a panic, an answer of 5xx, background work that failed.
type faults struct {
	slog.Handler
	mu   sync.Mutex
	list []string
}

func (f *faults) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (f *faults) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, text)
	return nil
}

func (f *faults) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f *faults) WithGroup(string) slog.Handler      { return f }

func (f *faults) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.list
	f.list = nil
	return out
}

// booted are the worlds that tests share; TestMain closes them.
var booted = struct {
	sync.Mutex
	worlds  map[string]*world
	folders []string
}{worlds: map[string]*world{}}

func TestMain(m *testing.M) {
	code := m.Run()
	var errs []error
	for _, w := range booted.worlds {
		errs = append(errs, w.Close())
	}
	for _, f := range booted.folders {
		errs = append(errs, os.RemoveAll(f))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "close:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// common is a world that tests share: well-behaved ones "common", those that fill limits one of their own; "jwt" gives RPTs
// in that form.
func common(t *testing.T, name string) *world {
	t.Helper()
	booted.Lock()
	defer booted.Unlock()
	if w, ok := booted.worlds[name]; ok {
		return w
	}
	folder, err := os.MkdirTemp("", "umaas-inproc-")
	if err != nil {
		t.Fatal(err)
	}
	booted.folders = append(booted.folders, folder)
	w, err := start(context.WithoutCancel(t.Context()), demo.Options{Data: folder, RPTFormat: map[string]string{"jwt": "jwt"}[name]})
	if err != nil {
		t.Fatal(err)
	}
	booted.worlds[name] = w
	return w
}

// own boots a world for one test.
func own(t *testing.T, o demo.Options) *world {
	t.Helper()
	o.Data = filepath.Join(t.TempDir(), "data")
	w, err := start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func start(ctx context.Context, o demo.Options) (*world, error) {
	f := &faults{}
	o.Logger = slog.New(f)
	d, err := demo.Start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start: %w\nlogged: %s", err, strings.Join(f.taken(), "\n"))
	}
	return &world{Demo: d, Options: o, Faults: f}, nil
}

// missing says why a test does not run, or fails where everything is required.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("UMAAS_TEST_REQUIRE") == "all" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, gone := os.Stat(filepath.Join(dir, "go.mod")); gone == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod above the working folder")
	return ""
}

func (w *world) who(t *testing.T, login string) demo.Credential {
	t.Helper()
	for _, p := range w.World.People {
		if p.Login == login {
			return p
		}
	}
	t.Fatalf("nobody signs in as %s", login)
	return demo.Credential{}
}

// visitor is a person with a fresh browser that stays out of the app's origin.
func (w *world) visitor(t *testing.T, name string) *demo.Visitor {
	t.Helper()
	v, err := demo.NewVisitor(name, w.World.Clinic, http.DefaultTransport)
	check(t, err)
	return v
}

var quiet = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// app is the Flu Clinic as a program.
func (w *world) app() *demo.App { return program(w.World.App) }

func program(id demo.AppIdentity) *demo.App {
	return &demo.App{ClientID: id.ClientID, Secret: id.ClientSecret, ClaimsURI: id.ClaimsRedirectURI, HTTP: quiet}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is one HTTP answer, read to its end.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// send is one request by hand.
func send(t *testing.T, method, target string, header http.Header, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	check(t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	a, err := exchange(req)
	check(t, err)
	return a
}

func exchange(req *http.Request) (answer, error) {
	res, err := quiet.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }() // read to its end below
	raw, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	return answer{Status: res.StatusCode, Header: res.Header, Body: raw}, err
}

// get asks with a bearer token.
func get(t *testing.T, target, token string) answer {
	t.Helper()
	return send(t, http.MethodGet, target, http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/fhir+json"}}, http.NoBody)
}

// post sends a form with HTTP Basic credentials; without an id it sends none.
func post(t *testing.T, target string, id demo.AppIdentity, form url.Values) answer {
	t.Helper()
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if id.ClientID != "" {
		r := &http.Request{Header: h}
		r.SetBasicAuth(url.QueryEscape(id.ClientID), url.QueryEscape(id.ClientSecret))
	}
	return send(t, http.MethodPost, target, h, strings.NewReader(form.Encode()))
}

func containsQuery(uri string) bool { return strings.Contains(uri, "?") }

func encode(form map[string][]string) string { return url.Values(form).Encode() }
