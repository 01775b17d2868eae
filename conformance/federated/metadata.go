package federated

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// metadata checks what FedAuthz §2 demands of the discovery document.
func metadata() []check {
	return []check{
		{
			ID: "federated.metadata.permission-endpoint", Level: must, Covers: []string{"F-017", "F-019", "F-077"},
			Run:   func(t *conformance.T) { declared(t, "permission_endpoint") },
			Title: "Discovery declares permission_endpoint, an absolute URI",
		},
		{
			ID: "federated.metadata.registration-endpoint", Level: must, Covers: []string{"F-017", "F-020", "F-077"},
			Run:   func(t *conformance.T) { declared(t, "resource_registration_endpoint") },
			Title: "Discovery declares resource_registration_endpoint, an absolute URI",
		},
		{
			ID: "federated.metadata.introspection-endpoint", Level: must, Covers: []string{"F-017", "F-018", "F-021", "F-061"}, Run: declaresIntrospection,
			Title: "A server that introspects declares introspection_endpoint in the UMA discovery document, too",
		},
	}
}

func declared(t *conformance.T, name string) {
	value, there := t.Env().Raw[name]
	if !there {
		t.Fatalf("the discovery document has no %s", name)
	}
	text, _ := value.(string)
	absolute(t, name, text)
}

func absolute(t *conformance.T, name, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "" {
		t.Errorf("%s is %q: an absolute http(s) URI without fragment is wanted", name, text)
	}
}

func declaresIntrospection(t *conformance.T) {
	if value, there := t.Env().Raw["introspection_endpoint"]; there {
		text, _ := value.(string)
		absolute(t, "introspection_endpoint", text)
		return
	}
	issuer, err := url.Parse(t.Env().Issuer)
	if err != nil {
		t.Blockf("the issuer is no URL: %v", err)
	}
	path := strings.TrimSuffix(issuer.Path, "/")
	oauth, openid := *issuer, *issuer
	oauth.Path, openid.Path = uma.WellKnownOAuth+path, path+uma.WellKnownOpenID // RFC 8414 §3.1, OpenID Discovery §4
	for _, u := range []string{oauth.String(), openid.String()} {
		x := t.Get(u, "")
		var other struct {
			Endpoint string `json:"introspection_endpoint"`
		}
		if x.Status == http.StatusOK && json.Unmarshal(x.Body, &other) == nil && other.Endpoint != "" {
			t.Fatalf("%s declares introspection at %s, the UMA discovery document does not", u, other.Endpoint)
		}
	}
	t.Skipf("not offered: no discovery document declares introspection")
}
