package grant

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// discovery checks Grant §2.
func discovery() []check {
	return []check{
		{
			ID: "grant.discovery.published", Level: must, Covers: []string{"G-009", "G-011", "G-137"}, Run: published,
			Title: "The discovery document is a JSON object at the issuer with /.well-known/uma2-configuration after it",
		},
		{
			ID: "grant.discovery.oauth-metadata", Level: must, Covers: []string{"G-010"}, Run: oauthMetadata,
			Title: "The discovery document has the members that OAuth 2.0 metadata requires, of the right types",
		},
		{
			ID: "grant.discovery.issuer", Level: must, Covers: []string{"G-010", "G-011"}, Run: issuerValue,
			Title: "The issuer in the discovery document is the URL it was found at, without query and fragment",
		},
		{
			ID: "grant.discovery.claims-endpoint", Level: must, Covers: []string{"G-012", "G-137"}, Run: claimsEndpoint,
			Title: "A static claims interaction endpoint is an absolute URI without fragment",
		},
		{
			ID: "grant.discovery.profiles", Level: must, Covers: []string{"G-014", "G-137"}, Run: profiles,
			Title: "uma_profiles_supported, where present, is an array of URIs",
		},
		{
			ID: "grant.discovery.claim-profiles", Level: should, Covers: []string{"G-015", "G-038", "G-106", "G-129"}, Run: claimProfiles,
			Needs: []need{conformance.NeedClaimPush},
			Title: "A server that takes ID Tokens as pushed claims says so in its discovery document",
		},
		{
			ID: "grant.discovery.transport", Level: should, Covers: []string{"G-107"}, Run: transport,
			Title: "Every address in the discovery document is served over TLS, loopback excepted",
		},
	}
}

func published(t *conformance.T) {
	x := t.Get(t.Env().Issuer+uma.WellKnownUMA, "")
	if x.Status != http.StatusOK {
		t.Fatalf("want status 200, got %d", x.Status)
	}
	if x.MediaType() != "application/json" {
		t.Errorf("want Content-Type application/json, got %q", x.Header.Get("Content-Type"))
	}
	x.JSON(t)
}

func oauthMetadata(t *conformance.T) {
	doc := t.Env().Raw
	if _, ok := doc["issuer"].(string); !ok {
		t.Errorf("issuer is missing")
	}
	if u, ok := doc["token_endpoint"].(string); !ok || !absolute(u) {
		t.Errorf("token_endpoint is missing or no absolute URL")
	}
	if _, ok := texts(doc["response_types_supported"]); !ok {
		t.Errorf("response_types_supported is required and an array of strings")
	}
	for _, name := range []string{"grant_types_supported", "scopes_supported", "response_modes_supported", "token_endpoint_auth_methods_supported"} {
		if v, present := doc[name]; present {
			if _, ok := texts(v); !ok {
				t.Errorf("%s is no array of strings", name)
			}
		}
	}
	for _, name := range []string{"authorization_endpoint", "registration_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri"} {
		if v, present := doc[name]; present {
			if s, ok := v.(string); !ok || !absolute(s) {
				t.Errorf("%s is no absolute URL", name)
			}
		}
	}
}

func issuerValue(t *conformance.T) {
	got, _ := t.Env().Raw["issuer"].(string)
	if got != t.Env().Issuer {
		t.Errorf("the document at %s%s says issuer %q", t.Env().Issuer, uma.WellKnownUMA, got)
	}
	if strings.ContainsAny(got, "?#") {
		t.Errorf("issuer %q has a query or a fragment", got)
	}
}

func claimsEndpoint(t *conformance.T) {
	v, present := t.Get(t.Env().Issuer+uma.WellKnownUMA, "").JSON(t)["claims_interaction_endpoint"]
	if !present {
		t.Skipf("not offered: the discovery document has no claims_interaction_endpoint")
	}
	s, _ := v.(string)
	if !absolute(s) || strings.Contains(s, "#") {
		t.Errorf("claims_interaction_endpoint %q is no absolute URI without fragment", s)
	}
}

func profiles(t *conformance.T) {
	v, present := t.Env().Raw["uma_profiles_supported"]
	if !present {
		t.Skipf("not offered: the discovery document has no uma_profiles_supported")
	}
	list, ok := texts(v)
	if !ok {
		t.Fatalf("uma_profiles_supported is no array of strings")
	}
	for _, s := range list {
		if u, err := url.Parse(s); err != nil || !u.IsAbs() {
			t.Errorf("%q in uma_profiles_supported is no URI", s)
		}
	}
}

// formatOpenID names ID Tokens as claim tokens (Grant §3.3.1).
const formatOpenID = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"

func claimProfiles(t *conformance.T) {
	list, _ := texts(t.Env().Raw["uma_profiles_supported"])
	if !slices.Contains(list, formatOpenID) {
		t.Errorf("uma_profiles_supported does not name %s", formatOpenID)
	}
}

// transport looks at the scheme; loopback is this machine (RFC 8252 §8.3).
func transport(t *conformance.T) {
	for name, v := range t.Env().Raw {
		s, _ := v.(string)
		if name != "issuer" && !strings.HasSuffix(name, "_endpoint") && !strings.HasSuffix(name, "_uri") {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
			continue
		}
		t.Errorf("%s is %s: want https", name, s)
	}
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// absolute holds for http and https URLs with a host.
func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// texts reads a JSON array of strings.
func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}
