package mutation_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/grant"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/ours"
)

// The bad signs of forged forms.
func fromAttacker(r *http.Request) bool { return r.Header.Get("Origin") == "https://attacker.example" }

func fromNobody(r *http.Request) bool {
	return r.Method == http.MethodPost && r.Header.Get("Cookie") == ""
}

func (b *book) fromSomebodyElse(r *http.Request) bool {
	known, mine := sessionIn(b.sessions[flowOf(r.URL.Path)]), sessionIn(r.Header.Get("Cookie"))
	return r.Method == http.MethodPost && known != "" && mine != "" && known != mine
}

// detour lets the way out of the server lead over one more address of its own where a form with a bad sign was taken.
func (b *book) detour(bad func(*http.Request) bool) wrapper {
	var mu sync.Mutex
	out := map[string]string{}
	hop := mutation.Before(mutation.Below(http.MethodGet, "/hop/"), func(ex *mutation.Exchange) bool {
		mu.Lock()
		defer mu.Unlock()
		sendTo(ex, out[ex.Request.URL.Path])
		return true
	})
	return mutation.Chain(hop, mutation.Around(atPages, func(ex *mutation.Exchange, next http.Handler) {
		b.mu.Lock()
		forged := bad(ex.Request)
		b.mu.Unlock()
		ex.Serve(next)
		if !forged || !outward(ex) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		at := fmt.Sprintf("/hop/%d", len(out))
		out[at] = ex.Header.Get("Location")
		sendTo(ex, ours.Issuer+at)
	}))
}

// A forged form that is taken is seen as well where the browser is led over a further page of the server's own before it
// comes to the client.
func TestForgeryBehindAHop(t *testing.T) {
	signs := map[string]func(b *book) func(*http.Request) bool{
		"grant.forgery.cross-site":    func(*book) func(*http.Request) bool { return fromAttacker },
		"grant.forgery.other-browser": func(*book) func(*http.Request) bool { return fromNobody },
		"grant.forgery.other-person":  func(b *book) func(*http.Request) bool { return b.fromSomebodyElse },
	}
	var checks []conformance.Check
	for _, c := range grant.Checks() {
		if c.Section() == "grant.forgery" {
			checks = append(checks, c)
		}
	}
	for id, sign := range signs {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			m := booked(func(b *book) wrapper { return mutation.Chain(b.detour(sign(b)), b.forgiving(sign(b))) })
			r, err := mutation.Run(context.WithoutCancel(t.Context()), m, checks)
			if err != nil {
				t.Fatal(err)
			}
			if err := mutation.Judge(r, id, m); err != nil {
				t.Error(err)
			}
		})
	}
}
