package umaas_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// jwkOf is the key of a certificate with the certificate in it.
func jwkOf(t testing.TB, c *x509.Certificate, extra map[string]any) []byte {
	t.Helper()
	point, err := c.PublicKey.(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	k := map[string]any{"kty": "EC", "crv": "P-256", "x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}
	for n, v := range extra {
		k[n] = v
	}
	raw, err := json.Marshal(map[string]any{"keys": []any{k}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestRFC8705_ClientCertificates is §2: which certificate authenticates which client. Every failure is the same invalid_client.
func TestRFC8705_ClientCertificates(t *testing.T) {
	w := inMemory(t)
	authority, key := signedBy(t, pkix.Name{CommonName: "CA"}, nil, nil, nil)
	strangers, strangersKey := signedBy(t, pkix.Name{CommonName: "CA"}, nil, nil, nil)
	middle, middleKey := signedBy(t, pkix.Name{CommonName: "Middle"}, authority, key, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	w.bind(umaas.Binding{MTLSBase: mtlsBase, ClientCAs: pool})

	name := pkix.Name{CommonName: "app, the", Organization: []string{"Clinic"}, Country: []string{"DE"}}
	full := func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"app.example"}, []string{"app@example.org"}
		c.URIs, c.IPAddresses = []*url.URL{mustURL(t, "https://app.example/id")}, []net.IP{net.ParseIP("192.0.2.7")}
	}
	good, _ := signedBy(t, name, authority, key, full)
	below, _ := signedBy(t, name, middle, middleKey, full)
	foreign, _ := signedBy(t, name, strangers, strangersKey, full)
	ended, _ := signedBy(t, name, authority, key, func(c *x509.Certificate) { full(c); c.NotAfter = c.NotBefore.Add(time.Hour) })
	server, _ := signedBy(t, name, authority, key, func(c *x509.Certificate) {
		full(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	another, _ := signedBy(t, pkix.Name{CommonName: "another"}, authority, key, nil)
	own, ownOther := selfSigned(t, "own"), selfSigned(t, "own")

	ca := func(change func(*umaas.Client)) func(*umaas.Client) {
		return func(c *umaas.Client) { c.AuthMethod, c.SecretHash = umaas.AuthTLS, umaas.SecretHash{}; change(c) }
	}
	subject := func(dn string) func(*umaas.Client) { return ca(func(c *umaas.Client) { c.TLSSubject = dn }) }
	alt := func(name string) func(*umaas.Client) { return ca(func(c *umaas.Client) { c.TLSName = name }) }
	self := func(set []byte) func(*umaas.Client) {
		return func(c *umaas.Client) {
			c.AuthMethod, c.SecretHash, c.JWKS = umaas.AuthTLSSelfSigned, umaas.SecretHash{}, set
		}
	}
	for test, c := range map[string]struct {
		client func(*umaas.Client)
		chain  []*x509.Certificate
		ok     bool
	}{
		"subject":                  {subject(`CN=app\, the,O=Clinic,C=DE`), []*x509.Certificate{good}, true},
		"subject, other spelling":  {subject(`cn = app\2C the, 2.5.4.10=Clinic , c=DE`), []*x509.Certificate{good}, true},
		"subject, other order":     {subject(`C=DE,O=Clinic,CN=app\, the`), []*x509.Certificate{good}, false},
		"subject, less":            {subject(`CN=app\, the`), []*x509.Certificate{good}, false},
		"subject, case of a value": {subject(`CN=App\, the,O=Clinic,C=DE`), []*x509.Certificate{good}, false},
		"dns":                      {alt("dns:APP.example"), []*x509.Certificate{good}, true},
		"dns, other":               {alt("dns:example"), []*x509.Certificate{good}, false},
		"uri":                      {alt("uri:https://app.example/id"), []*x509.Certificate{good}, true},
		"uri, longer":              {alt("uri:https://app.example/id/x"), []*x509.Certificate{good}, false},
		"ip":                       {alt("ip:192.0.2.7"), []*x509.Certificate{good}, true},
		"ip, other":                {alt("ip:192.0.2.8"), []*x509.Certificate{good}, false},
		"email":                    {alt("email:app@example.org"), []*x509.Certificate{good}, true},
		"kind mixed up":            {alt("dns:app@example.org"), []*x509.Certificate{good}, false},
		"unknown kind":             {alt("x:y"), []*x509.Certificate{good}, false},
		"no name registered":       {ca(func(*umaas.Client) {}), []*x509.Certificate{good}, false},
		"by an intermediate":       {alt("dns:app.example"), []*x509.Certificate{below, middle}, true},
		"intermediate missing":     {alt("dns:app.example"), []*x509.Certificate{below}, false},
		"foreign authority":        {alt("dns:app.example"), []*x509.Certificate{foreign, strangers}, false},
		"ended":                    {alt("dns:app.example"), []*x509.Certificate{ended}, false},
		"for servers":              {alt("dns:app.example"), []*x509.Certificate{server}, false},
		"another of the authority": {alt("dns:app.example"), []*x509.Certificate{another}, false},
		"no certificate":           {alt("dns:app.example"), nil, false},
		"own":                      {self(jwkOf(t, own, map[string]any{"x5c": []string{x5c(own)}})), []*x509.Certificate{own}, true},
		"own, by thumbprint":       {self(jwkOf(t, own, map[string]any{"x5t#S256": pop.CertificateThumbprint(own.Raw)})), []*x509.Certificate{own}, true},
		"own, another":             {self(jwkOf(t, own, map[string]any{"x5c": []string{x5c(own)}})), []*x509.Certificate{ownOther}, false},
		"own, none":                {self(jwkOf(t, own, map[string]any{"x5c": []string{x5c(own)}})), nil, false},
		"secret in its place":      {func(*umaas.Client) {}, []*x509.Certificate{good}, false},
	} {
		id := w.client("c-x", c.client)
		req := umaas.TokenRequest{Form: form("client_id", string(id), "grant_type", uma.GrantTypeTicket, "ticket", "none")}
		req.Certificates = c.chain
		got, err := w.Token(t.Context(), req)
		if c.ok {
			w.wantError(got, err, 400, "invalid_grant", deadTicket) // past the authentication
			continue
		}
		if e := w.wantError(got, err, 401, "invalid_client", "client authentication failed"); e == nil {
			t.Error(test)
		}
	}
}

// TestRFC8705_RefusedWithoutSetup: no certificate counts where mutual TLS is not offered.
func TestRFC8705_RefusedWithoutSetup(t *testing.T) {
	w := inMemory(t)
	own := selfSigned(t, "own")
	id := w.client("c-x", func(c *umaas.Client) {
		c.AuthMethod, c.SecretHash, c.JWKS = umaas.AuthTLSSelfSigned, umaas.SecretHash{}, jwkOf(t, own, map[string]any{"x5c": []string{x5c(own)}})
	})
	req := umaas.TokenRequest{Form: form("client_id", string(id), "grant_type", uma.GrantTypeTicket, "ticket", "none")}
	req.Certificates = []*x509.Certificate{own}
	got, err := w.Token(t.Context(), req)
	w.wantError(got, err, 401, "invalid_client", "")
	if m := w.Metadata(); m.MTLSEndpointAliases != nil || m.TLSClientCertificateBoundAccessTokens || len(m.TokenEndpointAuthMethodsSupported) != 4 || len(m.DPoPSigningAlgValuesSupported) != 5 {
		t.Errorf("SEC-74: advertised without being there: %+v", m)
	}
	pool := x509.NewCertPool()
	w.bind(umaas.Binding{MTLSBase: mtlsBase, ClientCAs: pool})
	m := w.Metadata()
	if m.MTLSEndpointAliases["token_endpoint"] != mtlsBase+"/token" || !m.TLSClientCertificateBoundAccessTokens || len(m.TokenEndpointAuthMethodsSupported) != 6 {
		t.Errorf("%+v", m)
	}
}

// TestBindingRegistration: RFC 9449 §5.2, RFC 8705 §2.1.2 and §3.4 at the registration endpoint.
func TestBindingRegistration(t *testing.T) {
	w := inMemory(t)
	own := selfSigned(t, "own")
	base := func(change func(*umaas.ClientMetadata)) umaas.ClientMetadata {
		m := umaas.ClientMetadata{Name: "App", GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://app.example/cb"}, AuthMethod: umaas.AuthSecretBasic}
		change(&m)
		return m
	}
	tls := func(change func(*umaas.ClientMetadata)) func(*umaas.ClientMetadata) {
		return func(m *umaas.ClientMetadata) { m.AuthMethod = umaas.AuthTLS; change(m) }
	}
	for _, offered := range []bool{false, true} {
		if offered {
			w.bind(umaas.Binding{MTLSBase: mtlsBase, ClientCAs: x509.NewCertPool()})
		}
		for name, c := range map[string]struct {
			change        func(*umaas.ClientMetadata)
			without, with string
		}{
			"dpop":    {func(m *umaas.ClientMetadata) { m.DPoPBound = true }, "", ""},
			"tls":     {func(m *umaas.ClientMetadata) { m.TLSBound = true }, "tls_client_certificate_bound_access_tokens: mutual TLS is not offered here", ""},
			"subject": {tls(func(m *umaas.ClientMetadata) { m.TLSSubject = "CN=app" }), "token_endpoint_auth_method: tls_client_auth is not offered here", ""},
			"dns":     {tls(func(m *umaas.ClientMetadata) { m.TLSDNS = "app.example" }), "token_endpoint_auth_method: tls_client_auth is not offered here", ""},
			"self": {func(m *umaas.ClientMetadata) {
				m.AuthMethod, m.JWKS = umaas.AuthTLSSelfSigned, jwkOf(t, own, map[string]any{"x5c": []string{x5c(own)}})
			}, "token_endpoint_auth_method: self_signed_tls_client_auth is not offered here", ""},
			"self without certificate": {func(m *umaas.ClientMetadata) {
				m.AuthMethod, m.JWKS = umaas.AuthTLSSelfSigned, jwkOf(t, own, nil)
			}, "token_endpoint_auth_method: self_signed_tls_client_auth is not offered here; jwks: every key needs its certificate as x5c, or x5t#S256", "jwks: every key needs its certificate as x5c, or x5t#S256"},
			"both":       {func(m *umaas.ClientMetadata) { m.DPoPBound, m.TLSBound = true, true }, "tls_client_certificate_bound_access_tokens: mutual TLS is not offered here; dpop_bound_access_tokens: bind tokens to a key or to a certificate, not to both", "dpop_bound_access_tokens: bind tokens to a key or to a certificate, not to both"},
			"two names":  {tls(func(m *umaas.ClientMetadata) { m.TLSSubject, m.TLSDNS = "CN=app", "app.example" }), "tls_client_auth_*: name the certificate in one way only; token_endpoint_auth_method: tls_client_auth is not offered here", "tls_client_auth_*: name the certificate in one way only"},
			"bad DN":     {tls(func(m *umaas.ClientMetadata) { m.TLSSubject = "app" }), "token_endpoint_auth_method: tls_client_auth is not offered here; tls_client_auth_subject_dn: want a distinguished name such as CN=app,O=Clinic,C=DE (RFC 4514)", "tls_client_auth_subject_dn: want a distinguished name such as CN=app,O=Clinic,C=DE (RFC 4514)"},
			"bad ip":     {tls(func(m *umaas.ClientMetadata) { m.TLSIP = "host" }), "token_endpoint_auth_method: tls_client_auth is not offered here; tls_client_auth_san_ip: is not of that kind", "tls_client_auth_san_ip: is not of that kind"},
			"wrong kind": {func(m *umaas.ClientMetadata) { m.TLSDNS = "app.example" }, "tls_client_auth_subject_dn: only for tls_client_auth", "tls_client_auth_subject_dn: only for tls_client_auth"},
		} {
			want := c.without
			if offered {
				want = c.with
			}
			m := base(c.change)
			got, err := w.Register(t.Context(), m, "")
			if want != "" {
				w.wantError(got, err, 400, "invalid_client_metadata", want)
				continue
			}
			if err != nil || got.BindingMetadata != m.BindingMetadata {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}
