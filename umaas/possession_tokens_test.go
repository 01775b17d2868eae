package umaas_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// TestRFC9449_CodeKey: a code asked for with dpop_jkt is redeemed with that key alone, and no other try spends it (§10).
func TestRFC9449_CodeKey(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		app := w.register(appMetadata())
		key, err := pop.NewKey(rand.Reader)
		w.must(err)
		other, err := pop.NewKey(rand.Reader)
		w.must(err)
		with := func(r umaas.TokenRequest, k *pop.Key) umaas.TokenRequest {
			proof, err := k.Prove(pop.Statement{Method: "POST", URL: oauthIssuer + "/token", Now: w.now()})
			w.must(err)
			r.DPoP = []string{proof}
			return r
		}
		code := w.code(app, w.alice, "dpop_jkt", key.Thumbprint())
		_, err = w.s.Token(t.Context(), app.redeem(code))
		wantOAuthError(t, "without", err, 400, "invalid_grant", "")
		_, err = w.s.Token(t.Context(), with(app.redeem(code), other))
		wantOAuthError(t, "other key", err, 400, "invalid_grant", "")
		got, err := w.s.Token(t.Context(), with(app.redeem(code), key))
		w.must(err)
		if got.TokenType != "DPoP" {
			t.Errorf("token_type %q", got.TokenType)
		}
		_, err = w.s.UserInfo(t.Context(), got.AccessToken)
		wantOAuthError(t, "as a bearer token", err, 401, "invalid_token", "the token is bound to a key: send it as Authorization: DPoP, with a proof")

		q := app.query("dpop_jkt", "short")
		started, err := w.s.StartAuthorization(t.Context(), q, "", "")
		var e *uma.Error
		if !errors.As(err, &e) || e.Code != "invalid_request" || e.Description != "dpop_jkt: want the SHA-256 thumbprint of the key (RFC 7638)" {
			t.Errorf("%+v, %v", started, err)
		}
	})
}

// TestSEC_33_BoundPAT: a PAT that is bound to a key counts at the protection API with a proof for each request.
func TestSEC_33_BoundPAT(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		rs := w.resourceServer()
		key, err := pop.NewKey(rand.Reader)
		w.must(err)
		other, err := pop.NewKey(rand.Reader)
		w.must(err)
		prove := func(k *pop.Key, method, path, token string) []string {
			proof, err := k.Prove(pop.Statement{Method: method, URL: oauthIssuer + path, Token: token, Now: w.now()})
			w.must(err)
			return []string{proof}
		}
		req := rs.ask("grant_type", "client_credentials", "scope", "uma_protection")
		req.DPoP = prove(key, "POST", "/token", "")
		pat, err := w.s.Token(t.Context(), req)
		w.must(err)
		present := func(scheme string, proofs []string) umaas.Presentation {
			return umaas.Presentation{Scheme: scheme, Token: pat.AccessToken, Method: "POST", Path: "/permission", Presented: umaas.Presented{DPoP: proofs}}
		}
		for name, c := range map[string]struct {
			p          umaas.Presentation
			code, says string
		}{
			"bearer":      {present("bearer", prove(key, "POST", "/permission", pat.AccessToken)), "invalid_token", "the token is bound to a key: send it as Authorization: DPoP, with a proof"},
			"no proof":    {present("dpop", nil), "invalid_dpop_proof", "DPoP proof not accepted: the header DPoP is missing"},
			"other key":   {present("dpop", prove(other, "POST", "/permission", pat.AccessToken)), "invalid_token", "the proof is made with another key than the token is bound to"},
			"other path":  {present("dpop", prove(key, "POST", "/introspect", pat.AccessToken)), "invalid_dpop_proof", "DPoP proof not accepted: htu is not the address of the request"},
			"other verb":  {present("dpop", prove(key, "GET", "/permission", pat.AccessToken)), "invalid_dpop_proof", "DPoP proof not accepted: htm is not the method of the request"},
			"other token": {present("dpop", prove(key, "POST", "/permission", "x.y")), "invalid_dpop_proof", "DPoP proof not accepted: ath belongs to another access token"},
		} {
			_, err := w.s.PresentPAT(t.Context(), c.p)
			wantOAuthError(t, name, err, 401, c.code, c.says)
			var e *uma.Error
			if errors.As(err, &e) && e.Challenge != "DPoP" {
				t.Errorf("%s: challenge %q", name, e.Challenge)
			}
		}
		good := present("dpop", prove(key, "POST", "/permission", pat.AccessToken))
		p, err := w.s.PresentPAT(t.Context(), good)
		if err != nil || p.RS != rs.ClientID {
			t.Fatalf("%+v, %v", p, err)
		}
		_, err = w.s.PresentPAT(t.Context(), good)
		wantOAuthError(t, "replay", err, 401, "invalid_dpop_proof", "the proof was used before: make a new one for each request")

		bearer := w.pat(rs, w.alice) // a token that is bound to nothing does not count by the scheme
		_, err = w.s.PresentPAT(t.Context(), umaas.Presentation{Scheme: "dpop", Token: bearer.AccessToken, Method: "POST", Path: "/permission", Presented: umaas.Presented{DPoP: prove(key, "POST", "/permission", bearer.AccessToken)}})
		wantOAuthError(t, "unbound", err, 401, "invalid_token", "the token is not bound to a key: send it as Bearer")
	})
}

// TestRFC9068_SignedTokensCarryTheKey: the JWT form names the key too (RFC 9449 §6.1, RFC 8705 §3.1).
func TestRFC9068_SignedTokensCarryTheKey(t *testing.T) {
	w := inMemory(t)
	w.bind(umaas.Binding{MTLSBase: mtlsBase})
	w.client("p-tls", func(c *umaas.Client) { c.TLSBound = true })
	w.put(func(tx umaas.Tx) error {
		c, err := tx.Client(rs1)
		c.RPTFormat = umaas.RPTJWT
		return errors.Join(err, tx.PutClient(c))
	})
	r := w.set(w.alice, rs1, "view")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
	key, cert := w.holder(), holder{cert: selfSigned(t, "x")}
	for id, h := range map[umaas.ClientID]holder{p1: key, "p-tls": cert} {
		got, err := w.presents(h, id, w.gather(id, w.ticket(perm(r, "view")), w.bob))
		w.wantBound(got, err, h)
		cnf, _ := claimsOf(t, got.AccessToken)["cnf"].(map[string]any)
		if want := boundTo(h); len(cnf) != 1 || want.JKT != "" && cnf["jkt"] != want.JKT || want.X5T != "" && cnf["x5t#S256"] != want.X5T {
			t.Errorf("%s: cnf %v", id, cnf)
		}
	}
}

// selfSigned is a certificate of its own authority.
func selfSigned(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	c, _ := signedBy(t, pkix.Name{CommonName: name}, nil, nil, nil)
	return c
}

// signedBy makes a certificate, signed by an authority or by itself.
func signedBy(t testing.TB, subject pkix.Name, authority *x509.Certificate, key *ecdsa.PrivateKey, change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	mine, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, NotBefore: start, NotAfter: start.AddDate(2, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if authority == nil {
		authority, key, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = c, mine, true, true, x509.KeyUsageCertSign
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, authority, &mine.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed, mine
}

// mustURL parses an address of a certificate.
func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func x5c(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }
