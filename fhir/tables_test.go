package fhir

import (
	"slices"
	"testing"
)

func TestTables(t *testing.T) {
	if got := len(Types()); got != 146 {
		t.Errorf("types: %d, want 146", got)
	}
	for _, name := range []string{"Resource", "DomainResource", "observation", "Observation ", "", "*"} {
		if IsType(name) {
			t.Errorf("IsType(%q) = true", name)
		}
	}
	seen, expressions, bases := 0, map[string]bool{}, 0
	for _, typ := range append(Types(), "Resource", "DomainResource") {
		own := params()[typ]
		if len(own) > 0 {
			bases++
		}
		for _, p := range own {
			seen++
			if p.Expression == "" {
				continue
			}
			expressions[p.Expression] = true
			if _, err := compilePath(p.Expression); err != nil {
				t.Errorf("%s.%s: %q: %v", typ, p.Code, p.Expression, err)
			}
		}
	}
	// The figures of HL7's 4.0.1 package: 1,719 (base, code) pairs on 135 bases.
	if seen != 1719 || bases != 135 {
		t.Errorf("parameters: %d on %d bases, want 1719 on 135", seen, bases)
	}
	if len(expressions) != 1663 {
		t.Errorf("distinct reduced expressions: %d, want 1663", len(expressions))
	}
}

func TestParam(t *testing.T) {
	p, ok := Param("SupplyRequest", "subject")
	if !ok || p.Expression != "SupplyRequest.deliverTo" || p.Kind != KindReference {
		t.Errorf("SupplyRequest.subject: %+v %v", p, ok)
	}
	p, ok = Param("Encounter", "patient")
	if !ok || p.Expression != "Encounter.subject.where(resolve() is Patient)" || !slices.Equal(p.Targets, []string{"Group", "Patient"}) {
		t.Errorf("Encounter.patient: %+v %v", p, ok)
	}
	for _, code := range []string{"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"} {
		for _, typ := range []string{"Observation", "*"} {
			if _, ok := Param(typ, code); !ok {
				t.Errorf("Param(%s, %s) is missing", typ, code)
			}
		}
	}
	for _, c := range [][2]string{{"Nothing", "_id"}, {"Observation", "nothing"}, {"*", "code"}, {"", "_id"}} {
		if _, ok := Param(c[0], c[1]); ok {
			t.Errorf("Param(%s, %s) exists", c[0], c[1])
		}
	}
	list := Params("Patient")
	if !slices.IsSortedFunc(list, func(a, b SearchParam) int { return map[bool]int{true: -1, false: 1}[a.Code < b.Code] }) || len(list) < 30 {
		t.Errorf("Params(Patient): %d, not sorted", len(list))
	}
}

// GW-19: all 66 member types resolve; the classes partition the 146 types.
func TestGW19SelfTest(t *testing.T) {
	if err := SelfTest(); err != nil {
		t.Fatal(err)
	}
	rules, err := memberRules()
	if err != nil {
		t.Fatal(err)
	}
	for typ := range compartment() {
		if len(rules[typ]) == 0 && typ != "Patient" {
			t.Errorf("%s has no membership rule", typ)
		}
	}
	want := map[Class]int{ClassMember: 66, ClassByRule: 6, ClassOwnerless: 11, ClassNotStored: 2}
	got := map[Class]int{}
	for _, typ := range Types() {
		got[ClassOf(typ)]++
	}
	for class, n := range want {
		if got[class] != n {
			t.Errorf("class %s: %d types, want %d", class, got[class], n)
		}
	}
	if got[ClassDirectory]+got[ClassDefinitional] != 61 || got[ClassUnknown] != 0 {
		t.Errorf("classes: %v", got)
	}
	if ClassOf("Nothing") != ClassUnknown || ClassOf("Task") != ClassByRule {
		t.Error("unknown type or Task has the wrong class")
	}
	if InPatientCompartment("Task") || InPatientCompartment("Medication") || !InPatientCompartment("Observation") {
		t.Error("InPatientCompartment follows another table than HL7's")
	}
	if got := CompartmentParams("Encounter"); !slices.Equal(got, []string{"patient"}) {
		t.Errorf("CompartmentParams(Encounter) = %v", got)
	}
}
