package state_test

import (
	"errors"
	"sync"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/state"
)

func account(user string) rs.Owner { return rs.Owner{Issuer: "https://second.example", User: user} }

func recordSet(o rs.Owner, patient, id string) rs.Registration {
	return rs.Registration{Set: rs.Set{Issuer: o.Issuer, ResourceID: id, Level: rs.LevelRecord, User: o.User, Patient: patient}, Owner: o}
}

func person(t *testing.T, s *state.Store, key, patient string) {
	t.Helper()
	if err := s.PutUser(ctx(t), rs.User{Key: key, Issuer: "https://as.example", FHIRUser: "Patient/" + patient}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRegistration(ctx(t), recordSet(owner(key), patient, "record-"+patient)); err != nil {
		t.Fatal(err)
	}
}

// TestGuards: one account guards what is a person's, the switch moves guard and record together, and standing follows it.
func TestGuards(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		person(t, s, "ann", "p1")
		person(t, s, "bob", "p2")
		standing := func(acct, patient string, want rs.Standing) {
			t.Helper()
			if got, err := s.Standing(ctx(t), acct, patient); err != nil || got != want {
				t.Errorf("%s on %s: %+v %v, want %+v", acct, patient, got, err, want)
			}
		}
		is := func(err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		standing("ann", "p1", rs.Standing{Person: "ann", Guards: true, Bound: true})
		standing("ann", "p2", rs.Standing{Person: "ann", Guards: true, Bound: true}) // one server decides for both
		standing("x1", "p1", rs.Standing{})
		standing("ann", "\x00", rs.Standing{})
		is(s.SwitchGuard(ctx(t), rs.Switch{Home: "ann", From: owner("ann"), To: account("x1"), Record: recordSet(account("x1"), "p1", "r1")}), rs.ErrTaken)
		is(s.LinkAccount(ctx(t), account("x1"), "ann"), nil)
		is(s.LinkAccount(ctx(t), account("x1"), "ann"), nil)
		is(s.LinkAccount(ctx(t), account("x1"), "bob"), rs.ErrTaken)
		is(s.LinkAccount(ctx(t), owner("bob"), "ann"), rs.ErrTaken)
		standing("x1", "p1", rs.Standing{Person: "ann", Bound: true}) // linked, but it does not guard
		is(s.SwitchGuard(ctx(t), rs.Switch{Home: "ann", From: account("x1"), To: account("x1"), Record: recordSet(account("x1"), "p1", "r1")}), rs.ErrBusy)
		is(s.SwitchGuard(ctx(t), rs.Switch{Home: "ann", From: owner("ann"), To: account("x1"), Record: recordSet(account("x1"), "p1", "r1")}), nil)
		standing("x1", "p1", rs.Standing{Person: "ann", Guards: true, Bound: true})
		standing("ann", "p1", rs.Standing{Person: "ann", Bound: true})
		standing("bob", "p1", rs.Standing{Person: "bob", Guards: true}) // another server decides about p1 now
		standing("x1", "p2", rs.Standing{Person: "ann", Guards: true})
		is(s.UnlinkAccount(ctx(t), "x1"), rs.ErrBusy)
		if reg, err := s.RecordOf(ctx(t), "p1"); err != nil || reg.Owner != account("x1") {
			t.Errorf("%+v %v", reg, err)
		}
		if _, err := s.SetByID(ctx(t), "https://as.example", "record-p1"); !errors.Is(err, rs.ErrNotKept) {
			t.Errorf("the old set still means something: %v", err)
		}
		if gone, err := s.Removals(ctx(t), owner("ann"), 10); err != nil || len(gone) != 1 || gone[0] != "record-p1" {
			t.Errorf("%v %v", gone, err)
		}
		is(s.PutLeave(ctx(t), "p1", "ann", "bob"), nil)
		standing("bob", "p1", rs.Standing{Person: "bob", Guards: true, Leave: true})
		is(s.PutLeave(ctx(t), "p2", "ann", "ann"), nil) // not the holder's word
		standing("x1", "p2", rs.Standing{Person: "ann", Guards: true})
		if list, err := s.Leaves(ctx(t), "p1", "ann"); err != nil || len(list) != 1 || list[0] != "bob" {
			t.Errorf("%v %v", list, err)
		}
		is(s.DropLeave(ctx(t), "p1", "ann", "bob"), nil)
		standing("bob", "p1", rs.Standing{Person: "bob", Guards: true})
		is(s.SwitchGuard(ctx(t), rs.Switch{Home: "ann", From: account("x1"), To: owner("ann"), Record: recordSet(owner("ann"), "p1", "again")}), nil)
		standing("ann", "p1", rs.Standing{Person: "ann", Guards: true, Bound: true})
		is(s.UnlinkAccount(ctx(t), "x1"), nil)
		is(s.UnlinkAccount(ctx(t), "x1"), nil)
		standing("x1", "p1", rs.Standing{})
		if _, err := s.GuardOf(ctx(t), "ann"); !errors.Is(err, rs.ErrNotKept) {
			t.Error(err)
		}
	})
}

// TestGuards_OneOfManySwitches: of parallel switches from one guard one succeeds.
func TestGuards_OneOfManySwitches(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		person(t, s, "ann", "p1")
		names := []string{"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"}
		won := make([]bool, len(names))
		var wg sync.WaitGroup
		for i, name := range names {
			if err := s.LinkAccount(ctx(t), account(name), "ann"); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				err := s.SwitchGuard(ctx(t), rs.Switch{Home: "ann", From: owner("ann"), To: account(name), Record: recordSet(account(name), "p1", "r-"+name)})
				won[i] = err == nil
			})
		}
		wg.Wait()
		winners, winner := 0, ""
		for i, w := range won {
			if w {
				winners, winner = winners+1, names[i]
			}
		}
		reg, err := s.RecordOf(ctx(t), "p1")
		if winners != 1 || err != nil || reg.Owner != account(winner) {
			t.Errorf("%d winners, %q; the record is held by %+v %v", winners, winner, reg.Owner, err)
		}
	})
}

// TestCustodianDisplacesNobody: a registration of the custodian's that was on its way when a person claimed the record does not
// take it from her; after hers has ended it does.
func TestCustodianDisplacesNobody(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		person(t, s, "ann", "p1")
		custodian := recordSet(owner(""), "p1", "custodial")
		if err := s.PutRegistration(ctx(t), custodian); !errors.Is(err, rs.ErrTaken) {
			t.Errorf("%v", err)
		}
		if reg, err := s.RecordOf(ctx(t), "p1"); err != nil || reg.Owner.User != "ann" {
			t.Errorf("%+v %v", reg, err)
		}
		if err := s.EndRegistration(ctx(t), recordSet(owner("ann"), "p1", "record-p1")); err != nil {
			t.Fatal(err)
		}
		if err := s.PutRegistration(ctx(t), custodian); err != nil {
			t.Fatal(err)
		}
		if reg, err := s.RecordOf(ctx(t), "p1"); err != nil || !reg.Owner.Custodian() {
			t.Errorf("%+v %v", reg, err)
		}
	})
}

// TestKnownIssuers: a server is known while accounts of it are linked.
func TestKnownIssuers(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		at := func(issuer, user string) rs.Owner { return rs.Owner{Issuer: issuer, User: user} }
		for _, o := range []rs.Owner{at("https://a.example", "a1"), at("https://b.example", "b1"), at("https://a.example", "a2"), at("https://a.example", "a1")} {
			if err := s.LinkAccount(ctx(t), o, "ann"); err != nil {
				t.Fatal(err)
			}
		}
		if k, err := s.KnownIssuer(ctx(t), "https://a.example"); err != nil || k.Issuer != "https://a.example" || k.Linked != 2 {
			t.Errorf("%+v %v", k, err)
		}
		if _, err := s.KnownIssuer(ctx(t), "https://c.example"); !errors.Is(err, rs.ErrNotKept) {
			t.Error(err)
		}
		first, err := s.KnownIssuers(ctx(t), "", 1)
		if err != nil || len(first) != 1 {
			t.Fatal(first, err)
		}
		rest, err := s.KnownIssuers(ctx(t), first[0].Issuer, 10)
		if err != nil || len(rest) != 1 || rest[0].Issuer == first[0].Issuer {
			t.Errorf("%v %v", rest, err)
		}
		for i, user := range []string{"a1", "a1", "a2"} {
			if err := s.UnlinkAccount(ctx(t), user); err != nil {
				t.Fatal(err)
			}
			if _, err := s.KnownIssuer(ctx(t), "https://a.example"); (err == nil) != (i < 2) {
				t.Errorf("after %d: %v", i, err)
			}
		}
	})
}

// TestPATsOfTwoServersAreApart: a token is found under its own issuer alone.
func TestPATsOfTwoServersAreApart(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		if err := s.PutPAT(ctx(t), rs.PAT{Owner: owner("ann"), Access: "a", Updated: c.now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PAT(ctx(t), account("ann")); !errors.Is(err, rs.ErrNotKept) {
			t.Errorf("a token went to another server: %v", err)
		}
	})
}
