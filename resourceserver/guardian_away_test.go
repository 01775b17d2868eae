package resourceserver_test

import (
	"errors"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

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
