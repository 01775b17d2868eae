//go:build unix

package gateway_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/gateway"
	"github.com/umaas/umaas/resourceserver/rstest"
	"github.com/umaas/umaas/resourceserver/state"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
)

// silent forgets events, so that the fake's list does not grow.
type silent struct{}

func (silent) Record(context.Context, []rs.Event) error { return nil }

const benchBody = `{"resourceType":"Observation","id":"o1","meta":{"versionId":"3","lastUpdated":"2026-01-02T03:04:05.678Z"},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"2951-2","display":"Sodium [Moles/volume] in Serum or Plasma"}],"text":"Sodium"},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2026-01-02T03:00:00Z","performer":[{"reference":"Practitioner/dr"}],"valueQuantity":{"value":140.5,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}`

// BenchmarkGateway compares single reads through the gateway, with an RPT seen before, with a bare reverse proxy before the same upstream
// in one run: 64 client connections, driven by raw sockets so that the client costs little. "gateway" keeps no record of accesses;
// "recorded" has each one on disk, synced, before its answer, and asks the stored relations of the record's owner.
//
// ×own-cpu is what the program costs beyond client and upstream, which all three share; ×whole-cpu is of the whole process.
func BenchmarkGateway(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		w.Header().Set("Etag", `W/"3"`)
		_, _ = w.Write([]byte(benchBody))
	}))
	defer upstream.Close()
	base, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(base) },
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true},
	})
	defer proxy.Close()
	as := rstest.New()
	kept, user := benchState(b, as.Issuer)
	record := as.RecordOf("p1", "patient/*.rs")
	record.Set.User = user
	token := as.Give(rs.Grant{ClientID: "app", Sub: "s", Permissions: []rs.Permitted{record}})
	guard := func(change func(*rs.EnforcerConfig)) *httptest.Server {
		cfg := enforcerConfig(as, "https://hospital.example/fhir", remote(b, upstream.URL+"/fhir", nil))
		change(&cfg)
		g, err := gateway.New(gateway.Config{Enforcer: cfg, Issuers: []string{as.Issuer}})
		if err != nil {
			b.Fatal(err)
		}
		s := httptest.NewServer(g)
		b.Cleanup(s.Close)
		return s
	}
	servers := []struct {
		name string
		at   string
		cpu  time.Duration
		took []time.Duration
	}{
		{name: "direct", at: upstream.Listener.Addr().String()},
		{name: "proxy", at: proxy.Listener.Addr().String()},
		{name: "gateway", at: guard(func(c *rs.EnforcerConfig) { c.Recorder = silent{} }).Listener.Addr().String()},
		{name: "recorded", at: guard(func(c *rs.EnforcerConfig) {
			c.Recorder = rs.NewEventSpool(kept, nil, nil, time.Now, slog.New(slog.DiscardHandler))
			c.Relations = rs.NewAdministeredRelations(kept, time.Now, nil)
		}).Listener.Addr().String()},
	}
	const slice = 6400
	total := 0
	for b.Loop() {
		for i := range servers { // interleaved, so that whatever else the machine does falls on all alike
			used, took := cpuOf(b, servers[i].at, token, slice)
			servers[i].cpu += used
			servers[i].took = append(servers[i].took, took...)
		}
		total += slice
		benchDrain(b, kept, as.Issuer, slice)
	}
	per := func(i int) float64 { return float64(servers[i].cpu.Nanoseconds()) / float64(total) / 1000 }
	for i, s := range servers {
		slices.Sort(s.took)
		b.ReportMetric(per(i), "µs-"+s.name)
		b.ReportMetric(float64(s.took[len(s.took)/2].Nanoseconds())/1000, "µs-p50-"+s.name)
	}
	for i, name := range map[int]string{2: "", 3: "-recorded"} {
		b.ReportMetric((per(i)-per(0))/(per(1)-per(0)), "×own-cpu"+name)
		b.ReportMetric(per(i)/per(1), "×whole-cpu"+name)
	}
}

// benchState is a resource server's state on disk with the one user whose record is read.
func benchState(b *testing.B, issuer string) (*state.Store, string) {
	engine, err := boltkv.Open(filepath.Join(b.TempDir(), "rs.db"), boltkv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = engine.Close() })
	kept, err := state.Open(b.Context(), engine, state.Options{Key: make([]byte, 32), Now: time.Now, Random: rand.Reader})
	if err != nil {
		b.Fatal(err)
	}
	u := rs.User{Key: rs.UserKey(issuer, "s"), Issuer: issuer, Subject: "s", FHIRUser: "Patient/p1"}
	if err := kept.PutUser(b.Context(), u); err != nil {
		b.Fatal(err)
	}
	return kept, u.Key
}

// benchDrain takes the recorded accesses away, as their delivery would, and counts them: none may be missing.
func benchDrain(b *testing.B, kept *state.Store, issuer string, want int) {
	got := 0
	for {
		page, err := kept.SpooledEvents(b.Context(), issuer, nil, 200)
		if err != nil {
			b.Fatal(err)
		}
		var keys [][]byte
		for _, p := range page {
			got += len(p.Events)
			keys = append(keys, p.Key)
		}
		if err := kept.EventsDelivered(b.Context(), keys); err != nil {
			b.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
	}
	if got != want {
		b.Fatalf("%d accesses recorded of %d", got, want)
	}
}

// cpuOf sends n requests over 64 connections and gives the CPU time the process took, and how long each request did.
func cpuOf(b *testing.B, address, token string, n int) (time.Duration, []time.Duration) {
	b.Helper()
	const conns = 64
	request := []byte("GET /fhir/Observation/o1 HTTP/1.1\r\nHost: hospital.example\r\nAuthorization: Bearer " + token + "\r\n\r\n")
	before := cpu(b)
	var wg sync.WaitGroup
	fail := make(chan error, conns)
	took := make([][]time.Duration, conns)
	for i := range conns {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				fail <- err
				return
			}
			defer func() { _ = c.Close() }()
			r := bufio.NewReader(c)
			for range n / conns {
				start := time.Now()
				if _, err := c.Write(request); err != nil {
					fail <- err
					return
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil || resp.StatusCode != 200 {
					fail <- fmt.Errorf("%v: %w", resp, err)
					return
				}
				if _, err := r.Discard(int(resp.ContentLength)); err != nil {
					fail <- err
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	select {
	case err := <-fail:
		b.Fatal(err)
	default:
	}
	return cpu(b) - before, slices.Concat(took...)
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
