package resourceserver_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

// TestF_024_MoveAndBack: a patient's record and her access sets go to the server she names, nothing of hers stays behind,
// and they come back when she wants.
func TestF_024_MoveAndBack(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	g.relate(daughter)
	g.settle()
	g.guardedAt("john", g.as, u.Key)
	equal(t, "before", g.levels(john.Sub), []string{"patient abigail", "record john", "user"})

	g.move(u, there("john"))
	g.guardedAt("john", g.second, g.account("john"))
	equal(t, "at the second", levelsAt(g.second, "second-john"), []string{"patient abigail", "record john", "user"})
	equal(t, "left behind", g.levels(john.Sub), nil)
	if g.may(u.Key, "john") || !g.may(g.account("john"), "john") || !g.may(g.account("john"), "abigail") {
		t.Error("who guards is not who counts")
	}
	v, err := g.guardian.View(t.Context(), u)
	if err != nil || !v.Moved || v.Issuer != g.second.Issuer() || v.Broken || v.Away || !v.Since.Equal(g.clock.now()) {
		t.Errorf("%+v %v", v, err)
	}
	// Signing in again, restarts and reconciliations leave it so.
	g.user(john)
	g.reboot()
	if err := g.registrar.ReconcileAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.second, g.account("john"))
	equal(t, "left behind after a restart", g.levels(john.Sub), nil)

	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.as, u.Key)
	equal(t, "back", g.levels(john.Sub), []string{"patient abigail", "record john", "user"})
	equal(t, "left at the second", levelsAt(g.second, "second-john"), nil)
	if g.may(g.account("john"), "john") {
		t.Error("the account she left still counts")
	}
	if _, err := g.state.HomeOf(t.Context(), g.account("john")); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("still linked: %v", err)
	}
	if _, err := g.state.PAT(t.Context(), rs.Owner{Issuer: g.second.Issuer(), User: g.account("john")}); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("its token is still kept: %v", err)
	}
	g.move(u, there("john")) // and once more
	g.guardedAt("john", g.second, g.account("john"))
}

// TestMoveThatFailsChangesNothing fails each step in turn. Before, between and after, the record is guarded where it was.
func TestMoveThatFailsChangesNothing(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u, other := g.user(john), g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	for _, c := range []struct {
		name string
		try  func() error
		want string
	}{
		{"no record of her own", func() error { return g.tryMove(g.user(doctor), there("x")) }, rs.GuardNoRecord},
		{"no address", func() error { _, err := g.guardian.Find(t.Context(), u, "javascript:x"); return err }, rs.GuardAddress},
		{"it guards already", func() error { _, err := g.guardian.Find(t.Context(), u, g.as.Issuer()); return err }, rs.GuardSame},
		{"away", func() error { g.second.Down(true); defer g.second.Down(false); return g.tryMove(u, there("john")) }, rs.GuardAway},
		{"she says no", func() error { return g.tryMove(u, asclienttest.Person{Sub: "second-john", Refuses: true}) }, rs.GuardSaidNo},
		{"SEC-63 repeated", func() error {
			return g.tryMove(u, there("john"), func(_ *string, q url.Values) { q.Add("state", "x") })
		}, rs.GuardTooOld},
		{"unknown state", func() error {
			return g.tryMove(u, there("john"), func(_ *string, q url.Values) { q.Set("state", "x") })
		}, rs.GuardTooOld},
		{"RFC 9207 another issuer", func() error {
			return g.tryMove(u, there("john"), func(_ *string, q url.Values) { q.Set("iss", g.as.Issuer()) })
		}, rs.GuardUnsound},
		{"RFC 9207 no issuer", func() error { return g.tryMove(u, there("john"), func(_ *string, q url.Values) { q.Del("iss") }) }, rs.GuardUnsound},
		{"another server's path", func() error {
			return g.tryMove(u, there("john"), func(path *string, _ url.Values) { *path = rs.GuardPath("https://evil.example") })
		}, rs.GuardUnsound},
		{"the path of sign-ins", func() error {
			return g.tryMove(u, there("john"), func(path *string, _ url.Values) { *path = rs.CallbackPath })
		}, rs.GuardUnsound},
		{"wrong code", func() error {
			return g.tryMove(u, there("john"), func(_ *string, q url.Values) { q.Set("code", "x") })
		}, rs.GuardUnsound},
		{"away after her consent", func() error {
			defer g.second.Down(false)
			return g.tryMove(u, there("john"), func(*string, url.Values) { g.second.Down(true) })
		}, rs.GuardAway},
		{"SEC-04 another browser", func() error {
			handle, err := g.guardian.Find(t.Context(), u, g.second.Issuer())
			if err != nil {
				return err
			}
			g.second.SignInNext(there("john"))
			to, err := g.guardian.Begin(t.Context(), u, handle, "browser")
			if err != nil {
				return err
			}
			path, q := g.consent(to)
			if code := guardCode(g.guardian.Finish(t.Context(), other, path, q, "browser")); code != rs.GuardTooOld {
				t.Errorf("another person: %q", code)
			}
			return g.guardian.Finish(t.Context(), u, path, q, "another")
		}, rs.GuardTooOld},
		{"another person's proposal", func() error {
			handle, err := g.guardian.Find(t.Context(), u, g.second.Issuer())
			if err != nil {
				return err
			}
			_, err = g.guardian.Begin(t.Context(), other, handle, "browser")
			return err
		}, rs.GuardTooOld},
	} {
		if got := guardCode(c.try()); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		g.clock.forward(time.Minute) // look-ups are counted
		g.guardedAt("john", g.as, u.Key)
		if !g.may(u.Key, "john") || g.may(g.account("john"), "john") {
			t.Errorf("%s: another account counts", c.name)
		}
	}
	equal(t, "at the second", levelsAt(g.second, "second-john"), nil)
	g.clock.forward(time.Hour)
	g.move(u, there("john"))
	g.guardedAt("john", g.second, g.account("john"))
}

// TestMoveThatBreaksOff loses the answer to a registration at the new server, as a crash there would: the old guard stays,
// and what may have been registered is cleared away, by the next try or by the queue.
func TestMoveThatBreaksOff(t *testing.T) {
	for _, again := range []bool{true, false} {
		g := newGuarded(t, rs.ForeignAny, false)
		u := g.user(john)
		g.second.Lose("POST /resource_set/", true)
		if got := guardCode(g.tryMove(u, there("john"))); got != rs.GuardImpatient {
			t.Fatalf("%q", got)
		}
		g.second.Lose("POST /resource_set/", false)
		if n := len(levelsAt(g.second, "second-john")); n != 1 {
			t.Fatalf("%d sets arrived: the test proves nothing", n)
		}
		g.reboot()
		g.guardedAt("john", g.as, u.Key)
		g.clock.forward(3 * time.Minute)
		if again {
			g.move(u, there("john"))
			g.guardedAt("john", g.second, g.account("john"))
			equal(t, "at the second", levelsAt(g.second, "second-john"), []string{"record john", "user"})
			continue
		}
		g.settle()
		g.guardedAt("john", g.as, u.Key)
		equal(t, "left at the second", levelsAt(g.second, "second-john"), nil)
		if _, err := g.state.HomeOf(t.Context(), g.account("john")); !errors.Is(err, rs.ErrNotKept) {
			t.Errorf("still linked: %v", err)
		}
	}
}

// TestTakenAccount: one account guards one person's record.
func TestTakenAccount(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u, m := g.user(john), g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	g.move(u, there("john"))
	if got := guardCode(g.tryMove(m, there("john"))); got != rs.GuardTaken {
		t.Errorf("%q", got)
	}
	g.guardedAt("john", g.second, g.account("john"))
	g.guardedAt("mary", g.as, m.Key)
	if got := guardCode(g.tryMove(u, there("john too"))); got != rs.GuardSame {
		t.Errorf("another account of hers at the same server: %q", got)
	}
	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.move(u, there("john too")) // now she may, and the account she left is anybody's again
	g.guardedAt("john", g.second, g.account("john too"))
	g.move(m, there("john"))
	g.guardedAt("mary", g.second, g.account("john"))
}
