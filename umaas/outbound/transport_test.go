package outbound

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSEC_75_HTTP: a library's client is under the same guard: targets, addresses, redirects, size.
func TestSEC_75_HTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/small", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "small") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 300<<10)) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/small", http.StatusFound) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	get := func(c *http.Client, target string) (int, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		if err != nil {
			return 0, "", err
		}
		res, err := c.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		return res.StatusCode, string(raw), err
	}
	inside := open(srv, nil).HTTP()
	if status, body, err := get(inside, srv.URL+"/small"); err != nil || status != 200 || body != "small" {
		t.Fatal(status, body, err)
	}
	if status, _, err := get(inside, srv.URL+"/away"); err != nil || status != http.StatusFound {
		t.Fatal("a redirect was followed:", status, err)
	}
	if _, _, err := get(inside, srv.URL+"/large"); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	for name, c := range map[string]*http.Client{"plain http": New(Options{}).HTTP(), "a private address": New(Options{InsecureHTTP: true}).HTTP()} {
		if _, _, err := get(c, srv.URL+"/small"); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
