package scopes

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/umaas/umaas/fhir"
)

// world is every kind of resource that the generated scopes can tell apart.
func world(t testing.TB) []*fhir.Resource {
	t.Helper()
	var list []*fhir.Resource
	add := func(body string) {
		r, err := fhir.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	for _, typ := range []string{"Patient", "Consent", "AuditEvent", "Binary", "Basic"} {
		add(`{"resourceType":"` + typ + `"}`)
		add(`{"resourceType":"` + typ + `","meta":{"tag":[{"code":"x"}]}}`)
	}
	for _, category := range []string{"", "a", "b", "c", "ab", "bc", "abc"} {
		for _, status := range []string{"final", "amended"} {
			for _, tag := range []string{"", "x"} {
				var codes []string
				for _, c := range category {
					codes = append(codes, fmt.Sprintf(`{"coding":[{"code":"%c"}]}`, c))
				}
				add(`{"resourceType":"Observation","status":"` + status + `","category":[` + strings.Join(codes, ",") + `],"meta":{"tag":[{"code":"` + tag + `"}]}}`)
			}
		}
	}
	return list
}

var anyScope = rapid.Custom(func(t *rapid.T) Scope {
	typ := rapid.SampledFrom([]string{"*", "Observation", "Observation", "Observation", "Patient", "Consent", "AuditEvent", "Binary", "Basic"}).Draw(t, "type")
	letters := Letters(rapid.IntRange(1, 31).Draw(t, "letters"))
	s := Scope{Context: rapid.SampledFrom([]Context{Patient, User, System}).Draw(t, "context"), Type: typ, Letters: letters}
	choices := []string{"_tag=x", "_tag=x,y", "_tag=y"}
	if typ == "Observation" {
		choices = append(choices, "category=a", "category=b", "category=a,b", "category=b,c", "category=c,a,b", "status=final", "status=final,amended")
	}
	query := strings.Join(rapid.SliceOfN(rapid.SampledFrom(choices), 0, 3).Draw(t, "query"), "&")
	if query == "" {
		return s
	}
	parsed, err := Parse(s.String() + "?" + query)
	if err != nil {
		t.Fatalf("generated scope: %v", err)
	}
	return parsed
})

var anySet = rapid.Custom(func(t *rapid.T) Set { return rapid.SliceOfN(anyScope, 0, 6).Draw(t, "set") })

func TestPropertyParsePrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyScope.Draw(t, "scope")
		if got, err := Parse(s.String()); err != nil || got != s {
			t.Fatalf("%s is read back as %s, %v", s, got, err)
		}
		list := anySet.Draw(t, "set")
		again, rest := ParseSet(list.String())
		if len(rest) != 0 || again.String() != list.String() {
			t.Fatalf("%s is read back as %s and %q", list, again, rest)
		}
	})
}

func TestPropertyVersionsAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		context := rapid.SampledFrom([]string{"patient", "user", "system"}).Draw(t, "context")
		typ := rapid.SampledFrom(append(fhir.Types(), "*")).Draw(t, "type")
		for v1, v2 := range map[string]string{"read": "rs", "write": "cud", "*": "cruds"} {
			a, errA := Parse(context + "/" + typ + "." + v1)
			b, errB := Parse(context + "/" + typ + "." + v2)
			if errA != nil || errB != nil || a != b {
				t.Fatalf("%s/%s: .%s is %v (%v), .%s is %v (%v)", context, typ, v1, a, errA, v2, b, errB)
			}
			if text, ok := b.Version1(); !ok || text != context+"/"+typ+"."+v1 {
				t.Fatalf("Version1 of %s = %q %v", b, text, ok)
			}
		}
	})
}

// granted ⊆ requested: an intersection allows exactly nothing that either side does not, and here exactly what both do.
func TestPropertyIntersect(t *testing.T) {
	resources := world(t)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := anySet.Draw(rt, "a"), anySet.Draw(rt, "b")
		both := a.Intersect(b)
		if !a.CoversSet(both) || !b.CoversSet(both) {
			rt.Fatalf("{%s} ∩ {%s} = {%s} is not covered by both", a, b, both)
		}
		got, x, y := rights(t, both, resources), rights(t, a, resources), rights(t, b, resources)
		for right := range got {
			if !x[right] || !y[right] {
				rt.Fatalf("{%s} ∩ {%s} = {%s} allows %s", a, b, both, right)
			}
		}
		for right := range x {
			if y[right] && !got[right] {
				rt.Fatalf("{%s} ∩ {%s} = {%s} loses %s", a, b, both, right)
			}
		}
	})
}

func TestPropertyUnion(t *testing.T) {
	resources := world(t)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := anySet.Draw(rt, "a"), anySet.Draw(rt, "b")
		union := a.Union(b)
		want := rights(t, a, resources)
		maps.Copy(want, rights(t, b, resources))
		if got := rights(t, union, resources); !maps.Equal(got, want) {
			rt.Fatalf("{%s} ∪ {%s} = {%s} changes the rights", a, b, union)
		}
		if !union.CoversSet(a) || !union.CoversSet(b) {
			rt.Fatalf("{%s} ∪ {%s} = {%s} does not cover both", a, b, union)
		}
		if union.String() != b.Union(a).String() || union.Union(union).String() != union.String() {
			rt.Fatalf("{%s} ∪ {%s} depends on the order", a, b)
		}
		for i := range union {
			others := append(append(Set{}, union[:i]...), union[i+1:]...)
			for _, letter := range union[i].Letters.each() {
				if one := (Scope{union[i].Context, union[i].Type, letter, union[i].Query}); others.Covers(one) {
					rt.Fatalf("{%s}: %s is said twice", union, one)
				}
			}
		}
	})
}

// Covers never says yes where a resource shows the difference.
func TestPropertyCoversIsSound(t *testing.T) {
	resources := world(t)
	rapid.Check(t, func(rt *rapid.T) {
		a, s := anySet.Draw(rt, "a"), anyScope.Draw(rt, "scope")
		if !a.Covers(s) {
			return
		}
		given := rights(t, a, resources)
		for right := range rights(t, Set{s}, resources) {
			if !given[right] {
				rt.Fatalf("{%s} is said to cover %s but does not allow %s", a, s, right)
			}
		}
	})
}

func TestPropertyUMA(t *testing.T) {
	resources := world(t)
	types := fhir.Types()
	rapid.Check(t, func(rt *rapid.T) {
		s := anyScope.Draw(rt, "scope")
		if s.Context == System {
			return
		}
		letters, query := s.UMA(types)
		var back Set
		for _, letter := range letters {
			one, err := FromUMA(letter, query)
			if err != nil {
				rt.Fatalf("%s: %v", s, err)
			}
			back = append(back, one)
		}
		if !maps.Equal(rights(t, Set{s}, resources), rights(t, back, resources)) {
			rt.Fatalf("%s becomes {%s}", s, back)
		}
	})
}

// FuzzParse: never more rights than the text says. Whatever is accepted must be one of the strings that the grammar, applied
// by splitting the text in another way, allows.
func FuzzParse(f *testing.F) {
	for _, s := range malformed {
		f.Add(s)
	}
	for _, s := range []string{"patient/Observation.rs?category=a,b&status=final", "user/*.*", "system/Patient.write", "http://smarthealthit.org/fhir/scopes/patient/Observation.read", "patient/Observation.rs?code=a%5C,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if Kind(text) == KindResource {
			if _, err := Parse(text); err != nil {
				t.Fatalf("Kind calls %q a resource scope: %v", text, err)
			}
		}
		s, err := Parse(text)
		if err != nil {
			if s != (Scope{}) {
				t.Fatalf("a failed parse gave %+v", s)
			}
			return
		}
		again, err := Parse(s.String())
		if err != nil || again != s {
			t.Fatalf("%q prints as %q, read back as %+v, %v", text, s, again, err)
		}
		body := strings.TrimPrefix(text, uriPrefix)
		slash, dot := strings.IndexByte(body, '/'), strings.IndexByte(body, '.')
		if string(s.Context) != body[:slash] || s.Type != body[slash+1:dot] || s.Type != "*" && !fhir.IsType(s.Type) {
			t.Fatalf("%q is read as %+v", text, s)
		}
		access, query, constrained := strings.Cut(body[dot+1:], "?")
		want := map[string]string{"read": "rs", "write": "cud", "*": "cruds"}[access]
		if want == "" {
			want = access
		}
		if s.Letters.String() != want || constrained != (s.Query != "") {
			t.Fatalf("%q is read as %+v", text, s)
		}
		if strings.Count(query, "=") > 0 && s.Pairs() == nil {
			t.Fatalf("%q lost its constraints", text)
		}
		if _, err := s.Filter(s.Type); err != nil {
			t.Fatalf("%q has constraints that cannot be evaluated: %v", text, err)
		}
	})
}
