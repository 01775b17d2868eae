package scopes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/fhir"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		set, scope string
		want       bool
	}{
		{"patient/*.rs", "patient/Observation.r", true},
		{"patient/*.rs", "patient/Observation.rs", true},
		{"patient/*.rs", "patient/Observation.c", false},
		{"patient/*.rs", "user/Observation.r", false},
		{"user/*.rs", "patient/Observation.r", false},
		{"system/*.cruds", "user/Observation.r", false},
		{"patient/Observation.rs", "patient/*.r", false},
		{"patient/Observation.r patient/Observation.s", "patient/Observation.rs", true},
		{"patient/*.r patient/Observation.s", "patient/Observation.rs", true},
		{"patient/*.cruds", "patient/AuditEvent.r", false}, // GW-01
		{"patient/*.cruds", "patient/Consent.r", false},    // GW-01
		{"patient/*.cruds", "patient/Provenance.s", false}, // GW-01
		{"patient/*.cruds", "patient/Binary.r", true},      // GW-01
		{"patient/*.cruds", "patient/Binary.c", false},     // GW-01
		{"patient/*.cruds patient/Consent.r", "patient/Consent.r", true},
		{"patient/*.cruds", "patient/*.cruds", true},
		{"patient/Observation.rs?category=a", "patient/Observation.rs", false},
		{"patient/Observation.rs", "patient/Observation.rs?category=a", true},
		{"patient/Observation.rs?category=a,b", "patient/Observation.rs?category=a", true},
		{"patient/Observation.rs?category=a", "patient/Observation.rs?category=a,b", false},
		{"patient/Observation.rs?category=a patient/Observation.rs?category=b", "patient/Observation.rs?category=a,b", true},
		{"patient/Observation.rs?category=a", "patient/Observation.rs?category=a&status=final", true},
		{"patient/Observation.rs?category=a&status=final", "patient/Observation.rs?category=a", false},
		{"patient/Observation.rs?category=a patient/Observation.rs?status=final", "patient/Observation.rs?category=b", false},
		{"patient/Observation.r?category=a patient/Observation.s?category=b", "patient/Observation.rs?category=a", false}, // GW-07: in the same entry
		{"patient/*.rs?_lastUpdated=ge2024", "patient/Observation.r?_lastUpdated=ge2024", true},
		{"patient/*.rs?_lastUpdated=ge2024", "patient/Observation.r", false},
		{"", "patient/Observation.r", false},
	} {
		if got := set(t, c.set).Covers(must(t, c.scope)); got != c.want {
			t.Errorf("{%s}.Covers(%s) = %v", c.set, c.scope, got)
		}
	}
	if !(Set(nil)).Covers(Scope{}) || (Set{{}}).Covers(must(t, "patient/Patient.r")) {
		t.Error("zero values: nothing must cover nothing, and a zero scope nothing else")
	}
}

func TestShortestForm(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"user/Patient.r patient/*.rs", "patient/*.rs user/Patient.r"},
		{"patient/Observation.s patient/Observation.r patient/Observation.r", "patient/Observation.rs"},
		{"patient/Observation.read patient/Observation.write", "patient/Observation.cruds"},
		{"patient/*.rs patient/Observation.crs", "patient/*.rs patient/Observation.c"},
		{"patient/*.cruds patient/Consent.r patient/Binary.cr patient/Patient.r", "patient/*.cruds patient/Binary.c patient/Consent.r"},
		{"patient/Observation.rs?category=a patient/Observation.r", "patient/Observation.r patient/Observation.s?category=a"},
		{"patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs", "patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs"},
		{"patient/Observation.rs?category=a patient/Observation.rs?category=b,a", "patient/Observation.rs?category=a,b"},
		{"patient/Observation.c patient/Observation.rs?category=laboratory", "patient/Observation.c patient/Observation.rs?category=laboratory"},
	} {
		if got := set(t, c.in).String(); got != c.want {
			t.Errorf("{%s} = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestIntersect(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"patient/*.rs", "patient/Observation.cruds", "patient/Observation.rs"},
		{"patient/*.cruds", "patient/Consent.r", ""},
		{"patient/*.cruds", "patient/Binary.cr", "patient/Binary.r"},
		{"patient/*.rs", "patient/*.cr", "patient/*.r"},
		{"patient/*.rs", "user/*.rs", ""},
		{"patient/Observation.rs?category=a", "patient/Observation.r?status=final", "patient/Observation.r?category=a&status=final"},
		{"patient/Observation.rs?category=a", "patient/Observation.r?category=a,b", "patient/Observation.r?category=a"},
		{"patient/Observation.rs?category=a", "patient/*.rs", "patient/Observation.rs?category=a"},
		{"patient/Observation.rs?category=a", "patient/Observation.rs?category=b", "patient/Observation.rs?category=a&category=b"},
		{"patient/*.rs?_tag=x", "patient/Observation.rs?category=a", "patient/Observation.rs?_tag=x&category=a"},
		{"", "patient/*.rs", ""},
	} {
		if got := set(t, c.a).Intersect(set(t, c.b)).String(); got != c.want {
			t.Errorf("{%s} ∩ {%s} = %q, want %q", c.a, c.b, got, c.want)
		}
		if got := set(t, c.b).Intersect(set(t, c.a)).String(); got != c.want {
			t.Errorf("{%s} ∩ {%s} = %q, want %q", c.b, c.a, got, c.want)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct{ granted, asked, want string }{
		{"patient/Observation.rs", "patient/Observation.read", "patient/Observation.read"},
		{"patient/Observation.rs", "patient/Observation.rs", "patient/Observation.rs"},
		{"patient/Observation.r", "patient/Observation.read", "patient/Observation.r"},
		{"patient/Observation.rs user/Patient.c", "openid patient/Observation.read patient/Observation.read", "patient/Observation.read user/Patient.c"},
		{"patient/Observation.cruds", "patient/Observation.read patient/Observation.write", "patient/Observation.read patient/Observation.write"},
		{"patient/Observation.crs", "patient/Observation.read patient/Observation.write", "patient/Observation.read patient/Observation.c"},
		{"", "patient/Observation.read", ""},
	} {
		if got := set(t, c.granted).Answer(c.asked); got != c.want {
			t.Errorf("{%s}.Answer(%s) = %q, want %q", c.granted, c.asked, got, c.want)
		}
	}
}

// rights lists what a set allows on a small world, by the text of gateway_rules (a) alone: an oracle that shares no code
// with the algebra.
func rights(t testing.TB, s Set, world []*fhir.Resource) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, entry := range s {
		for i, r := range world {
			named := entry.Type == r.Type()
			if entry.Type != "*" && !named {
				continue
			}
			filter, err := entry.Filter(r.Type())
			if err != nil {
				t.Fatalf("%s: %v", entry, err)
			}
			if !filter.Match(r) {
				continue
			}
			for _, letter := range entry.Letters.String() {
				hidden := slices.Contains([]string{"AuditEvent", "Consent", "Provenance", "Subscription", "Basic"}, r.Type()) ||
					r.Type() == "Binary" && strings.ContainsRune("cud", letter)
				if named || !hidden {
					out[fmt.Sprintf("%s %d %c", entry.Context, i, letter)] = true
				}
			}
		}
	}
	return out
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("patient/Observation.rs"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCovers(b *testing.B) {
	var granted Set
	for _, text := range Registered(Patient, fhir.Types()) {
		granted = append(granted, must(b, text))
	}
	granted = granted.Union(nil)
	rand.Shuffle(len(granted), func(i, j int) { granted[i], granted[j] = granted[j], granted[i] })
	asked := must(b, "patient/Observation.rs?category=laboratory")
	b.ReportAllocs()
	for b.Loop() {
		if !granted.Covers(asked) {
			b.Fatal("not covered")
		}
	}
}

func BenchmarkCoversConstrained(b *testing.B) {
	granted := set(b, "patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs patient/Patient.r")
	asked := must(b, "patient/Observation.rs?category=laboratory,vital-signs")
	b.ReportAllocs()
	for b.Loop() {
		if !granted.Covers(asked) {
			b.Fatal("not covered")
		}
	}
}

// A long scope list must not buy quadratic or worse work: what is beyond the bound grants nothing. Without the bounds this
// test runs for minutes.
func TestHostileSets(t *testing.T) {
	var texts []string
	for i := range 1000 {
		texts = append(texts, fmt.Sprintf("patient/Patient.cruds?_id=a%d,b%d,c%d&_tag=x,y&gender=a,b,c", i, i, i))
	}
	long := set(t, strings.Join(texts, " "))
	if got := len(long.Union(nil)); got != maxConstrained {
		t.Errorf("union of %d entries has %d, want %d", len(long), got, maxConstrained)
	}
	if got := len(long.Intersect(long)); got > maxConstrained || got == 0 {
		t.Errorf("intersection has %d entries", got)
	}
	if !long.CoversSet(long.Intersect(long)) {
		t.Error("the intersection says more than its sides")
	}
	if got := long.Union(set(t, "patient/Patient.cruds")).String(); got != "patient/Patient.cruds" {
		t.Errorf("the unconstrained entry did not take in the others: %.80s", got)
	}
	if !long.Covers(must(t, texts[999])) || long.Covers(must(t, "patient/Patient.r?_id=a1,a2,a3,a4,a5,a6,a7,a8,a9&_tag=x,y,z&gender=a,b,c,d")) {
		t.Error("Covers on a long set")
	}
	// Piecewise covers of many alternatives are given up, never granted.
	wide := must(t, "patient/Patient.r?_id=v,w&_tag=a,b,c,d,e,f,g,h&gender=a,b,c,d,e,f,g,h&language=a,b,c,d,e,f,g,h")
	if set(t, "patient/Patient.r?_tag=a patient/Patient.r?_tag=b").Covers(wide) {
		t.Error("a part was taken for the whole")
	}
}
