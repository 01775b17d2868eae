package resourceserver_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

// keepPAT lets the next person of a client's authorization server give her PAT.
func keepPAT(t *testing.T, w *world, c *asclient.Client, user string) error {
	t.Helper()
	to, err := c.AuthorizationURL(t.Context(), asclient.Authorization{State: "s", Nonce: "n", Verifier: "v"})
	if err != nil {
		return err
	}
	tokens, _, err := c.Exchange(t.Context(), w.authorize(to).Get("code"), "v", "n")
	if err != nil {
		return err
	}
	return w.tokens.Keep(t.Context(), rs.Owner{Issuer: c.Issuer(), User: user}, tokens)
}

func TestF_016_PATIsRenewedUnattended(t *testing.T) {
	w := newWorld(t)
	key := w.signInAs(john)
	o := rs.Owner{Issuer: w.as.Issuer(), User: key}
	first, err := w.tokens.For(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.clock.forward(asclienttest.PATLife)
		w.boot() // also after a restart
		next, err := w.tokens.For(t.Context(), o)
		if err != nil || next == first {
			t.Fatalf("%q after %q: %v", next, first, err)
		}
		first = next
	}
}

// A rotating refresh token used twice would look like theft: of any number of callers and processes one renews.
func TestOneRenewalOfARotatingToken(t *testing.T) {
	w := newWorld(t)
	key := w.signInAs(john)
	o := rs.Owner{Issuer: w.as.Issuer(), User: key}
	w.clock.forward(asclienttest.PATLife)
	before := w.as.Calls("POST /token")
	processes := []*rs.Tokens{w.tokens}
	for range 2 {
		w.boot()
		processes = append(processes, w.tokens)
	}
	var wg sync.WaitGroup
	got := make([]string, 64)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = processes[i%len(processes)].For(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, token := range got {
		if token != got[0] {
			t.Fatal("callers hold different tokens")
		}
	}
	if n := w.as.Calls("POST /token") - before; n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
}

func TestRefusedPATIsRenewedOnce(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	key := w.signInAs(john)
	w.as.RevokePATs("sub-john", false) // access tokens only
	before := w.as.Calls("POST /token")
	u := w.mint(key, "john", "")
	if rec := w.do("POST", u+"/authorize?scope=Patient.r", ""); rec.Code != 401 || ticketOf(t, w, rec).Owner != "sub-john" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if n := w.as.Calls("POST /token") - before; n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
}

func TestWithdrawnPATIsRemembered(t *testing.T) {
	w := newWorld(t)
	key := w.signInAs(john)
	o := rs.Owner{Issuer: w.as.Issuer(), User: key}
	w.as.RevokePATs("sub-john", true)
	w.clock.forward(asclienttest.PATLife)
	for range 3 {
		if _, err := w.tokens.For(t.Context(), o); !errors.Is(err, rs.ErrNoPAT) {
			t.Fatal(err)
		}
	}
	if p, err := w.state.PAT(t.Context(), o); err != nil || !p.Dead || p.Refresh != "" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestUnreachableDoesNotLoseThePAT(t *testing.T) {
	w := newWorld(t)
	key := w.signInAs(john)
	o := rs.Owner{Issuer: w.as.Issuer(), User: key}
	w.clock.forward(asclienttest.PATLife)
	w.as.Down(true)
	if _, err := w.tokens.For(t.Context(), o); !errors.Is(err, rs.ErrUnreachable) {
		t.Fatal(err)
	}
	w.as.Down(false)
	w.clock.forward(time.Minute)
	if _, err := w.tokens.For(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}
