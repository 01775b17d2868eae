package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/uma"
)

// setID looks as the server's ids do: 22 characters without order.
func setID(kind string, n int) string {
	sum := sha256.Sum256([]byte(kind + strconv.Itoa(n)))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func registeredScopes() []string {
	var out []string
	for i := range 146 {
		for _, letter := range "cruds" {
			out = append(out, fmt.Sprintf("patient/ResourceType%d.%c", i, letter))
		}
	}
	return out
}

// fillSets registers n resource sets, ten for each owner, as a gateway does: a record, or a patient-level set derived from
// one.
func fillSets(b *testing.B, s umaas.Store, n int) {
	b.Helper()
	scopes := registeredScopes()
	const batch = 25
	var wg sync.WaitGroup
	work := make(chan int)
	for range 16 {
		wg.Go(func() {
			for from := range work {
				err := s.Update(context.Background(), func(tx umaas.Tx) error {
					for i := from; i < min(from+batch, n); i++ {
						if err := tx.PutResource(set(i, scopes)); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for from := 0; from < n; from += batch {
		work <- from
	}
	close(work)
	wg.Wait()
}

func set(i int, scopes []string) umaas.Resource {
	created := epoch.Add(time.Duration(i) * time.Millisecond)
	r := umaas.Resource{ID: umaas.ResourceID(setID("set", i)), Owner: owner(i), RS: "rs-6kXlU0o7hT2bqfQm", Created: created, Updated: created}
	r.Description = uma.ResourceDescription{
		Name: "Record of a patient", Type: "urn:umaas:resource:patient", Scopes: scopes,
		Context:     &uma.ResourceContext{Level: "patient", Label: "Amy V. Shaw", FHIRBase: "https://fhir.example.org/gateway/fhir", Patient: setID("patient", i)},
		DerivedFrom: &uma.DerivedFrom{ResourceID: setID("set", i/10*10)},
		PreviewURI:  "https://fhir.example.org/gateway/uma/preview",
	}
	return r
}

func owner(i int) umaas.AccountID { return umaas.AccountID(setID("owner", i/10)) }

// BenchmarkResourceSets reports the disk that a registered resource set takes with its indexes (target: 1 KB), and what one
// read of a set costs among them. UMAAS_BENCH_SETS: how many, default 100,000.
func BenchmarkResourceSets(b *testing.B) {
	n := 100_000
	if v := os.Getenv("UMAAS_BENCH_SETS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			b.Fatalf("UMAAS_BENCH_SETS: %v", err)
		}
	}
	path := filepath.Join(b.TempDir(), "as.db")
	e, err := boltkv.Open(path, boltkv.Options{InsecureNoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	s := over(b, e, nil)
	begin := time.Now()
	fillSets(b, s, n)
	fill := time.Since(begin)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	begin = time.Now()
	if e, err = boltkv.Open(path, boltkv.Options{InsecureNoSync: true}); err != nil {
		b.Fatal(err)
	}
	s = over(b, e, nil)
	opened := time.Since(begin)
	defer s.Close()
	i := 0
	for b.Loop() {
		i = (i + 7919) % n
		err := s.View(context.Background(), func(r umaas.Reader) error {
			_, err := r.Resource(owner(i), "rs-6kXlU0o7hT2bqfQm", umaas.ResourceID(setID("set", i)))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(info.Size())/float64(n), "bytes/set")
	b.ReportMetric(float64(n)/fill.Seconds(), "sets/s")
	b.ReportMetric(float64(opened.Microseconds())/1000, "open-ms")
}

// BenchmarkFlow is what one UMA flow asks of the store: a ticket, its redemption (ticket spent; grant, token and audit
// stored), an introspection. Keys grow with time as the server's do; owners are all those of the registered sets in turn.
func BenchmarkFlow(b *testing.B) {
	for _, c := range []struct {
		name    string
		sync    bool
		clients int
		sets    int
	}{
		{"sync/1", true, 1, 1000},
		{"sync/64", true, 64, 1000},
		{"nosync/1", false, 1, 1000},
		{"nosync/64", false, 64, 1000},
		{"nosync/64/100000sets", false, 64, 100_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "as.db")
			e, err := boltkv.Open(path, boltkv.Options{InsecureNoSync: true})
			if err != nil {
				b.Fatal(err)
			}
			s := over(b, e, nil)
			fillSets(b, s, c.sets)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			if e, err = boltkv.Open(path, boltkv.Options{InsecureNoSync: !c.sync}); err != nil {
				b.Fatal(err)
			}
			s = over(b, e, nil)
			defer s.Close()
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range c.clients {
				wg.Go(func() {
					for {
						i := int(next.Add(1))
						if i > b.N {
							return
						}
						if err := flow(s, i, c.sets); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			if st := e.Stats(); st.Commits > 0 {
				b.ReportMetric(float64(st.Updates)/float64(st.Commits), "updates/commit")
			}
		})
	}
}

func flow(s *store.Store, i, sets int) error {
	ctx, now := context.Background(), time.Now()
	ann, bob := owner(i*7919%sets), owner((i*7919+50)%sets)
	perm := uma.Permission{ResourceID: setID("set", 0), Scopes: []string{"patient/AllergyIntolerance.r", "patient/AllergyIntolerance.s", "patient/Immunization.c"}}
	var key umaas.Key
	binary.BigEndian.PutUint64(key[:8], uint64(now.UnixMilli())<<16)
	binary.BigEndian.PutUint64(key[8:], uint64(i))
	ticket := umaas.Ticket{Key: key, Secret: umaas.SecretHash{1}, Process: key, Owner: ann, RS: "rs", Permissions: []uma.Permission{perm}, Expires: now.Add(time.Minute)}
	if err := s.Update(ctx, func(tx umaas.Tx) error { return tx.PutTicket(ticket) }); err != nil {
		return err
	}
	err := s.Update(ctx, func(tx umaas.Tx) error {
		if _, err := tx.Ticket(key, now); err != nil {
			return err
		}
		if err := tx.DeleteTicket(key); err != nil {
			return err
		}
		g := umaas.Grant{
			Key: key, Kind: umaas.GrantRPT, Client: "app", Party: bob, Owner: ann, RS: "rs", Process: key, Created: now, Expires: now.Add(5 * time.Minute),
			Permissions: []umaas.Granted{{Resource: umaas.ResourceID(perm.ResourceID), Scopes: perm.Scopes, Policies: []umaas.PolicyID{"p"}}},
		}
		if err := tx.PutGrant(g); err != nil {
			return err
		}
		if err := tx.PutToken(umaas.Token{Key: key, Kind: umaas.TokenAccess, Grant: key, Client: "app", Created: now, Expires: g.Expires}); err != nil {
			return err
		}
		return tx.AppendAudit(umaas.AuditEvent{
			Key: key, Owner: ann, Type: "rpt-issued", Actor: bob, Client: "app", RS: "rs", Grant: key, Process: key, Scopes: perm.Scopes, Time: now,
		})
	})
	if err != nil {
		return err
	}
	return s.View(ctx, func(r umaas.Reader) error {
		t, err := r.Token(key, now)
		if err != nil {
			return err
		}
		_, err = r.Grant(t.Grant, now)
		return err
	})
}

// BenchmarkGet compares one read through the typed store with the engine's own.
func BenchmarkGet(b *testing.B) {
	e := bolt(b, b.TempDir())
	s := over(b, e, nil)
	defer s.Close()
	fillSets(b, s, 10_000)
	b.Run("engine", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			err := e.View(context.Background(), func(tx kv.Tx) error { _, err := tx.Get([]byte("=schema")); return err })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("resource", func(b *testing.B) {
		b.ReportAllocs()
		o, id := owner(77), umaas.ResourceID(setID("set", 77))
		for b.Loop() {
			err := s.View(context.Background(), func(r umaas.Reader) error { _, err := r.Resource(o, "rs-6kXlU0o7hT2bqfQm", id); return err })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
