package umaas_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// TestDecisions07_PollingTooFastDoublesTheInterval and a patient client keeps its own.
func TestDecisions07_PollingTooFastDoublesTheInterval(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	ticket := w.ask(c1, w.bob, perm(r, "view"))
	for _, c := range []struct {
		pause time.Duration
		want  int
	}{{5 * time.Second, 5}, {4 * time.Second, 10}, {9 * time.Second, 20}, {20 * time.Second, 20}, {0, 40}} {
		w.sleep(c.pause)
		e := w.refused(c1, ticket, 403, "request_submitted", "")
		if e.Interval != c.want {
			t.Fatalf("after %v: interval %d, want %d", c.pause, e.Interval, c.want)
		}
		ticket = e.Ticket
	}
	for range 20 {
		e := w.refused(c1, ticket, 403, "request_submitted", "")
		if e.Interval > 3600 {
			t.Fatalf("interval %d", e.Interval)
		}
		ticket = e.Ticket
	}
	w.answer(w.alice, true)
	w.rpt(c1, ticket)
}

// TestDecisions06_DecoyBehavesLikeASilentOwner, and nobody's inbox hears of it.
func TestDecisions06_DecoyBehavesLikeASilentOwner(t *testing.T) {
	eachStore(t, func(w *world) {
		real := w.set(w.alice, rs1, "view")
		decoy, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.org, RS: rs1}, uma.ResourceDescription{
			Type: "urn:umaas:resource:decoy", Scopes: []string{"view"}, Context: &uma.ResourceContext{Level: "decoy"},
		}, "")
		w.must(err)
		w.policy(w.org, account(w.bob), []umaas.Rule{rule(rs1, decoy, "view")}) // even then
		a, b := w.ticket(perm(real, "view")), w.ticketOf(umaas.PAT{Owner: w.org, RS: rs1}, perm(decoy, "view"))
		step := func(code string) {
			t.Helper()
			x, y := w.refused(c1, a, 403, code, ""), w.refused(c1, b, 403, code, "")
			if x.Description != y.Description || x.RedirectUser != y.RedirectUser || x.Interval != y.Interval || len(x.Ticket) != len(y.Ticket) {
				t.Fatalf("they differ: %+v %+v", x, y)
			}
			a, b = x.Ticket, y.Ticket
		}
		step("need_info")
		a, b = w.gather(c1, a, w.bob), w.gather(c1, b, w.bob)
		for range 5 {
			step("request_submitted")
			w.sleep(5 * time.Second)
		}
		if n := len(w.inbox(w.org)); n != 0 {
			t.Fatalf("decoy filed %d requests", n)
		}
		for range 10000 {
			e, f := w.refused(c1, a, 403, "request_submitted", ""), w.refused(c1, b, 403, "request_submitted", "")
			a, b = e.Ticket, f.Ticket
			w.sleep(300 * time.Second)
			if w.now().Sub(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) > 30*24*time.Hour {
				break
			}
		}
		w.refused(c1, a, 403, "request_denied", "")
		w.refused(c1, b, 403, "request_denied", "")
	})
}

// TestG_PollUntilAnswered: submitted, narrowed approval, RPT; denied, silence (G-093…G-095).
func TestG_PollUntilAnswered(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		names := map[umaas.ResourceID]string{r: "r"}
		ticket := w.ask(c1, w.bob, perm(r, "view", "edit"))
		v := w.answer(w.alice, true, ".view")
		if v.State != umaas.RequestAllowed || v.Policy == "" {
			t.Fatalf("%+v", v.Request)
		}
		w.wantRights(w.rpt(c1, ticket).AccessToken, "r{view}", names)

		ticket = w.ask(c1, w.carol, perm(r, "view"))
		w.answer(w.alice, false)
		e := w.refused(c1, ticket, 403, "request_denied", "access was not given")
		if e.Ticket != "" {
			t.Fatal("request_denied has a ticket") // G-092
		}
		again := w.gather(c1, w.ticket(perm(r, "view")), w.carol)
		w.refused(c1, again, 403, "request_denied", "")
		if n := len(w.inbox(w.alice)); n != 0 {
			t.Fatalf("%d waiting after a silent denial", n)
		}
		w.sleep(31 * 24 * time.Hour)
		w.sessions[w.carol] = w.fresh(w.carol)
		w.ask(c1, w.carol, perm(r, "view"))
	})
}

func (w *world) fresh(id umaas.AccountID) umaas.Session {
	w.t.Helper()
	_, sess, err := w.CreateSession(w.t.Context(), id, []string{"pwd"})
	w.must(err)
	return sess
}

// TestSEC_01_SixtyFourAtOnce: one ticket, 64 presentations over three services on one store with conflicts and re-runs.
func TestSEC_01_SixtyFourAtOnce(t *testing.T) {
	var n atomic.Int64
	conflict := func() bool { return n.Add(1)%3 == 0 }
	for name, w := range map[string]*world{
		"quiet":       newWorld(t, memkv.New(memkv.Options{})),
		"conflicting": newWorld(t, memkv.New(memkv.Options{Conflict: conflict})),
	} {
		t.Run(name, func(t *testing.T) { raceTicket(w) })
	}
	eachStore(t, raceTicket)
}

func raceTicket(w *world) {
	r := w.set(w.alice, rs1, "view")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
	ticket := w.gather(c1, w.ticket(perm(r, "view")), w.bob)
	services := []*umaas.Service{w.Service, w.service(), w.service()}
	start := make(chan struct{})
	results := make(chan error, 64)
	for i := range 64 {
		go func() {
			<-start
			_, err := redeemAt(w.t.Context(), services[i%3], c1, ticket)
			results <- err
		}()
	}
	close(start)
	winners := 0
	for range 64 {
		if err := <-results; err == nil {
			winners++
		} else {
			w.wantError(nil, err, 400, "invalid_grant", deadTicket)
		}
	}
	if winners != 1 {
		w.t.Fatalf("%d winners", winners)
	}
}
