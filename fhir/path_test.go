package fhir

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const pathBody = `{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/1"},
	"focus":[{"reference":"Device/7"},{"reference":"#c"},{"reference":"https://h/f/Patient/9"}],
	"contained":[{"resourceType":"Patient","id":"c","active":true}],
	"extension":[{"url":"http://x/e","valueString":"hello"}],
	"valueQuantity":{"value":7.0,"unit":"mg"},"effectiveDateTime":"2024-05-01","subjectReference":{"reference":"Patient/evil"},
	"component":[{"valueString":"a"},{"valueQuantity":{"value":2}},{"valueInteger":3}],
	"category":[{"coding":[{"system":"s","code":"laboratory"},{"system":"s","code":"other"}]}]}`

func TestEval(t *testing.T) {
	r := mustParse(t, pathBody)
	for _, c := range []struct{ expression, want string }{
		{"Observation.status", `["final"]`},
		{"status", `["final"]`},
		{"Patient.status", `[]`},
		{"Resource.id", `["o"]`},
		{"Observation.value", `[{"unit":"mg","value":7.0}]`},
		{"(Observation.value as Quantity) | (Observation.value as string)", `[{"unit":"mg","value":7.0}]`},
		{"Observation.value as CodeableConcept", `[]`},
		{"Observation.effective", `["2024-05-01"]`},
		{"Observation.subjectReference.reference", `["Patient/evil"]`},
		{"Observation.component.value", `["a",{"value":2},3]`},
		{"Observation.component.value.ofType(Quantity).value", `[2]`},
		{"Observation.component.value.as(string)", `["a"]`},
		{"Observation.component[1].value.value", `[2]`},
		{"Observation.component[9]", `[]`},
		{"Observation.focus.where(resolve() is Patient).reference", `["#c","https://h/f/Patient/9"]`},
		{"Observation.focus.where(resolve() is Device).reference", `["Device/7"]`},
		{"Observation.focus.resolve().active", `[true]`},
		{"Observation.subject.resolve() is Patient", `[true]`},
		{"Observation.extension('http://x/e').value", `["hello"]`},
		{"Observation.where(hasExtension('http://x/e')).status", `["final"]`},
		{"Observation.category.coding.where(system='s').code", `["laboratory","other"]`},
		{"Observation.category.coding.where(code='other' and system='s').code", `["other"]`},
		{"category.coding.code = 'laboratory'", `[false]`},
		{"category.coding.exists(code = 'laboratory')", `[true]`},
		{"status = 'final' or status = 'amended'", `[true]`},
		{"status.empty()", `[false]`},
		{"note.empty()", `[true]`},
		{"note.exists().not()", `[true]`},
		{"note = 'x'", `[]`},
		{"note = 'x' and status = 'wrong'", `[false]`},
		{"note = 'x' or status = 'final'", `[true]`},
		{"note = 'x' and status = 'final'", `[]`},
		{"(note = 'x').not()", `[]`},
		{"value.value = 7", `[true]`},
		{"value.value != 7.00", `[false]`},
		{"'a' | 'a' | 'b'", `["a","b"]`},
		{"component.value.first()", `["a"]`},
		{"$this.status", `["final"]`},
		{"Observation.subject.as(Reference).reference", `["Patient/1"]`},
	} {
		t.Run(c.expression, func(t *testing.T) {
			got, err := Eval(r, c.expression)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(got)
			if string(text) != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
		})
	}
}

// An invented choice member must not stand in for an absent ordinary element.
func TestEvalInventedChoice(t *testing.T) {
	r := mustParse(t, `{"resourceType":"Observation","subjectReference":{"reference":"Patient/1"}}`)
	if got, err := Eval(r, "Observation.subject"); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	if m := PatientMembership(r); len(m.All()) != 0 {
		t.Errorf("membership by an invented member: %+v", m)
	}
}

func TestEvalDeceased(t *testing.T) {
	p, _ := Param("Patient", "deceased")
	for body, want := range map[string]string{
		`{"resourceType":"Patient"}`:                                 `[false]`,
		`{"resourceType":"Patient","deceasedBoolean":false}`:         `[false]`,
		`{"resourceType":"Patient","deceasedBoolean":true}`:          `[true]`,
		`{"resourceType":"Patient","deceasedDateTime":"2020-01-01"}`: `[true]`,
	} {
		got, err := Eval(mustParse(t, body), p.Expression)
		text, _ := json.Marshal(got)
		if err != nil || string(text) != want {
			t.Errorf("%s: got %s %v, want %s", body, text, err, want)
		}
	}
}

func TestEvalErrors(t *testing.T) {
	r := mustParse(t, pathBody)
	for _, c := range []struct{ expression, want string }{
		{"", "unexpected"},
		{"a.", "a name is expected"},
		{"a b", `unexpected "b"`},
		{"a.repeat(b)", "function repeat() is not part"},
		{"a[b]", "an index must be a whole number"},
		{"a[-1]", "not part of the supported subset"},
		{"'abc", "has no end"},
		{"a + b", "not part of the supported subset"},
		{"a ~ b", "not part of the supported subset"},
		{"where(a", `")" is expected`},
		{"a.``", "must not be empty"},
		{strings.Repeat("(", 100) + "a" + strings.Repeat(")", 100), "nested deeper"},
		{strings.Repeat("a.", 10000) + "a", "longer than"},
	} {
		if _, err := Eval(r, c.expression); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: got %v, want %q", c.expression, err, c.want)
		}
	}
}

func TestEvalConcurrent(t *testing.T) {
	r := mustParse(t, pathBody)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, p := range Params("Observation") {
				if _, err := Eval(r, p.Expression); err != nil && p.Expression != "" {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzEval(f *testing.F) {
	for _, s := range []string{"Observation.value as Quantity", "a.where(b='c' or d != 1).exists().not()", "x[0] | y", "hasExtension('u')", "`a`.b", "$this is X"} {
		f.Add(s)
	}
	r := mustParse(f, pathBody)
	f.Fuzz(func(t *testing.T, s string) {
		e, err := compilePath(s)
		if err == nil {
			evalNodes(r, e)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	r := mustParse(b, pathBody)
	for b.Loop() {
		if _, err := Eval(r, "Observation.subject.where(resolve() is Patient)"); err != nil {
			b.Fatal(err)
		}
	}
}

// Every element that a search parameter casts is known as a choice element; else the cast would select nothing.
func TestChoiceElementsCoverTheCasts(t *testing.T) {
	casts := 0
	for base, list := range params() {
		for code, p := range list {
			for _, cast := range regexp.MustCompile(`([A-Za-z.]+)(?: as |\.as\(|\.ofType\()`).FindAllStringSubmatch(p.Expression, -1) {
				casts++
				steps := strings.Split(cast[1], ".")
				name := steps[len(steps)-1]
				if index := choices(); !index.elements[name] && !index.elements[steps[len(steps)-2]+"."+name] {
					t.Errorf("%s.%s: %s is not known as a choice element", base, code, cast[1])
				}
			}
		}
	}
	if casts < 90 {
		t.Errorf("only %d casts were found", casts)
	}
}

// A body must not buy quadratic time: counted in nodes, which is what the evaluator spends. 1,500 references to the
// container, each giving 1,500 components, is stopped; the shapes that search parameters use are not.
func TestEvalIsBounded(t *testing.T) {
	const n = 1500
	many := func(format string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = strings.ReplaceAll(format, "%d", strconv.Itoa(i))
		}
		return strings.Join(parts, ",")
	}
	r := mustParse(t, `{"resourceType":"Observation","component":[`+many(`{"valueString":"v%d"}`)+`],"focus":[`+many(`{"reference":"#c%d"}`)+`],
		"hasMember":[`+many(`{"reference":"#"}`)+`],"contained":[`+many(`{"resourceType":"Device","id":"c%d"}`)+`]}`)
	for _, c := range []struct {
		expression string
		want       int // -1 for an error
	}{
		{"Observation.focus.where(resolve() is Device)", n},
		{"Observation.component.value | Observation.focus.reference", 2 * n},
		{"Observation.component.value | Observation.component.value", n},
		{"Observation.hasMember.resolve().component", -1},
		{"Observation.hasMember.resolve().hasMember.resolve().hasMember.resolve()", -1},
	} {
		got, err := Eval(r, c.expression)
		if c.want < 0 && (err == nil || !strings.Contains(err.Error(), "selects more than 1048576 nodes")) || c.want >= 0 && (err != nil || len(got) != c.want) {
			t.Errorf("%s: %d values, %v; want %d", c.expression, len(got), err, c.want)
		}
	}
	for _, p := range Params("Observation") {
		if _, err := Eval(r, p.Expression); err != nil && p.Expression != "" {
			t.Errorf("%s: %v", p.Code, err)
		}
	}
}
