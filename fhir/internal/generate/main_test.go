package main

import "testing"

func TestBranch(t *testing.T) {
	for _, c := range []struct{ base, expression, want string }{
		{"Encounter", "AllergyIntolerance.patient | Encounter.subject.where(resolve() is Patient)", "Encounter.subject.where(resolve() is Patient)"},
		{"Observation", "(Observation.value as Quantity) | (ObservationX.value as Quantity)", "(Observation.value as Quantity)"},
		{"Substance", "Substance.code | (Substance.ingredient.substance as CodeableConcept)", "Substance.code | (Substance.ingredient.substance as CodeableConcept)"},
		{"Patient", "Patient.telecom.where(system='a|b') | Person.telecom", "Patient.telecom.where(system='a|b')"},
		{"Patient", "DocumentReference.extension('x')", "DocumentReference.extension('x')"},
		{"Patient", "", ""},
	} {
		if got := branch(c.base, c.expression); got != c.want {
			t.Errorf("branch(%s, %q) = %q, want %q", c.base, c.expression, got, c.want)
		}
	}
}
