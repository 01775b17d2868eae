package web_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/fhirview"
	"github.com/umaas/umaas/umaas/httpapi"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/policy"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
	"github.com/umaas/umaas/umaas/web"
)

// world is a whole authorization server over a store in memory, with an app and a resource server beside it.
type world struct {
	t      testing.TB
	mu     sync.Mutex
	clock  time.Time
	store  umaas.Store
	core   *umaas.Service
	server *httptest.Server
	app    *httptest.Server // the app's redirect address
	back   []url.Values     // what came back to the app

	alice, bob umaas.Account
	rs         umaas.ClientID
	set        umaas.ResourceID
}

const (
	password = "correct horse battery"
	secret   = "app secret app secret"
	flu      = umaas.ClientID("c-flu")
	portal   = umaas.ClientID("c-portal")
)

type drawer struct {
	mu  sync.Mutex
	raw []byte
}

func (d *drawer) Load(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.raw, nil
}

func (d *drawer) Swap(_ context.Context, old, fresh []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if string(d.raw) != string(old) {
		return keys.ErrConflict
	}
	d.raw = fresh
	return nil
}

// ring is made once: RSA keys take their time.
var ring = sync.OnceValues(func() (*keys.Ring, error) {
	return keys.Open(context.Background(), keys.Options{Storage: &drawer{}, Now: time.Now, Random: rand.Reader})
})

// counts is a resource server that tells what permissions would show.
type counts struct{}

func (counts) Preview(_ context.Context, _ umaas.Resource, permissions []uma.Permission) (map[string]int, error) {
	out := map[string]int{}
	for _, p := range permissions {
		for _, s := range p.Scopes {
			_, rest, _ := strings.Cut(s, "/")
			kind, _, _ := strings.Cut(rest, ".")
			out[kind] = map[string]int{"AllergyIntolerance": 3, "Immunization": 1, "Observation": 42}[kind]
		}
	}
	return out, nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	w := &world{t: t, clock: time.Date(2027, 3, 1, 9, 30, 0, 0, time.UTC)}
	st, err := store.New(t.Context(), memkv.New(memkv.Options{}), store.Options{Now: w.now})
	w.must(err)
	w.store = st
	t.Cleanup(func() { _ = st.Close() })
	w.app = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if r.URL.Path == "/cb" {
			w.back = append(w.back, r.URL.Query())
		}
		fmt.Fprint(rw, "<!doctype html><title>Flu Clinic</title><h1>back</h1>")
	}))
	t.Cleanup(w.app.Close)
	w.serve()
	w.alice = w.person("alice", "Alice Ames", "alice@example.org")
	w.bob = w.person("bob", "Dr. Bob Berg", "bob@clinic.example")
	w.clients()
	w.set = w.record(w.alice.ID, "Alice's record")
	return w
}

func (w *world) serve() {
	signing, err := ring()
	w.must(err)
	var handler http.Handler
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	w.t.Cleanup(w.server.Close)
	log := slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: logLevel}))
	w.core, err = umaas.New(w.t.Context(), umaas.Deps{
		Issuer: w.server.URL, Store: w.store, Keys: signing, Scopes: policy.SMART{}, Preview: counts{}, Now: w.now, Random: rand.Reader,
		Logger: log, Limits: umaas.DefaultLimits(),
	})
	w.must(err)
	in, err := signin.New(signin.Config{Accounts: w.core, Random: rand.Reader, Now: w.now, Logger: log, Cost: cheap})
	w.must(err)
	upstream, err := signin.NewUpstream(signin.UpstreamConfig{Trips: w.core, Issuer: w.server.URL, HTTP: http.DefaultClient, Now: w.now, Logger: log})
	w.must(err)
	site, err := web.New(web.Config{
		Service: w.core, SignIn: in, Upstream: upstream, Consents: fhirview.View{Core: w.core, Issuer: w.server.URL, Now: w.now}, Issuer: w.server.URL, SessionCookie: "as", BrowserCookie: "as-flow", DeploymentName: "Health Keys", Help: "call 555 0100",
		CSRFKey: make([]byte, 32), Now: w.now, Random: rand.Reader, Logger: log,
	})
	w.must(err)
	handler, err = httpapi.New(httpapi.Config{
		Service: w.core, Pages: site, Issuer: w.server.URL, BrowserCookie: "as-flow", Now: w.now, Random: rand.Reader, Logger: log,
	})
	w.must(err)
}

const logLevel = slog.LevelInfo

var cheap = signin.Cost{Memory: 64, Time: 1, Threads: 1}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) person(login, name, email string) umaas.Account {
	w.t.Helper()
	hash, err := signin.HashPassword(password, cheap, rand.Reader)
	w.must(err)
	a, err := w.core.PutAccount(w.t.Context(), umaas.Account{
		Kind: umaas.KindPerson, Login: login, Name: name, Email: email, EmailVerified: true, PasswordHash: hash,
	}, "")
	w.must(err)
	return a
}

func (w *world) clients() {
	w.t.Helper()
	hash := umaas.SecretHash(sha256.Sum256([]byte(secret)))
	both := []string{uma.GrantTypeTicket, uma.GrantTypeAuthorizationCode, uma.GrantTypeRefreshToken}
	hospital, _, err := w.core.AddClient(w.t.Context(), umaas.Client{
		Name: "General Hospital", AuthMethod: umaas.AuthSecretPost, Scopes: []string{uma.ScopeProtection}, GrantTypes: both[1:],
		RedirectURIs: []string{w.app.URL + "/cb"}, Audience: []string{w.app.URL + "/fhir"}, CheckedBy: "Health Keys", CheckedAt: w.clock,
	}, "")
	w.must(err)
	w.rs = hospital.ID
	for _, c := range []umaas.Client{
		{
			ID: flu, Name: "Flu Clinic", AuthMethod: umaas.AuthNone, GrantTypes: both, RedirectURIs: []string{w.app.URL + "/cb"},
			ClaimsRedirectURIs: []string{w.app.URL + "/cb"}, Dynamic: true, ClientURI: "https://flu.example", PolicyURI: "https://flu.example/data",
		},
		{
			ID: portal, Name: "Doctor's Desk", AuthMethod: umaas.AuthSecretPost, SecretHash: hash, GrantTypes: both, RedirectURIs: []string{w.app.URL + "/cb"},
			ClaimsRedirectURIs: []string{w.app.URL + "/cb"}, CheckedBy: "Health Keys", CheckedAt: w.clock,
		},
	} {
		c.Created = w.clock
		w.must(w.store.Update(w.t.Context(), func(tx umaas.Tx) error { return tx.PutClient(c) }))
	}
}

var kinds = []string{
	"Patient", "AllergyIntolerance", "Condition", "Immunization", "Observation", "MedicationRequest", "DiagnosticReport", "Encounter", "Procedure",
	"CarePlan", "DocumentReference", "FamilyMemberHistory", "MolecularSequence", "Coverage",
}

func (w *world) record(owner umaas.AccountID, label string) umaas.ResourceID {
	w.t.Helper()
	var scopes []string
	for _, k := range kinds {
		for _, letter := range "cruds" {
			scopes = append(scopes, "patient/"+k+"."+string(letter))
		}
	}
	id, err := w.core.CreateResource(w.t.Context(), umaas.PAT{Owner: owner, RS: w.rs}, uma.ResourceDescription{
		Name: "record", Scopes: scopes, Context: &uma.ResourceContext{Level: "record", Label: label},
	}, "r")
	w.must(err)
	return id
}

// asks are the scopes of seed-like app: read allergies, read and write vaccinations, delete a vaccination, gene tests.
var asks = []string{
	"patient/AllergyIntolerance.r", "patient/AllergyIntolerance.s", "patient/Immunization.r", "patient/Immunization.s", "patient/Immunization.c",
	"patient/Immunization.d", "patient/MolecularSequence.r",
}

func (w *world) ticket(owner umaas.AccountID, set umaas.ResourceID, scopes ...string) string {
	w.t.Helper()
	if len(scopes) == 0 {
		scopes = asks
	}
	ticket, err := w.core.RequestPermission(w.t.Context(), umaas.PAT{Owner: owner, RS: w.rs}, []uma.Permission{{ResourceID: string(set), Scopes: scopes}}, "", "r")
	w.must(err)
	return ticket
}

// claimsURL is where an app sends a browser with a ticket.
func (w *world) claimsURL(client umaas.ClientID, ticket string) string {
	return w.server.URL + "/claims?" + url.Values{
		"client_id": {string(client)}, "ticket": {ticket}, "claims_redirect_uri": {w.app.URL + "/cb"}, "state": {"st&te"},
	}.Encode()
}

// redeem presents a ticket at the token endpoint and returns the answer's error, "" for an RPT, and its ticket.
func (w *world) redeem(client umaas.ClientID, ticket string) (code, next string) {
	w.t.Helper()
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}, "client_id": {string(client)}}
	if client != flu {
		form.Set("client_secret", secret)
	}
	_, err := w.core.Token(w.t.Context(), umaas.TokenRequest{Form: form, RequestID: "r"})
	var e *uma.Error
	if errors.As(err, &e) {
		return e.Code, e.Ticket
	}
	w.must(err)
	return "", ""
}

// lastBack is the query of the newest return to the app.
func (w *world) lastBack() url.Values {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.back) == 0 {
		w.t.Fatal("nothing came back to the app")
	}
	return w.back[len(w.back)-1]
}

// submitted makes a request of Bob's in Alice's inbox, with a purpose and a note, and returns the ticket he polls with.
func (w *world) submitted(purpose, note string) string {
	w.t.Helper()
	b := w.browser()
	page := b.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set)))
	page = b.signIn(page, "bob")
	b.sendDetails(page, purpose, note)
	code, next := w.redeem(portal, w.lastBack().Get("ticket"))
	if code != uma.ErrRequestSubmitted.Code {
		w.t.Fatalf("redeem: %q", code)
	}
	return next
}

// item is the id of a line of the record, by its words as the owner reads them.
func (w *world) item(words string) string {
	w.t.Helper()
	records, err := w.core.Shareable(w.t.Context(), w.alice.ID)
	w.must(err)
	for _, r := range records {
		for _, i := range r.Items {
			if i.Words == words {
				return i.ID
			}
		}
	}
	w.t.Fatalf("nothing to share is called %q", words)
	return ""
}
