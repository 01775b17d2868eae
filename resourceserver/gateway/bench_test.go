package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/gateway"
	"github.com/umaas/umaas/resourceserver/rstest"
)

// silent forgets events, so that the fake's list does not grow.
type silent struct{}

func (silent) Record(context.Context, []rs.Event) error { return nil }

const benchBody = `{"resourceType":"Observation","id":"o1","meta":{"versionId":"3","lastUpdated":"2026-01-02T03:04:05.678Z"},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"2951-2","display":"Sodium [Moles/volume] in Serum or Plasma"}],"text":"Sodium"},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2026-01-02T03:00:00Z","performer":[{"reference":"Practitioner/dr"}],"valueQuantity":{"value":140.5,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}`

// BenchmarkGateway compares CPU per single read through the gateway, with an RPT seen before, with a bare reverse proxy before
// the same upstream in one run: 64 client connections, driven by raw sockets so that the client costs little. It reports
// the ratio of process CPU (client and upstream take part in both alike, so the gateway's own ratio is a little higher; the
// direct figure is the share of those two).
func BenchmarkGateway(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		w.Header().Set("Etag", `W/"3"`)
		_, _ = w.Write([]byte(benchBody))
	}))
	defer upstream.Close()
	as := rstest.New()
	token := as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{as.RecordOf("p1", "patient/*.rs")}})
	base, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) },
		Transport: &http.Transport{
			MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true,
		},
	}
	up := remote(b, upstream.URL+"/fhir", nil)
	cfg := enforcerConfig(as, "https://hospital.example/fhir", up)
	cfg.Recorder = silent{}
	g, err := gateway.New(gateway.Config{Enforcer: cfg, Issuers: []string{as.Issuer}})
	if err != nil {
		b.Fatal(err)
	}
	proxy, guarded := httptest.NewServer(bare), httptest.NewServer(g)
	defer proxy.Close()
	defer guarded.Close()
	direct, viaProxy, viaGateway := time.Duration(0), time.Duration(0), time.Duration(0)
	const slice = 2000
	total := 0
	for b.Loop() {
		// Interleaved, so that whatever else the machine does falls on all alike.
		direct += cpuOf(b, upstream.Listener.Addr().String(), token, slice)
		viaProxy += cpuOf(b, proxy.Listener.Addr().String(), token, slice)
		viaGateway += cpuOf(b, guarded.Listener.Addr().String(), token, slice)
		total += slice
	}
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(total) / 1000 }
	b.ReportMetric(per(direct), "µs-direct")
	b.ReportMetric(per(viaProxy), "µs-proxy")
	b.ReportMetric(per(viaGateway), "µs-gateway")
	b.ReportMetric(per(viaGateway-direct)/per(viaProxy-direct), "×own-cpu")
	b.ReportMetric(per(viaGateway)/per(viaProxy), "×whole-cpu")
}

// cpuOf sends n requests over 64 connections and gives the CPU time the process took.
func cpuOf(b *testing.B, address, token string, n int) time.Duration {
	b.Helper()
	const conns = 64
	request := []byte("GET /fhir/Observation/o1 HTTP/1.1\r\nHost: hospital.example\r\nAuthorization: Bearer " + token + "\r\n\r\n")
	before := cpu(b)
	var wg sync.WaitGroup
	fail := make(chan error, conns)
	for range conns {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				fail <- err
				return
			}
			defer func() { _ = c.Close() }()
			r := bufio.NewReader(c)
			for range n / conns {
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
			}
		})
	}
	wg.Wait()
	select {
	case err := <-fail:
		b.Fatal(err)
	default:
	}
	return cpu(b) - before
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
