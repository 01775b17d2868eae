package resourceserver_test

import (
	"errors"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/scopes"
)

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
