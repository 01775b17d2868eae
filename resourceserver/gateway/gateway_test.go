package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/fhir/store"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/gateway"
	"github.com/umaas/umaas/resourceserver/rstest"
	"github.com/umaas/umaas/umaas/uma"
)

// fhirServer is the embedded server on a loopback listener: a FHIR server somewhere else.
func fhirServer(t testing.TB, disturb func(http.Handler) http.Handler) (*httptest.Server, *store.Store) {
	t.Helper()
	var s *store.Store
	srv := httptest.NewUnstartedServer(nil)
	base := "http://" + srv.Listener.Addr().String() + "/r4"
	s, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "fhir.db"), Base: base, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	h := http.StripPrefix("/r4", s.Handler())
	if disturb != nil {
		h = disturb(h)
	}
	srv.Config.Handler = h
	srv.Start()
	t.Cleanup(func() { srv.Close(); _ = s.Close() })
	var list []*fhir.Resource
	for _, text := range []string{
		`{"resourceType":"Patient","id":"p1","name":[{"family":"One"}]}`, `{"resourceType":"Patient","id":"p2"}`,
		`{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`,
		`{"resourceType":"Observation","id":"o2","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p2"}}`,
	} {
		r, err := fhir.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	if err := s.Put(context.Background(), list...); err != nil {
		t.Fatal(err)
	}
	return srv, s
}

func enforcerConfig(as *rstest.AS, base string, up rs.Upstream) rs.EnforcerConfig {
	return rs.EnforcerConfig{
		Base: base, Upstream: up, Verifier: as, Ticketer: as, Relations: as, Recorder: as, Pages: as, Spender: as, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

func newGateway(t testing.TB, as *rstest.AS, up rs.Upstream) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(gateway.Config{
		Enforcer: enforcerConfig(as, "https://hospital.example/fhir", up), Issuers: []string{as.Issuer}, ContextResolver: "https://hospital.example/resolve-uma-context",
		Metadata: func(context.Context) (uma.Metadata, error) {
			return uma.Metadata{Issuer: as.Issuer, TokenEndpoint: as.Issuer + "/token", AuthorizationEndpoint: as.Issuer + "/authorize"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func remote(t testing.TB, base string, change func(*gateway.RemoteConfig)) *gateway.Remote {
	t.Helper()
	c := gateway.RemoteConfig{Base: base, HasCompartments: true, Timeout: 5 * time.Second}
	if change != nil {
		change(&c)
	}
	r, err := gateway.NewRemote(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func ask(t testing.TB, h http.Handler, method, path, token string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, "https://hospital.example"+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

// TestGW_47_Headers: what the client sends stays here; the upstream gets the gateway's own credential, and only allowed
// headers come back.
func TestGW_47_Headers(t *testing.T) {
	var got atomic.Pointer[http.Header]
	srv, _ := fhirServer(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := r.Header.Clone()
			got.Store(&h)
			w.Header().Set("Server", "secret-product/1.2")
			w.Header().Set("X-Powered-By", "php")
			w.Header().Set("Set-Cookie", "a=b")
			next.ServeHTTP(w, r)
		})
	})
	as := rstest.New()
	token := as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{as.RecordOf("p1", "patient/Observation.rs")}})
	up := remote(t, srv.URL+"/r4", func(c *gateway.RemoteConfig) {
		c.Credential = func(context.Context) (string, error) { return "Basic b3du", nil }
	})
	g := newGateway(t, as, up)
	resp, body := ask(t, g, "GET", "/fhir/Observation/o1", token, "X-Forwarded-For", "1.2.3.4", "X-Remote-User", "admin", "Cookie", "s=1", "X-Request-Id", "req-7",
		"X-HTTP-Method-Override", "DELETE", "Forwarded", "for=x", "X-Client-Cert", "pem")
	if resp.StatusCode != 200 || !strings.Contains(body, `"o1"`) {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	want := map[string]string{"Authorization": "Basic b3du", "X-Request-Id": "req-7", "Accept": "application/fhir+json", "User-Agent": "umaas-gateway"}
	for name, values := range *got.Load() {
		if want[name] != values[0] {
			t.Errorf("sent upstream: %s: %s", name, values[0])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not sent: %v", want)
	}
	allowed := "Cache-Control X-Request-Id X-Content-Type-Options Etag Last-Modified Content-Type Content-Length"
	for name := range resp.Header {
		if !strings.Contains(allowed, name) {
			t.Errorf("came through: %s: %s", name, resp.Header.Get(name))
		}
	}
}

func TestSEC_90_GW_40_RedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer trap.Close()
	srv, _ := fhirServer(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, trap.URL, http.StatusFound) })
	})
	as := rstest.New()
	token := as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{as.RecordOf("p1", "patient/Observation.rs")}})
	for name, client := range map[string]*http.Client{"own": nil, "transport": {}} {
		up := remote(t, srv.URL+"/r4", func(c *gateway.RemoteConfig) { c.Client = client })
		resp, body := ask(t, newGateway(t, as, up), "GET", "/fhir/Observation/o1", token)
		if resp.StatusCode != 503 || strings.Contains(body, trap.URL) || resp.Header.Get("Location") != "" || elsewhere.Load() != 0 {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
}

// TestGW_41_PublicDocuments: the fixed list answers alike with any and no token, and promises only what is judged.
func TestGW_41_PublicDocuments(t *testing.T) {
	srv, _ := fhirServer(t, nil)
	as := rstest.New()
	token := as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{as.RecordOf("p1", "patient/Observation.rs")}})
	g := newGateway(t, as, remote(t, srv.URL+"/r4", nil))
	for _, path := range []string{"/fhir/metadata", "/fhir/.well-known/smart-configuration", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/fhir"} {
		resp, body := ask(t, g, "GET", path, "")
		if resp.StatusCode != 200 || strings.Contains(body, srv.URL) {
			t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
		for _, other := range []string{token, "nonsense"} {
			again, same := ask(t, g, "GET", path, other)
			if again.StatusCode != 200 || same != body {
				t.Errorf("%s differs with a token", path)
			}
		}
		if resp, _ := ask(t, g, "POST", path, ""); resp.StatusCode != 405 {
			t.Errorf("POST %s: %d", path, resp.StatusCode)
		}
		if resp, _ := ask(t, g, "GET", path, "", "Origin", "https://x.example"); resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("S-022: %s", path)
		}
	}
	_, body := ask(t, g, "GET", "/fhir/metadata", "")
	for _, no := range []string{"AuditEvent", "Subscription", "Parameters", "search-system", `"updateCreate":true`, "$graphql"} {
		if strings.Contains(body, `"`+no+`"`) || strings.HasPrefix(no, `"`) && strings.Contains(body, no) {
			t.Errorf("promises %s", no)
		}
	}
	for _, yes := range []string{`"Observation"`, `"everything"`, `"transaction"`, `"patient"`, "https://hospital.example/fhir", "SMART-on-FHIR"} {
		if !strings.Contains(body, yes) {
			t.Errorf("does not mention %s", yes)
		}
	}
	_, body = ask(t, g, "GET", "/.well-known/oauth-protected-resource/fhir", "")
	want := `{"resource":"https://hospital.example/fhir","authorization_servers":["https://as.example"],"bearer_methods_supported":["header"],"resource_name":"FHIR R4 under the patient's control","dpop_signing_alg_values_supported":["ES256","ES384","EdDSA","PS256","RS256"],"uma_context_resolution_endpoint":"https://hospital.example/resolve-uma-context","uma_context_levels":["user","patient"]}`
	if body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	var smart map[string]any
	_, body = ask(t, g, "GET", "/fhir/.well-known/smart-configuration", "")
	if err := json.Unmarshal([]byte(body), &smart); err != nil || smart["token_endpoint"] != "https://as.example/token" || smart["capabilities"] == nil {
		t.Errorf("%v %s", err, body)
	}
}

func TestChallengeNamesMetadata(t *testing.T) {
	srv, _ := fhirServer(t, nil)
	g := newGateway(t, rstest.New(), remote(t, srv.URL+"/r4", nil))
	resp, _ := ask(t, g, "GET", "/fhir/Observation", "")
	want := `Bearer realm="fhir", resource_metadata="https://hospital.example/.well-known/oauth-protected-resource/fhir"`
	if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || got != want {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	for _, path := range []string{"/", "/fhirx/Observation", "/fhir/%2e%2e/admin", "/other"} {
		if resp, _ := ask(t, g, "GET", path, ""); resp.StatusCode != 404 && resp.StatusCode != 400 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// TestPool: connections are used again, survive being closed by the other side, and are bounded.
func TestPool(t *testing.T) {
	var opened atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("ETag", `W/"1"`)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	up := remote(t, srv.URL, func(c *gateway.RemoteConfig) { c.MaxConns = 4 })
	do := func(r rs.UpstreamRequest) string {
		t.Helper()
		resp, err := up.Do(t.Context(), r)
		if err != nil || resp.Status != 200 || resp.ETag != `W/"1"` {
			t.Fatalf("%+v %v", resp, err)
		}
		return string(resp.Body)
	}
	for range 20 {
		if got := do(rs.UpstreamRequest{Method: "GET", Path: "Patient/1", Query: "a=b"}); got != "GET /Patient/1?a=b " {
			t.Fatal(got)
		}
	}
	if got := do(rs.UpstreamRequest{Method: "POST", Body: []byte("x"), ContentType: "application/json"}); got != "POST / x" {
		t.Fatal(got)
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
	srv.CloseClientConnections()
	do(rs.UpstreamRequest{Method: "GET", Path: "Patient/1"}) // a stale connection is replaced without a word
	var wg sync.WaitGroup
	opened.Store(0)
	for range 64 {
		wg.Go(func() { do(rs.UpstreamRequest{Method: "GET", Path: "Patient/1"}) })
	}
	wg.Wait()
	if n := opened.Load(); n > 4 {
		t.Errorf("%d connections, 4 allowed", n)
	}
}

// TestPoolFaults: what does not keep to HTTP is an error and never an answer.
func TestPoolFaults(t *testing.T) {
	answers := map[string]string{
		"garbage":   "hello\r\n\r\n",
		"cut":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"switch":    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"too large": "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
		"chunks":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 3) + "0\r\n\r\n",
		"nothing":   "",
	}
	for name, text := range answers {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			var requests atomic.Int32
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						requests.Add(1)
					}
					_, _ = io.WriteString(c, text)
					_ = c.Close()
				}
			}()
			up := remote(t, "http://"+l.Addr().String(), func(c *gateway.RemoteConfig) { c.MaxResponse = 2048 })
			_, err = up.Do(t.Context(), rs.UpstreamRequest{Method: "POST", Path: "Patient", Body: []byte("{}")})
			if !errors.Is(err, rs.ErrUpstream) {
				t.Errorf("got %v", err)
			}
			if requests.Load() != 1 {
				t.Errorf("a write was sent %d times", requests.Load())
			}
		})
	}
	up := remote(t, "http://127.0.0.1:1", nil)
	if _, err := up.Do(t.Context(), rs.UpstreamRequest{Method: "GET", Path: "Patient/1\r\nX: y"}); !errors.Is(err, rs.ErrUpstream) {
		t.Errorf("a line break was sent: %v", err)
	}
	if _, err := up.Do(t.Context(), rs.UpstreamRequest{Method: "GET", Path: "Patient/1"}); !errors.Is(err, rs.ErrUpstream) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	up := remote(t, srv.URL, func(c *gateway.RemoteConfig) { c.Timeout = 30 * time.Millisecond })
	if _, err := up.Do(t.Context(), rs.UpstreamRequest{Method: "GET", Path: "x"}); !errors.Is(err, rs.ErrUpstream) {
		t.Errorf("got %v", err)
	}
	up = remote(t, srv.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := up.Do(ctx, rs.UpstreamRequest{Method: "GET", Path: "x"}); !errors.Is(err, rs.ErrUpstream) {
		t.Errorf("got %v", err)
	}
}

func TestInProcess(t *testing.T) {
	_, s := fhirServer(t, nil)
	up := &gateway.InProcess{Handler: s.Handler(), BaseURL: "http://unused/r4/"}
	resp, err := up.Do(t.Context(), rs.UpstreamRequest{Method: "GET", Path: "Patient/p1"})
	if err != nil || resp.Status != 200 || resp.ETag == "" || up.Base() != "http://unused/r4" {
		t.Errorf("%+v %v", resp, err)
	}
	up.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	if _, err := up.Do(t.Context(), rs.UpstreamRequest{Method: "GET"}); !errors.Is(err, rs.ErrUpstream) {
		t.Errorf("a panic: %v", err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, base := range []string{"", "ftp://x/y", "http://", "http://u:p@h/r4", "http://h/r4?x=1", "http://h/#f", "/r4"} {
		if _, err := gateway.NewRemote(gateway.RemoteConfig{Base: base}); err == nil {
			t.Errorf("base %q was taken", base)
		}
	}
	if _, err := gateway.New(gateway.Config{}); err == nil {
		t.Error("an empty configuration was taken")
	}
	if _, err := rs.NewEnforcer(rs.EnforcerConfig{Base: "https://h/fhir"}); err == nil {
		t.Error("an enforcer without a verifier was made")
	}
}

func TestHealthy(t *testing.T) {
	srv, _ := fhirServer(t, nil)
	g := newGateway(t, rstest.New(), remote(t, srv.URL+"/r4", nil))
	if err := g.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	srv.Close()
	if err := g.Healthy(t.Context()); err == nil {
		t.Error("healthy without an upstream")
	}
}
