package resourceserver_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/scopes"
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

// TestSEC_57_ContextURLFollows: a context URL minted before the move leads to the new server, and the app it was resolved
// for, which has another id there, is not in the way.
func TestSEC_57_ContextURLFollows(t *testing.T) {
	g := newGuarded(t, rs.ForeignListed, true)
	u := g.user(john)
	link := g.mint(u.Key, "john", "flu")
	g.move(u, there("john"))
	rec := g.do(http.MethodPost, link+"/authorize?scope=Observation.rs&client_id=flu-elsewhere", "")
	if rec.Code != http.StatusUnauthorized {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	reg, _ := g.state.RecordOf(t.Context(), "john")
	g.second.PutToken("opaque", uma.Introspection{Active: true, Kind: "rpt", ClientID: "flu-elsewhere", Permissions: []uma.Permission{{ResourceID: reg.ResourceID, Scopes: []string{"patient/Observation.r"}}}})
	rec = g.do(http.MethodGet, link, "", "Authorization", "Bearer opaque")
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	// Once seen there, the token is found again although the request names nobody.
	if grant, err := g.verifier.Verify(t.Context(), "opaque"); err != nil || len(grant.Permissions) != 1 || grant.Issuer != g.second.Issuer() {
		t.Errorf("%+v %v", grant, err)
	}
}

// TestSEC_08_TokensOfOneServerOpenNothingOfAnother is the whole matrix: two servers, two patients, opaque and signed tokens,
// asked about either patient. Both servers give their sets equal ids.
func TestSEC_08_TokensOfOneServerOpenNothingOfAnother(t *testing.T) {
	g := newGuarded(t, rs.ForeignListed, true)
	j, m := g.user(john), g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	_ = m
	g.move(j, there("john"))
	johns, _ := g.state.RecordOf(t.Context(), "john")
	marys, _ := g.state.RecordOf(t.Context(), "mary")
	servers := map[string]*asclienttest.Server{"first": g.as, "second": g.second}
	guards := map[string]string{johns.ResourceID: "second", marys.ResourceID: "first"}
	token := func(server, form, id string) string {
		as := servers[server]
		p := []uma.Permission{{ResourceID: id, Scopes: []string{"patient/Observation.r"}}}
		value := server + "-" + id
		if form == "signed" {
			value = as.Sign("at+jwt", map[string]any{
				"iss": as.Issuer(), "aud": fhirBase, "exp": g.clock.now().Add(time.Hour).Unix(), "jti": value, "client_id": "app", "permissions": p,
			})
		}
		as.PutToken(value, uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: p})
		return value
	}
	opened := 0
	for server := range servers {
		for _, form := range []string{"opaque", "signed"} {
			for id, guard := range guards {
				for _, about := range []string{"john", "mary", ""} {
					value := token(server, form, id)
					if form == "opaque" {
						value += about // not one that was seen before
						servers[server].PutToken(value, uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: []uma.Permission{{ResourceID: id, Scopes: []string{"patient/Observation.r"}}}})
					}
					grant, err := g.verifier.VerifyAbout(t.Context(), value, about)
					// An opaque token of the second server is found only where john's record is asked for.
					reachable := server == "first" || form == "signed" || about == "john"
					want := 0
					if reachable && guard == server {
						want = 1
					}
					if len(grant.Permissions) != want || want > 0 && (err != nil || grant.Issuer != servers[server].Issuer()) {
						t.Errorf("%s token of %s on a set at %s, asked for %q: %d permissions, %v; want %d", form, server, guard, about, len(grant.Permissions), err, want)
					}
					opened += want
				}
			}
		}
	}
	if opened != 3+3+3+1 {
		t.Errorf("%d combinations open something, want 10", opened)
	}
}

// TestSEC_16_NobodyIsShownAnothersToken counts who is asked about what.
func TestSEC_16_NobodyIsShownAnothersToken(t *testing.T) {
	const asked = "POST /introspect"
	t.Run("listed", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignListed, true)
		g.move(g.user(john), there("john"))
		g.as.PutToken("hers", uma.Introspection{Active: true, Kind: "rpt", ClientID: "app"})
		if _, err := g.verifier.VerifyAbout(t.Context(), "hers", "john"); err != nil {
			t.Fatal(err)
		}
		if n := g.second.Calls(asked); n != 0 {
			t.Errorf("a token of the first server was shown to the second %d times", n)
		}
		g.as.Down(true)
		if _, err := g.verifier.VerifyAbout(t.Context(), "unknown", "john"); !errors.Is(err, rs.ErrUnreachable) {
			t.Errorf("while the first is away: %v", err)
		}
		if n := g.second.Calls(asked); n != 0 {
			t.Errorf("a token that may be the first server's was shown to the second %d times", n)
		}
	})
	t.Run("stranger", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		g.move(g.user(john), there("john"))
		reg, _ := g.state.RecordOf(t.Context(), "john")
		g.second.PutToken("opaque", uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: []uma.Permission{{ResourceID: reg.ResourceID, Scopes: []string{"patient/Observation.r"}}}})
		if _, err := g.verifier.VerifyAbout(t.Context(), "opaque", "john"); !errors.Is(err, rs.ErrInactive) {
			t.Errorf("a stranger's opaque token: %v", err)
		}
		if n := g.second.Calls(asked); n != 0 {
			t.Errorf("a stranger was shown an opaque token %d times", n)
		}
	})
	t.Run("unknown issuer", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		signed := g.second.Sign("at+jwt", map[string]any{"iss": g.second.Issuer(), "aud": fhirBase, "exp": g.clock.now().Add(time.Hour).Unix(), "jti": "x", "client_id": "app"})
		if _, err := g.verifier.VerifyAbout(t.Context(), signed, "john"); !errors.Is(err, rs.ErrInactive) {
			t.Error(err)
		}
		if n := g.second.Calls("GET /.well-known/uma2-configuration"); n != 0 {
			t.Errorf("%d requests to an issuer nobody has brought", n)
		}
	})
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

// TestStandingOfOthers: whoever has another authorization server than the record's owner sees nothing of it, at any level,
// until she says so here; her word is hers and ends with her holding the record.
func TestStandingOfOthers(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	d := g.user(doctor)
	g.relate(rs.Relation{Subject: "Practitioner/grey", Patient: "john", Kind: "practitioner", Scopes: "patient/*.rs"})
	g.relate(rs.Relation{Subject: "Practitioner/grey", Patient: "mary", Kind: "practitioner", Scopes: "patient/*.rs"})
	g.settle()
	if !g.may(d.Key, "john") {
		t.Fatal("the same server decides about both")
	}
	g.move(u, there("john"))
	equal(t, "the doctor's sets", g.levels(doctor.Sub), []string{"patient mary", "user"})
	if g.may(d.Key, "john") || !g.may(d.Key, "mary") {
		t.Error("her server cannot ask the record's owner, so she sees nothing of it")
	}
	if list, err := g.standing.Patients(t.Context(), d.Key); err != nil || len(list) != 1 || list[0] != "mary" {
		t.Errorf("%v %v", list, err)
	}
	v, err := g.guardian.View(t.Context(), u)
	if err != nil || len(v.Others) != 1 || v.Others[0].Key != d.Key || v.Others[0].Allowed || v.Others[0].Name != "Dr Grey" {
		t.Fatalf("%+v %v", v.Others, err)
	}
	if err := g.guardian.Allow(t.Context(), d, "john", d.Key, true); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("the doctor allowed herself: %v", err)
	}
	if err := g.guardian.Allow(t.Context(), u, "mary", d.Key, true); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("another's record: %v", err)
	}
	if err := g.guardian.Allow(t.Context(), u, "john", "nobody", true); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("nobody: %v", err)
	}
	if err := g.guardian.Allow(t.Context(), u, "john", d.Key, true); err != nil {
		t.Fatal(err)
	}
	g.settle()
	equal(t, "the doctor's sets", g.levels(doctor.Sub), []string{"patient john", "patient mary", "user"})
	held, ok, err := g.standing.MaySee(t.Context(), d.Key, "john")
	want, _ := scopes.ParseSet("patient/*.rs")
	if err != nil || !ok || held.String() != want.String() {
		t.Errorf("%v %v %v", held, ok, err)
	}
	for _, r := range g.as.Resources() {
		if c := r.Description.Context; c != nil && r.Owner == doctor.Sub && c.Patient == "john" && (r.Description.DerivedFrom == nil || !r.Description.DerivedFrom.Custodian) {
			t.Errorf("rests on %+v", r.Description.DerivedFrom)
		}
	}
	if err := g.guardian.Allow(t.Context(), u, "john", d.Key, false); err != nil {
		t.Fatal(err)
	}
	if g.may(d.Key, "john") {
		t.Error("taken back, yet she sees")
	}
	g.settle()
	equal(t, "the doctor's sets", g.levels(doctor.Sub), []string{"patient mary", "user"})
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
