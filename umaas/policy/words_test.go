package policy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// forbidden are the words of TX-01, which never stand on a person's page.
var forbidden = regexp.MustCompile(`(?i)\b(scopes?|tokens?|clients?|resources?|FHIR|OAuth|UMA|RPT|tickets?|claims?|polic(y|ies)|grant(s|ed)?|revoked?|authori[sz]\w*)\b`)

func one(t *testing.T, scope string, constraints ...uma.Constraint) umaas.Item {
	t.Helper()
	items := SMART{}.Describe([]umaas.Right{{Scopes: []string{scope}, Constraints: constraints}}, "en")
	if len(items) != 1 || len(items[0].Rights) != 1 || !slices.Equal(items[0].Rights[0].Scopes, []string{scope}) ||
		!slices.Equal(items[0].Rights[0].Constraints, constraints) {
		t.Fatalf("%s: %+v", scope, items)
	}
	return items[0]
}

// TestTX_03_EveryTypeOfTheCompartment has words of its own for each of the five letters, under the right heading.
func TestTX_03_EveryTypeOfTheCompartment(t *testing.T) {
	verbs := map[string][2]string{"r": {"see", "See"}, "s": {"see", "See"}, "c": {"add", "Add to"}, "u": {"change", "Change"}, "d": {"delete", "Delete from"}}
	booking := map[string]string{"r": "See", "s": "See", "c": "Book", "u": "Move", "d": "Cancel"}
	n := 0
	for _, name := range fhir.Types() {
		if !fhir.InPatientCompartment(name) {
			continue
		}
		n++
		for letter, want := range verbs {
			for _, context := range []string{"patient", "user"} {
				i := one(t, context+"/"+name+"."+letter)
				verb := want[1]
				if words[name].list == appointment {
					verb = booking[letter]
				}
				if i.Block != want[0] || !strings.HasPrefix(i.Words, verb+" ") || i.Fallback != (name == "Basic") || i.Long == "" && !i.Fallback {
					t.Errorf("%s.%s: %+v", name, letter, i)
				}
				if !i.Fallback && !slices.Contains(groups, i.Group) {
					t.Errorf("%s: group %q is unknown", name, i.Group)
				}
				if (context == "user") != strings.HasSuffix(i.Words, ", in every record you may see") || context == "user" && strings.Contains(i.Words, "your ") {
					t.Errorf("%s/%s: %q", context, name, i.Words)
				}
				if text := strings.Join([]string{i.Words, i.Long, i.Remark}, " "); forbidden.MatchString(text) {
					t.Errorf("TX-01: %s.%s says %q", name, letter, text)
				}
			}
		}
	}
	if n != 66 {
		t.Errorf("%d types in the patient compartment, want 66", n)
	}
	for name := range words {
		if !fhir.IsType(name) {
			t.Errorf("words for %q, which is no type", name)
		}
	}
}

// TestTX_03_Words are the exact lines of the seed's example and of the exceptions.
func TestTX_03_Words(t *testing.T) {
	for scope, want := range map[string]umaas.Item{
		"patient/AllergyIntolerance.r":   {Block: "see", Words: "See your allergies"},
		"patient/AllergyIntolerance.u":   {Block: "change", Words: "Change your allergies", Remark: "a wrong entry can harm you"},
		"patient/AllergyIntolerance.d":   {Block: "delete", Words: "Delete from your allergies"},
		"patient/Immunization.c":         {Block: "add", Words: "Add to your vaccinations"},
		"patient/Appointment.c":          {Block: "add", Words: "Book your appointments"},
		"patient/RelatedPerson.r":        {Block: "see", Words: "See your family and contact persons", Remark: "names other people"},
		"patient/MedicationRequest.c":    {Block: "add", Words: "Add to your prescriptions", Remark: "may order medicines in your name"},
		"patient/MedicationRequest.d":    {Block: "delete", Words: "Delete from your prescriptions"},
		"patient/Consent.r":              {Block: "see", Words: "See your choices about sharing"},
		"patient/Consent.u":              {Block: "change", Words: "Change your choices about sharing", Remark: "could change who sees your record"},
		"patient/DocumentReference.r":    {Block: "see", Words: "See your documents and letters", Remark: "may contain anything"},
		"patient/MolecularSequence.s":    {Block: "see", Words: "See your genetic data", Remark: "says something about your relatives too", Sensitive: true},
		"patient/Basic.r":                {Block: "see", Words: "See other information (“Basic”)", Fallback: true},
		"patient/NewInR7.d":              {Block: "delete", Words: "Delete from other information (“NewInR7”)", Fallback: true},
		"patient/Observation.x":          {Block: "see", Words: "Use other information (“patient/Observation.x”)", Fallback: true},
		"patient/*.r":                    {Block: "see", Words: "See other information (“*”)", Fallback: true},
		"download":                       {Block: "see", Words: "Use other information (“download”)", Fallback: true},
		"sens/PSY":                       {Block: "see", Words: "See another specially protected kind (“PSY”)", Fallback: true, Sensitive: true},
		"conf/R":                         {Block: "see", Words: "See another specially protected kind (“R”)", Fallback: true, Sensitive: true},
		"patient/Practitioner.r":         {Block: "see", Words: "See names of doctors, clinics and medicines"},
		"user/Immunization.c":            {Block: "add", Words: "Add to vaccinations, in every record you may see"},
		"patient/ExplanationOfBenefit.r": {Block: "see", Words: "See your bills and payments", Remark: "bills also show visits, diagnoses and medicines"},
	} {
		got := one(t, scope)
		if got.Block != want.Block || got.Words != want.Words || got.Remark != want.Remark || got.Sensitive != want.Sensitive || got.Fallback != want.Fallback {
			t.Errorf("%s: %+v", scope, got)
		}
	}
}

// TestTX_04_Limits replace the list word; what has no words says that a technical rule cuts it.
func TestTX_04_Limits(t *testing.T) {
	query := func(v string) uma.Constraint { return uma.Constraint{Type: uma.ConstraintQuery, Value: v} }
	for _, tc := range []struct {
		scope      string
		constraint []uma.Constraint
		want       string
	}{
		{"patient/Observation.r", []uma.Constraint{query("category=laboratory")}, "See your lab results (blood, urine and others)"},
		{"patient/Observation.r", []uma.Constraint{query("category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs")}, "See your vital signs (blood pressure, pulse, temperature, weight)"},
		{"patient/Observation.r", []uma.Constraint{query("category=laboratory&date=ge2024")}, "See your lab results (blood, urine and others), from 2024 on"},
		{"patient/Observation.r", []uma.Constraint{query("date=le2024-03-01")}, "See your measurements, test results and lifestyle answers, up to 2024-03-01"},
		{"patient/Observation.r", []uma.Constraint{query("category=general")}, "See a part of your measurements, test results and lifestyle answers, by a technical rule"},
		{"patient/Observation.r", []uma.Constraint{query("category=legal")}, "See a part of your measurements, test results and lifestyle answers, by a technical rule"},
		{"patient/Observation.r", []uma.Constraint{query("code=laboratory")}, "See a part of your measurements, test results and lifestyle answers, by a technical rule"},
		{"patient/Condition.s", []uma.Constraint{query("clinical-status=active")}, "See your health problems, only current ones"},
		{"patient/DiagnosticReport.r", []uma.Constraint{query("category=GE")}, "See your genetic reports"},
		{"patient/Condition.r", []uma.Constraint{{Type: uma.ConstraintPeriod, Value: "2024-01-01/2025-01-01"}}, "See your health problems, from 2024-01-01 on, up to 2025-01-01"},
		{"patient/Condition.r", []uma.Constraint{{Type: uma.ConstraintOnce}}, "See your health problems, one time"},
	} {
		got := one(t, tc.scope, tc.constraint...)
		if got.Words != tc.want || got.Sensitive != strings.Contains(tc.want, "genetic") {
			t.Errorf("%s %v: %q (sensitive %v)", tc.scope, tc.constraint, got.Words, got.Sensitive)
		}
	}
}

// TestDescribeGroups: types with one list word are one tick for all of its rights, sensitive lines come last in their block,
// and the same rights have the same id in every order.
func TestDescribeGroups(t *testing.T) {
	scopes := []string{"patient/MolecularSequence.r", "patient/SupplyDelivery.c", "patient/Immunization.d", "patient/ServiceRequest.c", "patient/Encounter.s", "patient/EpisodeOfCare.r", "patient/Encounter.r", "patient/Patient.r"}
	items := SMART{}.Describe([]umaas.Right{{Scopes: scopes}}, "en")
	var got []string
	all := 0
	for _, i := range items {
		got = append(got, i.Words)
		all += len(i.Rights[0].Scopes)
	}
	want := []string{"See your personal details", "See your visits and hospital stays", "See your genetic data", "Add to what was ordered for you", "Delete from your vaccinations"}
	if !slices.Equal(got, want) || all != len(scopes) || items[3].Remark != "may order for you" {
		t.Errorf("%q, %d of %d, remark %q", got, all, len(scopes), items[3].Remark)
	}
	back := slices.Clone(scopes)
	slices.Reverse(back)
	for n, i := range (SMART{}).Describe([]umaas.Right{{Scopes: back}}, "en") {
		if i.ID != items[n].ID {
			t.Errorf("%s: another id in another order", i.Words)
		}
	}
}

// TestDescribeKeepsConstraintsApart: lists of constraints that only read alike are two ticks with two ids, each with its own.
func TestDescribeKeepsConstraintsApart(t *testing.T) {
	two := []uma.Constraint{{Type: "query", Value: "a"}, {Type: "query", Value: "b"}}
	for _, value := range []string{"a} {query b", "a) query(b"} {
		items := SMART{}.Describe([]umaas.Right{
			{Scopes: []string{"patient/Observation.r"}, Constraints: two},
			{Scopes: []string{"patient/Observation.s"}, Constraints: []uma.Constraint{{Type: "query", Value: value}}},
			{Scopes: []string{"patient/Observation.r"}, Constraints: []uma.Constraint{{Type: "query", Value: value}}},
		}, "en")
		if len(items) != 2 || items[0].ID == items[1].ID || len(items[0].Rights[0].Scopes) != 1 || len(items[1].Rights[0].Scopes) != 2 {
			t.Errorf("%q: %+v", value, items)
		}
	}
}
