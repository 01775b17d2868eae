package resourceserver_test

import (
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

// A relation that ends by the clock takes its sets back without anybody's doing: a mother's hold on the record of a child who comes of
// age returns to the custodian.
func TestRelationEndedByTheClockGivesTheRecordBack(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	r := daughter
	r.Holder, r.Until = true, w.clock.now().Add(24*time.Hour)
	w.relate(r)
	w.signInAs(john)
	w.settle()
	equal(t, "john holds", w.levels("sub-john"), []string{"record abigail", "record john", "user"})
	w.clock.forward(23 * time.Hour)
	w.settle()
	equal(t, "john still holds", w.levels("sub-john"), []string{"record abigail", "record john", "user"})
	w.clock.forward(time.Hour)
	w.settle()
	equal(t, "john after", w.levels("sub-john"), []string{"record john", "user"})
	equal(t, "custodian after", w.levels(asclienttest.CustodianOwner), []string{"decoy", "record abigail", "record mary"})
}

// decisions 2: also a set that was registered only at its selection rests on record(p) once p has claimed that.
func TestClaimReachesSetsBeyondEagerMax(t *testing.T) {
	w := newWorld(t, func(w *world) { w.eagerMax = 1 })
	w.custodian()
	for _, p := range []string{"abigail", "john"} {
		w.relate(rs.Relation{Subject: "Practitioner/grey", Patient: p, Kind: "practitioner", Scopes: "patient/*.rs"})
	}
	grey := w.signInAs(doctor)
	w.mint(grey, "john", "")
	w.signInAs(john)
	w.settle()
	record, _ := find(t, w, "sub-john", "record", "john")
	_, d := find(t, w, "sub-doctor", "patient", "john")
	if d.DerivedFrom == nil || d.DerivedFrom.Custodian || d.DerivedFrom.ResourceID != record {
		t.Errorf("after the claim derived_from is %+v, want %s", d.DerivedFrom, record)
	}
}
