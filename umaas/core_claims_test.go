package umaas_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
)

// claimsIssuer is an issuer whose keys stand in its record.
type claimsIssuer struct {
	key *ecdsa.PrivateKey
}

const hospitalIssuer = "https://login.hospital.example"

func (w *world) trust() claimsIssuer {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	raw, err := key.PublicKey.Bytes()
	w.must(err)
	enc := base64.RawURLEncoding.EncodeToString
	_, err = w.PutTrustedIssuer(w.t.Context(), umaas.TrustedIssuer{
		Issuer: hospitalIssuer, Name: "Hospital", Uses: []umaas.IssuerUse{umaas.UseIDToken, umaas.UseClaims}, Claims: []string{"org"},
		JWKS: fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, enc(raw[1:33]), enc(raw[33:])),
	}, "")
	w.must(err)
	w.put(func(tx umaas.Tx) error {
		c, err := tx.Client(c1)
		if err != nil {
			return err
		}
		c.PushClaims = true
		return tx.PutClient(c)
	})
	return claimsIssuer{key: key}
}

// idToken is one about a member of the clinic.
func (i claimsIssuer) idToken(t testing.TB, sub string, now time.Time, change ...func(map[string]any)) string {
	t.Helper()
	claims := map[string]any{
		"iss": hospitalIssuer, "sub": sub, "aud": issuer, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(), "org": "clinic",
	}
	for _, c := range change {
		c(claims)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	input := enc([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + enc(payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + enc(sig)
}

const idTokenFormat = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"

// TestClaimsInTheStore: pushing works on both engines, makes one account for one person however many servers see her first,
// and the grant lives and dies with policy and issuer.
func TestClaimsInTheStore(t *testing.T) {
	var n atomic.Int64
	conflicts := memkv.Options{Conflict: func() bool { return n.Add(1)%3 == 0 }}
	t.Run("conflicts", func(t *testing.T) { claimsInTheStore(t, newWorld(t, memkv.New(conflicts))) })
	eachStore(t, func(w *world) { claimsInTheStore(t, w) })
}

func claimsInTheStore(t *testing.T, w *world) {
	i := w.trust()
	r := w.set(w.alice, rs1, "view")
	who := umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: hospitalIssuer, Name: "org", Value: "clinic"}}
	w.policy(w.alice, who, []umaas.Rule{rule(rs1, r, "view")})
	const parallel = 8
	type result struct {
		token string
		err   error
	}
	results := make(chan result, parallel)
	tickets := make([]string, parallel)
	for n := range tickets {
		tickets[n] = w.ticket(perm(r, "view"))
	}
	for n := range parallel {
		go func() {
			answer, err := redeemAt(w.t.Context(), w.service(), c1, tickets[n], "claim_token", i.idToken(t, "nora", w.now()), "claim_token_format", idTokenFormat)
			results <- result{answer.AccessToken, err}
		}()
	}
	parties := map[string]bool{}
	var token string
	for range parallel {
		res := <-results
		w.must(res.err)
		token = res.token
		parties[w.inspect(w.alice, rs1, res.token).Sub] = true
	}
	if len(parties) != 1 {
		t.Fatalf("one person, %d accounts", len(parties))
	}
	w.must(w.SetIssuerDisabled(t.Context(), hospitalIssuer, true, ""))
	if w.inspect(w.alice, rs1, token).Active {
		t.Fatal("the grant outlives the trust it rests on")
	}
}

// TestOwnersPushedToken: a token that shows the owner herself is no consent: she is sent to the page, and after it the same
// process gives what she ticked. What she allowed her app before, it has at once.
func TestOwnersPushedToken(t *testing.T) {
	w := inMemory(t)
	i := w.trust()
	r := w.set(w.alice, rs1, "view", "edit")
	w.put(func(tx umaas.Tx) error {
		a, err := tx.Account(w.alice)
		if err != nil {
			return err
		}
		a.Identities = []umaas.Identity{{Issuer: hospitalIssuer, Subject: "alice-there"}}
		return tx.PutAccount(a)
	})
	push := func() []string {
		return []string{"claim_token", i.idToken(t, "alice-there", w.now()), "claim_token_format", idTokenFormat}
	}
	for range 2 {
		e := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", push()...)
		e = w.refused(c1, e.Ticket, 403, "need_info", "", push()...)
		e = w.refused(c1, e.Ticket, 403, "need_info", "")
		if e.RedirectUser == "" {
			t.Fatal("nowhere to go")
		}
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
	}
	e := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", push()...)
	w.rpt(c1, w.consent(c1, e.Ticket, w.alice, time.Time{}, "view"))
	w.rpt(c1, w.ticket(perm(r, "view")), push()...)
	w.refused(c1, w.ticket(perm(r, "view", "edit")), 403, "need_info", "", push()...) // a part is no answer of hers
}

// BenchmarkPushedIDToken tells what pushing an ID token adds to a redemption, as a multiple of one ES256 signature.
func BenchmarkPushedIDToken(b *testing.B) {
	w := benchWorld(b)
	i := w.trust()
	r := w.set(w.alice, rs1, "view")
	who := umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: hospitalIssuer, Name: "org", Value: "clinic"}}
	w.policy(w.alice, who, []umaas.Rule{rule(rs1, r, "view")})
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClient, Client: c1}, []umaas.Rule{rule(rs1, r, "view")})
	sum := sha256.Sum256([]byte("x"))
	var sign, plain, pushed time.Duration
	took := func(to *time.Duration, f func()) {
		start := time.Now()
		f()
		*to += time.Since(start)
	}
	n := 0
	for b.Loop() {
		token := i.idToken(b, "nora", w.now())
		first, second := w.ticket(perm(r, "view")), w.ticket(perm(r, "view"))
		took(&sign, func() {
			if _, _, err := ecdsa.Sign(rand.Reader, i.key, sum[:]); err != nil {
				b.Fatal(err)
			}
		})
		took(&plain, func() { w.rpt(c1, first) })
		took(&pushed, func() { w.rpt(c1, second, "claim_token", token, "claim_token_format", idTokenFormat) })
		n++
	}
	b.ReportMetric(float64(pushed-plain)/float64(sign), "ES256-signatures")
	b.ReportMetric(float64(plain.Microseconds())/float64(n), "µs/plain")
	b.ReportMetric(float64(pushed.Microseconds())/float64(n), "µs/pushed")
}
