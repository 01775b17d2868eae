package resourceserver_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

// TestSecondAccountTakesNoRecord: two accounts are the same patient. The first keeps the record, and the second gets at it
// neither by naming another server nor by going back.
func TestSecondAccountTakesNoRecord(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	g.settle()
	second := g.user(asclienttest.Person{Sub: "sub-other", Name: "Not John", FHIRUser: "Patient/john"})
	g.settle()
	stays := func(what string) {
		t.Helper()
		g.guardedAt("john", g.as, u.Key)
		if g.may(second.Key, "john") && !g.may(u.Key, "john") || g.may(g.account("thief"), "john") {
			t.Errorf("%s: another account counts", what)
		}
	}
	if got := guardCode(g.tryMove(second, there("thief"))); got != rs.GuardHeld {
		t.Errorf("named a server: %q", got)
	}
	stays("move")
	if _, err := g.guardian.View(t.Context(), second); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("she is shown who guards it: %v", err)
	}
	if got := guardCode(g.guardian.Return(t.Context(), second)); got != "" {
		t.Errorf("going back where she is: %q", got)
	}
	g.settle()
	stays("return")
	g.move(u, there("john"))
	if got := guardCode(g.tryMove(second, there("thief"))); got != rs.GuardHeld {
		t.Errorf("after the first has moved: %q", got)
	}
	g.guardedAt("john", g.second, g.account("john"))
}

// TestSecondAccountTakesNoRecord_Race: the record is claimed by the first account while the second is at the server it has
// named. The switch refuses, and what was registered there is cleared away.
func TestSecondAccountTakesNoRecord_Race(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	second := g.user(asclienttest.Person{Sub: "sub-other", Name: "Not John", FHIRUser: "Patient/john"})
	held, err := g.state.RecordOf(t.Context(), "john")
	if err != nil {
		t.Fatal(err)
	}
	var u rs.User
	err = g.tryMove(second, there("thief"), func(*string, url.Values) {
		if err := g.state.EndRegistration(t.Context(), held); err != nil {
			t.Fatal(err)
		}
		u = g.user(john)
		g.guardedAt("john", g.as, u.Key)
	})
	if got := guardCode(err); got != rs.GuardHeld {
		t.Fatalf("%q: %v", got, err)
	}
	g.guardedAt("john", g.as, u.Key)
	g.clock.forward(time.Hour)
	g.settle()
	equal(t, "left at the second", levelsAt(g.second, "second-thief"), nil)
	if _, err := g.state.HomeOf(t.Context(), g.account("thief")); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("still linked: %v", err)
	}
}

// TestPatientTakesHerRecordFromARepresentative: that right stays, also at a server of her choice.
func TestPatientTakesHerRecordFromARepresentative(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	held := daughter
	held.Holder, held.Scopes = true, "patient/*.cruds"
	g.relate(held)
	g.settle()
	g.guardedAt("abigail", g.as, u.Key)
	abigail := g.user(asclienttest.Person{Sub: "sub-abigail", Name: "Abigail", FHIRUser: "Patient/abigail"})
	g.settle()
	g.guardedAt("abigail", g.as, abigail.Key)
	g.move(abigail, there("abigail"))
	g.guardedAt("abigail", g.second, g.account("abigail"))
}

// TestAccountIsLookedAtBeforeItIsLinked: the job that lets an account go stands before the account is linked, so that nothing
// is left of a process that dies in between.
func TestAccountIsLookedAtBeforeItIsLinked(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u, m := g.user(john), g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	g.move(u, there("john"))
	if got := guardCode(g.tryMove(m, there("john"))); got != rs.GuardTaken {
		t.Fatalf("%q", got)
	}
	jobs, err := g.state.DueJobs(t.Context(), g.clock.now().Add(time.Hour), 10)
	if err != nil || len(jobs) != 1 || jobs[0].Owner.User != g.account("john") || !jobs[0].Verify {
		t.Errorf("%+v %v", jobs, err)
	}
	g.clock.forward(time.Hour)
	g.settle()
	g.guardedAt("john", g.second, g.account("john"))
}
