package httpapi

import (
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestGolden pins the bytes on the wire of every success answer.
func TestGolden(t *testing.T) {
	f := &fake{}
	h := server(t, f, nil)
	desc := `{"name":"Record","name#fr":"Dossier","resource_scopes":["patient/Observation.r"],"context":{"level":"record","label":"a<b"},"x":[1.50,{"y":null}]}`
	for _, step := range []struct {
		name   string
		call   call
		status int
	}{
		{"metadata", call{method: "GET", path: "/a/.well-known/uma2-configuration"}, 200},
		{"jwks", call{method: "GET", path: "/a/jwks"}, 200},
		{"token", call{method: "POST", path: "/a/token", kind: "form", body: "grant_type=x&scope="}, 200},
		{"resource-create", call{method: "POST", path: "/a/resource_set/", kind: "json", body: desc, header: withPAT}, 201},
		{"resource-read", call{method: "GET", path: "/a/resource_set/r1", header: withPAT}, 200},
		{"resource-update", call{method: "PUT", path: "/a/resource_set/r1", kind: "json", body: desc, header: withPAT}, 200},
		{"resource-delete", call{method: "DELETE", path: "/a/resource_set/r1", header: withPAT}, 204},
		{"resource-list", call{method: "GET", path: "/a/resource_set/", header: withPAT}, 200},
		{"permission", call{method: "POST", path: "/a/permission", kind: "json", body: `{"resource_id":"r1","resource_scopes":[]}`, header: withPAT}, 201},
		{"introspection-active", call{method: "POST", path: "/a/introspect", kind: "form", body: "token=rpt&token_type_hint=whatever", header: withPAT}, 200},
		{"introspection-inactive", call{method: "POST", path: "/a/introspect", kind: "form", body: "token=zzz", header: withPAT}, 200},
		{"userinfo", call{method: "GET", path: "/a/userinfo", header: withPAT}, 200},
		{"revoke", call{method: "POST", path: "/a/revoke", kind: "form", body: "token=x"}, 200},
		{"consume", call{method: "POST", path: "/a/grants/consume", kind: "form", body: "token=x", header: withPAT}, 204},
		{"events", call{method: "POST", path: "/a/access-events", kind: "json", body: `[{"id":"1","time":"2027-01-01T00:00:00.000Z","interaction":"read","outcome":"success"}]`, header: withPAT}, 204},
	} {
		t.Run(step.name, func(t *testing.T) {
			w := step.call.do(h)
			if w.Code != step.status {
				t.Fatalf("status %d, want %d: %s", w.Code, step.status, w.Body)
			}
			got := w.Body.String()
			file := filepath.Join("testdata", "golden", step.name+".json")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("answer changed:\n got %s\nwant %s", got, want)
			}
			if c := w.Header().Get("Cache-Control"); c != "no-store" && step.name != "metadata" && step.name != "jwks" {
				t.Errorf("Cache-Control %q", c)
			}
		})
	}
}

// TestErrors pins status, code and description of every refusal this package makes itself.
func TestErrors(t *testing.T) {
	const form, js = "form", "json"
	big := strings.Repeat("a", maxJSON)
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for _, tt := range []struct {
		name               string
		call               call
		status             int
		code, desc, header string
	}{
		{"F-009 no token", call{method: "POST", path: "/a/permission", kind: js, body: "{}"}, 401, "invalid_token", "send the token as Authorization: Bearer …", `Bearer realm="umaas"`},
		{"F-009 wrong token", call{method: "GET", path: "/a/resource_set/", header: map[string]string{"Authorization": "Bearer bad"}}, 401, "invalid_token", "the access token is missing, expired or revoked", `Bearer realm="umaas", error="invalid_token", error_description="the access token is missing, expired or revoked"`},
		{"F-005 no PAT", call{method: "GET", path: "/a/resource_set/", header: map[string]string{"Authorization": "Bearer plain"}}, 403, "insufficient_scope", "the token is not a PAT", `Bearer realm="umaas", error="insufficient_scope", error_description="the token is not a PAT", scope="uma_protection"`},
		{"Basic instead of Bearer", call{method: "GET", path: "/a/resource_set/", header: map[string]string{"Authorization": "Basic Zzo="}}, 401, "invalid_token", "the Authorization header holds no bearer token", ""},
		{"SEC-111 token in the query", call{method: "GET", path: "/a/userinfo?access_token=good"}, 400, "invalid_request", "credentials do not belong in the query string: send access_token in the header or body", ""},
		{"G-039 duplicate", call{method: "POST", path: "/a/token", kind: form, body: "ticket=1&ticket=2"}, 400, "invalid_request", "the parameter ticket stands twice", ""},
		{"G-039 media type", call{method: "POST", path: "/a/token", kind: js, body: "{}"}, 400, "invalid_request", "send the parameters as application/x-www-form-urlencoded", ""},
		{"SEC-63 query and body", call{method: "POST", path: "/a/token?grant_type=x", kind: form, body: "grant_type=x"}, 400, "invalid_request", "parameters belong in the body, not in the query string", ""},
		{"percent encoding", call{method: "POST", path: "/a/token", kind: form, body: "a=%zz"}, 400, "invalid_request", "a parameter value is not well-formed", ""},
		{"not UTF-8", call{method: "POST", path: "/a/token", kind: form, body: "a=%ff"}, 400, "invalid_request", "a parameter value is not well-formed", ""},
		{"Basic is no base64", call{method: "POST", path: "/a/token", kind: form, body: "a=b", header: map[string]string{"Authorization": "Basic ***"}}, 401, "invalid_client", "client authentication failed", `Basic realm="umaas"`},
		{"Bearer at token", call{method: "POST", path: "/a/token", kind: form, body: "a=b", header: map[string]string{"Authorization": "Bearer x"}}, 401, "invalid_client", "client authentication failed", `Basic realm="umaas"`},
		{"G-039 GET token", call{method: "GET", path: "/a/token"}, 405, "unsupported_method_type", "see the Allow header for the methods of this address", ""},
		{"F-040 PATCH", call{method: "PATCH", path: "/a/resource_set/r1", header: withPAT}, 405, "unsupported_method_type", "see the Allow header for the methods of this address", ""},
		{"F-040 PUT collection", call{method: "PUT", path: "/a/resource_set/", header: withPAT}, 405, "unsupported_method_type", "see the Allow header for the methods of this address", ""},
		{"F-038 unknown resource", call{method: "GET", path: "/a/resource_set/zz", header: withPAT}, 404, "not_found", "no such resource", ""},
		{"unknown path", call{method: "GET", path: "/b"}, 404, "not_found", "there is nothing at this address", ""},
		{"F-027 scopes missing", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"name":"x"}`, header: withPAT}, 400, "invalid_request", "resource_scopes is missing: an array of strings", ""},
		{"F-002 case", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"Resource_scopes":["a"]}`, header: withPAT}, 400, "invalid_request", "resource_scopes is missing: an array of strings", ""},
		{"F-027 string", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"resource_scopes":"a"}`, header: withPAT}, 400, "invalid_request", "resource_scopes must be an array", ""},
		{"F-027 member", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"resource_scopes":["a",1]}`, header: withPAT}, 400, "invalid_request", "resource_scopes[1] must be a string", ""},
		{"F-042 null member", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"resource_scopes":["a",null]}`, header: withPAT}, 400, "invalid_request", "resource_scopes[1] must be a string", ""},
		{"F-042 duplicate", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"name":"a","n\u0061me":"b"}`, header: withPAT}, 400, "invalid_request", "a JSON member stands twice", ""},
		{"F-042 trailing", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"resource_scopes":[]} x`, header: withPAT}, 400, "invalid_request", "the body is not one well-formed JSON value", ""},
		{"F-042 empty", call{method: "POST", path: "/a/resource_set/", kind: js, header: withPAT}, 400, "invalid_request", "the body is empty: JSON expected", ""},
		{"F-042 array", call{method: "POST", path: "/a/resource_set/", kind: js, body: `[]`, header: withPAT}, 400, "invalid_request", "the body must be an object", ""},
		{"F-042 deep", call{method: "POST", path: "/a/resource_set/", kind: js, body: deep, header: withPAT}, 400, "invalid_request", "the JSON is nested more than 32 levels deep", ""},
		{"F-042 large", call{method: "POST", path: "/a/resource_set/", kind: js, body: `{"name":"` + big + `"}`, header: withPAT}, 400, "invalid_request", "the body is larger than 1048576 bytes", ""},
		{"F-042 media type", call{method: "POST", path: "/a/resource_set/", kind: "text/json", body: `{}`, header: withPAT}, 400, "invalid_request", "send the body as application/json", ""},
		{"F-054 empty array", call{method: "POST", path: "/a/permission", kind: js, body: `[]`, header: withPAT}, 400, "invalid_request", "name at least one permission", ""},
		{"F-055 id", call{method: "POST", path: "/a/permission", kind: js, body: `[{"resource_scopes":[]}]`, header: withPAT}, 400, "invalid_request", "permission 0: resource_id is missing", ""},
		{"F-056 scopes", call{method: "POST", path: "/a/permission", kind: js, body: `{"resource_id":"r"}`, header: withPAT}, 400, "invalid_request", "permission 0: resource_scopes is missing (an empty array is allowed)", ""},
		{"constraint", call{method: "POST", path: "/a/permission", kind: js, body: `{"resource_id":"r","resource_scopes":[],"constraints":[{"value":"x"}]}`, header: withPAT}, 400, "invalid_request", "permission 0: a constraint needs a type", ""},
		{"SEC-03 method", call{method: "POST", path: "/a/permission", kind: js, body: `{"resource_id":"r","resource_scopes":[],"code_challenge":"x","code_challenge_method":"plain"}`, header: withPAT}, 400, "invalid_request", "permission 0: code_challenge comes with code_challenge_method S256", ""},
		{"F-063 token", call{method: "POST", path: "/a/introspect", kind: form, body: "x=y", header: withPAT}, 400, "invalid_request", "the parameter token is missing", ""},
		{"events shape", call{method: "POST", path: "/a/access-events", kind: js, body: `[{"id":"1"}]`, header: withPAT}, 400, "invalid_request", "[0] needs id, time, interaction and outcome", ""},
		{"events object", call{method: "POST", path: "/a/access-events", kind: js, body: `{}`, header: withPAT}, 400, "invalid_request", "the body must be an array", ""},
		{"register not JSON", call{method: "POST", path: "/a/register", kind: js, body: `{`}, 400, "invalid_request", "the body is not one well-formed JSON value", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{}
			w := tt.call.do(server(t, f, nil))
			want := `{"error":"` + tt.code + `","error_description":"` + tt.desc + "\"}\n"
			if w.Code != tt.status || w.Body.String() != want {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, tt.status, want)
			}
			if tt.header != "" && w.Header().Get("WWW-Authenticate") != tt.header {
				t.Errorf("WWW-Authenticate %s\nwant %s", w.Header().Get("WWW-Authenticate"), tt.header)
			}
			if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", w.Header())
			}
			if tt.status == 405 && w.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			f.calls = slices.DeleteFunc(f.calls, func(s string) bool { return s == "ReadResource" })
			if len(f.calls) != 0 {
				t.Errorf("the core was called: %v", f.calls)
			}
		})
	}
}

func TestErrorFromCore(t *testing.T) {
	need := *uma.ErrNeedInfo
	need.Ticket, need.RedirectUser = "t2", "https://as.example/a/claims"
	submitted := *uma.ErrRequestSubmitted
	submitted.Ticket, submitted.Interval = "t3", 5
	for _, tt := range []struct {
		name, want string
		err        error
		status     int
	}{
		{"G-086 need_info", `{"error":"need_info","error_description":"a few details are needed before this can be decided","ticket":"t2","redirect_user":"https://as.example/a/claims"}`, &need, 403},
		{"G-093 request_submitted", `{"error":"request_submitted","error_description":"the request was sent to a person who decides","ticket":"t3","interval":5}`, &submitted, 403},
		{"G-092 request_denied", `{"error":"request_denied","error_description":"access was not given"}`, uma.ErrRequestDenied, 403},
		{"refined", `{"error":"invalid_grant","error_description":"x"}`, uma.ErrInvalidGrant.With("x").Because(errors.New("secret cause")), 400},
		{"fault", `{"error":"server_error","error_description":"something went wrong on our side (request id ` + zeroID + `)"}`, errors.New("disk at /dev/sda"), 500},
		{"fault as value", `{"error":"server_error","error_description":"something went wrong on our side (request id ` + zeroID + `)"}`, uma.ErrServer.Because(errors.New("x")), 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := call{method: "POST", path: "/a/token", kind: "form", body: "grant_type=x"}.do(server(t, &fake{err: tt.err}, nil))
			if w.Code != tt.status || w.Body.String() != tt.want+"\n" {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, tt.status, tt.want)
			}
		})
	}
}

func TestDiscoveryAddresses(t *testing.T) {
	h := server(t, &fake{}, nil)
	want := call{method: "GET", path: "/a/.well-known/uma2-configuration"}.do(h).Body.String()
	for _, p := range []string{
		"/.well-known/uma2-configuration", "/.well-known/uma2-configuration/a", "/a/.well-known/oauth-authorization-server",
		"/.well-known/oauth-authorization-server/a", "/.well-known/oauth-authorization-server",
		"/a/.well-known/openid-configuration", "/.well-known/openid-configuration",
	} {
		w := call{method: "GET", path: p, header: map[string]string{"Authorization": "Bearer good", "Accept-Language": "de"}}.do(h)
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %s", p, w.Code, w.Body)
		}
		if w := (call{method: "HEAD", path: p}).do(h); w.Code != 200 {
			t.Errorf("HEAD %s: %d", p, w.Code)
		}
	}
}

func TestSEC_114_CORS(t *testing.T) {
	h := server(t, &fake{}, nil)
	open := map[string]bool{"/a/token": true, "/a/register": true, "/a/jwks": true, "/a/.well-known/uma2-configuration": true}
	origin := map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
	for _, p := range []string{
		"/a/token", "/a/register", "/a/jwks", "/a/.well-known/uma2-configuration", "/a/authorize", "/a/claims", "/a/introspect",
		"/a/permission", "/a/resource_set/", "/a/resource_set/r1", "/a/revoke", "/a/userinfo", "/a/access-events", "/a/grants/consume", "/a/login",
	} {
		for _, m := range []string{"OPTIONS", "GET", "POST"} {
			w := call{method: m, path: p, header: origin}.do(h)
			got := w.Header().Get("Access-Control-Allow-Origin")
			if open[p] && (m == "OPTIONS") && (got != "*" || w.Code != 204) {
				t.Errorf("%s %s: %d, Allow-Origin %q", m, p, w.Code, got)
			}
			if !open[p] && got != "" {
				t.Errorf("%s %s: Allow-Origin %q", m, p, got)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s allows credentials", m, p)
			}
		}
	}
	if w := (call{method: "POST", path: "/a/token", kind: "form", body: "a=b&a=c", header: origin}).do(h); w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Error("an error of the token endpoint must be readable across origins")
	}
}

func TestStartFlows(t *testing.T) {
	f := &fake{started: umaas.Started{ID: "f1", Browser: "b1"}}
	h := server(t, f, nil)
	w := call{method: "GET", path: "/a/claims?client_id=c&ticket=t&state=s%2B", header: map[string]string{"Cookie": "__Host-b=old"}}.do(h)
	if w.Code != 303 || w.Header().Get("Location") != "/a/flow/f1" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if got := w.Header().Get("Set-Cookie"); got != "__Host-b=b1; Path=/; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("cookie %q", got)
	}
	if f.browser != "old" || f.query.Get("state") != "s+" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("browser %q, query %v, headers %v", f.browser, f.query, w.Header())
	}
	f.started = umaas.Started{Redirect: &umaas.Redirect{URI: "https://app.example/cb?x=1", Query: map[string][]string{"error": {"access_denied"}, "state": {"a b"}}}}
	w = call{method: "GET", path: "/a/authorize?client_id=c"}.do(h)
	if got := w.Header().Get("Location"); w.Code != 303 || got != "https://app.example/cb?x=1&error=access_denied&state=a+b" {
		t.Errorf("%d %s", w.Code, got)
	}
	w = call{method: "POST", path: "/a/authorize", kind: "form", body: "client_id=c2"}.do(h)
	if w.Code != 303 || f.query.Get("client_id") != "c2" {
		t.Errorf("POST: %d %v", w.Code, f.query)
	}
}

// TestG059_NoRedirectOnError: what cannot be told the client safely is a page, status 400, and nothing goes anywhere.
func TestG059_NoRedirectOnError(t *testing.T) {
	f := &fake{err: uma.ErrInvalidClient.With("unknown client")}
	h := server(t, f, nil)
	for _, p := range []string{"/a/claims?client_id=x", "/a/authorize?client_id=x", "/a/claims?state=1&state=2", "/a/claims?rpt=x", "/a/authorize?a=%zz"} {
		w := call{method: "GET", path: p}.do(h)
		if w.Code != 400 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Location") != "" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", p, w.Code, w.Header())
		}
	}
}

func TestBasicCredentials(t *testing.T) {
	f := &fake{}
	h := server(t, f, nil)
	w := call{method: "POST", path: "/a/token", kind: "form", body: "grant_type=x&resource=a&resource=b", header: map[string]string{"Authorization": "basic YSUzQWI6YytkJTI1"}}.do(h) // a%3Ab:c+d%25
	if w.Code != 200 || !f.request.HasBasic || f.request.BasicID != "a:b" || f.request.BasicSecret != "c d%" {
		t.Errorf("%d %+v", w.Code, f.request)
	}
	if len(f.request.Form["resource"]) != 2 || f.request.RequestID != zeroID {
		t.Errorf("%+v", f.request)
	}
}

func TestDescriptionKept(t *testing.T) {
	f := &fake{}
	h := server(t, f, nil)
	body := ` {"_id":"mine","resource_scopes":["a"],"derived_from":{"custodian":true,"Resource_id":"x"},"Name":"other","x_foo":{"a":[1e400]}}`
	if w := (call{method: "POST", path: "/a/resource_set", kind: "json", body: body, header: withPAT}).do(h); w.Code != 201 || w.Header().Get("Location") != "https://as.example/a/resource_set/r1" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d := f.described
	if d.ID != "" || d.Name != "" || d.DerivedFrom == nil || !d.DerivedFrom.Custodian || d.DerivedFrom.ResourceID != "" {
		t.Errorf("%+v", d)
	}
	if string(d.Extra["x_foo"]) != `{"a":[1e400]}` || string(d.Extra["Name"]) != `"other"` || len(d.Extra) != 2 {
		t.Errorf("extra %s", d.Extra)
	}
}

func TestRateLimits(t *testing.T) {
	f := &fake{err: uma.ErrInvalidGrant.With("x")}
	h := server(t, f, func(c *Config) { c.Limits = RateLimits{Failures: Rate{60, 3}, Starts: Rate{60, 2}} })
	post := call{method: "POST", path: "/a/token", kind: "form", body: "grant_type=x"}
	for i := range 3 {
		if w := post.do(h); w.Code != 400 {
			t.Fatalf("try %d: %d", i, w.Code)
		}
	}
	w := post.do(h)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "60" || !strings.Contains(w.Body.String(), `"slow_down"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.err = nil
	f.started = umaas.Started{ID: "f"}
	codes := []int{}
	for range 3 {
		codes = append(codes, call{method: "GET", path: "/a/claims"}.do(h).Code)
	}
	if !slices.Equal(codes, []int{303, 303, 429}) {
		t.Errorf("starts %v", codes)
	}
}

func TestSEC_117_ForwardedAddress(t *testing.T) {
	f := &fake{err: uma.ErrInvalidGrant.With("x")}
	h := server(t, f, func(c *Config) { c.Limits = RateLimits{Failures: Rate{60, 1}} })
	for i, want := range []int{400, 429} {
		w := call{method: "POST", path: "/a/token", kind: "form", body: "grant_type=x", header: map[string]string{"X-Forwarded-For": "10.0.0." + string(rune('1'+i))}}.do(h)
		if w.Code != want {
			t.Errorf("try %d: %d, want %d: the header of a stranger must not count", i, w.Code, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"issuer": func(c *Config) { c.Issuer = "x" }, "slash": func(c *Config) { c.Issuer += "/" },
		"service": func(c *Config) { c.Service = nil }, "cookie": func(c *Config) { c.BrowserCookie = "" },
		"PS-10 prefix": func(c *Config) { c.BrowserCookie = "b" }, "proxies": func(c *Config) { c.TrustedProxies = []string{"x"} },
	} {
		c := Config{
			Service: &fake{}, Issuer: "https://as.example", BrowserCookie: "__Host-b", Now: time.Now, Random: zeros{}, Logger: slog.New(slog.DiscardHandler),
		}
		if _, err := New(c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
