package resourceserver_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/resourceserver/state"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
)

const (
	base     = "https://hospital.example"
	fhirBase = base + "/fhir"
)

var types = []string{"AllergyIntolerance", "Immunization", "Observation", "Patient"}

// clock is the one time of a test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// patients is the directory of the tests.
type patients struct {
	mu   sync.Mutex
	list map[string]rs.PatientName
}

func (p *patients) PatientIDs(_ context.Context, after string, limit int) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for id := range p.list {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(limit, len(ids))], nil
}

func (p *patients) Patient(_ context.Context, id string) (rs.PatientName, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.list[id]
	if !ok {
		return rs.PatientName{}, rs.ErrNotKept
	}
	return n, nil
}

func (p *patients) add(id, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list[id] = rs.PatientName{Name: name, BirthYear: "1980"}
}

// world is a resource server wired to a fake authorization server over real HTTP, its state over a real engine.
type world struct {
	t         *testing.T
	clock     *clock
	as        *asclienttest.Server
	engine    kv.Engine
	patients  *patients
	eagerMax  int
	more      []*asclienttest.Server // further authorization servers
	state     *state.Store
	clients   rs.Clients
	tokens    *rs.Tokens
	relations *rs.AdministeredRelations
	registrar *rs.Registrar
	desk      *rs.PermissionDesk
	verifier  *rs.Verifier
	contexts  *rs.ContextURLs
	signIn    *rs.SignIn
	spool     *rs.EventSpool
}

var stateKey = []byte("0123456789abcdef0123456789abcdef")

func newWorld(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{t: time.Now()}, engine: memkv.New(memkv.Options{}), patients: &patients{list: map[string]rs.PatientName{}}}
	w.as = asclienttest.New(w.clock.now)
	t.Cleanup(w.as.HTTP.Close)
	for id, name := range map[string]string{"abigail": "Abigail Smith", "john": "John Smith", "mary": "Mary Jones"} {
		w.patients.add(id, name)
	}
	for _, c := range change {
		c(w)
	}
	w.boot()
	return w
}

// boot builds everything over the engine, as a start of the process does.
func (w *world) boot() {
	w.t.Helper()
	ctx := w.t.Context()
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	var err error
	w.state, err = state.Open(ctx, w.engine, state.Options{Key: stateKey, Now: w.clock.now})
	must(err)
	w.clients = rs.Clients{}
	for _, as := range append([]*asclienttest.Server{w.as}, w.more...) {
		c, err := asclient.New(asclient.Config{
			Issuer: as.Issuer(), Name: "Hospital", RedirectURI: base + rs.CallbackPath, Audience: fhirBase, ClientID: "rs", ClientSecret: "rs-secret",
			Store: w.state, Timeout: 2 * time.Second, Now: w.clock.now,
		})
		must(err)
		w.clients[as.Issuer()] = c
	}
	w.tokens = rs.NewTokens(w.clients, w.state, w.clock.now, log)
	w.relations = rs.NewAdministeredRelations(w.state, w.clock.now, func(ctx context.Context, users []string) error {
		return w.registrar.Enqueue(ctx, users...)
	})
	w.registrar, err = rs.NewRegistrar(rs.RegistrarConfig{
		State: w.state, Tokens: w.tokens, Relations: w.relations, Patients: w.patients, Issuer: w.as.Issuer(), Base: base, FHIRBase: fhirBase,
		Types: types, EagerMax: w.eagerMax, Now: w.clock.now, Logger: log,
	})
	must(err)
	w.desk = rs.NewPermissionDesk(w.registrar)
	w.verifier, err = rs.NewVerifier(rs.VerifierConfig{Clients: w.clients, Tokens: w.tokens, Sets: w.state, Issuer: w.as.Issuer(), Now: w.clock.now})
	must(err)
	w.contexts, err = rs.NewContextURLs(rs.ContextURLConfig{
		State: w.state, Registrar: w.registrar, Desk: w.desk, Verifier: w.verifier, Relations: w.relations, Base: base, FHIRBase: fhirBase,
		Types: types, Now: w.clock.now, Random: rand.Reader, Logger: log,
	})
	must(err)
	w.signIn, err = rs.NewSignIn(rs.SignInConfig{
		State: w.state, Clients: w.clients, Tokens: w.tokens, Registrar: w.registrar, Patients: w.patients, Issuer: w.as.Issuer(), FHIRBase: fhirBase,
		Now: w.clock.now, Logger: log,
	})
	must(err)
	w.spool = rs.NewEventSpool(w.state, w.tokens, w.clients, w.clock.now, log)
}

// custodian registers everything nobody has claimed.
func (w *world) custodian() {
	w.t.Helper()
	if err := w.registrar.ReconcileCustodian(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// signInAs walks through a whole sign-in over HTTP and returns the person's key.
func (w *world) signInAs(p asclienttest.Person) string {
	w.t.Helper()
	cookie, _, err := w.trySignIn(p)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := w.signIn.Session(w.t.Context(), cookie)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Key
}

func (w *world) trySignIn(p asclienttest.Person) (cookie, returnTo string, err error) {
	w.t.Helper()
	ctx := w.t.Context()
	w.as.SignInNext(p)
	to, err := w.signIn.Start(ctx, "", "browser", "/connect", "")
	if err != nil {
		return "", "", err
	}
	return w.signIn.Finish(ctx, w.authorize(to), "browser")
}

// authorize is the browser at the authorization server: the query it comes back with.
func (w *world) authorize(to string) url.Values {
	w.t.Helper()
	back := location(w.t, to)
	if !strings.HasPrefix(back.String(), base+rs.CallbackPath+"?") {
		w.t.Fatalf("authorization endpoint answered to %q", back)
	}
	return back.Query()
}

// location is where a page sends the browser.
func location(t *testing.T, to string) *url.URL {
	t.Helper()
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode < 300 || res.StatusCode >= 400 {
		t.Fatalf("answered %d, no redirect", res.StatusCode)
	}
	return back
}

// levels lists what an owner has at the authorization server: "level patient".
func (w *world) levels(owner string) []string { return levelsAt(w.as, owner) }

func levelsAt(as *asclienttest.Server, owner string) []string {
	var out []string
	for _, r := range as.Resources() {
		if r.Owner == owner && r.Description.Context != nil {
			out = append(out, strings.TrimSpace(r.Description.Context.Level+" "+r.Description.Context.Patient))
		}
	}
	slices.Sort(out)
	return out
}

func (w *world) relate(r rs.Relation) {
	w.t.Helper()
	if err := w.relations.Put(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}

// settle works through the queue until nothing is due.
func (w *world) settle() {
	w.t.Helper()
	for range 20 {
		n, err := w.registrar.RunDue(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
	w.t.Fatal("the queue never ends")
}

func (w *world) mint(user, patient, client string) string {
	w.t.Helper()
	u, err := w.contexts.Mint(w.t.Context(), user, patient, client, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// do sends a request to the context URL handler.
func (w *world) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.contexts.Handler().ServeHTTP(rec, r)
	return rec
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

var (
	john     = asclienttest.Person{Sub: "sub-john", Name: "John Smith", FHIRUser: "Patient/john"}
	abigail  = asclienttest.Person{Sub: "sub-abigail", Name: "Abigail Smith", FHIRUser: fhirBase + "/Patient/abigail"}
	doctor   = asclienttest.Person{Sub: "sub-doctor", Name: "Dr Grey", FHIRUser: "Practitioner/grey"}
	daughter = rs.Relation{Subject: "Patient/john", Patient: "abigail", Kind: "parent", Label: "Daughter", Scopes: "patient/*.rs"}
)
