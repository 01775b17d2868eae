package resourceserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/rstest"
)

// nowhere keeps no record, so that the fake's list does not grow.
type nowhere struct{}

func (nowhere) Record(context.Context, []rs.Event) error { return nil }

// BenchmarkBoundRead is one access with a token seen before, through Protect, as a bearer token and bound to a key, in ES256
// verifications (×ES256).
func BenchmarkBoundRead(b *testing.B) {
	as := rstest.New()
	now := time.Now()
	h := rs.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), rs.Config{
		Classifier: rs.APIClassifierFunc(photos), Verifier: as, Ticketer: as, Relations: as, Recorder: nowhere{}, Now: func() time.Time { return now },
		Logger: quiet(), Possession: rstest.Possession(func() time.Time { return now }),
	})
	record := rs.Set{Issuer: as.Issuer, ResourceID: "r1", Level: rs.LevelRecord, User: "u1", Patient: "alice"}
	grant := rs.Grant{Permissions: []rs.Permitted{{Set: record, Scopes: []string{"view"}}}}
	bearer := as.Give(grant)
	bound, key := as.GiveBound(grant)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte("x"))
	r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	for name, present := range map[string]func(*http.Request){
		"bearer": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+bearer) },
		"dpop":   func(r *http.Request) { rstest.Present(r, bound, key, now) },
	} {
		b.Run(name, func(b *testing.B) {
			requests := make([]*http.Request, b.N)
			for i := range requests {
				requests[i] = httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/albums/alice", nil)
				present(requests[i])
			}
			b.ReportAllocs()
			b.ResetTimer()
			var took, measure time.Duration // interleaved, so that whatever else the machine does falls on both alike
			for _, req := range requests {
				w := httptest.NewRecorder()
				start := time.Now()
				if h.ServeHTTP(w, req); w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Header())
				}
				took += time.Since(start)
				start = time.Now()
				if !ecdsa.Verify(&private.PublicKey, sum[:], r, s) {
					b.Fatal("does not verify")
				}
				measure += time.Since(start)
			}
			b.ReportMetric(float64(took)/float64(b.N), "ns/op")
			b.ReportMetric(float64(took)/float64(measure), "×ES256")
		})
	}
}
