package httpapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/httpapi"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/policy"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// ownCertificate makes a key and a certificate signed by itself, and the key set to register it with.
func ownCertificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	point, err := key.PublicKey.Bytes()
	must(t, err)
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		"x5c": []string{base64.StdEncoding.EncodeToString(der)},
	}}})
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, set
}

// mtlsWorld is a server with an ordinary door and one that asks for certificates; proxies may name certificates.
type mtlsWorld struct {
	core   *umaas.Service
	plain  *httptest.Server // loopback HTTP: where a proxy that ends TLS would come in
	mtls   *httptest.Server
	client umaas.Client
	own    tls.Certificate
}

func newMTLS(t *testing.T, proxies ...string) *mtlsWorld {
	t.Helper()
	w := &mtlsWorld{}
	st, err := store.New(t.Context(), memkv.New(memkv.Options{}), store.Options{})
	must(t, err)
	t.Cleanup(func() { _ = st.Close() })
	ring, err := keys.Open(t.Context(), keys.Options{Storage: &drawer{}, Now: time.Now, Random: rand.Reader})
	must(t, err)
	var h http.Handler
	forward := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { h.ServeHTTP(rw, r) })
	w.plain = httptest.NewServer(forward)
	t.Cleanup(w.plain.Close)
	w.mtls = httptest.NewUnstartedServer(forward)
	w.mtls.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	w.mtls.StartTLS()
	t.Cleanup(w.mtls.Close)
	log := slog.New(slog.DiscardHandler)
	w.core, err = umaas.New(t.Context(), umaas.Deps{
		Issuer: w.plain.URL, Store: st, Keys: ring, Scopes: policy.SMART{}, Now: time.Now, Random: rand.Reader, Logger: log,
		Limits: umaas.DefaultLimits(), Binding: umaas.Binding{MTLSBase: w.mtls.URL, Nonces: umaas.NoncesAll},
	})
	must(t, err)
	certificates, err := pop.NewCertificates(proxies)
	must(t, err)
	h, err = httpapi.New(httpapi.Config{Service: w.core, Issuer: w.plain.URL, BrowserCookie: "b", Certificates: certificates, Now: time.Now, Random: rand.Reader, Logger: log})
	must(t, err)
	var set []byte
	w.own, set = ownCertificate(t)
	w.client, _, err = w.core.AddClient(t.Context(), umaas.Client{
		Name: "Hospital", AuthMethod: umaas.AuthTLSSelfSigned, JWKS: set, TLSBound: true, Scopes: []string{uma.ScopeProtection},
		GrantTypes: []string{"client_credentials"}, Audience: []string{"https://hospital.example/fhir"},
	}, "")
	must(t, err)
	return w
}

// call sends a form with an optional certificate in the connection and headers.
func (w *mtlsWorld) call(t *testing.T, target string, cert *tls.Certificate, header http.Header, form url.Values) (int, http.Header, map[string]any) {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	config.RootCAs.AddCert(w.mtls.Certificate())
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, strings.NewReader(form.Encode()))
	must(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", formType)
	res, err := (&http.Client{Transport: transport}).Do(r)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(t, err)
	out := map[string]any{}
	must(t, json.Unmarshal(raw, &out))
	return res.StatusCode, res.Header, out
}

// TestSEC_108_CertificatesOverTheWire: a certificate counts from the connection, or from Client-Cert of a configured proxy;
// the header of anybody else is as if absent (RFC 9440 §4, O-072). A bound PAT is worth nothing without the certificate.
func TestSEC_108_CertificatesOverTheWire(t *testing.T) {
	w, proxied := newMTLS(t), newMTLS(t, "127.0.0.1")
	stranger, _ := ownCertificate(t)
	named := func(c tls.Certificate) http.Header {
		return http.Header{"Client-Cert": {":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"}}
	}
	ask := func(w *mtlsWorld) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "scope": {uma.ScopeProtection}, "client_id": {string(w.client.ID)}}
	}
	for name, c := range map[string]struct {
		w      *mtlsWorld
		base   string
		cert   *tls.Certificate
		header http.Header
		status int
		code   string
	}{
		"in the connection":              {w, w.mtls.URL, &w.own, nil, 200, ""},
		"another's":                      {w, w.mtls.URL, &stranger, nil, 401, "invalid_client"},
		"none":                           {w, w.mtls.URL, nil, nil, 401, "invalid_client"},
		"at the ordinary door":           {w, w.plain.URL, nil, nil, 401, "invalid_client"},
		"forged header":                  {w, w.plain.URL, nil, named(w.own), 401, "invalid_client"},
		"forged header beside another's": {w, w.mtls.URL, &stranger, named(w.own), 401, "invalid_client"},
		"named by the proxy":             {proxied, proxied.plain.URL, nil, named(proxied.own), 200, ""},
		"another's, named by the proxy":  {proxied, proxied.plain.URL, nil, named(stranger), 401, "invalid_client"},
		"unreadable, from the proxy":     {proxied, proxied.plain.URL, nil, http.Header{"Client-Cert": {"x"}}, 400, "invalid_request"},
		"proxy's own certificate":        {proxied, proxied.mtls.URL, &proxied.own, nil, 401, "invalid_client"},
	} {
		status, _, answer := c.w.call(t, c.base+"/token", c.cert, c.header, ask(c.w))
		if code, _ := answer["error"].(string); status != c.status || code != c.code {
			t.Errorf("%s: %d %v, want %d %s", name, status, answer, c.status, c.code)
		}
	}

	_, _, token := w.call(t, w.mtls.URL+"/token", &w.own, nil, ask(w))
	pat := http.Header{"Authorization": {"Bearer " + token["access_token"].(string)}}
	if token["token_type"] != "Bearer" {
		t.Errorf("token_type %v", token["token_type"])
	}
	form := url.Values{"token": {"x"}}
	for name, c := range map[string]struct {
		base   string
		cert   *tls.Certificate
		status int
	}{"with it": {w.mtls.URL, &w.own, 200}, "without": {w.mtls.URL, nil, 401}, "with another": {w.mtls.URL, &stranger, 401}, "ordinary door": {w.plain.URL, nil, 401}} {
		status, header, answer := w.call(t, c.base+"/introspect", c.cert, pat, form)
		if status != c.status || status == 401 && (answer["error"] != "invalid_token" ||
			header.Get("WWW-Authenticate") != `Bearer realm="umaas", error="invalid_token", error_description="the token is bound to a client certificate, which this connection does not show"`) {
			t.Errorf("%s: %d %v %s", name, status, answer, header.Get("WWW-Authenticate"))
		}
	}
}

// TestSEC_108_DPoPOverTheWire: headers and challenges of RFC 9449 §7.1, §8 at the protection API and the token endpoint.
func TestSEC_108_DPoPOverTheWire(t *testing.T) {
	w := newMTLS(t)
	rs, secret, err := w.core.AddClient(t.Context(), umaas.Client{
		Name: "Other", AuthMethod: umaas.AuthSecretPost, DPoPBound: true, Scopes: []string{uma.ScopeProtection}, GrantTypes: []string{"client_credentials"},
	}, "")
	must(t, err)
	key, err := pop.NewKey(rand.Reader)
	must(t, err)
	ask := url.Values{"grant_type": {"client_credentials"}, "scope": {uma.ScopeProtection}, "client_id": {string(rs.ID)}, "client_secret": {secret}}
	nonce := ""
	prove := func(target, token string) http.Header {
		proof, err := key.Prove(pop.Statement{Method: "POST", URL: target, Token: token, Nonce: nonce, Now: time.Now()})
		must(t, err)
		h := http.Header{"Dpop": {proof}}
		if token != "" {
			h.Set("Authorization", "DPoP "+token)
		}
		return h
	}
	status, _, answer := w.call(t, w.plain.URL+"/token", nil, nil, ask)
	if status != 400 || answer["error"] != "invalid_dpop_proof" {
		t.Errorf("without proof: %d %v", status, answer)
	}
	status, header, answer := w.call(t, w.plain.URL+"/token", nil, prove(w.plain.URL+"/token", ""), ask)
	if nonce = header.Get("DPoP-Nonce"); status != 400 || answer["error"] != "use_dpop_nonce" || nonce == "" {
		t.Fatalf("without nonce: %d %v %q", status, answer, nonce)
	}
	status, header, answer = w.call(t, w.mtls.URL+"/token", nil, prove(w.mtls.URL+"/token", ""), ask) // the alias is an address too
	if status != 200 || answer["token_type"] != "DPoP" || header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%d %v", status, answer)
	}
	token, _ := answer["access_token"].(string)
	introspect, form := w.plain.URL+"/introspect", url.Values{"token": {"x"}}
	algs := `DPoP realm="umaas", algs="ES256 ES384 EdDSA PS256 RS256", error="`
	once := prove(introspect, token)
	for _, c := range []struct {
		name      string
		header    http.Header
		status    int
		challenge string
	}{
		{"bearer", http.Header{"Authorization": {"Bearer " + token}}, 401, algs + `invalid_token", error_description="the token is bound to a key: send it as Authorization: DPoP, with a proof"`},
		{"no proof", http.Header{"Authorization": {"DPoP " + token}}, 401, algs + `invalid_dpop_proof", error_description="DPoP proof not accepted: the header DPoP is missing"`},
		{"unknown token", prove(introspect, "a.b"), 401, algs + `invalid_token", error_description="` + uma.ErrInvalidToken.Description + `"`},
		{"good", once, 200, ""},
		{"replayed", once, 401, algs + `invalid_dpop_proof", error_description="the proof was used before: make a new one for each request"`},
	} {
		status, header, answer := w.call(t, introspect, nil, c.header, form)
		if status != c.status || header.Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %d %v\n%s\nwant\n%s", c.name, status, answer, header.Get("WWW-Authenticate"), c.challenge)
		}
	}
	nonce = ""
	status, header, _ = w.call(t, introspect, nil, prove(introspect, token), form)
	if status != 401 || header.Get("DPoP-Nonce") == "" || !strings.HasPrefix(header.Get("WWW-Authenticate"), algs+"use_dpop_nonce") {
		t.Errorf("nonce at the protection API: %d %v", status, header)
	}
}

// TestBindingMetadataOverTheWire: RFC 7591 with the members of RFC 9449 §5.2 and RFC 8705 §3.4, and discovery of both.
func TestBindingMetadataOverTheWire(t *testing.T) {
	w := newMTLS(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.plain.URL+"/register", strings.NewReader(
		`{"client_name":"App","grant_types":["urn:ietf:params:oauth:grant-type:uma-ticket"],"claims_redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none","dpop_bound_access_tokens":true}`))
	must(t, err)
	r.Header.Set("Content-Type", jsonType)
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	var got map[string]any
	must(t, json.NewDecoder(res.Body).Decode(&got))
	if res.StatusCode != http.StatusCreated || got["dpop_bound_access_tokens"] != true || got["tls_client_certificate_bound_access_tokens"] != nil {
		t.Fatalf("%d %v", res.StatusCode, got)
	}
	status, _, refused := w.call(t, w.plain.URL+"/token", nil, nil, url.Values{
		"grant_type": {uma.GrantTypeTicket}, "ticket": {"x"}, "client_id": {got["client_id"].(string)},
	})
	if status != 400 || refused["error"] != "invalid_dpop_proof" {
		t.Errorf("without a proof: %d %v", status, refused)
	}
	doc, err := http.Get(w.plain.URL + uma.WellKnownUMA)
	must(t, err)
	defer func() { _ = doc.Body.Close() }()
	var m uma.Metadata
	must(t, json.NewDecoder(doc.Body).Decode(&m))
	if m.MTLSEndpointAliases["token_endpoint"] != w.mtls.URL+"/token" || len(m.DPoPSigningAlgValuesSupported) != 5 {
		t.Errorf("%+v", m)
	}
}

// TestSEC_108_AliasesOfAllBoundDoors: every address that takes a token has its alias, and a certificate-bound PAT reads the event
// feed there and nowhere else (RFC 8705 §5).
func TestSEC_108_AliasesOfAllBoundDoors(t *testing.T) {
	w := newMTLS(t)
	m := w.core.Metadata()
	for name, at := range map[string]string{
		"token_endpoint": m.TokenEndpoint, "revocation_endpoint": m.RevocationEndpoint, "introspection_endpoint": m.IntrospectionEndpoint,
		"userinfo_endpoint": m.UserinfoEndpoint, "permission_endpoint": m.PermissionEndpoint, "resource_registration_endpoint": m.ResourceRegistrationEndpoint,
		"urn:umaas:access_events_endpoint": m.AccessEventsEndpoint, "urn:umaas:event_feed_endpoint": m.EventFeedEndpoint,
		"urn:umaas:grant_consumption_endpoint": m.GrantConsumptionEndpoint, "urn:umaas:owner_endpoint": m.OwnerEndpoint,
	} {
		if want := w.mtls.URL + strings.TrimPrefix(at, w.plain.URL); at == "" || m.MTLSEndpointAliases[name] != want {
			t.Errorf("%s: %q, want %q", name, m.MTLSEndpointAliases[name], want)
		}
	}
	_, _, token := w.call(t, w.mtls.URL+"/token", &w.own, nil, url.Values{"grant_type": {"client_credentials"}, "scope": {uma.ScopeProtection}, "client_id": {string(w.client.ID)}})
	read := func(base string, cert *tls.Certificate) int {
		t.Helper()
		config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		config.RootCAs.AddCert(w.mtls.Certificate())
		if cert != nil {
			config.Certificates = []tls.Certificate{*cert}
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base, strings.NewReader("{}"))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token["access_token"].(string))
		res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}).Do(r)
		must(t, err)
		must(t, res.Body.Close())
		return res.StatusCode
	}
	if got := read(m.MTLSEndpointAliases["urn:umaas:event_feed_endpoint"], &w.own); got != http.StatusOK {
		t.Errorf("with the certificate: %d", got)
	}
	if got := read(m.MTLSEndpointAliases["urn:umaas:event_feed_endpoint"], nil); got != http.StatusUnauthorized {
		t.Errorf("without: %d", got)
	}
	if got := read(m.EventFeedEndpoint, &w.own); got != http.StatusUnauthorized {
		t.Errorf("at the ordinary address: %d", got)
	}
}
