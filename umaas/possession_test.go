package umaas_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// holder is somebody with a key, with a certificate, or with neither.
type holder struct {
	key  *pop.Key
	cert *x509.Certificate
}

const mtlsBase = "https://mtls.as.example/uma"

// bind makes the world's server offer mutual TLS too.
func (w *world) bind(b umaas.Binding) {
	w.t.Helper()
	ring, err := coreRing()
	w.must(err)
	w.Service, err = umaas.New(w.t.Context(), umaas.Deps{
		Issuer: issuer, Store: w.store, Keys: ring, Scopes: bytesLanguage{}, Now: w.now, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Limits: umaas.DefaultLimits(), Binding: b,
	})
	w.must(err)
}

func (w *world) holder() holder {
	w.t.Helper()
	k, err := pop.NewKey(rand.Reader)
	w.must(err)
	return holder{key: k}
}

// client makes a client of the given id, bound or not; public where its id begins with "p-".
func (w *world) client(id umaas.ClientID, change func(*umaas.Client)) umaas.ClientID {
	w.t.Helper()
	c := umaas.Client{
		ID: id, Name: string(id), AuthMethod: umaas.AuthSecretPost, SecretHash: umaas.SecretHash(sha256.Sum256([]byte(secret))), Created: w.now(),
		GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken}, ClaimsRedirectURIs: []string{"https://" + string(id) + ".example/cb"},
	}
	if strings.HasPrefix(string(id), "p-") {
		c.AuthMethod, c.SecretHash = umaas.AuthNone, umaas.SecretHash{}
	}
	if change != nil {
		change(&c)
	}
	w.put(func(tx umaas.Tx) error { return tx.PutClient(c) })
	return id
}

// asks makes a token request of a client with what the holder has.
func (w *world) asks(h holder, id umaas.ClientID, pairs ...string) umaas.TokenRequest {
	w.t.Helper()
	r := umaas.TokenRequest{Form: form(append([]string{"client_id", string(id)}, pairs...)...), RequestID: "req"}
	if !strings.HasPrefix(string(id), "p-") && id != p1 {
		r.Form.Set("client_secret", secret)
	}
	if h.key != nil {
		r.DPoP = []string{w.proof(h, "")}
	}
	if h.cert != nil {
		r.Certificates = []*x509.Certificate{h.cert}
	}
	return r
}

func (w *world) proof(h holder, nonce string) string {
	w.t.Helper()
	proof, err := h.key.Prove(pop.Statement{Method: "POST", URL: issuer + "/token", Nonce: nonce, Now: w.now()})
	w.must(err)
	return proof
}

func (w *world) presents(h holder, id umaas.ClientID, ticket string, more ...string) (uma.TokenResponse, error) {
	w.t.Helper()
	return w.Token(w.t.Context(), w.asks(h, id, append([]string{"grant_type", uma.GrantTypeTicket, "ticket", ticket}, more...)...))
}

func (w *world) refreshes(h holder, id umaas.ClientID, token string) (uma.TokenResponse, error) {
	w.t.Helper()
	return w.Token(w.t.Context(), w.asks(h, id, "grant_type", uma.GrantTypeRefreshToken, "refresh_token", token))
}

// boundTo is the cnf a holder's tokens must have.
func boundTo(h holder) uma.Confirmation {
	if h.key != nil {
		return uma.Confirmation{JKT: h.key.Thumbprint()}
	}
	return uma.Confirmation{X5T: pop.CertificateThumbprint(h.cert.Raw)}
}

func (w *world) wantBound(r uma.TokenResponse, err error, h holder) {
	w.t.Helper()
	w.must(err)
	kind := "Bearer"
	if h.key != nil {
		kind = "DPoP"
	}
	i := w.inspect(w.alice, rs1, r.AccessToken)
	if r.TokenType != kind || i.TokenType != kind || i.Cnf == nil || *i.Cnf != boundTo(h) {
		w.t.Fatalf("token_type %q, introspection %q %+v, want %q bound to %+v", r.TokenType, i.TokenType, i.Cnf, kind, boundTo(h))
	}
}

// refusal is an exact answer.
type refusal struct{ code, description string }

var (
	deadNow     = refusal{"invalid_grant", deadTicket}
	otherKeyNow = refusal{"invalid_grant", "the rpt is bound to another key: prove that you hold it, or leave rpt out"}
	refreshNow  = refusal{"invalid_grant", "the refresh token is not valid for this client, has expired, was withdrawn, or was used before"}
	needsProof  = refusal{"invalid_dpop_proof", "this client registered dpop_bound_access_tokens: send a DPoP proof with every token request"}
	needsCert   = refusal{"invalid_request", "this client's tokens are bound to its certificate: use the endpoints of mtls_endpoint_aliases"}
)

// TestSEC_33_NoDowngrade is the matrix {ticket, pushed claim, upgrade, refresh} × {DPoP, certificate} × {same key, other key,
// none} × {registered for it, presented once} × {confidential, public}: the exact answers, and after each refusal the honest
// holder goes on with the very same value (SEC-10).
func TestSEC_33_NoDowngrade(t *testing.T) {
	bound := func(change func(*umaas.Client)) func(*umaas.Client) { return change }
	dpop, tls := bound(func(c *umaas.Client) { c.DPoPBound = true }), bound(func(c *umaas.Client) { c.TLSBound = true })
	for _, c := range []struct {
		id     umaas.ClientID
		change func(*umaas.Client)
		cert   bool
		none   *refusal // of a registered client without its key: the same everywhere
	}{
		{"c-dpop", dpop, false, &needsProof},
		{"p-dpop", dpop, false, &needsProof},
		{"c-once", nil, false, nil},
		{"p-once", nil, false, nil},
		{"c-tls", tls, true, &needsCert},
		{"p-tls", tls, true, &needsCert},
	} {
		t.Run(string(c.id), func(t *testing.T) {
			eachStore(t, func(w *world) {
				w.bind(umaas.Binding{MTLSBase: mtlsBase})
				w.client(c.id, c.change)
				same, other := w.holder(), w.holder()
				if c.cert {
					same, other = holder{cert: selfSigned(t, "same")}, holder{cert: selfSigned(t, "other")}
				}
				without := func(otherwise refusal) refusal {
					if c.none != nil {
						return *c.none
					}
					return otherwise
				}
				want := func(r uma.TokenResponse, err error, want refusal) {
					w.t.Helper()
					w.wantError(r, err, 400, want.code, want.description)
				}
				r := w.set(w.alice, rs1, "view", "edit")
				w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view", "edit")})

				// ticket and pushed claim: bound at the first presentation, through the claims endpoint
				_, err := w.presents(same, c.id, w.ticket(perm(r, "view")))
				ticket := w.gather(c.id, w.wantError(nil, err, 403, "need_info", "").Ticket, w.bob)
				for _, push := range [][]string{nil, {"claim_token", "e30", "claim_token_format", "urn:x"}, {"pct", "x.y"}} {
					got, err := w.presents(holder{}, c.id, ticket, push...)
					want(got, err, without(deadNow))
					got, err = w.presents(other, c.id, ticket, push...)
					want(got, err, deadNow)
				}
				first, err := w.presents(same, c.id, ticket)
				w.wantBound(first, err, same)

				// upgrade
				more := w.gather(c.id, w.ticket(perm(r, "edit")), w.bob)
				got, err := w.presents(holder{}, c.id, more, "rpt", first.AccessToken)
				want(got, err, without(otherKeyNow))
				got, err = w.presents(other, c.id, more, "rpt", first.AccessToken)
				want(got, err, otherKeyNow)
				wide, err := w.presents(same, c.id, more, "rpt", first.AccessToken)
				w.wantBound(wide, err, same)
				if !wide.Upgraded {
					t.Error("not upgraded")
				}

				// refresh
				got, err = w.refreshes(holder{}, c.id, wide.RefreshToken)
				want(got, err, without(refreshNow))
				if strings.HasPrefix(string(c.id), "p-") {
					got, err = w.refreshes(other, c.id, wide.RefreshToken)
					want(got, err, refreshNow)
				}
				next, err := w.refreshes(same, c.id, wide.RefreshToken)
				w.wantBound(next, err, same)
				if !strings.HasPrefix(string(c.id), "p-") { // RFC 9449 §5: its refresh tokens are bound to its credentials
					moved, err := w.refreshes(other, c.id, next.RefreshToken)
					w.wantBound(moved, err, other)
					got, err = w.refreshes(holder{}, c.id, moved.RefreshToken)
					want(got, err, without(refreshNow))
				}
			})
		})
	}
}

// TestSEC_33_UnboundStaysUsable: who never showed a key gets bearer tokens, and may bind later.
func TestSEC_33_BindsLater(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view", "edit")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view", "edit")})
	plain, err := w.presents(holder{}, p1, w.gather(p1, w.ticket(perm(r, "view")), w.bob))
	w.must(err)
	if i := w.inspect(w.alice, rs1, plain.AccessToken); plain.TokenType != "Bearer" || i.Cnf != nil || i.TokenType != "Bearer" {
		t.Fatalf("%+v %+v", plain, i)
	}
	h := w.holder()
	up, err := w.presents(h, p1, w.gather(p1, w.ticket(perm(r, "edit")), w.bob), "rpt", plain.AccessToken)
	w.wantBound(up, err, h)
	if !up.Upgraded {
		t.Error("not upgraded")
	}
}

// TestSEC_10_ForgedProofLeavesTicket: every proof that does not hold is told apart, burns neither ticket nor itself, and the
// honest request goes through.
func TestSEC_10_ForgedProofLeavesTicket(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
		ticket := w.gather(p1, w.ticket(perm(r, "view")), w.bob)
		h := w.holder()
		good := w.proof(h, "")
		elsewhere, err := h.key.Prove(pop.Statement{Method: "POST", URL: "https://other.example/uma/token", Now: w.now()})
		w.must(err)
		old, err := h.key.Prove(pop.Statement{Method: "POST", URL: issuer + "/token", Now: w.now().Add(-2 * time.Minute)})
		w.must(err)
		for name, c := range map[string]struct {
			proofs []string
			says   string
		}{
			"two":       {[]string{good, good}, "send exactly one"},
			"garbage":   {[]string{"x"}, "not a compact signed JWT"},
			"elsewhere": {[]string{elsewhere}, "htu is not the address of the request"},
			"old":       {[]string{old}, "iat is not within a minute of now: make a new proof for each request, and check the clock"},
			"broken":    {[]string{good[:len(good)-6] + "AAAAAA"}, "the signature does not verify with the jwk"},
		} {
			req := w.asks(holder{}, p1, "grant_type", uma.GrantTypeTicket, "ticket", ticket)
			req.DPoP = c.proofs
			got, err := w.Token(t.Context(), req)
			e := w.wantError(got, err, 400, "invalid_dpop_proof", "DPoP proof not accepted: "+c.says)
			if e.Ticket != "" {
				t.Errorf("%s: answered with a ticket", name)
			}
		}
		req := w.asks(holder{}, p1, "grant_type", uma.GrantTypeTicket, "ticket", ticket)
		req.DPoP = []string{good}
		got, err := w.Token(t.Context(), req)
		w.wantBound(got, err, h)

		// the same proof again, with another ticket: refused, and the ticket lives (RFC 9449 §11.1)
		next := w.gather(p1, w.ticket(perm(r, "view")), w.bob)
		req = w.asks(holder{}, p1, "grant_type", uma.GrantTypeTicket, "ticket", next)
		req.DPoP = []string{good}
		got, err = w.Token(t.Context(), req)
		w.wantError(got, err, 400, "invalid_dpop_proof", "the proof was used before: make a new one for each request")
		got, err = w.presents(h, p1, next)
		w.wantBound(got, err, h)
	})
}

// TestSEC_03_FirstKeyHoldsTheTicket: a stolen successor is worth nothing with the thief's key, and the owner of the process
// goes on (wg-uma#205).
func TestSEC_03_FirstKeyHoldsTheTicket(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		mine, thief := w.holder(), w.holder()
		_, err := w.presents(mine, p1, w.gather(p1, w.ticket(perm(r, "view")), w.bob))
		waiting := w.wantError(nil, err, 403, "request_submitted", "")
		for range 2 {
			got, err := w.presents(thief, p1, waiting.Ticket)
			w.wantError(got, err, 400, "invalid_grant", deadTicket)
			got, err = w.presents(holder{}, p1, waiting.Ticket)
			w.wantError(got, err, 400, "invalid_grant", deadTicket)
		}
		w.answer(w.alice, true)
		w.sleep(10 * time.Second)
		got, err := w.presents(mine, p1, waiting.Ticket)
		w.wantBound(got, err, mine)
	})
}

// TestSEC_108_Nonces: RFC 9449 §8, by policy.
func TestSEC_108_Nonces(t *testing.T) {
	for policy, asked := range map[umaas.NoncePolicy]map[umaas.ClientID]bool{
		umaas.NoncesOff: {c1: false, p1: false}, umaas.NoncesPublic: {c1: false, p1: true}, umaas.NoncesAll: {c1: true, p1: true},
	} {
		w := inMemory(t)
		w.bind(umaas.Binding{Nonces: policy})
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
		for id, needs := range asked {
			h := w.holder()
			ticket := w.gather(id, w.ticket(perm(r, "view")), w.bob)
			got, err := w.presents(h, id, ticket)
			if !needs {
				w.wantBound(got, err, h)
				continue
			}
			e := w.wantError(got, err, 400, "use_dpop_nonce", "make a new proof with the nonce in the header DPoP-Nonce")
			req := w.asks(holder{}, id, "grant_type", uma.GrantTypeTicket, "ticket", ticket)
			req.DPoP = []string{w.proof(h, e.DPoPNonce)}
			got, err = w.Token(t.Context(), req)
			w.wantBound(got, err, h)
			if got.DPoPNonce == "" {
				t.Error("no nonce for the next request")
			}
		}
	}
}

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

// TestSEC_108_OneProofOneUse: of parallel requests with one proof, over two servers on one store, one gets its token.
func TestSEC_108_OneProofOneUse(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
		h := w.holder()
		proof := w.proof(h, "")
		const racers = 16
		requests := make([]umaas.TokenRequest, racers)
		for i := range requests {
			requests[i] = w.asks(holder{}, p1, "grant_type", uma.GrantTypeTicket, "ticket", w.gather(p1, w.ticket(perm(r, "view")), w.bob))
			requests[i].DPoP = []string{proof}
		}
		servers := []*umaas.Service{w.service(), w.service()}
		codes := make(chan string, racers)
		for i, req := range requests {
			go func() {
				_, err := servers[i%2].Token(context.Background(), req)
				var e *uma.Error
				if errors.As(err, &e) {
					codes <- e.Code
					return
				}
				codes <- fmt.Sprint(err)
			}()
		}
		got := map[string]int{}
		for range racers {
			got[<-codes]++
		}
		if got["<nil>"] != 1 || got["invalid_dpop_proof"] != racers-1 {
			t.Errorf("%v", got)
		}
	})
}
