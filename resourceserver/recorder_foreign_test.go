package resourceserver_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

func (g *guarded) accessed(patient string, ids ...string) {
	g.t.Helper()
	reg, err := g.state.RecordOf(g.t.Context(), patient)
	if err != nil {
		g.t.Fatal(err)
	}
	var events []rs.Event
	for _, id := range ids {
		e := event(id, reg.Set)
		e.Time, e.JTI, e.Sub = g.clock.now().UTC().Format(time.RFC3339Nano), "jti", "party"
		events = append(events, e)
	}
	if err := g.spool.Record(g.t.Context(), events); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guarded) waiting(as *asclienttest.Server) []string {
	g.t.Helper()
	var ids []string
	for after := []byte(nil); ; {
		page, err := g.state.SpooledEvents(g.t.Context(), as.Issuer(), after, 100)
		if err != nil {
			g.t.Fatal(err)
		}
		for _, b := range page {
			for _, e := range b.Events {
				ids = append(ids, e.ID)
			}
		}
		if len(page) < 100 {
			return ids
		}
		after = page[len(page)-1].Key
	}
}

// TestOneServerAwayDelaysNoOthersHistory: a patient's server is away for a while. Events for the others go out at once.
func TestOneServerAwayDelaysNoOthersHistory(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	g.move(g.user(john), there("john"))
	g.second.Down(true)
	g.accessed("john", "his")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.spool.Run(ctx, 50*time.Millisecond) }()
	time.Sleep(2 * time.Second) // one pause for all would have grown beyond a second by now
	began := time.Now()
	g.accessed("mary", "hers")
	for len(g.waiting(g.as)) > 0 && time.Since(began) < 5*time.Second {
		time.Sleep(5 * time.Millisecond)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("her event waited %v", took)
	}
	g.second.Down(false)
	g.clock.forward(time.Minute)
	for began = time.Now(); len(g.waiting(g.second)) > 0 && time.Since(began) < 5*time.Second; {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	<-ended
	if g.second.Events()["his"].ID == "" || g.as.Events()["hers"].ID == "" {
		t.Error("not everything arrived")
	}
}

// TestForeignSpoolIsBounded: for a server that takes nothing the newest ten thousand events of an owner are kept.
func TestForeignSpoolIsBounded(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	g.move(g.user(john), there("john"))
	g.second.Down(true)
	ids := make([]string, 10_150)
	for i := range ids {
		ids[i] = fmt.Sprint("e", i)
	}
	for len(ids) > 0 { // in order of time
		g.accessed("john", ids[:50]...)
		ids = ids[50:]
		g.clock.forward(time.Millisecond)
	}
	if n, err := g.spool.Deliver(t.Context()); n != 0 || err == nil {
		t.Errorf("%d %v", n, err)
	}
	left := g.waiting(g.second)
	if len(left) != 10_000 || left[0] != "e150" || left[len(left)-1] != "e10149" {
		t.Errorf("%d events left, from %s", len(left), left[0])
	}
	g.second.Down(false)
	if n, err := g.spool.Deliver(t.Context()); n != 10_000 || err != nil {
		t.Errorf("%d %v", n, err)
	}
}

// TestEventsOfAServerNoLongerWorkedWith: they outlast a mistake in the configuration, and do not stay for ever.
func TestEventsOfAServerNoLongerWorkedWith(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	g.move(g.user(john), there("john"))
	g.accessed("john", "old")
	g.policy = rs.ForeignNone
	g.reboot()
	g.clock.forward(6 * 24 * time.Hour)
	g.accessed("john", "new")
	if n, err := g.spool.Deliver(t.Context()); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	equal(t, "within a week", g.waiting(g.second), []string{"old", "new"})
	g.clock.forward(2 * 24 * time.Hour)
	if _, err := g.spool.Deliver(t.Context()); err != nil {
		t.Error(err)
	}
	equal(t, "after a week", g.waiting(g.second), []string{"new"})
	g.policy = rs.ForeignAny
	g.reboot()
	if n, err := g.spool.Deliver(t.Context()); n != 1 || err != nil || g.second.Events()["new"].ID == "" {
		t.Errorf("%d %v", n, err)
	}
}

// TestEventsOutliveASwitch: what waits for the server she leaves goes there while it knows the sets, and to the new one where it
// cannot.
func TestEventsOutliveASwitch(t *testing.T) {
	back := func(g *guarded, u rs.User) {
		g.t.Helper()
		if err := g.guardian.Return(g.t.Context(), u); err != nil {
			g.t.Fatal(err)
		}
		g.settle()
	}
	t.Run("from home", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		u := g.user(john)
		g.accessed("john", "e")
		g.move(u, there("john"))
		if e := g.as.Events()["e"]; e.ID == "" || e.ClientID != "app" {
			t.Errorf("%+v", e)
		}
		equal(t, "left", g.waiting(g.as), nil)
	})
	t.Run("from a foreign server", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		u := g.user(john)
		g.move(u, there("john"))
		g.accessed("john", "e")
		back(g, u)
		if e := g.second.Events()["e"]; e.ID == "" || e.ClientID != "app" {
			t.Errorf("%+v", e)
		}
		equal(t, "left", g.waiting(g.second), nil)
	})
	t.Run("from one that is away", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		u := g.user(john)
		g.move(u, there("john"))
		g.accessed("john", "e")
		g.second.Down(true)
		back(g, u)
		equal(t, "while it is away", g.waiting(g.second), []string{"e"})
		g.second.Down(false)
		g.clock.forward(time.Hour)
		g.settle()
		if e := g.second.Events()["e"]; e.ID == "" {
			t.Error("lost")
		}
	})
	t.Run("from one that took her word back: by this server's own", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		u := g.user(john)
		g.move(u, there("john"))
		g.accessed("john", "e")
		g.second.RevokePATs("second-john", true)
		g.clock.forward(time.Hour)
		back(g, u)
		if g.second.Events()["e"].ID == "" {
			t.Error("lost")
		}
	})
	t.Run("from one that is not worked with any more", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		u := g.user(john)
		g.move(u, there("john"))
		g.accessed("john", "e")
		g.policy = rs.ForeignNone
		g.reboot()
		back(g, u)
		equal(t, "left", g.waiting(g.second), nil)
		if n, err := g.spool.Deliver(t.Context()); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		reg, _ := g.state.RecordOf(t.Context(), "john")
		want := uma.AccessEvent{ClientID: "app at " + g.second.Issuer(), Sub: "party at " + g.second.Issuer(), ResourceID: reg.ResourceID}
		if e := g.as.Events()["e"]; e.ClientID != want.ClientID || e.Sub != want.Sub || e.ResourceID != want.ResourceID || e.JTI != "" {
			t.Errorf("%+v", e)
		}
	})
}
