package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestSEC_75_TargetsThatAreNotFetched(t *testing.T) {
	var dialled atomic.Int32
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		dialled.Add(1)
		switch host {
		case "inside.example":
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		case "mixed.example":
			return []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("127.0.0.1")}, nil
		}
		return nil, errors.New("unexpected lookup of " + host)
	}
	c := New(Options{Lookup: lookup})
	for _, target := range []string{
		"http://example.org/", "ftp://example.org/", "file:///etc/passwd", "https://", "https://user@example.org/", "//example.org/", "/x", "",
		"https://example.org/#f", "https://example.org\\@evil/", "javascript:alert(1)", "https://exam ple/",
		"https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://inside.example/", "https://mixed.example/",
	} {
		if _, err := c.GetJSON(t.Context(), target); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v, want a refusal", target, err)
		}
	}
	if dialled.Load() != 2 {
		t.Errorf("%d lookups, want 2: the other targets are refused before", dialled.Load())
	}
}

// open is a client for a test server on loopback.
func open(srv *httptest.Server, change func(*Options)) *Client {
	o := Options{Private: Loopback(), InsecureHTTP: true}
	if tr, ok := srv.Client().Transport.(*http.Transport); ok {
		o.Transport = tr
	}
	if change != nil {
		change(&o)
	}
	return New(o)
}

func TestSEC_75_DNSIsPinnedAfterTheCheck(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	var asked atomic.Int32
	c := open(srv, func(o *Options) {
		o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			if asked.Add(1) > 1 {
				return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
	})
	if _, err := c.GetJSON(t.Context(), "http://rebinding.example:"+u.Port()+"/"); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 1 {
		t.Errorf("resolved %d times, want once", asked.Load())
	}
}

func TestSEC_75_Answers(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(path, media string, status int, body func(http.ResponseWriter)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Cookie") != "" || r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("%s: headers %v", path, r.Header)
			}
			w.Header().Set("Content-Type", media)
			w.Header().Set("Set-Cookie", "a=b")
			if status == 302 {
				w.Header().Set("Location", "/ok")
			}
			w.WriteHeader(status)
			body(w)
		})
	}
	text := func(s string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = io.WriteString(w, s) }
	}
	answer("/ok", "application/json", 200, text(`{"a":1}`))
	answer("/jwks", "application/jwk-set+json; charset=utf-8", 200, text(`{}`))
	answer("/redirect", "application/json", 302, text(`{}`))
	answer("/html", "text/html", 200, text(`{}`))
	answer("/missing", "application/json", 404, text(`{}`))
	answer("/large", "application/json", 200, text(strings.Repeat("x", 101)))
	answer("/bomb", "application/json", 200, func(w http.ResponseWriter) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(make([]byte, 1<<20))
		_ = z.Close()
		_, _ = w.Write(b.Bytes())
	})
	answer("/slow", "application/json", 200, func(w http.ResponseWriter) {
		w.(http.Flusher).Flush()
		time.Sleep(400 * time.Millisecond)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := open(srv, func(o *Options) { o.MaxBody = 100; o.Timeout = 200 * time.Millisecond })
	for path, good := range map[string]bool{
		"/ok": true, "/jwks": true, "/redirect": false, "/html": false, "/missing": false, "/large": false, "/bomb": false, "/slow": false,
	} {
		raw, err := c.GetJSON(t.Context(), srv.URL+path)
		if (err == nil) != good {
			t.Errorf("%s: %q, %v; want good %v", path, raw, err, good)
		}
		if err != nil && raw != nil {
			t.Errorf("%s: a refused answer returned %d bytes", path, len(raw))
		}
	}
}

func TestPreview(t *testing.T) {
	body := `{"counts":{"AllergyIntolerance":3}}`
	var got string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.Header.Get("Content-Type") + " " + string(raw)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	defer srv.Close()
	c := open(srv, func(o *Options) { o.InsecureHTTP = false })
	counts, err := c.Preview(t.Context(), srv.URL+"/uma/preview", []string{"https://other.example", srv.URL + "/fhir"}, "a.b.c")
	if err != nil || counts["AllergyIntolerance"] != 3 || got != `POST application/json {"request":"a.b.c"}` {
		t.Fatalf("%v, %v, sent %s", counts, err, got)
	}
	for _, origins := range [][]string{nil, {"https://other.example"}, {"http" + strings.TrimPrefix(srv.URL, "https")}, {"https://127.0.0.1"}, {""}} {
		if _, err := c.Preview(t.Context(), srv.URL+"/uma/preview", origins, "a.b.c"); !errors.Is(err, ErrRefused) {
			t.Errorf("origins %v: %v, want a refusal", origins, err)
		}
	}
	for _, bad := range []string{`{}`, `[]`, `{"counts":{"<b>":1}}`, `{"counts":{"Patient":-1}}`, `{"counts":{"Patient":"1"}}`, `{"counts":{"":1}}`} {
		body = bad
		if counts, err := c.Preview(t.Context(), srv.URL+"/p", []string{srv.URL}, "a.b.c"); err == nil || counts != nil {
			t.Errorf("%s: taken as %v", bad, counts)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://a/b", "https://a@b", "https://[::1]:1/", "//x", "https:\\a"} {
		f.Add(s)
	}
	c := New(Options{})
	f.Fuzz(func(t *testing.T, s string) {
		u, err := c.check(s)
		if err == nil && (u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "") {
			t.Errorf("%q was let through as %v", s, u)
		}
	})
}
