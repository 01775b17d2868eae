package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

var (
	someTypes = []string{"Patient", "Observation", "Immunization", "Condition", "Claim"}
	universe  = append(scopes.Registered(scopes.Patient, someTypes), scopes.Registered(scopes.User, someTypes)...)
	limitsSet = []uma.Constraint{
		{Type: uma.ConstraintQuery, Value: "category=laboratory"}, {Type: uma.ConstraintQuery, Value: "status=final"},
		{Type: uma.ConstraintOnce}, {Type: uma.ConstraintPeriod, Value: "2024-01-01/"},
	}
)

var anyRight = rapid.Custom(func(t *rapid.T) umaas.Right {
	list := rapid.SampledFrom([][]string{universe, universe[:6], universe[:20]}).Draw(t, "from")
	r := umaas.Right{
		Scopes:      rapid.SliceOfN(rapid.SampledFrom(list), 0, 60).Draw(t, "scopes"),
		Constraints: rapid.SliceOfNDistinct(rapid.SampledFrom(limitsSet), 0, 3, rapid.ID[uma.Constraint]).Draw(t, "constraints"),
	}
	return r
})

func subset[T comparable](part, whole []T) bool {
	for _, x := range part {
		if !slices.Contains(whole, x) {
			return false
		}
	}
	return true
}

// TestIntersectIsNeverWider than either side: only scopes that both have, under the constraints of both; and all of those.
func TestIntersectIsNeverWider(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyRight.Draw(t, "a"), anyRight.Draw(t, "b")
		before := [][]string{slices.Clone(a.Scopes), slices.Clone(b.Scopes)}
		got := SMART{}.Intersect(a, b)
		if !slices.Equal(a.Scopes, before[0]) || !slices.Equal(b.Scopes, before[1]) {
			t.Fatal("an argument was changed")
		}
		for _, s := range universe {
			both := slices.Contains(a.Scopes, s) && slices.Contains(b.Scopes, s)
			n := 0
			for _, r := range got {
				for _, x := range r.Scopes {
					if x == s {
						n++
					}
				}
			}
			if both != (n == 1) || n > 1 {
				t.Fatalf("%s: in both %v, %d times in %v", s, both, n, got)
			}
		}
		for _, r := range got {
			if len(r.Scopes) == 0 || !subset(r.Scopes, a.Scopes) || !subset(r.Scopes, b.Scopes) || !subset(a.Constraints, r.Constraints) || !subset(b.Constraints, r.Constraints) {
				t.Fatalf("%v and %v have %v", a, b, r)
			}
			// What both sides give is covered by either side, and by nothing that asks for less narrowing.
			if !(SMART{}).Covers([]umaas.Right{a}, r) || !(SMART{}).Covers([]umaas.Right{b}, r) {
				t.Fatalf("%v is not covered by %v and %v", r, a, b)
			}
		}
	})
}

// TestCoversIsIntersectThatLosesNothing: a right is covered exactly where each of its scopes is in the intersection with some
// given right that adds no constraint.
func TestCoversIsIntersectThatLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given, asked := rapid.SliceOfN(anyRight, 0, 3).Draw(t, "given"), anyRight.Draw(t, "asked")
		want := true
		for _, s := range asked.Scopes {
			found := false
			for _, g := range given {
				for _, r := range (SMART{}).Intersect(umaas.Right{Scopes: []string{s}, Constraints: asked.Constraints}, g) {
					found = found || subset(r.Constraints, asked.Constraints)
				}
			}
			want = want && found
		}
		if got := (SMART{}).Covers(given, asked); got != want {
			t.Fatalf("Covers(%v, %v) is %v", given, asked, got)
		}
	})
}

// TestPrintTranslate: what is printed reads back as exactly the same rights on the same set, and no more.
func TestPrintTranslate(t *testing.T) {
	registered := scopes.Registered(scopes.Patient, someTypes)
	rapid.Check(t, func(t *rapid.T) {
		right := umaas.Right{Scopes: rapid.SliceOfNDistinct(rapid.SampledFrom(registered), 1, 25, rapid.ID[string]).Draw(t, "scopes")}
		if rapid.Bool().Draw(t, "narrow") {
			right.Scopes = slices.DeleteFunc(right.Scopes, func(s string) bool { return !strings.HasPrefix(s, "patient/Observation.") })
			right.Constraints = []uma.Constraint{limitsSet[0]}
		}
		var back []string
		for _, text := range (SMART{}).Print([]umaas.Right{right}) {
			level, r, ok := SMART{}.Translate(text, registered)
			if !ok || level != "record" || !slices.Equal(r.Constraints, right.Constraints) {
				t.Fatalf("%s reads as %s %v %v", text, level, r, ok)
			}
			back = append(back, r.Scopes...)
		}
		slices.Sort(back)
		slices.Sort(right.Scopes)
		if !slices.Equal(back, right.Scopes) {
			t.Fatalf("%v came back as %v", right.Scopes, back)
		}
	})
}

// TestTranslate: levels, wildcards, both versions, and what is no scope of this door.
func TestTranslate(t *testing.T) {
	registered := append(scopes.Registered(scopes.Patient, []string{"Consent", "Observation", "Patient"}), "download")
	for text, want := range map[string]string{
		"patient/Observation.rs":                    "record patient/Observation.r patient/Observation.s",
		"patient/Observation.read":                  "record patient/Observation.r patient/Observation.s",
		"patient/*.r":                               "record patient/Observation.r patient/Patient.r", // * leaves Consent out
		"patient/Consent.r":                         "record patient/Consent.r",
		"patient/Observation.r?category=laboratory": "record patient/Observation.r query(category=laboratory)",
		"patient/Immunization.r":                    "record",
		"user/Observation.r":                        "user",
		"system/Observation.r":                      "",
		"launch/patient":                            "",
		"download":                                  "",
		"patient/Observation.sr":                    "",
		"Patient/Observation.r":                     "",
		"":                                          "",
	} {
		level, right, ok := SMART{}.Translate(text, registered)
		got := strings.Join(append([]string{level}, right.Scopes...), " ")
		for _, c := range right.Constraints {
			got += " " + c.Type + "(" + c.Value + ")"
		}
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", text, got, ok, want)
		}
	}
}

// BenchmarkWholeRecord compares two lists of all scopes of a record.
func BenchmarkWholeRecord(b *testing.B) {
	all := scopes.Registered(scopes.Patient, fhir.Types())
	right := umaas.Right{Scopes: all}
	for b.Loop() {
		if len((SMART{}).Intersect(right, right)) != 1 || !(SMART{}).Covers([]umaas.Right{right}, right) {
			b.Fatal("not the same")
		}
	}
}
