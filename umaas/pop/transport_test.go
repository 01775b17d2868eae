package pop_test

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/pop"
)

// TestTransport: every request has a proof of its own; a nonce is learned, kept per origin, and the request repeated once.
func TestTransport(t *testing.T) {
	key, err := pop.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nonces := pop.NewNonces(make([]byte, 32))
	seen := map[string]bool{}
	asked := 0
	var origin string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		raw, err := pop.FromHeader(r.Header.Values(pop.Header))
		if err != nil || r.Header.Get("Authorization") != "" && !strings.HasPrefix(r.Header.Get("Authorization"), "DPoP ") {
			t.Errorf("%v %v", err, r.Header)
		}
		p, err := pop.Verify(raw, pop.Want{Method: r.Method, URLs: []string{origin + r.URL.EscapedPath()}, Token: token, Now: time.Now(), Nonces: nonces})
		switch {
		case errors.Is(err, pop.ErrNonce) && token != "":
			w.Header().Set(pop.NonceHeader, nonces.At(time.Now()))
			w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		case errors.Is(err, pop.ErrNonce):
			w.Header().Set(pop.NonceHeader, nonces.At(time.Now()))
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
			return
		case err != nil || p.JKT != key.Thumbprint() || seen[p.JTI]:
			t.Errorf("%+v, %v, seen %v", p, err, seen[p.JTI])
		}
		seen[p.JTI] = true
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append([]byte("got "), body...))
	}))
	defer server.Close()
	origin = server.URL
	fresh := func() *http.Client { return &http.Client{Transport: &pop.Transport{Key: key}} }
	c := fresh()
	res, err := c.PostForm(server.URL+"/token", url.Values{"a": {"b"}})
	if got := text(t, res, err); got != "got a=b" || asked != 2 {
		t.Errorf("%q after %d requests", got, asked)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/fhir?x=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "DPoP h.s")
	res, err = c.Do(req)
	if got := text(t, res, err); got != "got " || asked != 3 {
		t.Errorf("%q after %d requests: the nonce was not kept", got, asked)
	}
	res, err = fresh().Do(req)
	if got := text(t, res, err); got != "got " || asked != 5 || req.Header.Get(pop.Header) != "" {
		t.Errorf("%q after %d requests", got, asked)
	}
	once, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/token", io.MultiReader(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	res, err = fresh().Do(once)
	if got := text(t, res, err); got != `{"error":"use_dpop_nonce"}` || asked != 6 {
		t.Errorf("%q after %d requests: a body that cannot be sent again was", got, asked)
	}
	if _, err := (&http.Client{Transport: &pop.Transport{}}).Get(server.URL); err == nil {
		t.Error("a transport without a key sent something")
	}
}

func text(t *testing.T, res *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
