package resourceserver_test

import (
	"errors"
	"strings"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/scopes"
)

func asked(t *testing.T, list string) []scopes.Scope {
	t.Helper()
	set, bad := scopes.ParseSet(list)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	return set
}

func TestTicketIsAskedOfWhoHoldsTheRecord(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.signInAs(john)
	for patient, owner := range map[string]string{"john": "sub-john", "mary": asclienttest.CustodianOwner} {
		ch, err := w.desk.Ticket(t.Context(), patient, asked(t, "patient/Patient.r"))
		if err != nil || ch.Realm != "fhir" || ch.ASURI != w.as.Issuer() {
			t.Fatalf("%+v %v", ch, err)
		}
		ticket, _ := w.as.Ticket(ch.Ticket)
		id, _ := find(t, w, owner, "record", patient)
		if ticket.Owner != owner || len(ticket.Permissions) != 1 || ticket.Permissions[0].ResourceID != id {
			t.Errorf("%s: %+v", patient, ticket)
		}
	}
}

// decisions 6, IM: hidden, absent and impossible ids make the same one call and look the same.
func TestDecoyTicketLooksLikeARealOne(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.signInAs(john)
	if _, err := w.desk.Ticket(t.Context(), "john", asked(t, "patient/Patient.r")); err != nil {
		t.Fatal(err)
	}
	real, _ := w.desk.Ticket(t.Context(), "john", asked(t, "patient/Patient.rs?name=x patient/Observation.r"))
	for _, patient := range []string{"nobody", "", "a/b", strings.Repeat("x", 500)} {
		before := w.as.Calls("POST /permission")
		ch, err := w.desk.Ticket(t.Context(), patient, asked(t, "patient/Patient.rs?name=x patient/Observation.r"))
		if err != nil || ch.ASURI != real.ASURI || ch.Realm != real.Realm || len(ch.Ticket) != len(real.Ticket) {
			t.Fatalf("%q: %+v %v", patient, ch, err)
		}
		if n := w.as.Calls("POST /permission") - before; n != 1 {
			t.Errorf("%q: %d permission requests, want 1", patient, n)
		}
		a, _ := w.as.Ticket(real.Ticket)
		b, _ := w.as.Ticket(ch.Ticket)
		if len(a.Raw) == 0 || len(b.Permissions) != len(a.Permissions) || w.as.Resources()[b.Permissions[0].ResourceID].Description.Type != rs.TypeDecoy {
			t.Errorf("%q: %s", patient, b.Raw)
		}
		for i := range b.Permissions {
			if strings.Join(b.Permissions[i].Scopes, " ") != strings.Join(a.Permissions[i].Scopes, " ") {
				t.Errorf("%q asks for %v, the real one for %v", patient, b.Permissions[i].Scopes, a.Permissions[i].Scopes)
			}
		}
	}
}

func TestTicketForASetInAToken(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.relate(daughter)
	w.signInAs(john)
	id, _ := find(t, w, "sub-john", "user", "")
	set, err := w.state.SetByID(t.Context(), w.as.Issuer(), id)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := w.desk.TicketFor(t.Context(), set, asked(t, "patient/Patient.r user/Observation.s"))
	if err != nil {
		t.Fatal(err)
	}
	ticket, _ := w.as.Ticket(ch.Ticket)
	if ticket.Permissions[0].ResourceID != id || strings.Join(ticket.Permissions[0].Scopes, " ") != "user/Patient.r user/Observation.s" {
		t.Errorf("%s", ticket.Raw)
	}
	set.ResourceID = "gone"
	ch, err = w.desk.TicketFor(t.Context(), set, asked(t, "user/Patient.r"))
	if ticket, _ := w.as.Ticket(ch.Ticket); err != nil || w.as.Resources()[ticket.Permissions[0].ResourceID].Description.Type != rs.TypeDecoy {
		t.Errorf("%+v %v", ticket, err)
	}
}

func TestTicketR8(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.as.Down(true)
	for _, patient := range []string{"john", "nobody"} {
		if ch, err := w.desk.Ticket(t.Context(), patient, nil); !errors.Is(err, rs.ErrUnreachable) || ch != (rs.Challenge{}) {
			t.Errorf("%s: %+v %v", patient, ch, err)
		}
	}
}

func TestScopesThatAreNotServedAreLeftOut(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	ch, err := w.desk.Ticket(t.Context(), "john", asked(t, "patient/Medication.r patient/Patient.r system/Patient.r"))
	if err != nil {
		t.Fatal(err)
	}
	ticket, _ := w.as.Ticket(ch.Ticket)
	if got := strings.Join(ticket.Permissions[0].Scopes, " "); got != "patient/Patient.r" {
		t.Errorf("asked for %q", got)
	}
}
