package signin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/outbound"
	"github.com/umaas/umaas/umaas/policy"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

const (
	us           = "http://localhost:1"
	ourID        = "umaas-here"
	ourSecret    = "a secret of ours at the hospital"
	hospitalName = "County Hospital"
)

// hospital is an OpenID provider that says what a test tells it to.
type hospital struct {
	t        *testing.T
	server   *httptest.Server
	key      jwk.Key
	requests atomic.Int32
	answer   func(w http.ResponseWriter, r *http.Request) // of the token endpoint
	form     url.Values                                   // last token request
	basic    [2]string
}

func newHospital(t *testing.T) *hospital {
	h := &hospital{t: t, key: newKey(t, "k1")}
	mux := http.NewServeMux()
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) {
		h.requests.Add(1)
		public, _ := h.key.PublicKey()
		set := jwk.NewSet()
		_ = set.AddKey(public)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(set)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		h.requests.Add(1)
		_ = r.ParseForm()
		h.form = r.PostForm
		h.basic[0], h.basic[1], _ = r.BasicAuth()
		h.answer(w, r)
	})
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	return h
}

func newKey(t *testing.T, id string) jwk.Key {
	t.Helper()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jwk.FromRaw(raw)
	if err != nil {
		t.Fatal(err)
	}
	_ = k.Set(jwk.KeyIDKey, id)
	_ = k.Set(jwk.AlgorithmKey, jwa.ES256)
	return k
}

func (h *hospital) sign(key any, alg jwa.SignatureAlgorithm, claims map[string]any) string {
	h.t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	headers := jws.NewHeaders()
	if k, ok := key.(jwk.Key); ok {
		_ = headers.Set(jws.KeyIDKey, k.KeyID())
	}
	signed, err := jws.Sign(payload, jws.WithKey(alg, key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(signed)
}

func (h *hospital) gives(token string, more map[string]any) {
	h.answer = func(w http.ResponseWriter, _ *http.Request) {
		body := map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": token}
		maps.Copy(body, more)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
}

// place is an authorization server with the hospital among its trusted issuers.
type place struct {
	t     *testing.T
	mu    sync.Mutex
	clock time.Time
	store umaas.Store
	core  *umaas.Service
	up    *signin.Upstream
	h     *hospital
	id    string
}

func (p *place) now() time.Time { p.mu.Lock(); defer p.mu.Unlock(); return p.clock }

func (p *place) sleep(d time.Duration) { p.mu.Lock(); defer p.mu.Unlock(); p.clock = p.clock.Add(d) }

type noKeys struct{ raw []byte }

func (n *noKeys) Load(context.Context) ([]byte, error)          { return n.raw, nil }
func (n *noKeys) Swap(_ context.Context, _, fresh []byte) error { n.raw = fresh; return nil }

var ringOnce = sync.OnceValues(func() (*keys.Ring, error) {
	return keys.Open(context.Background(), keys.Options{Storage: &noKeys{}, Now: time.Now, Random: rand.Reader})
})

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, clock: time.Now().Truncate(time.Second), h: newHospital(t)}
	var err error
	p.store, err = store.New(t.Context(), memkv.New(memkv.Options{}), store.Options{Now: p.now})
	p.must(err)
	t.Cleanup(func() { _ = p.store.Close() })
	ring, err := ringOnce()
	p.must(err)
	log := slog.New(slog.DiscardHandler)
	p.core, err = umaas.New(t.Context(), umaas.Deps{
		Issuer: us, Store: p.store, Keys: ring, Scopes: policy.SMART{}, Now: p.now, Random: rand.Reader, Logger: log, Limits: umaas.DefaultLimits(),
	})
	p.must(err)
	guarded := outbound.New(outbound.Options{InsecureHTTP: true, Private: outbound.Loopback()}).HTTP()
	p.up, err = signin.NewUpstream(signin.UpstreamConfig{Trips: p.core, Issuer: us, HTTP: guarded, Now: p.now, Logger: log})
	p.must(err)
	p.id = umaas.IssuerID(p.h.server.URL)
	p.trust(nil)
	return p
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) trust(change func(*umaas.TrustedIssuer)) {
	p.t.Helper()
	sealed, err := p.core.SealSecret(p.h.server.URL, ourSecret)
	p.must(err)
	i := umaas.TrustedIssuer{
		Issuer: p.h.server.URL, Name: hospitalName, Uses: []umaas.IssuerUse{umaas.UseSignIn}, Claims: []string{"org", "role", "email"},
		EmailDomains: []string{"county.example"}, JWKSURI: p.h.server.URL + "/jwks", ClientID: ourID, ClientSecret: sealed,
		Endpoints: umaas.IssuerEndpoints{Authorization: p.h.server.URL + "/authorize?tenant=1", Token: p.h.server.URL + "/token"},
		ACRs:      []string{"https://refeds.example/mfa?x=1=" + umaas.ACRMultiFactor, umaas.ACRPassword},
	}
	if change != nil {
		change(&i)
	}
	p.must(p.store.Update(p.t.Context(), func(tx umaas.Tx) error { return tx.PutTrustedIssuer(i) }))
}

// away starts a trip and returns what the browser would carry to the issuer.
func (p *place) away(q umaas.TripRequest, b umaas.Browser) (url.Values, umaas.Browser) {
	p.t.Helper()
	q.Issuer = p.id
	d, err := p.up.Depart(p.t.Context(), q, b, "192.0.2.1:1")
	p.must(err)
	if !strings.HasPrefix(d.URL, p.h.server.URL+"/authorize?") {
		p.t.Fatal(d.URL)
	}
	u, err := url.Parse(d.URL)
	p.must(err)
	return u.Query(), umaas.Browser(d.Browser)
}

func (p *place) claims(sent url.Values, change func(map[string]any)) map[string]any {
	c := map[string]any{
		"iss": p.h.server.URL, "sub": "kim-1", "aud": ourID, "exp": p.now().Add(5 * time.Minute).Unix(), "iat": p.now().Unix(),
		"auth_time": p.now().Unix(), "nonce": sent.Get("nonce"), "name": "Kim Lee", "org": "County Hospital", "role": []string{"physician", "surgeon"},
		"email": "Kim@County.example", "email_verified": true, "groups": "not trusted for this",
	}
	if change != nil {
		change(c)
	}
	return c
}

func (p *place) back(sent url.Values, more ...string) url.Values {
	q := url.Values{"state": {sent.Get("state")}, "code": {"c0de"}, "iss": {p.h.server.URL}}
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "" {
			q.Del(more[i])
			continue
		}
		q.Set(more[i], more[i+1])
	}
	return q
}

func (p *place) arrive(q url.Values, b umaas.Browser, sess *umaas.Session) (signin.Arrival, error) {
	return p.up.Arrive(p.t.Context(), p.id, q, b, sess)
}

// enter is the whole way of somebody who is known there.
func (p *place) enter(change func(map[string]any)) (umaas.Session, umaas.Account) {
	p.t.Helper()
	sent, b := p.away(umaas.TripRequest{To: "/me"}, "")
	p.h.gives(p.h.sign(p.h.key, jwa.ES256, p.claims(sent, change)), nil)
	at, err := p.arrive(p.back(sent), b, nil)
	p.must(err)
	if at.To != "/me" || at.Flow != "" {
		p.t.Fatalf("%+v", at)
	}
	sess, a, err := p.core.Session(p.t.Context(), at.Cookie)
	p.must(err)
	return sess, a
}

// TestH_03_SignInAtIssuer: the request as OpenID Connect Core §3.1.2.1 and RFC 7636 want it, the exchange, the account, and what
// the issuer is believed for.
func TestH_03_SignInAtIssuer(t *testing.T) {
	p := newPlace(t)
	sent, b := p.away(umaas.TripRequest{To: "/me"}, "")
	for name, want := range map[string]string{
		"response_type": "code", "client_id": ourID, "redirect_uri": us + signin.BackPath + p.id, "scope": "openid profile email", "code_challenge_method": "S256", "tenant": "1",
	} {
		if sent.Get(name) != want {
			t.Errorf("%s=%q, want %q", name, sent.Get(name), want)
		}
	}
	if sent.Has("max_age") || sent.Has("prompt") || sent.Has("acr_values") || strings.Contains(sent.Encode(), string(b)) {
		t.Errorf("%v", sent)
	}
	p.h.gives(p.h.sign(p.h.key, jwa.ES256, p.claims(sent, nil)), nil)
	at, err := p.arrive(p.back(sent), b, nil)
	p.must(err)
	sum := sha256.Sum256([]byte(p.h.form.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != sent.Get("code_challenge") || p.h.form.Get("redirect_uri") != sent.Get("redirect_uri") || p.h.form.Get("code") != "c0de" ||
		p.h.basic != [2]string{ourID, url.QueryEscape(ourSecret)} || p.h.form.Has("client_secret") {
		t.Errorf("token request %v %v", p.h.form, p.h.basic)
	}
	sess, a, err := p.core.Session(t.Context(), at.Cookie)
	p.must(err)
	iss := p.h.server.URL
	if a.Name != "Kim Lee" || a.Login != "" || a.PasswordHash != "" || a.EmailVerified || !slices.Equal(a.Identities, []umaas.Identity{{Issuer: iss, Subject: "kim-1"}}) || len(a.Claims) != 0 {
		t.Errorf("account %+v", a)
	}
	want := []umaas.Claim{{Issuer: iss, Name: "org", Value: "County Hospital"}, {Issuer: iss, Name: "role", Value: "physician"}, {Issuer: iss, Name: "role", Value: "surgeon"},
		{Issuer: iss, Name: "email", Value: "kim@county.example"}, {Issuer: iss, Name: "urn:umaas:sign-in", Value: "kim-1"}}
	if !slices.Equal(sess.Claims, want) || sess.Upstream.Subject != "kim-1" || sess.ACR != "" {
		t.Errorf("session %+v", sess)
	}
	if _, again := p.enter(nil); again.ID != a.ID {
		t.Error("a second account for one identity")
	}
	if _, other := p.enter(func(c map[string]any) { c["sub"] = "kim-2" }); other.ID == a.ID {
		t.Error("joined by name")
	}
}

// TestSEC_20_NeverJoinedByAddress: an address leads to no account, verified here or there.
func TestSEC_20_NeverJoinedByAddress(t *testing.T) {
	p := newPlace(t)
	local, err := p.core.PutAccount(t.Context(), umaas.Account{Login: "kim", Name: "Kim Lee", Email: "kim@county.example", EmailVerified: true}, "")
	p.must(err)
	_, a := p.enter(nil)
	if a.ID == local.ID {
		t.Fatal("joined by address")
	}
	for name, change := range map[string]func(map[string]any){
		"another domain": func(c map[string]any) { c["email"] = "kim@elsewhere.example" },
		"not verified":   func(c map[string]any) { c["email_verified"] = false },
		"said as text":   func(c map[string]any) { c["email_verified"] = "true" },
		"said nothing":   func(c map[string]any) { delete(c, "email_verified") },
		"no address":     func(c map[string]any) { c["email"] = "county.example" },
	} {
		sess, _ := p.enter(change)
		if slices.ContainsFunc(sess.Claims, func(c umaas.Claim) bool { return c.Name == "email" }) {
			t.Errorf("%s: %+v", name, sess.Claims)
		}
	}
}

// TestUpstreamTokens is the negative matrix of OpenID Connect Core §3.1.3.7: none signs in, none makes an account.
func TestUpstreamTokens(t *testing.T) {
	p := newPlace(t)
	foreign := newKey(t, "k1")
	at := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	without := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	now := p.now()
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		token  func(claims map[string]any) string
		more   map[string]any
	}{
		{name: "another issuer", change: at("iss", "https://evil.example")},
		{name: "issuer with a slash", change: at("iss", p.h.server.URL+"/")},
		{name: "another audience", change: at("aud", "somebody-else")},
		{name: "two audiences without azp", change: at("aud", []string{ourID, "other"})},
		{name: "azp of another", change: at("azp", "other")},
		{name: "expired", change: at("exp", now.Add(-time.Second).Unix())},
		{name: "no exp", change: without("exp")},
		{name: "from the future", change: at("iat", now.Add(2*time.Minute).Unix())},
		{name: "old", change: at("iat", now.Add(-2*time.Minute-time.Second).Unix())},
		{name: "no iat", change: without("iat")},
		{name: "another nonce", change: at("nonce", "x")},
		{name: "no nonce", change: without("nonce")},
		{name: "no subject", change: at("sub", "")},
		{name: "long subject", change: at("sub", strings.Repeat("x", 256))},
		{name: "wrong at_hash", change: at("at_hash", "AAAA")},
		{name: "foreign key", token: func(c map[string]any) string { return p.h.sign(foreign, jwa.ES256, c) }},
		{name: "client secret as key", token: func(c map[string]any) string { return p.h.sign([]byte(ourSecret), jwa.HS256, c) }},
		{name: "unsigned", token: func(c map[string]any) string {
			payload, _ := json.Marshal(c)
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
		}},
		{name: "cut", token: func(c map[string]any) string { return strings.TrimSuffix(p.h.sign(p.h.key, jwa.ES256, c), "A") + "!" }},
		{name: "none at all", more: map[string]any{"id_token": nil}},
		{name: "a number", more: map[string]any{"id_token": 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			sent, b := p.away(umaas.TripRequest{}, "")
			claims := p.claims(sent, c.change)
			token := p.h.sign(p.h.key, jwa.ES256, claims)
			if c.token != nil {
				token = c.token(claims)
			}
			p.h.gives(token, c.more)
			at, err := p.arrive(p.back(sent), b, nil)
			if !errors.Is(err, signin.ErrUpstream) && !errors.Is(err, umaas.ErrUntrusted) || at.Cookie != "" {
				t.Fatalf("%+v %v", at, err)
			}
			if _, err := p.arrive(p.back(sent), b, nil); !errors.Is(err, umaas.ErrFlowGone) {
				t.Fatalf("the state is good twice: %v", err)
			}
		})
	}
	accounts, err := p.core.Accounts(t.Context(), "", 10)
	if err != nil || len(accounts) != 0 {
		t.Fatalf("%d accounts were made: %v", len(accounts), err)
	}
}

// TestUpstreamAnswers: what comes back to our address (OpenID Connect Core §3.1.2.6, RFC 9207, SEC-04): only this browser, only
// once, only this issuer.
func TestUpstreamAnswers(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct {
		name  string
		back  func(sent url.Values, b umaas.Browser) (string, url.Values, umaas.Browser)
		want  error
		calls int32
	}{
		{"said no there", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			return p.id, p.back(s, "code", "", "error", "access_denied"), b
		}, signin.ErrDeclined, 0},
		{"another iss", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			return p.id, p.back(s, "iss", "https://evil.example"), b
		}, signin.ErrUpstream, 0},
		{"an error of another iss", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			return p.id, p.back(s, "iss", "https://evil.example", "error", "x"), b
		}, signin.ErrUpstream, 0},
		{"address of another issuer", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			return umaas.IssuerID("https://evil.example"), p.back(s, "iss", ""), b
		}, signin.ErrUpstream, 0},
		{"no code", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			return p.id, p.back(s, "code", ""), b
		}, signin.ErrUpstream, 0},
		{"no state", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			return p.id, p.back(s, "state", ""), b
		}, umaas.ErrFlowGone, 0},
		{"another state", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			return p.id, p.back(s, "state", s.Get("state")+"A"), b
		}, umaas.ErrFlowGone, 0},
		{"a state without its end", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			id, _, _ := strings.Cut(s.Get("state"), "~")
			return p.id, p.back(s, "state", id+"~"), b
		}, umaas.ErrFlowGone, 0},
		{"no browser", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) { return p.id, p.back(s), "" }, umaas.ErrOtherBrowser, 0},
		{"another browser", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			_, o := p.away(umaas.TripRequest{}, "")
			return p.id, p.back(s), o
		}, umaas.ErrOtherBrowser, 0},
		{"too late", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			p.sleep(10 * time.Minute)
			return p.id, p.back(s), b
		}, umaas.ErrFlowGone, 0},
		{"no longer trusted", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			p.trust(func(i *umaas.TrustedIssuer) { i.Disabled = true })
			return p.id, p.back(s), b
		}, umaas.ErrUntrusted, 0},
		{"no longer for sign-in", func(s url.Values, b umaas.Browser) (string, url.Values, umaas.Browser) {
			p.trust(func(i *umaas.TrustedIssuer) { i.Uses = []umaas.IssuerUse{umaas.UseIDToken} })
			return p.id, p.back(s), b
		}, umaas.ErrUntrusted, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			p.trust(nil)
			sent, b := p.away(umaas.TripRequest{}, "")
			p.h.gives(p.h.sign(p.h.key, jwa.ES256, p.claims(sent, nil)), nil)
			before := p.h.requests.Load()
			id, q, browser := c.back(sent, b)
			at, err := p.up.Arrive(t.Context(), id, q, browser, nil)
			if !errors.Is(err, c.want) || at.Cookie != "" {
				t.Fatalf("%+v %v, want %v", at, err, c.want)
			}
			if n := p.h.requests.Load() - before; n != c.calls {
				t.Fatalf("%d requests to the issuer", n)
			}
		})
	}
	p.t = t
	p.trust(nil)
	sent, b := p.away(umaas.TripRequest{}, "")
	q := p.back(sent)
	q.Add("code", "second")
	if _, err := p.arrive(q, b, nil); !errors.Is(err, signin.ErrUpstream) {
		t.Fatal("repeated parameter:", err)
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"invalid_grant"}`, 400) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/jwks", http.StatusTemporaryRedirect)
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, strings.Repeat("x", 300<<10)) },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "hello") },
	} {
		sent, b := p.away(umaas.TripRequest{}, "")
		p.h.answer = answer
		if at, err := p.arrive(p.back(sent), b, nil); !errors.Is(err, signin.ErrUpstream) || at.Cookie != "" {
			t.Errorf("%s: %+v %v", name, at, err)
		}
	}
	if _, err := p.up.Depart(t.Context(), umaas.TripRequest{Issuer: umaas.IssuerID("https://evil.example")}, "", ""); !errors.Is(err, umaas.ErrUntrusted) {
		t.Fatal("SEC-16:", err)
	}
}

// TestTripsPerAddress: one address cannot fill the store with beginnings; another one goes on.
func TestTripsPerAddress(t *testing.T) {
	p := newPlace(t)
	begin := func(address string) error {
		_, err := p.up.Depart(t.Context(), umaas.TripRequest{Issuer: p.id}, "", address)
		return err
	}
	for range 60 {
		p.must(begin("198.51.100.7:1"))
	}
	if err := begin("198.51.100.7:2"); !errors.Is(err, signin.ErrSlowDown) {
		t.Fatal(err)
	}
	p.must(begin("198.51.100.8:1"))
	p.sleep(time.Second)
	p.must(begin("198.51.100.7:3"))
}

// TestSEC_17_IssuerDisabled ends what rests on a sign-in there with the next request, caches warm.
func TestSEC_17_IssuerDisabled(t *testing.T) {
	p := newPlace(t)
	sent, b := p.away(umaas.TripRequest{}, "")
	p.h.gives(p.h.sign(p.h.key, jwa.ES256, p.claims(sent, nil)), nil)
	at, err := p.arrive(p.back(sent), b, nil)
	p.must(err)
	for range 2 {
		_, _, err := p.core.Session(t.Context(), at.Cookie)
		p.must(err)
	}
	p.trust(func(i *umaas.TrustedIssuer) { i.Disabled = true })
	if _, _, err := p.core.Session(t.Context(), at.Cookie); !errors.Is(err, umaas.ErrNotFound) {
		t.Fatal(err)
	}
	if list, err := p.core.SignInIssuers(t.Context()); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
	p.trust(nil)
	if _, _, err := p.core.Session(t.Context(), at.Cookie); err != nil {
		t.Fatal("trusted again:", err)
	}
}

// TestUpstreamLink: linking joins one identity to the account of this very session, unlinking ends what rests on it; the last
// way in stays.
func TestUpstreamLink(t *testing.T) {
	p := newPlace(t)
	ctx := t.Context()
	person := func(login, hash string) (umaas.Account, *umaas.Session) {
		a, err := p.core.PutAccount(ctx, umaas.Account{Login: login, Name: login, PasswordHash: hash}, "")
		p.must(err)
		_, sess, err := p.core.CreateSession(ctx, a.ID, []string{"pwd"})
		p.must(err)
		return a, &sess
	}
	_, kim := person("kim", "hash")
	_, eve := person("eve", "hash")
	trip := func(who *umaas.Session, by *umaas.Session, sub string) error {
		sent, b := p.away(umaas.TripRequest{Link: true, Session: who, To: "/me/sign-in"}, "")
		p.h.gives(p.h.sign(p.h.key, jwa.ES256, p.claims(sent, func(c map[string]any) { c["sub"] = sub })), nil)
		at, err := p.arrive(p.back(sent), b, by)
		if err == nil && (at.Cookie != "" || at.To != "/me/sign-in") {
			t.Errorf("%+v", at)
		}
		return err
	}
	if _, err := p.up.Depart(ctx, umaas.TripRequest{Issuer: p.id, Link: true}, "", ""); !errors.Is(err, umaas.ErrOtherPerson) {
		t.Fatal("nobody links:", err)
	}
	if err := trip(kim, eve, "kim-1"); !errors.Is(err, umaas.ErrOtherPerson) {
		t.Fatal(err)
	}
	if err := trip(kim, nil, "kim-1"); !errors.Is(err, umaas.ErrOtherPerson) {
		t.Fatal(err)
	}
	old := *kim
	old.AuthTime = p.now().Add(-5*time.Minute - time.Second)
	if _, err := p.up.Depart(ctx, umaas.TripRequest{Issuer: p.id, Link: true, Session: &old}, "", ""); !errors.Is(err, umaas.ErrNotFresh) {
		t.Fatal("linked in a browser left open:", err)
	}
	old.Upstream, old.Created = umaas.Identity{Issuer: p.h.server.URL, Subject: "kim-0"}, p.now()
	if _, err := p.up.Depart(ctx, umaas.TripRequest{Issuer: p.id, Link: true, Session: &old}, "", ""); err != nil {
		t.Fatal("just back from an issuer:", err)
	}
	p.must(trip(kim, kim, "kim-1"))
	p.must(trip(kim, kim, "kim-1")) // again changes nothing
	if err := trip(eve, eve, "kim-1"); !errors.Is(err, umaas.ErrExists) {
		t.Fatal("one identity, two accounts:", err)
	}
	_, alone := p.enter(func(c map[string]any) { c["sub"] = "lone" })
	if err := trip(eve, eve, "lone"); !errors.Is(err, umaas.ErrExists) {
		t.Fatal("an account without login is swallowed:", err)
	}
	sent, b := p.away(umaas.TripRequest{}, "")
	p.h.gives(p.h.sign(p.h.key, jwa.ES256, p.claims(sent, nil)), nil)
	at, err := p.arrive(p.back(sent), b, nil)
	p.must(err)
	sess, a, err := p.core.Session(ctx, at.Cookie)
	p.must(err)
	if a.ID != kim.Account {
		t.Fatal("the link leads elsewhere")
	}
	v, err := p.core.SignIns(ctx, sess)
	p.must(err)
	if !v.Password || len(v.Identities) != 1 || v.Identities[0].Issuer != hospitalName || !v.Identities[0].Current || !v.Identities[0].Trusted || len(v.Issuers) != 0 {
		t.Fatalf("%+v", v)
	}
	if err := p.core.Unlink(ctx, eve.Account, v.Identities[0].ID, ""); !errors.Is(err, umaas.ErrNotFound) {
		t.Fatal(err)
	}
	p.must(p.core.Unlink(ctx, kim.Account, v.Identities[0].ID, ""))
	if _, _, err := p.core.Session(ctx, at.Cookie); !errors.Is(err, umaas.ErrNotFound) {
		t.Fatal("unlinked and still signed in:", err)
	}
	lone, err := p.core.SignIns(ctx, umaas.Session{Account: alone.ID})
	p.must(err)
	if err := p.core.Unlink(ctx, alone.ID, lone.Identities[0].ID, ""); !errors.Is(err, umaas.ErrLastSignIn) {
		t.Fatal(err)
	}
}

// TestStepUpAtIssuer: a policy asks for two factors; the issuer is asked for them with max_age and acr_values, and its answer is
// judged here, whatever it promised (OpenID Connect Core §3.1.2.1, §5.5.1.1).
func TestStepUpAtIssuer(t *testing.T) {
	p := newPlace(t)
	ctx := t.Context()
	_, kim := p.enter(func(c map[string]any) { c["auth_time"] = p.now().Add(-time.Hour).Unix() })
	owner, err := p.core.PutAccount(ctx, umaas.Account{Login: "maria", Name: "Maria"}, "")
	p.must(err)
	app := umaas.Client{ID: "c-app", Name: "App", AuthMethod: umaas.AuthSecretPost, SecretHash: umaas.SecretHash(sha256.Sum256([]byte("app secret"))), GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken}, ClaimsRedirectURIs: []string{"https://app.example/cb"}}
	rs := umaas.Client{ID: "c-rs", Name: "RS", Scopes: []string{uma.ScopeProtection}}
	p.must(p.store.Update(ctx, func(tx umaas.Tx) error { return errors.Join(tx.PutClient(app), tx.PutClient(rs)) }))
	pat := umaas.PAT{Owner: owner.ID, RS: rs.ID}
	set, err := p.core.CreateResource(ctx, pat, uma.ResourceDescription{Scopes: []string{"patient/Observation.r"}}, "")
	p.must(err)
	p.must(p.store.Update(ctx, func(tx umaas.Tx) error {
		return tx.PutPolicy(umaas.Policy{
			ID: "p1", Owner: owner.ID, Who: umaas.Who{Kind: umaas.WhoAccount, Account: kim.ID}, MinACR: umaas.ACRMultiFactor, Origin: umaas.OriginShare,
			Rules: []umaas.Rule{{Resource: set, RS: rs.ID, Scopes: []string{"patient/Observation.r"}}}, Created: p.now(),
		})
	}))
	ticket, err := p.core.RequestPermission(ctx, pat, []uma.Permission{{ResourceID: string(set), Scopes: []string{"patient/Observation.r"}}}, "", "")
	p.must(err)
	started, err := p.core.StartClaims(ctx, url.Values{"client_id": {"c-app"}, "ticket": {ticket}}, "", "")
	p.must(err)
	b := umaas.Browser(started.Browser)
	const mfa = "https://refeds.example/mfa?x=1"
	trip := func(sess *umaas.Session, change func(map[string]any)) (*umaas.Session, url.Values, error) {
		sent, _ := p.away(umaas.TripRequest{Flow: started.ID, Session: sess}, b)
		p.h.gives(p.h.sign(p.h.key, jwa.ES256, p.claims(sent, change)), nil)
		at, err := p.arrive(p.back(sent), b, sess)
		if at.Flow != started.ID {
			t.Fatalf("%+v", at)
		}
		if err != nil {
			return nil, sent, err
		}
		fresh, _, err := p.core.Session(ctx, at.Cookie)
		return &fresh, sent, err
	}
	step := func(sess *umaas.Session, want umaas.FlowStep) umaas.FlowView {
		t.Helper()
		v, err := p.core.Flow(ctx, started.ID, b, sess)
		p.must(err)
		if v.Step != want {
			t.Fatalf("step %s, want %s", v.Step, want)
		}
		return v
	}
	if v := step(nil, umaas.StepSignIn); len(v.Issuers) != 1 || v.Issuers[0] != (umaas.SignInIssuer{ID: p.id, Name: hospitalName, Origin: p.h.server.URL}) {
		t.Fatalf("%+v", v.Issuers)
	}
	old, sent, err := trip(nil, func(c map[string]any) { c["auth_time"] = p.now().Add(-time.Hour).Unix(); c["acr"] = mfa })
	p.must(err)
	if sent.Has("acr_values") || sent.Has("max_age") {
		t.Fatalf("%v", sent)
	}
	if v := step(old, umaas.StepStepUp); v.StepUp.Password || len(v.StepUp.Issuers) != 1 {
		t.Fatalf("%+v", v.StepUp)
	}
	for name, change := range map[string]func(map[string]any){
		"one factor":     func(c map[string]any) { c["acr"] = umaas.ACRPassword },
		"an unknown":     func(c map[string]any) { c["acr"] = umaas.ACRPhishingResistant },
		"none":           func(map[string]any) {},
		"no auth_time":   func(c map[string]any) { c["acr"] = mfa; delete(c, "auth_time") },
		"an old sign-in": func(c map[string]any) { c["acr"] = mfa; c["auth_time"] = p.now().Add(-7 * time.Minute).Unix() },
	} {
		if _, sent, err := trip(old, change); !errors.Is(err, umaas.ErrNotFresh) || sent.Get("acr_values") != mfa || sent.Get("max_age") != "300" {
			t.Fatalf("%s: %v %v", name, err, sent)
		}
		step(old, umaas.StepStepUp)
	}
	good := func(c map[string]any) { c["acr"] = mfa }
	other, _, err := trip(old, func(c map[string]any) { good(c); c["sub"] = "somebody" })
	p.must(err)
	if _, err := p.core.Flow(ctx, started.ID, b, other); !errors.Is(err, umaas.ErrOtherPerson) {
		t.Fatal("SEC-24:", err)
	}
	fresh, _, err := trip(old, good)
	p.must(err)
	v := step(fresh, umaas.StepGather)
	if _, err := p.up.Depart(ctx, umaas.TripRequest{Issuer: p.id, Flow: started.ID, Session: fresh}, b, ""); !errors.Is(err, umaas.ErrStep) {
		t.Fatal("a trip that nobody waits for:", err)
	}
	p.must(p.core.AnswerGather(ctx, started.ID, b, *fresh, umaas.GatherAnswer{Digest: v.Digest}))
	v = step(fresh, umaas.StepConfirm)
	if want := "Kim Lee, signed in at County Hospital (County Hospital says: County Hospital) (County Hospital says: physician)"; !strings.HasPrefix(v.Told, want) {
		t.Fatalf("told %q", v.Told)
	}
	back, err := p.core.ConfirmGather(ctx, started.ID, b, *fresh, umaas.ConfirmAnswer{Digest: v.Digest, Remember: true})
	p.must(err)
	out, err := p.core.Token(ctx, umaas.TokenRequest{Form: url.Values{"grant_type": {uma.GrantTypeTicket}, "client_id": {"c-app"}, "client_secret": {"app secret"}, "ticket": {back.Query.Get("ticket")}}})
	p.must(err)
	live := func() bool {
		i, err := p.core.Introspect(ctx, pat, out.AccessToken)
		p.must(err)
		return i.Active
	}
	if out.PCT == "" || !live() {
		t.Fatalf("%+v", out)
	}
	seen, err := p.core.Remembered(ctx, kim.ID)
	p.must(err)
	if len(seen) != 1 || len(seen[0].Stated) != 4 {
		t.Fatalf("%+v", seen)
	}
	p.trust(func(i *umaas.TrustedIssuer) { i.Disabled = true }) // SEC-38
	if live() {
		t.Fatal("the token outlives the trust it rests on")
	}
	refresh := umaas.TokenRequest{Form: url.Values{"grant_type": {uma.GrantTypeRefreshToken}, "client_id": {"c-app"}, "client_secret": {"app secret"}, "refresh_token": {out.RefreshToken}}}
	if _, err := p.core.Token(ctx, refresh); out.RefreshToken == "" || !errors.Is(err, uma.ErrInvalidGrant) {
		t.Fatal("refresh outlives the trust it rests on:", err)
	}
	if seen, err = p.core.Remembered(ctx, kim.ID); err != nil || len(seen) != 0 {
		t.Fatal(seen, err)
	}
}
