package resourceserver_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
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

// TestF_075_TokenTakenBackAtHerServer: nobody gets in, she is told, and she can give it again or go back.
func TestF_075_TokenTakenBackAtHerServer(t *testing.T) {
	g := newGuarded(t, rs.ForeignListed, true)
	u := g.user(john)
	g.move(u, there("john"))
	reg, _ := g.state.RecordOf(t.Context(), "john")
	g.second.PutToken("rpt", uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: []uma.Permission{{ResourceID: reg.ResourceID, Scopes: []string{"patient/Observation.r"}}}})
	if grant, err := g.verifier.VerifyAbout(t.Context(), "rpt", "john"); err != nil || len(grant.Permissions) != 1 {
		t.Fatalf("%+v %v", grant, err)
	}
	g.second.RevokePATs("second-john", true)
	g.clock.forward(time.Second)
	if _, err := g.verifier.VerifyAbout(t.Context(), "rpt", "john"); !errors.Is(err, rs.ErrInactive) {
		t.Errorf("her token is gone, yet: %v", err)
	}
	if ch, err := g.desk.Ticket(t.Context(), "john", nil); err != nil || ch.ASURI != g.as.Issuer() {
		t.Errorf("asked at %q %v, want the decoy", ch.ASURI, err)
	} else if ticket, _ := g.as.Ticket(ch.Ticket); ticket.Owner != asclienttest.CustodianOwner {
		t.Errorf("the ticket is %s's", ticket.Owner)
	}
	if broken, err := g.guardian.Broken(t.Context(), u); err != nil || !broken {
		t.Errorf("she is not told: %v %v", broken, err)
	}
	if v, err := g.guardian.View(t.Context(), u); err != nil || !v.Broken {
		t.Errorf("%+v %v", v, err)
	}
	handle, err := g.guardian.Renew(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	g.second.SignInNext(there("john"))
	to, err := g.guardian.Begin(t.Context(), u, handle, "browser")
	if err != nil {
		t.Fatal(err)
	}
	path, q := g.consent(to)
	if err := g.guardian.Finish(t.Context(), u, path, q, "browser"); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.second, g.account("john"))
	g.second.RevokePATs("second-john", true)
	g.clock.forward(time.Hour)
	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.as, u.Key)
}

// TestHeldChildrenFollow: a record held in a child's place goes with its holder, and is open to nobody on the way.
func TestHeldChildrenFollow(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	held := daughter
	held.Holder, held.Scopes = true, "patient/*.cruds"
	g.relate(held)
	g.settle()
	g.guardedAt("abigail", g.as, u.Key)
	if err := g.tryMove(u, there("john")); err != nil {
		t.Fatal(err)
	}
	if g.may(u.Key, "abigail") {
		t.Error("the account he left still counts for the child")
	}
	g.settle()
	g.guardedAt("abigail", g.second, g.account("john"))
	equal(t, "left behind", g.levels(john.Sub), nil)
	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("abigail", g.as, u.Key)
}

// TestOwnSecondServer: one of the operator's own servers guards without any foreign policy; her way back from there is the
// path of sign-ins, and signing in with that account makes her the same person.
func TestOwnSecondServer(t *testing.T) {
	g := newGuarded(t, rs.ForeignNone, false)
	g.own = true
	g.reboot()
	u := g.user(john)
	handle, err := g.guardian.Find(t.Context(), u, g.second.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	g.second.SignInNext(there("john"))
	to, err := g.guardian.Begin(t.Context(), u, handle, "browser")
	if err != nil {
		t.Fatal(err)
	}
	q := g.authorize(to)
	if !g.guardian.Began(t.Context(), q.Get("state")) || g.guardian.Began(t.Context(), handle) {
		t.Error("what was begun is not known by its state")
	}
	if err := g.guardian.Finish(t.Context(), u, rs.CallbackPath, q, "browser"); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.second, g.account("john"))
	g.second.SignInNext(there("john"))
	to, err = g.signIn.Start(t.Context(), g.second.Issuer(), "browser", "/connect", "")
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := g.signIn.Finish(t.Context(), g.authorize(to), "browser")
	if err != nil {
		t.Fatal(err)
	}
	if me, err := g.signIn.Session(t.Context(), cookie); err != nil || me.Key != u.Key {
		t.Errorf("she is %+v, %v", me, err)
	}
}

// TestNobodySignsInWithABroughtServer: it guards her record, it does not say who she is here.
func TestNobodySignsInWithABroughtServer(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	g.move(g.user(john), there("john"))
	if _, err := g.signIn.Start(t.Context(), g.second.Issuer(), "browser", "/connect", ""); code(err) != "invalid_request" {
		t.Errorf("%v", err)
	}
	if list := g.signIn.Issuers(); len(list) != 1 || list[0] != g.as.Issuer() {
		t.Errorf("%v", list)
	}
}

// TestServerThatForgotThisOne: a foreign server lost this one's registration. Nobody gets in; she gives her permission again,
// and this server registers anew first.
func TestServerThatForgotThisOne(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	g.move(u, there("john"))
	g.second.ForgetClients()
	g.clock.forward(time.Hour)
	if ch, err := g.desk.Ticket(t.Context(), "john", nil); err != nil || ch.ASURI != g.as.Issuer() {
		t.Errorf("%q %v, want the decoy", ch.ASURI, err)
	}
	if broken, err := g.guardian.Broken(t.Context(), u); err != nil || !broken {
		t.Errorf("she is not told: %v", err)
	}
	if err := g.tryMove(u, there("john")); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.second, g.account("john"))
	if n := g.second.Calls("POST /register"); n != 2 {
		t.Errorf("registered %d times, want 2", n)
	}
}

// TestSecondServerAway: its patients' records open for nobody, everybody else's are as always, and it loses no history.
func TestSecondServerAway(t *testing.T) {
	g := newGuarded(t, rs.ForeignListed, true)
	u, m := g.user(john), g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	g.move(u, there("john"))
	johns, _ := g.state.RecordOf(t.Context(), "john")
	marys, _ := g.state.RecordOf(t.Context(), "mary")
	event := func(id string, set rs.Set) rs.Event {
		return rs.Event{Set: set, Patient: set.Patient, AccessEvent: uma.AccessEvent{ID: id, Outcome: "success"}}
	}
	if err := g.spool.Record(t.Context(), []rs.Event{event("a", johns.Set), event("b", marys.Set)}); err != nil {
		t.Fatal(err)
	}
	g.second.Down(true)
	if _, err := g.desk.Ticket(t.Context(), "john", nil); !errors.Is(err, rs.ErrUnreachable) {
		t.Errorf("G-021: %v", err)
	}
	signed := g.second.Sign("at+jwt", map[string]any{
		"iss": g.second.Issuer(), "aud": fhirBase, "exp": g.clock.now().Add(time.Hour).Unix(), "jti": "x", "client_id": "app",
		"permissions": []uma.Permission{{ResourceID: johns.ResourceID, Scopes: []string{"patient/Observation.r"}}},
	})
	if _, err := g.verifier.VerifyAbout(t.Context(), signed, "john"); !errors.Is(err, rs.ErrUnreachable) {
		t.Errorf("a signed token while its issuer is away: %v", err)
	}
	g.guardedAt("mary", g.as, m.Key)
	if n, err := g.spool.Deliver(t.Context()); n != 1 || err == nil || g.as.Events()["b"].ID != "b" {
		t.Errorf("delivered %d, %v", n, err)
	}
	if v, err := g.guardian.View(t.Context(), u); err != nil || !v.Away || v.Broken {
		t.Errorf("%+v %v", v, err)
	}
	g.second.Down(false)
	if n, err := g.spool.Deliver(t.Context()); n != 1 || err != nil || g.second.Events()["a"].ID != "a" {
		t.Errorf("delivered %d, %v", n, err)
	}
	g.guardedAt("john", g.second, g.account("john"))
	g.second.Down(true) // she goes back without it
	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	g.guardedAt("john", g.as, u.Key)
	g.second.Down(false)
	g.clock.forward(time.Hour)
	g.settle()
	equal(t, "left at the second", levelsAt(g.second, "second-john"), nil)
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

// TestSEC_17_ServerNoLongerTrusted: the operator closes the door after somebody has gone through. Nothing opens, caches warm
// or not, and she can go back.
func TestSEC_17_ServerNoLongerTrusted(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	g.move(u, there("john"))
	reg, _ := g.state.RecordOf(t.Context(), "john")
	g.policy = rs.ForeignNone
	g.reboot()
	before := g.second.Calls("POST /permission") + g.second.Calls("POST /introspect")
	if ch, err := g.desk.Ticket(t.Context(), "john", nil); err != nil || ch.ASURI != g.as.Issuer() {
		t.Errorf("%q %v, want the decoy", ch.ASURI, err)
	}
	signed := g.second.Sign("at+jwt", map[string]any{
		"iss": g.second.Issuer(), "aud": fhirBase, "exp": g.clock.now().Add(time.Hour).Unix(), "jti": "x", "client_id": "app",
		"permissions": []uma.Permission{{ResourceID: reg.ResourceID, Scopes: []string{"patient/Observation.r"}}},
	})
	if _, err := g.verifier.VerifyAbout(t.Context(), signed, "john"); !errors.Is(err, rs.ErrInactive) {
		t.Errorf("%v", err)
	}
	if n := g.second.Calls("POST /permission") + g.second.Calls("POST /introspect"); n != before {
		t.Error("a server that is not trusted was asked")
	}
	if broken, err := g.guardian.Broken(t.Context(), u); err != nil || !broken {
		t.Errorf("she is not told: %v", err)
	}
	if _, err := g.guardian.Find(t.Context(), u, g.second.Issuer()); guardCode(err) != rs.GuardNotHere {
		t.Errorf("%v", err)
	}
	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	g.guardedAt("john", g.as, u.Key)
}
