package resourceserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/rstest"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

func newKey(t testing.TB) *pop.Key {
	t.Helper()
	k, err := pop.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newCertificate(t testing.TB) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

func prove(t testing.TB, k *pop.Key, s pop.Statement) string {
	t.Helper()
	proof, err := k.Prove(s)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

const (
	algorithms = `DPoP realm="fhir", algs="ES256 ES384 EdDSA PS256 RS256", error=`
	bearerSays = `Bearer realm="fhir", error="invalid_token", resource_metadata="https://hospital.example/.well-known/oauth-protected-resource/fhir"`
)

// TestSEC_33_AtTheResourceServer: every binding × every way to present it, at the FHIR interface, for RPTs and OAuth tokens
// alike: the status, the challenges in order, and that the upstream is not touched by what is refused.
func TestSEC_33_AtTheResourceServer(t *testing.T) {
	j := newJudged(t)
	trusting, err := pop.NewCertificates([]string{"10.0.0.7"})
	if err != nil {
		t.Fatal(err)
	}
	possession, err := rs.NewPossession(rs.PossessionConfig{Origin: "https://hospital.example", Certificates: trusting, Now: func() time.Time { return j.now }})
	if err != nil {
		t.Fatal(err)
	}
	j.h = j.enforcer(func(c *rs.EnforcerConfig) { c.Possession = possession })
	mine, other := newKey(t), newKey(t)
	own, foreign := newCertificate(t), newCertificate(t)
	jkt, x5t := mine.Thumbprint(), pop.CertificateThumbprint(own.Raw)

	type sent struct {
		scheme, proof string
		connection    *x509.Certificate
		header        *x509.Certificate // Client-Cert
		proxied       bool
	}
	const bearer, dpop = "Bearer", "DPoP"
	for _, kind := range []rs.TokenKind{rs.KindRPT, rs.KindOAuth} {
		token := ""
		proof := func(k *pop.Key, change func(*pop.Statement)) string {
			s := pop.Statement{Method: "GET", URL: publicBase + "/Patient/p1", Token: token, Now: j.now}
			if change != nil {
				change(&s)
			}
			return prove(t, k, s)
		}
		used := ""
		for _, c := range []struct {
			name  string
			bound uma.Confirmation
			send  func() sent
			says  string // "" allowed
		}{
			{"bearer", uma.Confirmation{}, func() sent { return sent{scheme: bearer} }, ""},
			{"bearer with a proof nobody asked for", uma.Confirmation{}, func() sent { return sent{scheme: bearer, proof: "x"} }, ""},
			{"unbound by the scheme", uma.Confirmation{}, func() sent { return sent{scheme: dpop, proof: proof(mine, nil)} }, algorithms + `"invalid_token", error_description="the token is not bound to a key: send it as Bearer"`},

			{"same key", uma.Confirmation{JKT: jkt}, func() sent { used = proof(mine, nil); return sent{scheme: dpop, proof: used} }, ""},
			{"the proof again", uma.Confirmation{JKT: jkt}, func() sent { return sent{scheme: dpop, proof: used} }, algorithms + `"invalid_dpop_proof", error_description="the proof was used before: make a new one for each request"`},
			{"scheme in another case", uma.Confirmation{JKT: jkt}, func() sent { return sent{scheme: "dpop", proof: proof(mine, nil)} }, ""},
			{"other key", uma.Confirmation{JKT: jkt}, func() sent { return sent{scheme: dpop, proof: proof(other, nil)} }, algorithms + `"invalid_token", error_description="the proof is made with another key than the token is bound to"`},
			{"no proof", uma.Confirmation{JKT: jkt}, func() sent { return sent{scheme: dpop} }, algorithms + `"invalid_dpop_proof", error_description="DPoP proof not accepted: the header DPoP is missing"`},
			{"as bearer", uma.Confirmation{JKT: jkt}, func() sent { return sent{scheme: bearer} }, algorithms + `"invalid_token", error_description="the token is bound to a key: send it as Authorization: DPoP, with a proof"`},
			{"as bearer with the proof", uma.Confirmation{JKT: jkt}, func() sent { return sent{scheme: bearer, proof: proof(mine, nil)} }, algorithms + `"invalid_token", error_description="the token is bound to a key: send it as Authorization: DPoP, with a proof"`},
			{"other token's proof", uma.Confirmation{JKT: jkt}, func() sent {
				return sent{scheme: dpop, proof: proof(mine, func(s *pop.Statement) { s.Token = "token-x" })}
			}, algorithms + `"invalid_dpop_proof", error_description="DPoP proof not accepted: ath belongs to another access token"`},
			{"other record's proof", uma.Confirmation{JKT: jkt}, func() sent {
				return sent{scheme: dpop, proof: proof(mine, func(s *pop.Statement) { s.URL = publicBase + "/Patient/p2" })}
			}, algorithms + `"invalid_dpop_proof", error_description="DPoP proof not accepted: htu is not the address of the request"`},
			{"other server's proof", uma.Confirmation{JKT: jkt}, func() sent {
				return sent{scheme: dpop, proof: proof(mine, func(s *pop.Statement) { s.URL = "https://evil.example/fhir/Patient/p1" })}
			}, algorithms + `"invalid_dpop_proof", error_description="DPoP proof not accepted: htu is not the address of the request"`},
			{"a write's proof", uma.Confirmation{JKT: jkt}, func() sent {
				return sent{scheme: dpop, proof: proof(mine, func(s *pop.Statement) { s.Method = "PUT" })}
			}, algorithms + `"invalid_dpop_proof", error_description="DPoP proof not accepted: htm is not the method of the request"`},
			{"old proof", uma.Confirmation{JKT: jkt}, func() sent {
				return sent{scheme: dpop, proof: proof(mine, func(s *pop.Statement) { s.Now = j.now.Add(-pop.Window) })}
			}, algorithms + `"invalid_dpop_proof", error_description="DPoP proof not accepted: iat is not within a minute of now: make a new proof for each request, and check the clock"`},

			{"same certificate", uma.Confirmation{X5T: x5t}, func() sent { return sent{scheme: bearer, connection: own} }, ""},
			{"named by the proxy", uma.Confirmation{X5T: x5t}, func() sent { return sent{scheme: bearer, header: own, proxied: true} }, ""},
			{"other certificate", uma.Confirmation{X5T: x5t}, func() sent { return sent{scheme: bearer, connection: foreign} }, bearerSays},
			{"no certificate", uma.Confirmation{X5T: x5t}, func() sent { return sent{scheme: bearer} }, bearerSays},
			{"forged header", uma.Confirmation{X5T: x5t}, func() sent { return sent{scheme: bearer, header: own} }, bearerSays},
			{"proxy's own certificate", uma.Confirmation{X5T: x5t}, func() sent { return sent{scheme: bearer, connection: own, proxied: true} }, bearerSays},
			{"certificate by the scheme", uma.Confirmation{X5T: x5t}, func() sent { return sent{scheme: dpop, proof: proof(mine, nil), connection: own} }, algorithms + `"invalid_token", error_description="the token is not bound to a key: send it as Bearer"`},

			{"both", uma.Confirmation{JKT: jkt, X5T: x5t}, func() sent { return sent{scheme: dpop, proof: proof(mine, nil), connection: own} }, ""},
			{"one of both", uma.Confirmation{JKT: jkt, X5T: x5t}, func() sent { return sent{scheme: dpop, proof: proof(mine, nil)} }, algorithms + `"invalid_token", error_description="the token is bound to a client certificate, which this connection does not show"`},
			{"something unknown", uma.Confirmation{Unknown: true}, func() sent { return sent{scheme: bearer, connection: own} }, bearerSays},
		} {
			g := rs.Grant{Kind: kind, ClientID: "app", Sub: "user-1", Permissions: []rs.Permitted{j.as.RecordOf("p1", "patient/Patient.rs")}, Confirm: c.bound}
			if c.name != "the proof again" {
				token = j.as.Give(g)
			}
			s := c.send()
			calls, tickets := len(j.up.calls), len(j.as.Tickets())
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, publicBase+"/Patient/p1?_format=json", nil)
			r.Header.Set("Authorization", s.scheme+" "+token)
			if s.proof != "" {
				r.Header.Set("DPoP", s.proof)
			}
			r.TLS = nil
			if s.connection != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{s.connection}}
			}
			if s.header != nil {
				r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(s.header.Raw)+":")
			}
			if r.RemoteAddr = "192.0.2.1:999"; s.proxied {
				r.RemoteAddr = "10.0.0.7:999"
			}
			w := httptest.NewRecorder()
			j.h.ServeHTTP(w, r)
			if c.says == "" {
				if w.Code != 200 {
					t.Errorf("%s %s: %d %s", kind, c.name, w.Code, w.Header()["Www-Authenticate"])
				}
				continue
			}
			challenges := w.Header()["Www-Authenticate"]
			if w.Code != 401 || len(challenges) != 2 || !strings.HasPrefix(challenges[0], "UMA ") || challenges[1] != c.says {
				t.Errorf("%s %s: %d %q\nwant %q", kind, c.name, w.Code, challenges, c.says)
			}
			if len(j.up.calls) != calls || len(j.as.Tickets()) != tickets+1 {
				t.Errorf("%s %s: the upstream was asked, or no ticket given", kind, c.name)
			}
		}
	}
}

// TestSEC_108_NonceAtTheResourceServer: RFC 9449 §9: a challenge with a nonce and without a ticket; the repeat goes through.
func TestSEC_108_NonceAtTheResourceServer(t *testing.T) {
	j := newJudged(t)
	possession, err := rs.NewPossession(rs.PossessionConfig{Origin: "https://hospital.example", Nonces: pop.NewNonces(make([]byte, 32)), Now: func() time.Time { return j.now }})
	if err != nil {
		t.Fatal(err)
	}
	j.h = j.enforcer(func(c *rs.EnforcerConfig) { c.Possession = possession })
	token, key := j.as.GiveBound(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{j.as.RecordOf("p1", "patient/Patient.rs")}})
	ask := func(nonce string) reply {
		r := j.do("GET", "/Patient/p1", "", "", "Authorization", "DPoP "+token, "DPoP",
			prove(t, key, pop.Statement{Method: "GET", URL: publicBase + "/Patient/p1", Token: token, Nonce: nonce, Now: j.now}))
		return r
	}
	first := ask("")
	nonce := first.Header.Get("DPoP-Nonce")
	if got := first.Header["Www-Authenticate"]; first.StatusCode != 401 || nonce == "" || len(got) != 1 ||
		got[0] != algorithms+`"use_dpop_nonce", error_description="make a new proof with the nonce in the header DPoP-Nonce"` || len(j.as.Tickets()) != 0 {
		t.Fatalf("%d %q %q", first.StatusCode, nonce, got)
	}
	if again := ask(nonce); again.StatusCode != 200 {
		t.Errorf("%d %s", again.StatusCode, again.body)
	}
}

// TestProtectBound: an API behind Protect takes bound tokens where it knows its address, and none where it does not; its
// handler sees neither token nor proof (GW-47).
func TestProtectBound(t *testing.T) {
	as := rstest.New()
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	protect := func(p *rs.Possession) http.Handler {
		return rs.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for _, name := range []string{"Authorization", "Dpop", "Client-Cert", "Client-Cert-Chain"} {
				if r.Header.Get(name) != "" {
					t.Errorf("the handler sees %s", name)
				}
			}
		}), rs.Config{Classifier: rs.APIClassifierFunc(photos), Verifier: as, Ticketer: as, Relations: as, Recorder: as, Now: clock, Logger: quiet(), Possession: p})
	}
	record := rs.Set{Issuer: as.Issuer, ResourceID: "r1", Level: rs.LevelRecord, User: "u1", Patient: "alice"}
	token, key := as.GiveBound(rs.Grant{Permissions: []rs.Permitted{{Set: record, Scopes: []string{"view"}}}})
	for name, c := range map[string]struct {
		h      http.Handler
		key    *pop.Key
		status int
	}{"same key": {protect(rstest.Possession(clock)), key, 200}, "other key": {protect(rstest.Possession(clock)), newKey(t), 401}, "address unknown": {protect(nil), key, 401}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/albums/alice", nil)
		rstest.Present(r, token, c.key, now)
		r.Header.Set("Client-Cert", "x")
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, r)
		got := w.Header()["Www-Authenticate"]
		if w.Code != c.status || c.status == 401 && (len(got) != 2 || !strings.HasPrefix(got[1], `DPoP realm="api", algs=`)) {
			t.Errorf("%s: %d %q", name, w.Code, got)
		}
	}
}

// TestSEC_33_RememberedTokenIsNoProof: what the verifier remembers of a token never stands for its key, and the launch
// context asks for it too.
func TestSEC_33_RememberedTokenIsNoProof(t *testing.T) {
	w, key := readyWorld(t)
	patient := w.mint(key, "abigail", "")
	child, _ := find(t, w, "sub-john", "patient", "abigail")
	mine := newKey(t)
	w.as.PutToken("bound", uma.Introspection{
		Active: true, ClientID: "app", Sub: "x", Exp: w.clock.now().Add(5 * time.Minute).Unix(), JTI: "b", Kind: "rpt", TokenType: "DPoP",
		Cnf: &uma.Confirmation{JKT: mine.Thumbprint()}, Permissions: []uma.Permission{{ResourceID: child, Scopes: []string{"patient/Patient.r"}}},
	})
	with := func(k *pop.Key) []string {
		return []string{"Authorization", "DPoP bound", "DPoP", prove(t, k, pop.Statement{Method: "GET", URL: patient, Token: "bound", Now: w.clock.now()})}
	}
	calls := w.as.Calls("POST /introspect")
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"same key", with(mine), 200}, {"as bearer, remembered", []string{"Authorization", "Bearer bound"}, 401},
		{"other key, remembered", with(newKey(t)), 401}, {"same key again", with(mine), 200},
	} {
		rec := w.do("GET", patient, "", c.header...)
		got := rec.Header()["Www-Authenticate"]
		if rec.Code != c.status || c.status == 401 && (len(got) != 2 || !strings.HasPrefix(got[0], "UMA ") || !strings.HasPrefix(got[1], "DPoP ")) {
			t.Errorf("%s: %d %q %s", c.name, rec.Code, got, rec.Body)
		}
	}
	if n := w.as.Calls("POST /introspect"); n != calls+1 {
		t.Errorf("introspected %d times: nothing was remembered", n-calls)
	}
}

// TestSEC_33_NeitherFormTakesTheBindingOff: a JWT's own cnf and the introspected one must agree; one alone binds.
func TestSEC_33_NeitherFormTakesTheBindingOff(t *testing.T) {
	w, record := verifying(t)
	one, two := uma.Confirmation{JKT: "one"}, uma.Confirmation{JKT: "two"}
	until := w.clock.now().Add(5 * time.Minute).Unix()
	for name, c := range map[string]struct {
		signed, told *uma.Confirmation
		kind         string
		want         uma.Confirmation
		err          error
	}{
		"neither": {nil, nil, "Bearer", uma.Confirmation{}, nil}, "both": {&one, &one, "DPoP", one, nil}, "signed alone": {&one, nil, "", one, nil},
		"told alone": {nil, &one, "DPoP", one, nil}, "two keys": {&one, &two, "DPoP", uma.Confirmation{}, rs.ErrInactive},
		"told by the type alone": {nil, nil, "DPoP", uma.Confirmation{Unknown: true}, nil},
	} {
		claims := map[string]any{
			"iss": w.as.Issuer(), "sub": "x", "aud": []string{fhirBase}, "exp": until, "iat": until - 300, "jti": "j-" + name, "client_id": "app",
		}
		if c.signed != nil {
			claims["cnf"] = c.signed
		}
		token := w.as.Sign("at+jwt", claims)
		w.as.PutToken(token, uma.Introspection{
			Active: true, ClientID: "app", Exp: until, JTI: "j", Kind: "rpt", Iss: w.as.Issuer(), Cnf: c.told, TokenType: c.kind,
			Permissions: []uma.Permission{{ResourceID: record, Scopes: []string{"patient/Patient.r"}}},
		})
		g, err := w.verifier.Verify(t.Context(), token)
		if !errors.Is(err, c.err) || g.Confirm != c.want {
			t.Errorf("%s: %+v, %v", name, g.Confirm, err)
		}
	}
}
