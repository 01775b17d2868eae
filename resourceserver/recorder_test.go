package resourceserver_test

import (
	"fmt"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

func (w *world) set(owner, level, patient string) rs.Set {
	w.t.Helper()
	id, _ := find(w.t, w, owner, level, patient)
	set, err := w.state.SetByID(w.t.Context(), w.as.Issuer(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return set
}

func event(id string, set rs.Set) rs.Event {
	return rs.Event{Set: set, Patient: set.Patient, AccessEvent: uma.AccessEvent{
		ID: id, Time: "2026-01-01T00:00:00.000Z", Interaction: "read", Types: []string{"Patient"}, Count: 1, Outcome: "success", ClientID: "app",
	}}
}

func TestAccessEventsSurviveAndArriveOnce(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.signInAs(john)
	mine, hers := w.set("sub-john", "record", "john"), w.set("organization", "record", "mary")
	w.as.Down(true)
	var events []rs.Event
	for i := range 250 {
		events = append(events, event(fmt.Sprintf("e%d", i), []rs.Set{mine, hers}[i%2]))
	}
	if err := w.spool.Record(t.Context(), events); err != nil {
		t.Fatal(err) // durable although the authorization server is away
	}
	if n, err := w.spool.Deliver(t.Context()); n != 0 || err == nil {
		t.Errorf("delivered %d, %v", n, err)
	}
	w.boot()
	w.as.Down(false)
	w.as.Lose("POST /access-events", true) // taken there, not known here
	if n, err := w.spool.Deliver(t.Context()); n != 0 || err == nil {
		t.Errorf("delivered %d, %v", n, err)
	}
	w.as.Lose("POST /access-events", false)
	if n, err := w.spool.Deliver(t.Context()); n != 250 || err != nil {
		t.Errorf("delivered %d, %v", n, err)
	}
	if got := w.as.Events(); len(got) != 250 || got["e0"].ResourceID != mine.ResourceID || got["e1"].ResourceID != hers.ResourceID {
		t.Errorf("%d events: %+v", len(got), got["e0"])
	}
	for _, r := range w.as.Reports() { // one owner per report, with her own PAT
		for _, e := range r.Events {
			if want := map[string]string{mine.ResourceID: "sub-john", hers.ResourceID: "organization"}[e.ResourceID]; r.Owner != want {
				t.Fatalf("event of %s reported with the PAT of %s", want, r.Owner)
			}
		}
	}
	before := len(w.as.Reports())
	if n, err := w.spool.Deliver(t.Context()); n != 0 || err != nil || len(w.as.Reports()) != before {
		t.Errorf("again: %d, %v", n, err)
	}
}

func TestOneBadEventDoesNotHoldUpTheOthers(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.signInAs(john)
	good, gone := w.set("sub-john", "record", "john"), w.set("sub-john", "user", "")
	w.as.ForgetResource(gone.ResourceID)
	var events []rs.Event
	for i := range 20 {
		set := good
		if i == 7 {
			set = gone
		}
		events = append(events, event(fmt.Sprint("e", i), set))
	}
	if err := w.spool.Record(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if _, err := w.spool.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.as.Events(); len(got) != 19 {
		t.Errorf("%d of 19 arrived", len(got))
	}
	if left, err := w.state.SpooledEvents(t.Context(), w.as.Issuer(), nil, 10); err != nil || len(left) != 0 {
		t.Errorf("left %v %v", left, err)
	}
}

func TestEventsOfAWithdrawnOwnerGoByOurOwnToken(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.signInAs(john)
	set := w.set("sub-john", "record", "john")
	w.as.RevokePATs("sub-john", true)
	w.clock.forward(time.Hour)
	if err := w.spool.Record(t.Context(), []rs.Event{event("e", set)}); err != nil {
		t.Fatal(err)
	}
	if n, err := w.spool.Deliver(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if r := w.as.Reports(); len(r) != 1 || r[0].Owner != "organization" {
		t.Errorf("%+v", r)
	}
}

func TestRecordRefusesWhatNobodyCouldReport(t *testing.T) {
	w := newWorld(t)
	for _, e := range []rs.Event{event("", rs.Set{Issuer: "x"}), event("e", rs.Set{}), {Set: rs.Set{Issuer: "x"}, AccessEvent: uma.AccessEvent{ID: "e"}}} {
		if err := w.spool.Record(t.Context(), []rs.Event{e}); err == nil || err.Error() != "record access: an event needs an id, a set and an outcome" {
			t.Errorf("%+v: %v", e, err)
		}
	}
}
