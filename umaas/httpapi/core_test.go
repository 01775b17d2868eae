package httpapi_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/fhirview"
	"github.com/umaas/umaas/umaas/httpapi"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/policy"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// drawer keeps signing keys in memory.
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

// countingStore counts writing transactions.
type countingStore struct {
	umaas.Store
	updates atomic.Int64
}

func (c *countingStore) Update(ctx context.Context, fn func(umaas.Tx) error) error {
	c.updates.Add(1)
	return c.Store.Update(ctx, fn)
}

// as is the whole authorization server behind a listener.
type as struct {
	t     *testing.T
	url   string
	store *countingStore
	core  *umaas.Service
	rs    umaas.Client
	key   string // secret of rs
}

func newAS(t *testing.T, change ...func(*umaas.Deps)) *as {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	st, err := store.New(t.Context(), memkv.New(memkv.Options{}), store.Options{})
	must(t, err)
	t.Cleanup(func() { _ = st.Close() })
	ring, err := keys.Open(t.Context(), keys.Options{Storage: &drawer{}, Now: time.Now, Random: rand.Reader})
	must(t, err)
	a := &as{t: t, store: &countingStore{Store: st}}
	var h http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	a.url = server.URL
	log := slog.New(slog.DiscardHandler)
	deps := umaas.Deps{
		Issuer: a.url, Store: a.store, Keys: ring, Scopes: policy.SMART{}, Now: time.Now, Random: rand.Reader, Logger: log, Limits: umaas.DefaultLimits(),
	}
	for _, c := range change {
		c(&deps)
	}
	a.core, err = umaas.New(t.Context(), deps)
	must(t, err)
	consents := fhirview.View{Core: a.core, Issuer: a.url, Now: deps.Now}
	h, err = httpapi.New(httpapi.Config{Service: a.core, Consents: consents, Issuer: a.url, BrowserCookie: "b", Now: deps.Now, Random: rand.Reader, Logger: log})
	must(t, err)
	org, err := a.core.PutAccount(t.Context(), umaas.Account{Kind: umaas.KindOrganization, Login: "hospital", Name: "Hospital"}, "")
	must(t, err)
	a.rs, a.key, err = a.core.AddClient(t.Context(), umaas.Client{
		Name: "Hospital", AuthMethod: umaas.AuthSecretBasic, Scopes: []string{uma.ScopeProtection}, GrantTypes: []string{"client_credentials"},
		Account: org.ID, Audience: []string{"https://hospital.example/fhir"},
	}, "")
	must(t, err)
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send makes a request and decodes the JSON answer, if there is one.
func (a *as) send(method, path, kind, body, auth string) (int, http.Header, map[string]any) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	must(a.t, err)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	must(a.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(a.t, err)
	out := map[string]any{}
	if len(raw) > 0 && raw[0] == '{' {
		must(a.t, json.Unmarshal(raw, &out))
	}
	return res.StatusCode, res.Header, out
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// pat gets the resource server's own PAT by client_credentials.
func (a *as) pat() string {
	a.t.Helper()
	r := url.Values{"grant_type": {"client_credentials"}, "scope": {uma.ScopeProtection}}
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/token", strings.NewReader(r.Encode()))
	must(a.t, err)
	req.Header.Set("Content-Type", formType)
	req.SetBasicAuth(url.QueryEscape(string(a.rs.ID)), url.QueryEscape(a.key))
	res, err := http.DefaultClient.Do(req)
	must(a.t, err)
	defer func() { _ = res.Body.Close() }()
	var answer uma.TokenResponse
	must(a.t, json.NewDecoder(res.Body).Decode(&answer))
	if answer.AccessToken == "" {
		a.t.Fatalf("no PAT: %d", res.StatusCode)
	}
	return "Bearer " + answer.AccessToken
}

// TestProtectionAPI walks discovery, registration, resources, permission and the uma-ticket grant over real HTTP.
func TestProtectionAPI(t *testing.T) {
	a := newAS(t)
	pat := a.pat()
	status, _, meta := a.send("GET", "/.well-known/uma2-configuration", "", "", "")
	if status != 200 || meta["issuer"] != a.url || meta["permission_endpoint"] != a.url+"/permission" || meta["claims_interaction_endpoint"] != a.url+"/claims" {
		t.Fatalf("%d %v", status, meta)
	}
	for name, path := range map[string]string{ // SEC-74: what is advertised is served
		"token_endpoint": "/token", "introspection_endpoint": "/introspect", "revocation_endpoint": "/revoke", "registration_endpoint": "/register",
		"authorization_endpoint": "/authorize", "jwks_uri": "/jwks", "userinfo_endpoint": "/userinfo", "resource_registration_endpoint": "/resource_set/",
		"urn:umaas:access_events_endpoint": "/access-events", "urn:umaas:grant_consumption_endpoint": "/grants/consume",
	} {
		if meta[name] != a.url+path {
			t.Errorf("%s is %v, the route is %s", name, meta[name], path)
		}
	}
	status, h, created := a.send("POST", "/resource_set/", jsonType, `{"name":"r","name#fr":"d","resource_scopes":["patient/Observation.r"]}`, pat)
	id, _ := created["_id"].(string)
	if status != 201 || id == "" || h.Get("Location") != a.url+"/resource_set/"+id {
		t.Fatalf("%d %v %v", status, h, created)
	}
	if status, _, got := a.send("GET", "/resource_set/"+id, "", "", pat); status != 200 || got["name#fr"] != "d" || got["_id"] != id {
		t.Errorf("%d %v", status, got)
	}
	status, _, app := a.send("POST", "/register", jsonType, `{"client_name":"App","claims_redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none",`+
		`"grant_types":["urn:ietf:params:oauth:grant-type:uma-ticket"],"x_unknown":1}`, "")
	client, _ := app["client_id"].(string)
	if status != 201 || client == "" {
		t.Fatalf("%d %v", status, app)
	}
	status, _, ticket := a.send("POST", "/permission", jsonType, `{"resource_id":"`+id+`","resource_scopes":["patient/Observation.r"]}`, pat)
	if status != 201 || ticket["ticket"] == nil {
		t.Fatalf("%d %v", status, ticket)
	}
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket["ticket"].(string)}, "client_id": {client}}.Encode()
	status, h, need := a.send("POST", "/token", formType, form, "")
	if status != 403 || need["error"] != "need_info" || need["ticket"] == nil || need["ticket"] == ticket["ticket"] || h.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", status, need)
	}
	if status, _, again := a.send("POST", "/token", formType, form, ""); status != 400 || again["error"] != "invalid_grant" {
		t.Errorf("replay: %d %v", status, again)
	}
	if status, _, got := a.send("POST", "/introspect", formType, "token=nonsense", pat); status != 200 || got["active"] != false || len(got) != 1 {
		t.Errorf("%d %v", status, got)
	}
	if status, _, _ := a.send("DELETE", "/resource_set/"+id, "", "", pat); status != 204 {
		t.Errorf("%d", status)
	}
	if status, _, got := a.send("DELETE", "/resource_set/"+id, "", "", pat); status != 404 || got["error"] != "not_found" { // F-047
		t.Errorf("%d %v", status, got)
	}
}

// TestMalformedWritesNothing: malformed input to every endpoint gives a spec-shaped error, and no transaction is begun.
func TestMalformedWritesNothing(t *testing.T) {
	a := newAS(t)
	pat := a.pat()
	forms := []string{"", "%", "a=%zz", "a=1&a=2", "token=1&token=2", "\x00", "a=%ff", strings.Repeat("a=b&", 200), strings.Repeat("x", 300<<10)}
	bodies := []string{"", "{", "[", "nul", `{"a":1,"a":2}`, strings.Repeat("[", 5000), `{"resource_scopes":{}}`, `[{"resource_id":[]}]`, `"x"`, "1", "\xff", `{"resource_scopes":[1]}`, `{} {}`}
	before := a.store.updates.Load()
	n := 0
	for _, e := range []struct {
		method, path, kind, auth string
		inputs                   []string
	}{
		{"POST", "/token", formType, "", forms},
		{"POST", "/revoke", formType, "", forms},
		{"POST", "/introspect", formType, pat, forms},
		{"POST", "/grants/consume", formType, pat, forms},
		{"POST", "/authorize", formType, "", forms},
		{"POST", "/register", jsonType, "", bodies[:6]},
		{"POST", "/resource_set/", jsonType, pat, bodies},
		{"PUT", "/resource_set/x", jsonType, pat, bodies},
		{"POST", "/permission", jsonType, pat, bodies},
		{"POST", "/access-events", jsonType, pat, bodies},
	} {
		for _, kind := range []string{e.kind, "text/plain", "", "application/json; charset="} {
			for _, in := range e.inputs {
				n++
				status, h, got := a.send(e.method, e.path, kind, in, e.auth)
				if status < 400 || status >= 500 || got["error"] == nil || h.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s %q %.40q: %d %v", e.method, e.path, kind, in, status, got)
				}
			}
		}
	}
	for _, path := range []string{"/claims", "/claims?ticket=%zz", "/claims?state=1&state=2", "/authorize?x", "/authorize?client_id=%00", "/claims?client_id=x&ticket=y"} {
		n++
		if status, _, got := a.send("GET", path, "", "", ""); status != 400 && status != 401 || got["error"] == nil {
			t.Errorf("%s: %d %v", path, status, got)
		}
	}
	if wrote := a.store.updates.Load() - before; wrote != 0 || n < 200 {
		t.Errorf("%d of %d malformed requests began a writing transaction", wrote, n)
	}
}
