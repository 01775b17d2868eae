package resourceserver_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// TestH_12_Find: what a person types leads to an issuer, by WebFinger or by its own word, or to an honest refusal.
func TestH_12_Find(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	var answer http.HandlerFunc
	finger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/webfinger" {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(finger.Close)
	host := finger.Listener.Addr().String()
	jrd := func(href string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("rel") != rs.RelIssuer || r.URL.Query().Get("resource") == "" {
				http.Error(w, "RFC 7033 §4.1", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/jrd+json")
			_, _ = w.Write([]byte(`{"subject":"` + r.URL.Query().Get("resource") + `","links":[{"rel":"` + rs.RelIssuer + `","href":"` + href + `"}]}`))
		}
	}
	for _, c := range []struct {
		name, typed, want string
		answer            http.HandlerFunc
		err               error
	}{
		{"the issuer itself", g.second.Issuer(), g.second.Issuer(), nil, nil},
		{"with a slash", g.second.Issuer() + "/", g.second.Issuer(), nil, nil},
		{"her address", "alice@" + host, g.second.Issuer(), jrd(g.second.Issuer()), nil},
		{"acct", "acct:alice@" + host, g.second.Issuer(), jrd(g.second.Issuer()), nil},
		{"a place that knows", "http://" + host + "/alice", g.second.Issuer(), jrd(g.second.Issuer()), nil},
		{"the operator's own", "alice@" + host, g.as.Issuer(), jrd(g.as.Issuer()), nil},
		{"nobody there", "alice@" + host, "", http.NotFound, rs.ErrNoIssuer},
		{"away", "alice@127.0.0.1:1", "", nil, asclient.ErrUnreachable},
		{"an issuer that calls itself otherwise", "alice@" + host, "", jrd(g.second.Issuer() + "/other"), uma.ErrNotFound},
		{"an issuer inside", "alice@" + host, "", jrd("https://10.0.0.1"), asclient.ErrUntrusted},
		{"a cloud's own address", "alice@" + host, "", jrd("http://169.254.169.254/latest"), asclient.ErrUntrusted},
		{"an address that breaks out", "alice@" + host, "", jrd("https://as.example/'onclick=x<y>"), asclient.ErrUntrusted},
		{"an address with a name in it", "alice@" + host, "", jrd("https://honest.example@as.example"), asclient.ErrUntrusted},
		{"an address with a query", "alice@" + host, "", jrd("https://as.example?x=1"), asclient.ErrUntrusted},
		{"plain http", "alice@" + host, "", jrd("http://as.example"), asclient.ErrUntrusted},
		{"not an address", "alice@" + host, "", jrd("javascript:alert(1)"), asclient.ErrUntrusted},
		{"a redirect inside", "alice@" + host, "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		}, asclient.ErrUntrusted},
		{"a redirect to the real one", "alice@" + host, "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, g.second.Issuer()+"/.well-known/webfinger", http.StatusFound)
		}, asclient.ErrUntrusted},
		{"huge", "alice@" + host, "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jrd+json")
			for range 300 {
				_, _ = w.Write(make([]byte, 1024))
			}
		}, asclient.ErrUntrusted},
		{"slow", "alice@" + host, "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/jrd+json")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, asclient.ErrUnreachable},
		{"a page", "alice@" + host, "", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, asclient.ErrUntrusted},
	} {
		answer = c.answer
		got, err := g.issuers.Find(t.Context(), c.typed)
		if c.err == nil && (err != nil || got != c.want) || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %q %v, want %q %v", c.name, got, err, c.want, c.err)
		}
	}
	g.policy = rs.ForeignNone
	g.reboot()
	before := g.second.Calls("GET /.well-known/uma2-configuration")
	if _, err := g.issuers.Find(t.Context(), g.second.Issuer()); !errors.Is(err, rs.ErrNotKept) || g.second.Calls("GET /.well-known/uma2-configuration") != before {
		t.Errorf("closed, yet: %v", err)
	}
}

// TestLookUpsAreFew: a person can make this server ask only so many addresses of her choice.
func TestLookUpsAreFew(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	for range 10 {
		if _, err := g.guardian.Find(t.Context(), u, "alice@127.0.0.1:1"); guardCode(err) != rs.GuardAway {
			t.Fatal(err)
		}
	}
	if _, err := g.guardian.Find(t.Context(), u, "alice@127.0.0.1:1"); guardCode(err) != rs.GuardTooMany {
		t.Error(err)
	}
	g.clock.forward(time.Minute)
	if _, err := g.guardian.Find(t.Context(), u, "alice@127.0.0.1:1"); guardCode(err) != rs.GuardAway {
		t.Error(err)
	}
}
