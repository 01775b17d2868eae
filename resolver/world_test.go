package resolver_test

import (
	"context"
	"crypto/rand"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/resolver"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/resourceserver/state"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
)

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

type directory map[string]rs.PatientName

func (d directory) PatientIDs(_ context.Context, after string, limit int) ([]string, error) {
	var ids []string
	for id := range d {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(limit, len(ids))], nil
}

func (d directory) Patient(_ context.Context, id string) (rs.PatientName, error) {
	n, ok := d[id]
	if !ok {
		return rs.PatientName{}, rs.ErrNotKept
	}
	return n, nil
}

// site is a resource server's pages and context URLs on loopback, with its authorization server and an app.
type site struct {
	t         *testing.T
	clock     *clock
	as        *asclienttest.Server
	second    *asclienttest.Server // one that a patient may bring
	state     *state.Store
	relations *rs.AdministeredRelations
	registrar *rs.Registrar
	contexts  *rs.ContextURLs
	patients  directory
	base      string
	app       string // redirect URI of the registered app
}

const appName = "Flu Clinic"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, clock: &clock{t: time.Now()}, patients: directory{
		"john": {Name: "John Smith", BirthYear: "1980"}, "abigail": {Name: "Abigail Smith", BirthYear: "2015"}, "mary": {Name: "Mary Jones"},
	}}
	var handler http.Handler
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	s.base = front.URL
	s.as = asclienttest.New(s.clock.now)
	t.Cleanup(s.as.HTTP.Close)
	s.second = asclienttest.New(s.clock.now)
	t.Cleanup(s.second.HTTP.Close)
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(app.Close)
	s.app = app.URL + "/back?keep=me"
	handler = s.wire()
	s.register(rs.App{ClientID: "flu", Name: appName, RedirectURIs: []string{s.app}, Checked: true})
	return s
}

func (s *site) wire() http.Handler {
	t, ctx, log := s.t, s.t.Context(), slog.New(slog.DiscardHandler)
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	key := []byte("0123456789abcdef0123456789abcdef")
	s.state, err = state.Open(ctx, memkv.New(memkv.Options{}), state.Options{Key: key, Now: s.clock.now})
	must(err)
	client, err := asclient.New(asclient.Config{
		Issuer: s.as.Issuer(), RedirectURI: s.base + rs.CallbackPath, ClientID: "rs", ClientSecret: "rs-secret", Now: s.clock.now, Timeout: 2 * time.Second,
	})
	must(err)
	clients, err := rs.NewIssuers(rs.IssuersConfig{
		Own: []*asclient.Client{client}, Policy: rs.ForeignAny, Base: s.base, State: s.state,
		Template: asclient.Config{Name: "General Hospital", Store: s.state, Now: s.clock.now, Timeout: 2 * time.Second},
		Guard:    asclient.GuardOptions{InsecureHTTP: true, Private: asclient.LoopbackRanges()},
	})
	must(err)
	tokens := rs.NewTokens(clients, s.state, s.clock.now, log)
	s.relations = rs.NewAdministeredRelations(s.state, s.clock.now, func(ctx context.Context, users []string) error { return s.registrar.Enqueue(ctx, users...) })
	types := []string{"AllergyIntolerance", "Immunization", "Patient"}
	s.registrar, err = rs.NewRegistrar(rs.RegistrarConfig{
		State: s.state, Tokens: tokens, Relations: s.relations, Patients: s.patients, Issuer: s.as.Issuer(), Base: s.base, FHIRBase: s.base + "/fhir",
		Types: types, Now: s.clock.now,
	})
	must(err)
	verifier, err := rs.NewVerifier(rs.VerifierConfig{Clients: clients, Tokens: tokens, Sets: s.state, Issuer: s.as.Issuer(), Now: s.clock.now})
	must(err)
	s.contexts, err = rs.NewContextURLs(rs.ContextURLConfig{
		State: s.state, Registrar: s.registrar, Desk: rs.NewPermissionDesk(s.registrar), Verifier: verifier, Relations: s.relations, Base: s.base,
		FHIRBase: s.base + "/fhir", Types: types, Now: s.clock.now, Random: rand.Reader,
	})
	must(err)
	signIn, err := rs.NewSignIn(rs.SignInConfig{
		State: s.state, Clients: clients, Tokens: tokens, Registrar: s.registrar, Patients: s.patients, Issuer: s.as.Issuer(), FHIRBase: s.base + "/fhir", Now: s.clock.now,
	})
	must(err)
	guardian, err := rs.NewGuardian(rs.GuardianConfig{
		State: s.state, Issuers: clients, Tokens: tokens, Registrar: s.registrar, Relations: s.relations, Now: s.clock.now,
	})
	must(err)
	pages, err := resolver.New(resolver.Config{
		Base: s.base, Name: "General Hospital", State: s.state, SignIn: signIn, Contexts: s.contexts, Relations: s.relations, Patients: s.patients,
		Guardian: guardian, FormKey: key, Now: s.clock.now,
	})
	must(err)
	mux := http.NewServeMux()
	for _, route := range resolver.Routes() {
		mux.Handle(route, pages.Handler())
	}
	mux.Handle("/uma-context/", s.contexts.Handler())
	must(s.registrar.ReconcileCustodian(ctx))
	return mux
}

func (s *site) register(a rs.App) {
	s.t.Helper()
	if err := rs.CheckApp(a); err != nil {
		s.t.Fatal(err)
	}
	if err := s.state.PutApp(s.t.Context(), a); err != nil {
		s.t.Fatal(err)
	}
}

// browser is one person's browser: cookies, and redirects followed as far as this site and its authorization server.
type browser struct {
	s      *site
	client *http.Client
	left   *url.URL // where it was sent outside of the site, nil if nowhere
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b := &browser{s: s}
	b.client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), s.base+"/") && !strings.HasPrefix(r.URL.String(), s.as.Issuer()+"/") &&
			!strings.HasPrefix(r.URL.String(), s.second.Issuer()+"/") {
			b.left = r.URL
			return http.ErrUseLastResponse
		}
		if len(via) > 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

// page is what the browser shows.
type page struct {
	t      *testing.T
	Status int
	URL    string
	Header http.Header
	Body   string
}

func (b *browser) send(r *http.Request) page {
	b.s.t.Helper()
	b.left = nil
	res, err := b.client.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return page{b.s.t, res.StatusCode, res.Request.URL.String(), res.Header, string(raw)}
}

func (b *browser) get(to string) page {
	b.s.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.s.base + to
	}
	r, err := http.NewRequestWithContext(b.s.t.Context(), http.MethodGet, to, nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return b.send(r)
}

func (b *browser) post(to string, form url.Values, header ...string) page {
	b.s.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.s.base + to
	}
	r, err := http.NewRequestWithContext(b.s.t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.send(r)
}

var (
	h1      = regexp.MustCompile(`(?s)<h1>(.*?)</h1>`)
	tokenIn = regexp.MustCompile(`name="token" value="([^"]+)"`)
	tags    = regexp.MustCompile(`(?s)<[^>]*>`)
)

func (p page) heading() string {
	if m := h1.FindStringSubmatch(p.Body); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// text is what a person reads.
func (p page) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(p.Body, " "))), " ")
}

// token is the form token of the form that leads to action.
func (p page) token(action string) string {
	p.t.Helper()
	_, form, ok := strings.Cut(p.Body, `action="`+action+`"`)
	m := tokenIn.FindStringSubmatch(form)
	if !ok || m == nil {
		p.t.Fatalf("no form to %s on %q (%d): %s", action, p.heading(), p.Status, p.text())
	}
	return m[1]
}

func (p page) path() string {
	p.t.Helper()
	u, err := url.Parse(p.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	return u.Path
}

func (p page) is(status int, heading string) {
	p.t.Helper()
	if p.Status != status || p.heading() != heading {
		p.t.Fatalf("page %d %q, want %d %q: %s", p.Status, p.heading(), status, heading, p.text())
	}
}

func (s *site) ask(level string, more ...string) string {
	q := url.Values{"redirect_uri": {s.app}, "state": {"st&ate=1 +é"}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/resolve-uma-context/" + level + "?" + q.Encode()
}

// signedIn opens a resolution and signs a person in.
func (b *browser) signedIn(to string, p asclienttest.Person) page {
	b.s.t.Helper()
	b.s.as.SignInNext(p)
	shown := b.get(to)
	return b.post(shown.path()+"/signin", url.Values{"token": {shown.token(shown.path() + "/signin")}})
}

var john = asclienttest.Person{Sub: "sub-john", Name: "John Smith", FHIRUser: "Patient/john"}
