package umaas_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

const oauthIssuer = "https://as.example"

// plainLanguage is a scope language of bytes: patient/… is about records, user/… about users.
type plainLanguage struct{}

func (plainLanguage) Intersect(asked, given umaas.Right) []umaas.Right {
	var common []string
	for _, s := range asked.Scopes {
		for _, g := range given.Scopes {
			if s == g {
				common = append(common, s)
			}
		}
	}
	if common == nil {
		return nil
	}
	return []umaas.Right{{Scopes: common, Constraints: append(append([]uma.Constraint(nil), asked.Constraints...), given.Constraints...)}}
}

func (p plainLanguage) Covers(given []umaas.Right, asked umaas.Right) bool {
	for _, g := range given {
		if got := p.Intersect(asked, g); len(got) == 1 && len(got[0].Scopes) == len(asked.Scopes) {
			return true
		}
	}
	return false
}

func (plainLanguage) Describe(rights []umaas.Right, _ string) []umaas.Item {
	var items []umaas.Item
	for _, r := range rights {
		for _, s := range r.Scopes {
			items = append(items, umaas.Item{
				ID: s, Block: "see", Group: s, Words: s, Technical: s, Rights: []umaas.Right{{Scopes: []string{s}, Constraints: r.Constraints}},
			})
		}
	}
	return items
}

func (plainLanguage) Translate(scope string, registered []string) (string, umaas.Right, bool) {
	level := map[bool]string{true: "record", false: "user"}[strings.HasPrefix(scope, "patient/")]
	if level == "user" && !strings.HasPrefix(scope, "user/") {
		return "", umaas.Right{}, false
	}
	var r umaas.Right
	for _, s := range registered {
		if s == scope {
			r.Scopes = []string{s}
		}
	}
	return level, r, true
}

func (plainLanguage) Print(rights []umaas.Right) []string {
	var out []string
	for _, r := range rights {
		out = append(out, r.Scopes...)
	}
	return out
}

// ringDrawer is one key storage for all tests of a process: RSA keys are slow to make.
type ringDrawer struct {
	mu    sync.Mutex
	value []byte
}

func (d *ringDrawer) Load(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.value, nil
}

func (d *ringDrawer) Swap(_ context.Context, old, fresh []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if string(d.value) != string(old) {
		return keys.ErrConflict
	}
	d.value = fresh
	return nil
}

var sharedDrawer ringDrawer

// oauthWorld is a service with people, a resource server and a clock that only tests move.
type oauthWorld struct {
	t     testing.TB
	s     *umaas.Service
	store umaas.Store
	ring  *keys.Ring
	mu    sync.Mutex
	time  time.Time

	alice, bob umaas.Account
}

func (w *oauthWorld) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *oauthWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

func newOAuthWorld(t testing.TB, engine kv.Engine) *oauthWorld {
	t.Helper()
	w := &oauthWorld{t: t, time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	st, err := store.New(t.Context(), engine, store.Options{Now: w.now})
	w.must(err)
	t.Cleanup(func() { _ = st.Close() })
	w.store = st
	w.ring, err = keys.Open(t.Context(), keys.Options{Storage: &sharedDrawer, Now: w.now, Random: rand.Reader})
	w.must(err)
	w.s = w.service()
	w.alice = w.account("alice", "Patient/a")
	w.bob = w.account("bob", "")
	return w
}

// service is one more process on the same store.
func (w *oauthWorld) service() *umaas.Service {
	w.t.Helper()
	s, err := umaas.New(context.Background(), umaas.Deps{
		Issuer: oauthIssuer, Store: w.store, Keys: w.ring, Scopes: plainLanguage{}, Now: w.now, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Limits: umaas.DefaultLimits(),
	})
	w.must(err)
	return s
}

func (w *oauthWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *oauthWorld) account(login, fhirUser string) umaas.Account {
	w.t.Helper()
	a, err := w.s.PutAccount(context.Background(), umaas.Account{Login: login, Name: "Name of " + login, FHIRUser: fhirUser}, "")
	w.must(err)
	return a
}

// onEngines runs a test on the memory engine, on one that lets every third transaction run again, and on bolt.
func onEngines(t *testing.T, test func(t *testing.T, w *oauthWorld)) {
	t.Run("memory", func(t *testing.T) { test(t, newOAuthWorld(t, memkv.New(memkv.Options{}))) })
	t.Run("conflicts", func(t *testing.T) {
		var n atomic.Int64
		test(t, newOAuthWorld(t, memkv.New(memkv.Options{Conflict: func() bool { return n.Add(1)%3 == 0 }})))
	})
	t.Run("bolt", func(t *testing.T) {
		e, err := boltkv.Open(filepath.Join(t.TempDir(), "db"), boltkv.Options{InsecureNoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		test(t, newOAuthWorld(t, e))
	})
}

func oauthInMemory(t *testing.T) *oauthWorld {
	t.Helper()
	return newOAuthWorld(t, memkv.New(memkv.Options{}))
}

// oauthApp is a client with its secret.
type oauthApp struct {
	umaas.ClientInformation
}

func (w *oauthWorld) register(m umaas.ClientMetadata) oauthApp {
	w.t.Helper()
	i, err := w.s.Register(context.Background(), m, "r")
	w.must(err)
	return oauthApp{i}
}

const rsURL = "https://rs.example/fhir"

func rsMetadata() umaas.ClientMetadata {
	return umaas.ClientMetadata{
		Name: "Hospital", RedirectURIs: []string{"https://rs.example/cb"}, Scope: "openid fhirUser uma_protection offline_access",
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, Resource: []string{rsURL},
	}
}

func (w *oauthWorld) resourceServer() oauthApp { w.t.Helper(); return w.register(rsMetadata()) }

func appMetadata() umaas.ClientMetadata {
	return umaas.ClientMetadata{
		Name: "App", RedirectURIs: []string{"https://app.example/cb"}, GrantTypes: []string{"authorization_code", "refresh_token"},
	}
}

// ask is a token request of an app by its own method.
func (a oauthApp) ask(pairs ...string) umaas.TokenRequest {
	r := umaas.TokenRequest{Form: url.Values{}}
	for i := 0; i < len(pairs); i += 2 {
		r.Form.Set(pairs[i], pairs[i+1])
	}
	switch a.AuthMethod {
	case umaas.AuthSecretBasic:
		r.HasBasic, r.BasicID, r.BasicSecret = true, string(a.ClientID), a.ClientSecret
	case umaas.AuthSecretPost:
		r.Form.Set("client_id", string(a.ClientID))
		r.Form.Set("client_secret", a.ClientSecret)
	default:
		r.Form.Set("client_id", string(a.ClientID))
	}
	return r
}

const oauthVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func oauthChallenge() string {
	sum := sha256.Sum256([]byte(oauthVerifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// query is a good authorization request with changes; an empty value removes.
func (a oauthApp) query(pairs ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {string(a.ClientID)}, "redirect_uri": {a.RedirectURIs[0]}, "state": {"st"}, "nonce": {"nn"},
		"scope": {"openid"}, "code_challenge": {oauthChallenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

// consent walks a person through the flow, ticks everything, and returns the redirect's query.
func (w *oauthWorld) consent(q url.Values, who umaas.Account) url.Values {
	w.t.Helper()
	ctx := context.Background()
	started, err := w.s.StartAuthorization(ctx, q, "", "r")
	w.must(err)
	if started.Redirect != nil {
		w.t.Fatalf("answered by redirect: %v", started.Redirect.Query)
	}
	_, sess, err := w.s.CreateSession(ctx, who.ID, []string{"pwd"})
	w.must(err)
	b := umaas.Browser(started.Browser)
	v, err := w.s.Flow(ctx, started.ID, b, &sess)
	w.must(err)
	answer := umaas.ConsentAnswer{Digest: v.Digest}
	for _, r := range v.Records {
		for _, item := range r.Items {
			answer.Items = append(answer.Items, item.ID)
		}
	}
	back, err := w.s.AnswerConsent(ctx, started.ID, b, sess, answer)
	w.must(err)
	if back.URI != q.Get("redirect_uri") {
		w.t.Fatalf("sent to %s", back.URI)
	}
	return back.Query
}

func (w *oauthWorld) code(a oauthApp, who umaas.Account, pairs ...string) string {
	w.t.Helper()
	q := w.consent(a.query(pairs...), who)
	if q.Get("code") == "" || q.Get("state") != "st" || q.Get("iss") != oauthIssuer || len(q) != 3 {
		w.t.Fatalf("redirect with %v", q)
	}
	return q.Get("code")
}

func (a oauthApp) redeem(code string, pairs ...string) umaas.TokenRequest {
	return a.ask(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", a.RedirectURIs[0], "code_verifier", oauthVerifier}, pairs...)...)
}

func (w *oauthWorld) tokens(a oauthApp, who umaas.Account, pairs ...string) uma.TokenResponse {
	w.t.Helper()
	r, err := w.s.Token(context.Background(), a.redeem(w.code(a, who, pairs...)))
	w.must(err)
	return r
}

// pat is a person's PAT at a resource server, with its refresh token.
func (w *oauthWorld) pat(rs oauthApp, who umaas.Account) uma.TokenResponse {
	w.t.Helper()
	return w.tokens(rs, who, "scope", "openid fhirUser uma_protection offline_access")
}

// wantOAuthError compares status, code and, unless empty, description.
func wantOAuthError(t testing.TB, name string, err error, status int, code, description string) {
	t.Helper()
	var e *uma.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v, want %d %s", name, err, status, code)
		return
	}
	if e.Status != status || e.Code != code || description != "" && e.Description != description {
		t.Errorf("%s: %d %s %q, want %d %s %q", name, e.Status, e.Code, e.Description, status, code, description)
	}
}

func claimsOf(t testing.TB, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", jwt)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
