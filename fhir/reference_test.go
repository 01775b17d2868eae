package fhir

import (
	"slices"
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, c := range []struct {
		in   string
		want Reference
		ok   bool
	}{
		{"Patient/1", Reference{Type: "Patient", ID: "1"}, true},
		{"Patient/1/_history/2", Reference{Type: "Patient", ID: "1", Version: "2"}, true},
		{"#p1", Reference{Fragment: "p1", Contained: true}, true},
		{"#", Reference{Contained: true}, true},
		{"https://h/fhir/Patient/1", Reference{Type: "Patient", ID: "1", URL: "https://h/fhir/Patient/1"}, true},
		{"http://h/Patient/1/_history/4", Reference{Type: "Patient", ID: "1", Version: "4", URL: "http://h/Patient/1/_history/4"}, true},
		{"urn:uuid:0b0d0c36-1111-4222-8333-444455556666", Reference{URL: "urn:uuid:0b0d0c36-1111-4222-8333-444455556666"}, true},
		{"http://h/other?x=Patient/1", Reference{URL: "http://h/other?x=Patient/1"}, true},
		{"http://Patient/1", Reference{URL: "http://Patient/1"}, true},
		{"Patient/1?x", Reference{}, false},
		{"Patient?identifier=x|1", Reference{}, false},
		{"patient/1", Reference{}, false},
		{"Patient/", Reference{}, false},
		{"Patient/1/", Reference{}, false},
		{"/Patient/1", Reference{}, false},
		{"Patient/../Patient/1", Reference{}, false},
		{"Patient/%31", Reference{}, false},
		{"Patient/1 ", Reference{}, false},
		{"Patient/1\x00", Reference{}, false},
		{"Patient/" + long, Reference{}, false},
		{"Nothing/1", Reference{}, false},
		{"", Reference{}, false},
		{"#a b", Reference{}, false},
		{":x", Reference{}, false},
	} {
		got, ok := ParseReference(c.in)
		if got != c.want || ok != c.ok {
			t.Errorf("ParseReference(%q) = %+v %v, want %+v %v", c.in, got, ok, c.want, c.ok)
		}
		if ok && got.String() != c.in {
			t.Errorf("String() = %q, want %q", got.String(), c.in)
		}
	}
	if f, _ := ParseReference("https://h/fhir/Patient/1"); f.Local() {
		t.Error("an absolute reference is local")
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"Patient/1", "#x", "http://h/fhir/Patient/1/_history/2", "urn:oid:1.2.3", "Patient/1/_history/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseReference(s)
		if !ok && got != (Reference{}) {
			t.Fatalf("a failed parse gave %+v", got)
		}
		if again, okAgain := ParseReference(got.String()); ok && (!okAgain || again != got || got.String() != s) {
			t.Fatalf("%q is printed as %q", s, got.String())
		}
	})
}

func TestReferences(t *testing.T) {
	r := mustParse(t, `{"resourceType":"Observation","subject":{"reference":"Patient/1"},"performer":[{"reference":"#d"},{"display":"x"},{"reference":"not one"}],
		"contained":[{"resourceType":"Practitioner","id":"d","qualification":[{"issuer":{"reference":"Organization/o"}}]}],
		"extension":[{"url":"u","valueReference":{"reference":"https://h/f/Device/9"}}],"note":[{"text":"Patient/7"}]}`)
	var got []string
	for _, f := range References(r) {
		got = append(got, f.String())
	}
	if want := []string{"Organization/o", "https://h/f/Device/9", "#d", "Patient/1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
