package federated

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// pats checks what FedAuthz §1.3 says of the protection API token.
func pats() []check {
	return []check{
		{
			ID: "federated.pat.none", Level: must, Covers: []string{"F-009", "F-034", "F-201"}, Run: noToken,
			Title: "Without a token every operation of the protection API is refused",
		},
		{
			ID: "federated.pat.unknown", Level: must, Covers: []string{"F-009", "F-034", "F-201"}, Run: unknownToken,
			Title: "A token the server never issued is refused everywhere",
		},
		{
			ID: "federated.pat.revoked", Level: must, Covers: []string{"F-009", "F-034", "F-075", "F-201"}, Run: revokedPAT,
			Needs: []need{conformance.NeedRevocation},
			Title: "A revoked PAT is refused everywhere",
		},
		{
			ID: "federated.pat.status", Level: should, Covers: []string{"F-009"}, Run: refusedWith401,
			Title: "A token that is not valid is answered with 401",
		},
		{
			ID: "federated.pat.rpt", Level: must, Covers: []string{"F-005", "F-009"}, Run: rptAsPAT, Needs: granted,
			Title: "An RPT is no PAT: it is refused everywhere",
		},
		{
			ID: "federated.pat.scope", Level: must, Covers: []string{"F-005", "F-009"}, Run: otherScope,
			Title: "An access token without the scope uma_protection is no PAT",
		},
		{
			ID: "federated.pat.bearer", Level: must, Covers: []string{"F-010"}, Run: bearer,
			Title: "The PAT works as a bearer token in the Authorization header, however the scheme is capitalised",
		},
		{
			ID: "federated.pat.challenge", Level: must, Covers: []string{"F-009", "F-010"}, Run: challenge,
			Title: "A refused token is answered with WWW-Authenticate: Bearer",
		},
		{
			ID: "federated.pat.query", Level: should, Covers: []string{"F-074"}, Run: queryToken,
			Title: "A PAT in a query string opens nothing",
		},
		{
			ID: "federated.pat.tls", Level: must, Covers: []string{"F-008"}, Run: tlsEndpoints,
			Title: "The endpoints of the protection API use TLS (a test system may use its own loopback address)",
		},
	}
}

// operation is one request to the protection API.
type operation struct {
	name   string
	method string
	target string
	json   any
	form   url.Values
}

// operations are all of FedAuthz §3.2, §4.1 and §5.1, aimed at a resource of alice.
func operations(t *conformance.T, id string) []operation {
	out := []operation{
		{name: "create", method: http.MethodPost, target: collection(t), json: describe(t)},
		{name: "list", method: http.MethodGet, target: collection(t)},
		{name: "read", method: http.MethodGet, target: at(t, id)},
		{name: "update", method: http.MethodPut, target: at(t, id), json: describe(t)},
	}
	if u := t.Env().Metadata.PermissionEndpoint; u != "" {
		out = append(out, operation{name: "permission request", method: http.MethodPost, target: u, json: permission(id, t.Env().Scopes(1)...)})
	}
	if u := t.Env().Metadata.IntrospectionEndpoint; u != "" {
		out = append(out, operation{name: "introspection", method: http.MethodPost, target: u, form: url.Values{"token": {"unknown"}}})
	}
	return append(out, operation{name: "delete", method: http.MethodDelete, target: at(t, id)})
}

func (o operation) send(t *conformance.T, token string) *exchange {
	if o.form == nil {
		switch {
		case o.json != nil:
			return answered(t, t.SendJSON(o.method, o.target, o.json, token))
		case o.method == http.MethodDelete:
			return answered(t, t.Delete(o.target, token))
		default:
			return answered(t, t.Get(o.target, token))
		}
	}
	var auth conformance.Auth
	if token != "" {
		auth = conformance.Bearer(token)
	}
	return answered(t, t.PostForm(o.target, o.form, auth))
}

// refused sends all operations with a token that is no PAT.
func refused(t *conformance.T, what, token string) {
	id := registered(t, t.PAT(alice, rs1), describe(t))
	for _, o := range operations(t, id) {
		x := o.send(t, token)
		if o.form != nil && x.Status == http.StatusOK && x.Text("active") == "" && strings.Contains(string(x.Body), `"active":true`) {
			t.Errorf("introspection %s: an active token", what)
		}
		want(t, x, o.name+" "+what, http.StatusUnauthorized, http.StatusForbidden)
		if made := idOf(x); o.name == "create" && made != "" {
			t.Delete(at(t, made), t.PAT(alice, rs1))
		}
	}
}

func noToken(t *conformance.T) { refused(t, "without a token", "") }

func unknownToken(t *conformance.T) {
	refused(t, "with an unknown token", t.Env().Fresh("unknown"))
}

func revokedPAT(t *conformance.T) {
	pat := t.FreshPAT(alice, rs1)
	x := answered(t, t.PostForm(t.Env().Metadata.RevocationEndpoint, url.Values{"token": {pat}}, t.RS(rs1).Client.Auth()))
	if x.Status != http.StatusOK {
		t.Blockf("the PAT could not be revoked: %d (%s)", x.Status, told(x))
	}
	refused(t, "with a revoked PAT", pat)
}

func rptAsPAT(t *conformance.T) {
	g := some(t)
	refused(t, "with an RPT", g.RPT)
}

func refusedWith401(t *conformance.T) { // RFC 6750 §3.1
	for _, o := range operations(t, "unknown") {
		if x := o.send(t, t.Env().Fresh("unknown")); x.Status/100 == 4 {
			want(t, x, o.name, http.StatusUnauthorized)
		}
	}
}

// otherScope needs a plain access token; the simplest is a client's own.
func otherScope(t *conformance.T) {
	x := answered(t, t.Token(t.Client(c1), url.Values{"grant_type": {"client_credentials"}}))
	token := x.Text("access_token")
	if token == "" && t.Env().Missing(conformance.NeedAuthorizationCode) == "" && slices.Contains(t.Env().Metadata.ScopesSupported, "openid") {
		x = t.AuthorizationCode(alice, t.Client(c1), "openid")
		token = x.Text("access_token")
	}
	if token == "" {
		t.Skipf("the client gets no access token without uma_protection (%s), so there is no plain token to try", told(x))
	}
	if strings.Contains(" "+x.Text("scope")+" ", " uma_protection ") {
		t.Skipf("the client's own token has the scope uma_protection")
	}
	refused(t, "with a plain access token", token)
}

func bearer(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} { // RFC 9110 §11.1: schemes are case-insensitive
		x := answered(t, t.Request(http.MethodGet, collection(t), nil, http.Header{"Authorization": {scheme + " " + pat}}))
		want(t, x, "list with Authorization: "+scheme, http.StatusOK)
	}
}

func challenge(t *conformance.T) {
	for _, o := range operations(t, "unknown") {
		x := o.send(t, t.Env().Fresh("unknown"))
		if x.Status != http.StatusUnauthorized && x.Status != http.StatusForbidden {
			continue // pat.unknown judges that
		}
		found := false
		for _, c := range x.Challenges() {
			found = found || strings.EqualFold(c.Scheme, "Bearer")
		}
		if !found {
			t.Errorf("%s: %d without WWW-Authenticate: Bearer (RFC 6750 §3)", o.name, x.Status)
		}
	}
}

func queryToken(t *conformance.T) {
	target := collection(t)
	mark := "?"
	if strings.Contains(target, "?") {
		mark = "&"
	}
	x := answered(t, t.Get(target+mark+"access_token="+url.QueryEscape(t.PAT(alice, rs1)), ""))
	if x.Status/100 == 2 {
		t.Errorf("the list was given for a PAT in the query string (RFC 9700 §4.3.2)")
	}
}

func tlsEndpoints(t *conformance.T) {
	m := t.Env().Metadata
	issuer, err := url.Parse(t.Env().Issuer)
	if err != nil {
		t.Blockf("the issuer is no URL: %v", err)
	}
	for name, endpoint := range map[string]string{
		"permission_endpoint": m.PermissionEndpoint, "resource_registration_endpoint": m.ResourceRegistrationEndpoint,
		"introspection_endpoint": m.IntrospectionEndpoint,
	} {
		if endpoint == "" {
			continue
		}
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" {
			continue // metadata judges that
		}
		if u.Scheme != "https" && (u.Hostname() != issuer.Hostname() || !loopback(u.Hostname())) {
			t.Errorf("%s is %s: no TLS", name, endpoint)
		}
	}
}

func loopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}
