package umaas

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func FuzzForm(f *testing.F) {
	f.Add("grant_type=authorization_code&code=x")
	f.Add("a=1&a=2")
	f.Add("resource=a&resource=b&scope=openid%20profile%20openid")
	f.Add("scope=%22&state=%ff")
	f.Fuzz(func(t *testing.T, body string) {
		values, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		got, err := parseForm(values)
		if err != nil {
			if got.values != nil {
				t.Error("a failed parse returned something")
			}
			return
		}
		for name, v := range got.values {
			if len(v) > 1 && !mayRepeat(name) {
				t.Errorf("%q kept %d times", name, len(v))
			}
			if len(v) == 0 || v[0] == "" {
				t.Errorf("%q kept without a value", name)
			}
		}
		scopes, err := got.scopes()
		if err != nil && scopes != nil {
			t.Error("failed scopes returned something")
		}
		if strings.Contains(strings.Join(scopes, ""), " ") {
			t.Errorf("scopes %q", scopes)
		}
	})
}

func FuzzClientMetadata(f *testing.F) {
	f.Add(`{"client_name":"App","redirect_uris":["https://app.example/cb"]}`)
	f.Add(`{"client_name":"App","redirect_uris":["http://127.0.0.1:80/cb","org.example:/x"],"token_endpoint_auth_method":"none"}`)
	f.Add(`{"redirect_uris":["https://a@b/","https://a/../b","//x","https://A/","https://a/%2e%2e/"]}`)
	f.Fuzz(func(t *testing.T, body string) {
		var m ClientMetadata
		if json.Unmarshal([]byte(body), &m) != nil {
			return
		}
		c, wrong := m.client()
		if len(append(wrong, checkClient(c)...)) > 0 {
			return
		}
		for _, uri := range append(append([]string{}, c.RedirectURIs...), c.ClaimsRedirectURIs...) {
			u, err := url.Parse(uri)
			switch {
			case err != nil || u.User != nil || u.Fragment != "" || strings.ContainsAny(uri, "#\\*<> \"") || strings.Contains(u.Path, "/../"):
				t.Errorf("accepted %q", uri)
			case u.Scheme == "http" && !loopback(u.Hostname()):
				t.Errorf("accepted %q over plain http", uri)
			case !matchRedirect(c, []string{uri}, uri) || matchRedirect(c, []string{uri}, uri+"x"):
				t.Errorf("%q does not match itself alone", uri)
			}
		}
	})
}

// TestSEC_62_RedirectMatching: one corpus against one registered URI; only the byte-equal one passes.
func TestSEC_62_RedirectMatching(t *testing.T) {
	registered := []string{"https://app.example/cb?x=1", "http://127.0.0.1/cb", "http://[::1]:7/cb", "http://localhost:1/cb"}
	public, confidential := Client{AuthMethod: AuthNone}, Client{AuthMethod: AuthSecretBasic}
	for uri, want := range map[string][2]bool{ // public, confidential
		"https://app.example/cb?x=1":      {true, true},
		"https://app.example/cb":          {},
		"https://app.example/cb?x=1&y=2":  {},
		"https://app.example/cb?x=1#":     {},
		"https://app.example/cb/?x=1":     {},
		"https://APP.example/cb?x=1":      {},
		"https://app.example:443/cb?x=1":  {},
		"https://app.example/a/../cb?x=1": {},
		"https://app.example/%63b?x=1":    {},
		"https://u@app.example/cb?x=1":    {},
		"https://app.example.evil/cb?x=1": {},
		"https://evil/app.example/cb?x=1": {},
		"http://app.example/cb?x=1":       {},
		"https://app.example\\cb?x=1":     {},
		"":                                {},
		"http://127.0.0.1/cb":             {true, true},
		"http://127.0.0.1:5000/cb":        {true, false},
		"http://127.0.0.1:5000/cb/":       {},
		"http://127.0.0.1:5000/CB":        {},
		"http://127.0.0.1:5000/cb?x":      {},
		"http://127.0.0.2:5000/cb":        {},
		"https://127.0.0.1:5000/cb":       {},
		"http://127.0.0.1:5000@evil/cb":   {},
		"http://[::1]:9/cb":               {true, false},
		"http://[::1]/cb":                 {true, false},
		"http://localhost:1/cb":           {true, true},
		"http://localhost:2/cb":           {},
	} {
		if got := matchRedirect(public, registered, uri); got != want[0] {
			t.Errorf("public, %q: %v", uri, got)
		}
		if got := matchRedirect(confidential, registered, uri); got != want[1] {
			t.Errorf("confidential, %q: %v", uri, got)
		}
	}
}

func TestRedirectURIRules(t *testing.T) {
	for uri, want := range map[string][2]bool{ // public, confidential
		"https://app.example/cb":         {true, true},
		"https://app.example:8443/cb?a":  {true, true},
		"http://localhost:8080/cb":       {true, true},
		"http://127.0.0.1/cb":            {true, true},
		"http://[::1]:1/cb":              {true, true},
		"org.example.app:/cb":            {true, false},
		"org.example.app://cb":           {true, false},
		"http://app.example/cb":          {},
		"http://localhost.evil/cb":       {},
		"app:/cb":                        {},
		"javascript:alert(1)":            {},
		"data:text/html,x":               {},
		"https://app.example/cb#f":       {},
		"https://app.example/cb#":        {},
		"https://u:p@app.example/cb":     {},
		"https://*.example/cb":           {},
		"https://app.example/../cb":      {},
		"https://app.example/%2E%2E/cb":  {},
		"https://app.example/%252e/cb":   {},
		"https://app.example/a%5cb":      {},
		"https://App.example/cb":         {},
		"HTTPS://app.example/cb":         {},
		"https://app.exämple/cb":         {},
		"https://app.example/c b":        {},
		"https://app.example/cb?code=1":  {},
		"https://app.example/cb?state=1": {},
		"https:///cb":                    {},
		"https:app.example/cb":           {},
		"//app.example/cb":               {},
		"/cb":                            {},
		"":                               {},
		"https://app.example:/cb":        {},
		"https://app.example/" + strings.Repeat("a", maxURI): {},
	} {
		if got := redirectAdvice(uri, true) == ""; got != want[0] {
			t.Errorf("public, %q: accepted %v", uri, got)
		}
		if got := redirectAdvice(uri, false) == ""; got != want[1] {
			t.Errorf("confidential, %q: accepted %v", uri, got)
		}
	}
}

// TestPKCE_Vector is RFC 7636 appendix B.
func TestPKCE_Vector(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if !verifierMatches(challenge, verifier) {
		t.Error("the vector does not match")
	}
	for _, v := range []string{"", verifier[:42], verifier + "!", verifier[:42] + "l", challenge} {
		if verifierMatches(challenge, v) {
			t.Errorf("%q matches", v)
		}
	}
	if verifierMatches("", verifier) {
		t.Error("O-022: no challenge matches nothing")
	}
}
