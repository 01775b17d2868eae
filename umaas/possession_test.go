package umaas_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
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
