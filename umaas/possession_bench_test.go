package umaas_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// verifier makes one ES256 verification, the measure of all costs here. It is taken between the operations measured, so that
// whatever else the machine does falls on both alike.
func verifier(b *testing.B) func() {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("x"))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		if !ecdsa.Verify(&key.PublicKey, sum[:], r, s) {
			b.Fatal("does not verify")
		}
	}
}

// BenchmarkPossession is what a key costs, in ES256 verifications (×ES256): an RPT from ticket to response and its
// introspection, without transport, in memory; and the judgement of a proof alone.
func BenchmarkPossession(b *testing.B) {
	w := benchWorld(b)
	id := w.set(w.alice, rs1, "view")
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClient, Client: c1}, []umaas.Rule{rule(rs1, id, "view")})
	key, err := pop.NewKey(rand.Reader)
	w.must(err)
	one := verifier(b)
	measure := func(name string, prepare func() func()) {
		b.Run(name, func(b *testing.B) {
			runs := make([]func(), b.N)
			for i := range runs {
				runs[i] = prepare()
			}
			b.ReportAllocs()
			b.ResetTimer()
			var took, measure time.Duration
			for _, run := range runs {
				start := time.Now()
				run()
				took += time.Since(start)
				start = time.Now()
				one()
				measure += time.Since(start)
			}
			b.ReportMetric(float64(took)/float64(b.N), "ns/op")
			b.ReportMetric(float64(took)/float64(measure), "×ES256")
		})
	}
	redeem := func(h holder) func() func() {
		return func() func() {
			req := w.asks(h, c1, "grant_type", uma.GrantTypeTicket, "ticket", w.ticket(perm(id, "view")))
			return func() {
				r, err := w.Token(b.Context(), req)
				w.must(err)
				if !w.inspect(w.alice, rs1, r.AccessToken).Active {
					b.Fatal("inactive")
				}
			}
		}
	}
	measure("token+introspection/bearer", redeem(holder{}))
	measure("token+introspection/dpop", redeem(holder{key: key}))
	measure("proof", func() func() {
		proof := w.proof(holder{key: key}, "")
		return func() {
			if _, err := pop.Verify(proof, pop.Want{Method: http.MethodPost, URLs: []string{issuer + "/token"}, Now: w.now()}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
