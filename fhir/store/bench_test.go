package store

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/umaas/umaas/fhir"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// benchServer holds 200 patients with 100 observations each.
func benchServer(b *testing.B, change ...func(*Options)) *server {
	s := newServer(b, change...)
	var all []*fhir.Resource
	for p := range 200 {
		raws := []string{fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","name":[{"family":"F%d"}]}`, p, p)}
		for o := range 100 {
			raws = append(raws, observation(fmt.Sprintf("o%d-%d", p, o), fmt.Sprintf("p%d", p), fmt.Sprintf("%d", o%10), float64(o), "2020-01-10T10:00:00Z"))
		}
		for _, raw := range raws {
			r, err := fhir.Parse([]byte(raw))
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, r)
		}
	}
	if err := s.s.Put(context.Background(), all...); err != nil {
		b.Fatal(err)
	}
	return s
}

func benchGet(b *testing.B, s *server, target func(i int) string) {
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w := &discard{http.Header{}}
		s.h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/"+target(i), nil))
		if w.h.Get("Content-Length") == "" {
			b.Fatal("no answer")
		}
	}
}

func BenchmarkRead(b *testing.B) {
	benchGet(b, benchServer(b), func(i int) string { return fmt.Sprintf("Observation/o%d-%d", i%200, i%100) })
}

func BenchmarkSearch50Rows(b *testing.B) {
	b.Run("warm", func(b *testing.B) {
		benchGet(b, benchServer(b), func(int) string { return "Observation?patient=p7&_count=50" })
	})
	b.Run("cold", func(b *testing.B) { // a cache that holds nothing: every row is parsed
		s := benchServer(b, func(o *Options) { o.CacheBytes = 1 })
		benchGet(b, s, func(i int) string { return fmt.Sprintf("Observation?patient=p%d&_count=50", i%200) })
	})
	b.Run("sorted", func(b *testing.B) {
		benchGet(b, benchServer(b), func(int) string { return "Observation?patient=p7&_sort=-date&_count=50" })
	})
}

// BenchmarkCreate shows the group commit: 64 writers with the disk's real sync.
func BenchmarkCreate(b *testing.B) {
	for _, sync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%v,writers=64", sync), func(b *testing.B) {
			s := newServer(b, func(o *Options) { o.NoSync = !sync })
			var n atomic.Int64
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/Observation", strings.NewReader(observation("x", fmt.Sprintf("p%d", n.Add(1)%100), "1", 1, "2020")))
					r.Header.Set("Content-Type", mediaFHIR)
					w := httptest.NewRecorder()
					s.h.ServeHTTP(w, r)
					if w.Code != 201 {
						b.Errorf("%d %s", w.Code, w.Body)
					}
				}
			})
		})
	}
}
