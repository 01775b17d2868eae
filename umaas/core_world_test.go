package umaas_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
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

// bytesLanguage is the plainest scope language: equal bytes, all constraints of both sides.
type bytesLanguage struct{}

func (bytesLanguage) Intersect(asked, given umaas.Right) []umaas.Right {
	var scopes []string
	for _, s := range asked.Scopes {
		if slices.Contains(given.Scopes, s) {
			scopes = append(scopes, s)
		}
	}
	if len(scopes) == 0 {
		return nil
	}
	return []umaas.Right{{Scopes: scopes, Constraints: slices.Concat(asked.Constraints, given.Constraints)}}
}

func (bytesLanguage) Covers(given []umaas.Right, asked umaas.Right) bool {
	for _, s := range asked.Scopes {
		if !slices.ContainsFunc(given, func(g umaas.Right) bool {
			return slices.Contains(g.Scopes, s) && !slices.ContainsFunc(g.Constraints, func(c uma.Constraint) bool {
				return !slices.Contains(asked.Constraints, c)
			})
		}) {
			return false
		}
	}
	return true
}

func (bytesLanguage) Describe(rights []umaas.Right, _ string) []umaas.Item {
	var out []umaas.Item
	for _, r := range rights {
		for _, s := range r.Scopes {
			id := s
			for _, c := range r.Constraints {
				id += "(" + c.Type + c.Value + ")"
			}
			if !slices.ContainsFunc(out, func(i umaas.Item) bool { return i.ID == id }) {
				out = append(out, umaas.Item{ID: id, Words: "Use " + id, Technical: id, Rights: []umaas.Right{{Scopes: []string{s}, Constraints: r.Constraints}}})
			}
		}
	}
	return out
}

func (bytesLanguage) Translate(string, []string) (string, umaas.Right, bool) {
	return "", umaas.Right{}, false
}

func (bytesLanguage) Print(rights []umaas.Right) []string {
	var out []string
	for _, r := range rights {
		out = append(out, r.Scopes...)
	}
	return out
}

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
	t     *testing.T
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

func newWorld(t *testing.T, engine kv.Engine) *world {
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

func (w *world) view(fn func(r umaas.Reader) error) {
	w.t.Helper()
	w.must(w.store.View(w.t.Context(), fn))
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

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// redeemAt presents a ticket at a token endpoint.
func redeemAt(ctx context.Context, s *umaas.Service, client umaas.ClientID, ticket string, more ...string) (uma.TokenResponse, error) {
	f := form(append([]string{"grant_type", uma.GrantTypeTicket, "client_id", string(client), "ticket", ticket}, more...)...)
	if client != p1 && client != wild {
		f.Set("client_secret", secret)
	}
	return s.Token(ctx, umaas.TokenRequest{Form: f, RequestID: "req"})
}

func (w *world) redeem(client umaas.ClientID, ticket string, more ...string) (uma.TokenResponse, error) {
	return redeemAt(w.t.Context(), w.Service, client, ticket, more...)
}

// rpt redeems and must succeed.
func (w *world) rpt(client umaas.ClientID, ticket string, more ...string) uma.TokenResponse {
	w.t.Helper()
	r, err := w.redeem(client, ticket, more...)
	if err != nil {
		w.t.Fatalf("redeem: %v", err)
	}
	return r
}

// refused redeems and must get an error with this status, code and description ("" any).
func (w *world) refused(client umaas.ClientID, ticket string, status int, code, description string, more ...string) *uma.Error {
	w.t.Helper()
	r, err := w.redeem(client, ticket, more...)
	return w.wantError(r, err, status, code, description)
}

func (w *world) wantError(got any, err error, status int, code, description string) *uma.Error {
	w.t.Helper()
	var e *uma.Error
	if !errors.As(err, &e) {
		w.t.Fatalf("got %+v, %v; want error %s", got, err, code)
	}
	if e.Status != status || e.Code != code || description != "" && e.Description != description {
		w.t.Fatalf("got %d %s %q; want %d %s %q", e.Status, e.Code, e.Description, status, code, description)
	}
	return e
}

const deadTicket = "ticket expired or used"

func (w *world) dead(client umaas.ClientID, ticket string) {
	w.t.Helper()
	w.refused(client, ticket, 400, "invalid_grant", deadTicket)
}

// visit starts a flow as a browser would and returns its view for one person.
func (w *world) visit(client umaas.ClientID, ticket string, who umaas.AccountID) (umaas.FlowView, umaas.Browser) {
	w.t.Helper()
	q := form("client_id", string(client), "ticket", ticket, "state", "s t/ä=&")
	if client == c1 {
		q.Set("claims_redirect_uri", back1)
	}
	started, err := w.StartClaims(w.t.Context(), q, "", "")
	w.must(err)
	if started.Redirect != nil {
		w.t.Fatalf("redirected at once: %v", started.Redirect)
	}
	b := umaas.Browser(started.Browser)
	sess := w.sessions[who]
	v, err := w.Flow(w.t.Context(), started.ID, b, &sess)
	w.must(err)
	return v, b
}

// consent is the owner ticking what ends in one of these.
func (w *world) consent(client umaas.ClientID, ticket string, owner umaas.AccountID, until time.Time, suffixes ...string) string {
	w.t.Helper()
	v, b := w.visit(client, ticket, owner)
	r, err := w.AnswerConsent(w.t.Context(), v.ID, b, w.sessions[owner], umaas.ConsentAnswer{Digest: v.Digest, Items: itemIDs(v.Records, suffixes...), Until: until})
	w.must(err)
	return w.back(r)
}

func (w *world) gather(client umaas.ClientID, ticket string, who umaas.AccountID) string {
	w.t.Helper()
	return w.gatherFor(client, ticket, who, "", "")
}

func (w *world) gatherFor(client umaas.ClientID, ticket string, who umaas.AccountID, purpose, note string) string {
	w.t.Helper()
	v, b := w.visit(client, ticket, who)
	if v.Step != umaas.StepGather {
		w.t.Fatalf("step %q, want gather", v.Step)
	}
	r, err := w.AnswerGather(w.t.Context(), v.ID, b, w.sessions[who], umaas.GatherAnswer{Digest: v.Digest, Purpose: purpose, Note: note})
	w.must(err)
	return w.back(r)
}

func (w *world) back(r umaas.Redirect) string {
	w.t.Helper()
	ticket := r.Query.Get("ticket")
	if ticket == "" {
		w.t.Fatalf("no ticket in %v", r)
	}
	return ticket
}

// itemIDs are the items whose technical text ends in a suffix; without suffixes all of them.
func itemIDs(records []umaas.RecordView, suffixes ...string) []string {
	var ids []string
	for _, r := range records {
		for _, i := range r.Items {
			if len(suffixes) == 0 || slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(i.ID, s) }) {
				ids = append(ids, i.ID)
			}
		}
	}
	return ids
}

// ask brings a process of a client and a party to the owner's inbox and returns the waiting ticket.
func (w *world) ask(client umaas.ClientID, who umaas.AccountID, perms ...uma.Permission) string {
	w.t.Helper()
	e := w.refused(client, w.gather(client, w.ticket(perms...), who), 403, "request_submitted", "")
	if e.Ticket == "" || e.Interval != 5 {
		w.t.Fatalf("request_submitted: ticket %q interval %d", e.Ticket, e.Interval)
	}
	return e.Ticket
}

// answer answers the newest waiting request of an owner.
func (w *world) answer(owner umaas.AccountID, allow bool, suffixes ...string) umaas.RequestView {
	w.t.Helper()
	v := w.inbox(owner)[0]
	a := umaas.RequestAnswer{Allow: allow, Digest: v.Digest}
	if allow {
		a.Items = itemIDs(v.Records, suffixes...)
	}
	v, err := w.AnswerRequest(w.t.Context(), owner, v.Key, a, "")
	w.must(err)
	return v
}

// inbox is what waits.
func (w *world) inbox(owner umaas.AccountID) []umaas.RequestView {
	w.t.Helper()
	all, err := w.Inbox(w.t.Context(), owner, umaas.Key{})
	w.must(err)
	return slices.DeleteFunc(all, func(v umaas.RequestView) bool { return v.State != umaas.RequestWaiting })
}

// inspect introspects as a resource server with a PAT of the owner.
func (w *world) inspect(owner umaas.AccountID, rs umaas.ClientID, token string) uma.Introspection {
	w.t.Helper()
	i, err := w.Introspect(w.t.Context(), umaas.PAT{Owner: owner, RS: rs}, token)
	w.must(err)
	return i
}

// rights prints an introspection's permissions: "id{scopes}[constraints] …", ids by name.
func rights(i uma.Introspection, names map[umaas.ResourceID]string) string {
	var out []string
	for _, p := range i.Permissions {
		s := names[umaas.ResourceID(p.ResourceID)] + "{" + strings.Join(p.Scopes, ",") + "}"
		for _, c := range p.Constraints {
			s += fmt.Sprintf("[%s=%s]", c.Type, c.Value)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (w *world) wantRights(token string, want string, names map[umaas.ResourceID]string) {
	w.t.Helper()
	if got := rights(w.inspect(w.alice, rs1, token), names); got != want {
		w.t.Fatalf("permissions %q, want %q", got, want)
	}
}

func (w *world) wantInactive(i uma.Introspection) {
	w.t.Helper()
	if fmt.Sprint(i) != fmt.Sprint(uma.Introspection{}) {
		w.t.Fatalf("introspection says %+v, want active:false alone", i)
	}
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
