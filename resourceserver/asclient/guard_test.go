package asclient

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

func TestSEC_75_GuardAddresses(t *testing.T) {
	g := NewGuard(GuardOptions{})
	for addr, want := range map[string]bool{
		"93.184.216.34": true, "2606:4700::1111": true, "::ffff:93.184.216.34": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false,
		"198.18.0.1": false, "255.255.255.255": false, "224.0.0.1": false, "240.0.0.1": false, "::1": false, "::": false, "fe80::1": false, "fc00::1": false,
		"fec0::1": false, "ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false,
		"2002:7f00:1::": false, "2001::1": false, "fe80::1%eth0": false,
	} {
		if got := g.allowed(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	g = NewGuard(GuardOptions{Private: LoopbackRanges()})
	if !g.allowed(netip.MustParseAddr("127.0.0.1")) || g.allowed(netip.MustParseAddr("10.0.0.1")) {
		t.Error("Private opens exactly the ranges it names")
	}
}

func TestSEC_75_GuardTargets(t *testing.T) {
	var asked atomic.Int32
	g := NewGuard(GuardOptions{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		asked.Add(1)
		switch host {
		case "inside.example":
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		case "mixed.example":
			return []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("127.0.0.1")}, nil
		}
		return nil, errors.New("unexpected lookup of " + host)
	}})
	for _, target := range []string{
		"http://example.org/", "http://localhost/", "ftp://example.org/", "file:///etc/passwd", "https://", "https://user@example.org/", "//example.org/", "",
		"https://example.org/#f", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://inside.example/", "https://mixed.example/",
	} {
		if _, _, err := g.Get(t.Context(), target, "application/json"); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v, want a refusal", target, err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d lookups, want 2: the other targets are refused before", n)
	}
}

// hostile answers in every way a server can misbehave.
func hostile(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	say := func(path, media, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = io.WriteString(w, body)
		})
	}
	say("/fine", "application/json", `{}`)
	say("/html", "text/html", `{}`)
	say("/huge", "application/json", `"`+strings.Repeat("x", 300<<10)+`"`)
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/fine", http.StatusFound) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for range 100 {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"a":"`+strings.Repeat("0", 4<<20)+`"}`)
		_ = z.Close()
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestSEC_75_GuardAnswers(t *testing.T) {
	srv := hostile(t)
	g := NewGuard(GuardOptions{InsecureHTTP: true, Private: LoopbackRanges(), Timeout: 300 * time.Millisecond})
	if raw, status, err := g.Get(t.Context(), srv.URL+"/fine", "application/json"); err != nil || status != 200 || string(raw) != "{}" {
		t.Fatal(string(raw), status, err)
	}
	for path, want := range map[string]error{
		"/html": ErrRefused, "/huge": ErrRefused, "/redirect": ErrRefused, "/none": ErrRefused, "/slow": ErrUnreachable, "/silent": ErrUnreachable,
	} {
		began := time.Now()
		if _, _, err := g.Get(t.Context(), srv.URL+path, "application/json"); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s held on for %s", path, took)
		}
	}
	if raw, _, err := g.Get(t.Context(), srv.URL+"/bomb", "application/json"); err == nil && len(raw) > 256<<10 {
		t.Errorf("%d bytes came out of a small answer", len(raw))
	}
}

// A foreign client refuses what an operator's own may do: endpoints elsewhere, answers beyond the bound, another issuer.
func TestSEC_75_ForeignMetadata(t *testing.T) {
	var answer func(m *uma.Metadata)
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/uma2-configuration" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		u := srv.URL
		m := uma.Metadata{
			Issuer: u, AuthorizationEndpoint: u + "/a", TokenEndpoint: u + "/t", RegistrationEndpoint: u + "/r", IntrospectionEndpoint: u + "/i",
			JWKSURI: u + "/k", PermissionEndpoint: u + "/p", ResourceRegistrationEndpoint: u + "/rs",
		}
		answer(&m)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(m)
	}))
	defer srv.Close()
	for _, c := range []struct {
		name   string
		change func(*uma.Metadata)
		fine   bool
	}{
		{"fine", func(*uma.Metadata) {}, true},
		{"another issuer", func(m *uma.Metadata) { m.Issuer = "https://honest.example" }, false},
		{"issuer with a slash", func(m *uma.Metadata) { m.Issuer += "/" }, false},
		{"token endpoint of somebody else", func(m *uma.Metadata) { m.TokenEndpoint = "https://honest.example/token" }, false},
		{"authorization endpoint of somebody else", func(m *uma.Metadata) { m.AuthorizationEndpoint = "https://honest.example/authorize" }, false},
		{"keys inside", func(m *uma.Metadata) { m.JWKSURI = "https://10.0.0.1/keys" }, false},
		{"registration at another port", func(m *uma.Metadata) { m.RegistrationEndpoint = "http://127.0.0.1:1/register" }, false},
		{"no registration", func(m *uma.Metadata) { m.RegistrationEndpoint = "" }, false},
		{"no authorization endpoint", func(m *uma.Metadata) { m.AuthorizationEndpoint = "" }, false},
		{"no keys", func(m *uma.Metadata) { m.JWKSURI = "" }, false},
		{"endpoint with a name in it", func(m *uma.Metadata) {
			m.PermissionEndpoint = strings.Replace(m.PermissionEndpoint, "://", "://u:p@", 1)
		}, false},
		{"events elsewhere", func(m *uma.Metadata) { m.AccessEventsEndpoint = "https://collector.example/" }, false},
		{"no events", func(m *uma.Metadata) { m.AccessEventsEndpoint = "" }, true},
	} {
		answer = c.change
		client, err := New(Config{
			Issuer: srv.URL, RedirectURI: "https://rs.example/guard/back/x", Store: noStore{}, Foreign: true, Timeout: time.Second,
			Transport: NewGuard(GuardOptions{InsecureHTTP: true, Private: LoopbackRanges()}),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Metadata(t.Context())
		if c.fine != (err == nil) || !c.fine && !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	answer = func(*uma.Metadata) {}
	closed, err := New(Config{Issuer: srv.URL, RedirectURI: "https://rs.example/", Store: noStore{}, Foreign: true, Transport: NewGuard(GuardOptions{InsecureHTTP: true})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := closed.Metadata(t.Context()); !errors.Is(err, ErrUntrusted) || !errors.Is(err, ErrRefused) {
		t.Errorf("loopback that is not opened: %v", err)
	}
}

type noStore struct{}

func (noStore) LoadCredentials(context.Context, string) (Credentials, error) {
	return Credentials{}, ErrNoCredentials
}
func (noStore) SaveNewCredentials(_ context.Context, c Credentials) (Credentials, error) {
	return c, nil
}
