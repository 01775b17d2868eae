package umaas_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// ringStore keeps signing keys in memory.
type ringStore struct {
	mu  sync.Mutex
	raw []byte
}

func (m *ringStore) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.raw, nil
}

func (m *ringStore) Swap(_ context.Context, old, fresh []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if string(m.raw) != string(old) {
		return keys.ErrConflict
	}
	m.raw = fresh
	return nil
}

// coreRing is made once: RSA keys take their time.
var coreRing = sync.OnceValues(func() (*keys.Ring, error) {
	return keys.Open(context.Background(), keys.Options{Storage: &ringStore{}, Now: time.Now, Random: rand.Reader})
})

const (
	issuer = "https://as.example/uma"
	rs1    = umaas.ClientID("c-rs1")
	rs2    = umaas.ClientID("c-rs2")
	c1     = umaas.ClientID("c-one")
	c2     = umaas.ClientID("c-two")
	p1     = umaas.ClientID("c-public")
	wild   = umaas.ClientID("c-wild") // registered itself
	robot  = umaas.ClientID("c-robot")
	secret = "correct horse battery staple"
	back1  = "https://one.example/cb?x=1"
)

// world is one authorization server with people, apps and resource servers.
type world struct {
	t     testing.TB
	mu    sync.Mutex
	clock time.Time
	store umaas.Store
	*umaas.Service

	alice, bob, carol, org umaas.AccountID
	sessions               map[umaas.AccountID]umaas.Session
}

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

// eachStore runs a test on both engines.
func eachStore(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("memkv", func(t *testing.T) { t.Parallel(); test(newWorld(t, memkv.New(memkv.Options{}))) })
	t.Run("boltkv", func(t *testing.T) {
		t.Parallel()
		engine, err := boltkv.Open(filepath.Join(t.TempDir(), "as.db"), boltkv.Options{InsecureNoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		test(newWorld(t, engine))
	})
}

func inMemory(t *testing.T) *world { return newWorld(t, memkv.New(memkv.Options{})) }

func newWorld(t testing.TB, engine kv.Engine) *world {
	t.Helper()
	w := &world{t: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), sessions: map[umaas.AccountID]umaas.Session{}}
	var err error
	w.store, err = store.New(t.Context(), engine, store.Options{Now: w.now})
	w.must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.Service = w.service()
	w.alice = w.person("alice", "Alice Ames")
	w.bob = w.person("bob", "Bob Berg")
	w.carol = w.person("carol", "Carol Cole")
	w.org = w.person("clinic", "The Clinic")
	hash := umaas.SecretHash(sha256.Sum256([]byte(secret)))
	all := []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken}
	for _, c := range []umaas.Client{
		{ID: rs1, Name: "Hospital", AuthMethod: umaas.AuthSecretPost, SecretHash: hash, Scopes: []string{"uma_protection"}, Account: w.org, Audience: []string{"https://rs1.example/fhir"}},
		{ID: rs2, Name: "Laboratory", AuthMethod: umaas.AuthSecretPost, SecretHash: hash, Scopes: []string{"uma_protection"}, Audience: []string{"https://rs2.example"}},
		{ID: c1, Name: "App One", AuthMethod: umaas.AuthSecretPost, SecretHash: hash, GrantTypes: all, Scopes: []string{"download"}, ClaimsRedirectURIs: []string{back1, "https://one.example/other"}, RedirectURIs: []string{"https://one.example/oauth"}},
		{ID: c2, Name: "App Two", AuthMethod: umaas.AuthSecretPost, SecretHash: hash, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://two.example/cb"}},
		{ID: p1, Name: "Phone App", AuthMethod: umaas.AuthNone, GrantTypes: all, ClaimsRedirectURIs: []string{"https://phone.example/cb"}},
		{ID: wild, Name: "Wild App", AuthMethod: umaas.AuthNone, GrantTypes: all, ClaimsRedirectURIs: []string{"https://wild.example/cb"}, Dynamic: true},
		{ID: robot, Name: "Robot", AuthMethod: umaas.AuthSecretPost, SecretHash: hash, GrantTypes: []string{uma.GrantTypeTicket}, Account: w.org},
	} {
		c.Created = w.clock
		w.put(func(tx umaas.Tx) error { return tx.PutClient(c) })
	}
	return w
}

// service is one more server on the same store.
func (w *world) service() *umaas.Service {
	ring, err := coreRing()
	w.must(err)
	s, err := umaas.New(w.t.Context(), umaas.Deps{
		Issuer: issuer, Store: w.store, Keys: ring, Scopes: bytesLanguage{}, Now: w.now, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Limits: umaas.DefaultLimits(),
	})
	w.must(err)
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(fn func(tx umaas.Tx) error) {
	w.t.Helper()
	w.must(w.store.Update(w.t.Context(), fn))
}

func (w *world) person(login, name string) umaas.AccountID {
	w.t.Helper()
	a, err := w.PutAccount(w.t.Context(), umaas.Account{Login: login, Name: name, Email: login + "@example.org", EmailVerified: true}, "")
	w.must(err)
	_, sess, err := w.CreateSession(w.t.Context(), a.ID, []string{"pwd"})
	w.must(err)
	w.sessions[a.ID] = sess
	return a.ID
}

// set registers a resource.
func (w *world) set(owner umaas.AccountID, rs umaas.ClientID, scopes ...string) umaas.ResourceID {
	w.t.Helper()
	id, err := w.CreateResource(w.t.Context(), umaas.PAT{Owner: owner, RS: rs}, uma.ResourceDescription{Name: "Health record", Scopes: scopes}, "")
	w.must(err)
	return id
}

func perm(id umaas.ResourceID, scopes ...string) uma.Permission {
	if scopes == nil {
		scopes = []string{}
	}
	return uma.Permission{ResourceID: string(id), Scopes: scopes}
}

func limited(p uma.Permission, kind, value string) uma.Permission {
	p.Constraints = append(slices.Clone(p.Constraints), uma.Constraint{Type: kind, Value: value})
	return p
}

// ticket asks for alice's resources at rs1.
func (w *world) ticket(perms ...uma.Permission) string {
	w.t.Helper()
	return w.ticketOf(umaas.PAT{Owner: w.alice, RS: rs1}, perms...)
}

func (w *world) ticketOf(p umaas.PAT, perms ...uma.Permission) string {
	w.t.Helper()
	ticket, err := w.RequestPermission(w.t.Context(), p, perms, "", "")
	w.must(err)
	return ticket
}

// policy stores what an owner gives, without an app and without an end unless change says so.
func (w *world) policy(owner umaas.AccountID, who umaas.Who, rules []umaas.Rule, change ...func(*umaas.Policy)) umaas.PolicyID {
	w.t.Helper()
	p := umaas.Policy{
		ID: umaas.PolicyID(rand.Text()), Owner: owner, Who: who, Rules: rules, Origin: umaas.OriginShare, Created: w.now(),
	}
	for _, c := range change {
		c(&p)
	}
	w.put(func(tx umaas.Tx) error { return tx.PutPolicy(p) })
	return p.ID
}

func account(id umaas.AccountID) umaas.Who { return umaas.Who{Kind: umaas.WhoAccount, Account: id} }

func rule(rs umaas.ClientID, id umaas.ResourceID, scopes ...string) umaas.Rule {
	return umaas.Rule{Resource: id, RS: rs, Scopes: scopes}
}
