package client_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/umaas/umaas/resolver/client"
	"github.com/umaas/umaas/umaas/pop"
)

// TestLaunchBound: the launch context is read with a proof of the key the RPT is bound to (RFC 9449 §7.1), and asking for a
// ticket by the same client proves it too.
func TestLaunchBound(t *testing.T) {
	key, err := pop.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var origin string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := pop.Want{Method: r.Method, URLs: []string{origin + r.URL.Path}, Now: time.Now()}
		if r.Method == http.MethodGet {
			want.Token = "h.s"
			if got := r.Header.Get("Authorization"); got != "DPoP h.s" {
				t.Errorf("Authorization %q", got)
			}
		}
		p, err := pop.Verify(r.Header.Get(pop.Header), want)
		if err != nil || p.JKT != key.Thumbprint() {
			t.Errorf("%s: %+v, %v", r.Method, p, err)
		}
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"as_uri":"https://as.example","ticket":"t","scope":"x"}`))
			return
		}
		_, _ = w.Write([]byte(`{"fhir_base":"https://rs.example/fhir","level":"patient","patient":"p"}`))
	}))
	defer server.Close()
	origin = server.URL
	bound := client.Bound(http.DefaultClient, key)
	if ticket, err := client.Ask(t.Context(), bound, server.URL+"/uma-context/h", "Patient.read", ""); err != nil || ticket.Ticket != "t" {
		t.Errorf("%+v, %v", ticket, err)
	}
	if l, err := client.LaunchBound(t.Context(), bound, server.URL+"/uma-context/h", "h.s"); err != nil || l.Patient != "p" {
		t.Errorf("%+v, %v", l, err)
	}
}
