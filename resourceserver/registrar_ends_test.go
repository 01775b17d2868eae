package resourceserver_test

import (
	"slices"
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

// Two rows of the table about one patient, under the person's key and under the resource she is, are one relation with all of both.
func TestTwoRowsAboutOnePatientAreOneRelation(t *testing.T) {
	for _, holderFirst := range []bool{true, false} {
		w := newWorld(t)
		w.custodian()
		key := w.signInAs(john)
		end := w.clock.now().Add(time.Hour)
		byKey, byResource := daughter, daughter
		byKey.Subject, byKey.Scopes, byKey.Holder = key, "patient/Observation.rs", holderFirst
		byResource.Holder, byResource.Until = !holderFirst, end
		w.relate(byKey)
		w.relate(byResource)
		w.settle()
		equal(t, "john holds", w.levels("sub-john"), []string{"record abigail", "record john", "user"})
		seen, err := w.relations.Seen(t.Context(), key)
		if err != nil || len(seen) != 2 || !seen[1].Until.Equal(end) {
			t.Errorf("%+v %v", seen, err)
		}
		w.clock.forward(time.Hour)
		w.settle()
		level := "record abigail"
		if !holderFirst {
			level = "patient abigail"
		}
		equal(t, "after the end", w.levels("sub-john"), slices.Sorted(slices.Values([]string{level, "record john", "user"})))
	}
}
