package resourceserver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

// The seed's precondition: user-level and (user, patient)-level sets are registered before the first ticket.
func TestS004_05_06_SetsRegisteredAtFirstSignIn(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	equal(t, "custodian before", w.levels(asclienttest.CustodianOwner), []string{"decoy", "record abigail", "record john", "record mary"})
	w.relate(daughter)
	w.signInAs(john)
	equal(t, "john", w.levels("sub-john"), []string{"patient abigail", "record john", "user"})
	if n := w.as.Calls("POST /permission"); n != 0 {
		t.Fatalf("%d permission requests before the sets", n)
	}
	w.settle()
	equal(t, "custodian after", w.levels(asclienttest.CustodianOwner), []string{"decoy", "record abigail", "record mary"})
}

func TestS004_05_06_LazyBeyondEagerMax(t *testing.T) {
	w := newWorld(t, func(w *world) { w.eagerMax = 2 })
	w.custodian()
	for _, p := range []string{"abigail", "john", "mary"} {
		w.relate(rs.Relation{Subject: "Practitioner/grey", Patient: p, Kind: "practitioner", Scopes: "patient/*.rs"})
	}
	grey := w.signInAs(doctor)
	equal(t, "eager", w.levels("sub-doctor"), []string{"patient abigail", "patient john", "user"})
	w.mint(grey, "mary", "")
	equal(t, "after selection", w.levels("sub-doctor"), []string{"patient abigail", "patient john", "patient mary", "user"})
	if err := w.registrar.Reconcile(t.Context(), grey); err != nil {
		t.Fatal(err)
	}
	equal(t, "a selected set stays", w.levels("sub-doctor"), []string{"patient abigail", "patient john", "patient mary", "user"})
}

func TestDescriptionsNameNoPatient(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.relate(daughter)
	w.signInAs(john)
	for id, r := range w.as.Resources() {
		d := r.Description
		for _, text := range []string{d.Name, d.Description, d.Type, d.IconURI} { // F-076
			for _, secret := range []string{"john", "abigail", "mary", "Smith", "Daughter"} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
					t.Errorf("%s: %q tells %q", id, text, secret)
				}
			}
		}
		if d.Type == rs.TypeDecoy {
			continue
		}
		wantType, prefix := rs.TypePatientCompartment, "patient/"
		if d.Context.Level == "user" {
			wantType, prefix = rs.TypeUserAccess, "user/"
		}
		if d.Type != wantType || d.PreviewURI != base+"/uma/preview" || d.Context.FHIRBase != fhirBase || len(d.Scopes) != 5*len(types) {
			t.Errorf("%s: %s", id, r)
		}
		for _, s := range d.Scopes {
			if !strings.HasPrefix(s, prefix) || len(s)-strings.LastIndexByte(s, '.') != 2 {
				t.Errorf("%s registers scope %q", id, s)
			}
		}
	}
}

func find(t *testing.T, w *world, owner, level, patient string) (string, uma.ResourceDescription) {
	t.Helper()
	for id, r := range w.as.Resources() {
		if r.Owner == owner && r.Description.Context != nil && r.Description.Context.Level == level && r.Description.Context.Patient == patient {
			return id, r.Description
		}
	}
	t.Fatalf("%s has no set %s %s", owner, level, patient)
	return "", uma.ResourceDescription{}
}

// decisions 2: access(u,p) rests on the custodian's relation until p has claimed her record, and on record(p) afterwards.
func TestClaimMovesRecordAndWhatRestsOnIt(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.relate(daughter)
	w.signInAs(john)
	_, d := find(t, w, "sub-john", "patient", "abigail")
	if d.DerivedFrom == nil || !d.DerivedFrom.Custodian || d.DerivedFrom.ResourceID != "" {
		t.Fatalf("before the claim derived_from is %+v", d.DerivedFrom)
	}
	if d.Context.Label != "Daughter" {
		t.Errorf("label %q", d.Context.Label)
	}
	w.signInAs(abigail)
	w.settle()
	record, own := find(t, w, "sub-abigail", "record", "abigail")
	if own.DerivedFrom != nil || own.Context.Label != "My own record" {
		t.Errorf("record(p): %+v", own)
	}
	_, d = find(t, w, "sub-john", "patient", "abigail")
	if d.DerivedFrom == nil || d.DerivedFrom.Custodian || d.DerivedFrom.ResourceID != record {
		t.Errorf("after the claim derived_from is %+v, want %s", d.DerivedFrom, record)
	}
	equal(t, "custodian", w.levels(asclienttest.CustodianOwner), []string{"decoy", "record mary"})
}

func TestRepresentativeHoldsRecordUntilClaim(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	r := daughter
	r.Holder = true
	w.relate(r)
	w.signInAs(john)
	w.settle()
	equal(t, "john holds", w.levels("sub-john"), []string{"record abigail", "record john", "user"})
	w.signInAs(abigail)
	w.settle()
	equal(t, "abigail claimed", w.levels("sub-abigail"), []string{"record abigail", "user"})
	equal(t, "john now", w.levels("sub-john"), []string{"patient abigail", "record john", "user"})
	equal(t, "custodian", w.levels(asclienttest.CustodianOwner), []string{"decoy", "record mary"})
}

func TestSecondAccountCannotTakeAClaimedRecord(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.signInAs(john)
	w.signInAs(asclienttest.Person{Sub: "sub-other", Name: "Other", FHIRUser: "Patient/john"})
	w.settle()
	equal(t, "first", w.levels("sub-john"), []string{"record john", "user"})
	equal(t, "second", w.levels("sub-other"), []string{"user"})
}

func TestEndedRelationEndsSetAtOnce(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.relate(daughter)
	key := w.signInAs(john)
	id, _ := find(t, w, "sub-john", "patient", "abigail")
	if err := w.relations.Drop(t.Context(), "Patient/john", "abigail"); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := w.relations.MaySee(t.Context(), key, "abigail"); ok {
		t.Error("the relation still permits")
	}
	w.as.Down(true) // even while the authorization server cannot be told
	w.settle()
	w.as.Down(false)
	w.clock.forward(10 * time.Minute)
	w.settle()
	equal(t, "john", w.levels("sub-john"), []string{"record john", "user"})
	if _, err := w.state.SetByID(t.Context(), w.as.Issuer(), id); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("the set still means something: %v", err)
	}
}

func TestRegistrationSurvivesLostAnswers(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.relate(daughter)
	w.as.Lose("POST /resource_set/", true) // registered there, not known here
	key := w.signInAs(john)
	if got := w.levels("sub-john"); len(got) == 0 {
		t.Fatal("nothing was registered: the test shows nothing")
	}
	w.as.Lose("POST /resource_set/", false)
	w.boot()
	for range 5 {
		w.clock.forward(10 * time.Minute)
		w.settle()
	}
	equal(t, "no set twice", w.levels("sub-john"), []string{"patient abigail", "record john", "user"})
	page, _, err := w.state.Registrations(t.Context(), rs.Owner{Issuer: w.as.Issuer(), User: key}, "", 100)
	if err != nil || len(page) != 3 {
		t.Errorf("%d registrations kept, %v", len(page), err)
	}
}

func TestUnreachableAuthorizationServerIsRetried(t *testing.T) {
	w := newWorld(t)
	key := w.signInAs(john)
	w.relate(rs.Relation{Subject: key, Patient: "mary", Kind: "friend", Scopes: "patient/Observation.rs"})
	w.as.Down(true)
	if _, err := w.registrar.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.as.Down(false)
	if n, err := w.registrar.RunDue(t.Context()); n != 0 || err != nil {
		t.Fatalf("tried again at once: %d, %v", n, err)
	}
	w.clock.forward(3 * time.Minute)
	w.settle()
	equal(t, "john", w.levels("sub-john"), []string{"patient mary", "record john", "user"})
}

func TestReconcileIsIdempotent(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.relate(daughter)
	key := w.signInAs(john)
	w.settle()
	writes := func() int {
		return w.as.Calls("POST /resource_set/") + w.as.Calls("PUT /resource_set/{id}") + w.as.Calls("DELETE /resource_set/{id}")
	}
	before := writes()
	for range 3 {
		if err := w.registrar.ReconcileAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := writes() - before; n != 0 {
		t.Errorf("%d requests though nothing changed", n)
	}
	id, _ := find(t, w, "sub-john", "user", "")
	w.as.ForgetResource(id)
	if err := w.registrar.Reconcile(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

func TestSetGoneAtAuthorizationServerComesBack(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	key := w.signInAs(john)
	h := w.mint(key, "john", "")
	id, _ := find(t, w, "sub-john", "record", "john")
	w.as.ForgetResource(id)
	if got := w.do("POST", h+"/authorize?scope=Patient.read", ""); got.Code != 401 {
		t.Fatalf("status %d %s", got.Code, got.Body)
	}
	w.settle()
	again, _ := find(t, w, "sub-john", "record", "john")
	if again == id {
		t.Error("same id")
	}
}

func TestWithdrawnProtectionTokenStopsWork(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	key := w.signInAs(john)
	w.as.RevokePATs("sub-john", true)
	w.relate(rs.Relation{Subject: key, Patient: "mary", Kind: "friend", Scopes: "patient/*.rs"})
	w.clock.forward(time.Hour)
	w.settle()
	if err := w.registrar.Reconcile(t.Context(), key); !errors.Is(err, rs.ErrNoPAT) {
		t.Errorf("%v", err)
	}
	w.signInAs(john)
	equal(t, "after signing in again", w.levels("sub-john"), []string{"patient mary", "record john", "user"})
}

func TestForeignFHIRUserIsNotBelieved(t *testing.T) {
	for name, said := range map[string]string{
		"another server": "https://elsewhere.example/fhir/Patient/john", "not a person": "Observation/1", "no such patient": "Patient/nobody",
		"path": "Patient/../john", "version": "Patient/john/_history/1",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			key := w.signInAs(asclienttest.Person{Sub: "s", Name: "S", FHIRUser: said})
			u, err := w.state.User(t.Context(), key)
			if err != nil || u.FHIRUser != "" || u.Patient() != "" {
				t.Errorf("believed %q, %v", u.FHIRUser, err)
			}
			equal(t, "sets", w.levels("s"), []string{"user"})
		})
	}
}

func TestNewPatientIsRegisteredUnderCustodian(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.patients.add("new", "New Born")
	if err := w.registrar.PatientAdded(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	find(t, w, asclienttest.CustodianOwner, "record", "new")
	w.patients.add("later", "Later Born")
	w.as.Down(true)
	if err := w.registrar.PatientAdded(t.Context(), "later"); err != nil {
		t.Fatal(err)
	}
	w.as.Down(false)
	w.clock.forward(5 * time.Minute)
	w.settle()
	find(t, w, asclienttest.CustodianOwner, "record", "later")
}

func TestRelationTableRefusesNonsense(t *testing.T) {
	w := newWorld(t)
	for want, r := range map[string]rs.Relation{
		`relation: subject is required: a user's key, or Practitioner/id, PractitionerRole/id, RelatedPerson/id, Patient/id, Person/id`: {Patient: "john", Scopes: "patient/*.rs"},
		`relation: patient "a/b" is not a logical id`:                                                       {Subject: "u", Patient: "a/b", Scopes: "patient/*.rs"},
		`relation: scope user/Patient.rs: a relation to one patient holds patient/ scopes`:                  {Subject: "u", Patient: "john", Scopes: "user/Patient.rs"},
		`relation: scopes "": want SMART resource scopes such as patient/*.rs (not understood: [])`:         {Subject: "u", Patient: "john"},
		`relation: scopes "all": want SMART resource scopes such as patient/*.rs (not understood: ["all"])`: {Subject: "u", Patient: "john", Scopes: "all"},
	} {
		if err := w.relations.Put(t.Context(), r); err == nil || err.Error() != want {
			t.Errorf("%+v:\n got %v\nwant %s", r, err, want)
		}
	}
}

func TestRelationEndsByItself(t *testing.T) {
	w := newWorld(t)
	key := w.signInAs(john)
	r := daughter
	r.Until = w.clock.now().Add(time.Hour)
	w.relate(r)
	if set, ok, err := w.relations.MaySee(t.Context(), key, "abigail"); !ok || err != nil || fmt.Sprint(set) == "[]" {
		t.Fatalf("%v %v %v", set, ok, err)
	}
	w.clock.forward(time.Hour)
	if set, ok, _ := w.relations.MaySee(t.Context(), key, "abigail"); ok || len(set) != 0 {
		t.Errorf("ended relation gives %v", set)
	}
	if ids, _ := w.relations.Patients(t.Context(), key); len(ids) != 1 || ids[0] != "john" {
		t.Errorf("patients %q", ids)
	}
}
