package asclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

const redirect = "https://hospital.example/signin/callback"

// memory keeps credentials for a test.
type memory struct {
	mu   sync.Mutex
	kept map[string]asclient.Credentials
}

func (m *memory) LoadCredentials(_ context.Context, issuer string) (asclient.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.kept[issuer]
	if !ok {
		return asclient.Credentials{}, asclient.ErrNoCredentials
	}
	return c, nil
}

func (m *memory) SaveNewCredentials(_ context.Context, c asclient.Credentials) (asclient.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.kept[c.Issuer]; ok {
		return old, nil
	}
	m.kept[c.Issuer] = c
	return c, nil
}

func client(t *testing.T, issuer string, change ...func(*asclient.Config)) *asclient.Client {
	t.Helper()
	cfg := asclient.Config{Issuer: issuer, RedirectURI: redirect, Audience: "https://hospital.example/fhir", ClientID: "rs", ClientSecret: "rs-secret", Timeout: time.Second}
	for _, f := range change {
		f(&cfg)
	}
	c, err := asclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigIsChecked(t *testing.T) {
	store := &memory{}
	for want, cfg := range map[string]asclient.Config{
		`issuer "http://as.example": want https (http is accepted for localhost alone)`:                 {Issuer: "http://as.example", RedirectURI: "x", Store: store},
		`issuer "https://as.example/": want an absolute URL without query, fragment and closing slash`:  {Issuer: "https://as.example/", RedirectURI: "x", Store: store},
		`issuer "https://as.example?x": want an absolute URL without query, fragment and closing slash`: {Issuer: "https://as.example?x", RedirectURI: "x", Store: store},
		"asclient: RedirectURI is required":                                             {Issuer: "https://as.example", Store: store},
		"asclient: ClientID goes with ClientSecret or with ClientKey":                   {Issuer: "https://as.example", RedirectURI: "x", ClientID: "a"},
		"asclient: give ClientID and ClientSecret, or a Store for dynamic registration": {Issuer: "https://as.example", RedirectURI: "x"},
	} {
		if _, err := asclient.New(cfg); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestDiscovery(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	c := client(t, as.Issuer())
	for range 3 {
		if m, err := c.Metadata(t.Context()); err != nil || m.Issuer != as.Issuer() {
			t.Fatal(m, err)
		}
	}
	if n := as.Calls("GET /.well-known/uma2-configuration"); n != 1 {
		t.Errorf("%d fetches", n)
	}
	for name, change := range map[string]func(*uma.Metadata){
		"another issuer":        func(m *uma.Metadata) { m.Issuer = "https://evil.example" },
		"issuer with slash":     func(m *uma.Metadata) { m.Issuer += "/" },
		"no permission (F-019)": func(m *uma.Metadata) { m.PermissionEndpoint = "" },
		"no resources (F-020)":  func(m *uma.Metadata) { m.ResourceRegistrationEndpoint = "" },
		"relative":              func(m *uma.Metadata) { m.TokenEndpoint = "/token" },
		"plain http":            func(m *uma.Metadata) { m.IntrospectionEndpoint = "http://as.example/introspect" },
	} {
		as.ChangeMetadata(change)
		if _, err := client(t, as.Issuer()).Metadata(t.Context()); !errors.Is(err, asclient.ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDiscoveryIsAppendedAfterThePath(t *testing.T) {
	var asked string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		http.NotFound(w, r)
	}))
	defer srv.Close()
	if _, err := client(t, srv.URL+"/tenant/a").Metadata(t.Context()); err == nil {
		t.Error("no error")
	}
	if asked != "/tenant/a/.well-known/uma2-configuration" { // Grant §2
		t.Errorf("asked %s", asked)
	}
}

// Answers that are no answers: every one a typed error, none followed, none read without end.
func TestHostileAnswers(t *testing.T) {
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  error
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, asclient.ErrUntrusted},
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, asclient.ErrUnreachable},
		"429": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, asclient.ErrUnreachable},
		"html": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("{}"))
		}, asclient.ErrUntrusted},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{"))
		}, asclient.ErrUntrusted},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			chunk := []byte(strings.Repeat(" ", 1<<16))
			for range 20 {
				_, _ = w.Write(chunk)
			}
		}, asclient.ErrUntrusted},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, asclient.ErrUnreachable},
		"slow":     {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, asclient.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(c.serve)
			defer srv.Close()
			cl := client(t, srv.URL, func(cfg *asclient.Config) { cfg.Timeout = 200 * time.Millisecond })
			if _, err := cl.Metadata(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	if elsewhere != 0 {
		t.Error("a redirect was followed (GW-47)")
	}
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	if _, err := client(t, down.URL).Metadata(t.Context()); !errors.Is(err, asclient.ErrUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestDynamicRegistrationHappensOnce(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	store := &memory{kept: map[string]asclient.Credentials{}}
	dynamic := func(c *asclient.Config) { c.ClientID, c.ClientSecret, c.Store = "", "", store }
	first := client(t, as.Issuer(), dynamic)
	for range 2 {
		if _, err := first.ClientCredentials(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := first.Credentials(t.Context())
	b, err := client(t, as.Issuer(), dynamic).Credentials(t.Context()) // after a restart
	if err != nil || a != b || a.ClientID == "" || a.ClientSecret == "" || as.Calls("POST /register") != 1 {
		t.Errorf("%+v %+v %v, %d registrations", a, b, err, as.Calls("POST /register"))
	}
}

// What may not happen twice is sent once; what may is tried again.
func TestOnlyRepeatableCallsAreRepeated(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	c := client(t, as.Issuer())
	pat, err := c.ClientCredentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.CreateResource(t.Context(), pat.Access, uma.ResourceDescription{Scopes: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		call string
		want int
		do   func() error
	}{
		{"POST /resource_set/", 1, func() error {
			_, err := c.CreateResource(t.Context(), pat.Access, uma.ResourceDescription{Scopes: []string{"a"}})
			return err
		}},
		{"PUT /resource_set/{id}", 3, func() error {
			return c.UpdateResource(t.Context(), pat.Access, id, uma.ResourceDescription{Scopes: []string{"a"}})
		}},
		{"POST /introspect", 3, func() error { _, err := c.Introspect(t.Context(), pat.Access, "x"); return err }},
		{"POST /grants/consume", 1, func() error { return c.Consume(t.Context(), pat.Access, "x") }},
		{"POST /token", 1, func() error { _, err := c.Refresh(t.Context(), "x"); return err }},
	} {
		before := as.Calls(k.call)
		as.Lose(k.call, true)
		err := k.do()
		as.Lose(k.call, false)
		if n := as.Calls(k.call) - before; !errors.Is(err, asclient.ErrUnreachable) || n != k.want {
			t.Errorf("%s: %d attempts, want %d; %v", k.call, n, k.want, err)
		}
	}
}

func TestProtectionAPIErrorsKeepTheirCode(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	c := client(t, as.Issuer())
	pat, err := c.ClientCredentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.CreateResource(t.Context(), pat.Access, uma.ResourceDescription{Scopes: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(id, scope string) error {
		_, err := c.RequestPermission(t.Context(), pat.Access, []uma.Permission{{ResourceID: id, Scopes: []string{scope}}}, "")
		return err
	}
	if err := ask("x", "a"); !errors.Is(err, uma.ErrInvalidResourceID) {
		t.Error(err)
	}
	if err := ask(id, "b"); !errors.Is(err, uma.ErrInvalidScope) {
		t.Error(err)
	}
	if _, err := c.ReadResource(t.Context(), pat.Access, "x"); !errors.Is(err, uma.ErrNotFound) {
		t.Error(err)
	}
	if err := c.DeleteResource(t.Context(), pat.Access, "../token"); !errors.Is(err, uma.ErrNotFound) && err == nil {
		t.Error(err)
	}
	if _, err := c.ListResources(t.Context(), "wrong"); !errors.Is(err, uma.ErrInvalidToken) {
		t.Error(err)
	}
	if _, err := c.RequestPermission(t.Context(), pat.Access, nil, ""); !errors.Is(err, uma.ErrInvalidRequest) {
		t.Error(err)
	}
	if ids, err := c.ListResources(t.Context(), pat.Access); err != nil || len(ids) != 1 || ids[0] != id {
		t.Error(ids, err)
	}
}

// The wire of a permission request: one object or an array, zero scopes an empty array (F-052, F-054, F-056).
func TestPermissionRequestWire(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	c := client(t, as.Issuer())
	pat, err := c.ClientCredentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.CreateResource(t.Context(), pat.Access, uma.ResourceDescription{Scopes: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	one := uma.Permission{ResourceID: id}
	for _, k := range []struct {
		permissions []uma.Permission
		challenge   string
		want        string
	}{
		{[]uma.Permission{one}, "", `{"resource_id":"` + id + `","resource_scopes":[]}`},
		{[]uma.Permission{one, {ResourceID: id, Scopes: []string{"a"}, Constraints: []uma.Constraint{{Type: "once"}}}}, "c",
			`[{"resource_id":"` + id + `","resource_scopes":[],"code_challenge":"c","code_challenge_method":"S256"},` +
				`{"resource_id":"` + id + `","resource_scopes":["a"],"constraints":[{"type":"once"}],"code_challenge":"c","code_challenge_method":"S256"}]`},
	} {
		ticket, err := c.RequestPermission(t.Context(), pat.Access, k.permissions, k.challenge)
		got, _ := as.Ticket(ticket)
		if err != nil || string(got.Raw) != k.want {
			t.Errorf("%v\n got %s\nwant %s", err, got.Raw, k.want)
		}
	}
}

func TestAuthorizationRequest(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	c := client(t, as.Issuer())
	to, err := c.AuthorizationURL(t.Context(), asclient.Authorization{State: "s&t", Nonce: "n", Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"response_type": "code", "client_id": "rs", "redirect_uri": redirect, "scope": "openid profile fhirUser uma_protection offline_access", "state": "s&t",
		"nonce": "n", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256", // RFC 7636 appendix B
	}
	for name, value := range want {
		if got := u.Query()[name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s: %q want %q", name, got, value)
		}
	}
	if len(u.Query()) != len(want) {
		t.Errorf("query %v", u.Query())
	}
}

// OpenID Connect Core §3.1.3.7: each claim that could make the token somebody else's refuses.
func TestIDTokenChecks(t *testing.T) {
	now := time.Now()
	as := asclienttest.New(func() time.Time { return now })
	defer as.HTTP.Close()
	var claims map[string]any
	var scope string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "scope": scope}
		if claims != nil {
			answer["id_token"] = as.Sign("JWT", claims)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer srv.Close()
	as.ChangeMetadata(func(m *uma.Metadata) { m.TokenEndpoint = srv.URL })
	for _, k := range []struct {
		name   string
		change map[string]any
		scope  string
		want   error
	}{
		{"good", nil, "", nil},
		{"good with scope", nil, "openid uma_protection", nil},
		{"no protection granted", nil, "openid fhirUser", uma.ErrAccessDenied},
		{"issuer", map[string]any{"iss": "https://evil.example"}, "", asclient.ErrUntrusted},
		{"audience", map[string]any{"aud": "other"}, "", asclient.ErrUntrusted},
		{"expired", map[string]any{"exp": now.Add(-time.Second).Unix()}, "", asclient.ErrUntrusted},
		{"nonce", map[string]any{"nonce": "other"}, "", asclient.ErrUntrusted},
		{"no nonce", map[string]any{"nonce": nil}, "", asclient.ErrUntrusted},
		{"no sub", map[string]any{"sub": ""}, "", asclient.ErrUntrusted},
		{"long sub", map[string]any{"sub": strings.Repeat("x", 256)}, "", asclient.ErrUntrusted},
	} {
		claims = map[string]any{
			"iss": as.Issuer(), "sub": "s", "aud": "rs", "nonce": "n", "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "fhirUser": "Patient/1",
		}
		for name, value := range k.change {
			claims[name] = value
		}
		scope = k.scope
		c := client(t, as.Issuer(), func(cfg *asclient.Config) { cfg.Now = func() time.Time { return now } })
		tokens, id, err := c.Exchange(t.Context(), "code", "verifier", "n")
		if !errors.Is(err, k.want) || k.want == nil && (id.Subject != "s" || id.FHIRUser != "Patient/1" || tokens.Access != "a" || !tokens.Expires.Equal(now.Add(time.Minute))) {
			t.Errorf("%s: %+v %+v %v", k.name, tokens, id, err)
		}
	}
	claims = nil
	if _, _, err := client(t, as.Issuer()).Exchange(t.Context(), "code", "verifier", "n"); !errors.Is(err, asclient.ErrUntrusted) {
		t.Errorf("no ID token: %v", err)
	}
}

func TestConsumeIsOnce(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	c := client(t, as.Issuer())
	pat, err := c.ClientCredentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	as.PutToken("t", uma.Introspection{Active: true})
	if err := c.Consume(t.Context(), pat.Access, "t"); err != nil {
		t.Fatal(err)
	}
	if err := c.Consume(t.Context(), pat.Access, "t"); !errors.Is(err, uma.ErrInvalidGrant) {
		t.Errorf("second: %v", err)
	}
}
