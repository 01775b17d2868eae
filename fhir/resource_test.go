package fhir

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func mustParse(t testing.TB, body string) *Resource {
	t.Helper()
	r, err := Parse([]byte(body))
	if err != nil {
		t.Fatalf("Parse(%s): %v", body, err)
	}
	return r
}

func TestParse(t *testing.T) {
	r := mustParse(t, ` {"resourceType":"Observation","id":"o-1","meta":{"versionId":"3","lastUpdated":"2024-05-01T10:00:00.123Z"},"valueQuantity":{"value":1.50}} `)
	if r.Type() != "Observation" || r.ID() != "o-1" || r.VersionID() != "3" {
		t.Errorf("got %s %s %s", r.Type(), r.ID(), r.VersionID())
	}
	if at, ok := r.LastUpdated(); !ok || !at.Equal(time.Date(2024, 5, 1, 10, 0, 0, 123e6, time.UTC)) {
		t.Errorf("LastUpdated = %v %v", at, ok)
	}
	if v := r.Map()["valueQuantity"].(map[string]any)["value"]; v != json.Number("1.50") {
		t.Errorf("the decimal lost its precision: %v", v)
	}
	deep := func(n int) string {
		return `{"resourceType":"Basic","a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	mustParse(t, deep(63))
	for _, c := range []struct{ name, body, want string }{
		{"empty", ``, "must be one JSON object"},
		{"array", `[]`, "must be one JSON object"},
		{"byte order mark", "\ufeff{\"resourceType\":\"Basic\"}", "must be one JSON object"},
		{"unknown type", `{"resourceType":"Nothing"}`, `resourceType "Nothing" is not`},
		{"abstract type", `{"resourceType":"DomainResource"}`, "is not a resource type"},
		{"no type", `{"id":"1"}`, "is not a resource type"},
		{"number as id", `{"resourceType":"Basic","id":1}`, "id must be a string"},
		{"member twice", `{"resourceType":"Basic","id":"1","id":"2"}`, `member "id" appears twice`},
		{"member twice by escape", `{"resourceType":"Basic","id":"1","\u0069d":"2"}`, `member "id" appears twice`},
		{"member twice, nested", `{"resourceType":"Basic","a":[{"b":1,"b":1}]}`, `member "b" appears twice`},
		{"trailing text", `{"resourceType":"Basic"}{}`, "text after the end"},
		{"too deep", deep(64), "nested deeper than 64"},
		{"invalid UTF-8", "{\"resourceType\":\"Basic\",\"a\":\"\xc0\xaf\"}", "not valid UTF-8"},
		{"half a surrogate pair", `{"resourceType":"Basic","a":"\ud800"}`, "half a surrogate"},
		{"control character", "{\"resourceType\":\"Basic\",\"a\":\"\n\"}", "control character"},
		{"leading zero", `{"resourceType":"Basic","a":01}`, "expected"},
		{"trailing comma", `{"resourceType":"Basic",}`, "member name"},
		{"comment", `{"resourceType":"Basic"/**/}`, "expected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Parse([]byte(c.body))
			if err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want error with %q", r, err, c.want)
			}
		})
	}
}

func TestParseKeepsItsOwnBytes(t *testing.T) {
	in := []byte(`{"resourceType":"Basic","id":"a"}`)
	r, err := Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	in[len(in)-3] = 'b'
	if string(r.Raw()) != `{"resourceType":"Basic","id":"a"}` || r.ID() != "a" {
		t.Errorf("the caller's buffer changed the resource: %s", r.Raw())
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"resourceType":"Basic"}`, `{"resourceType":"Basic","a":[1.5e-3,null,true,"\u00e9\ud83d\ude00"]}`, `{"a":{"b":1,"b":2}}`,
		`{"resourceType":"Observation","subject":{"reference":"Patient/1"},"effectiveDateTime":"2024-01","contained":[{"resourceType":"Patient","id":"p"}]}`,
		`{"resourceType":"Patient","id":"1","deceasedBoolean":true}`, `{"`, `{"a":-}`, "{\"a\":\"\x00\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Parse(in)
		if err != nil {
			if r != nil {
				t.Fatal("a failed parse gave a resource")
			}
			return
		}
		d := json.NewDecoder(strings.NewReader(string(in)))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses what Parse accepts: %v", err)
		}
		if !reflect.DeepEqual(want, r.Map()) {
			t.Fatalf("read differently: %v, encoding/json %v", r.Map(), want)
		}
		References(r)
		PatientMembership(r)
		_ = CheckWritable(r)
		for _, p := range Params(r.Type()) {
			if e, err := compiled(p.Expression); err == nil {
				evalNodes(r, e)
			}
		}
	})
}

func TestCheckWritable(t *testing.T) {
	ok := `{"resourceType":"Observation","id":"a.B-1","meta":{"security":[{"code":"R"}],"tag":[],"profile":["x"]},"contained":[{"resourceType":"Patient","id":"p"}]}`
	if err := CheckWritable(mustParse(t, ok)); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ body, want string }{
		{`{"resourceType":"Basic","id":""}`, "Basic.id: 1 to 64 letters, digits, '-' or '.' are allowed"},
		{`{"resourceType":"Basic","id":"a/b"}`, "Basic.id: 1 to 64 letters, digits, '-' or '.' are allowed"},
		{`{"resourceType":"Basic","meta":[]}`, "Basic.meta: must be an object"},
		{`{"resourceType":"Basic","meta":{"security":{"code":"R"}}}`, "Basic.meta.security: must be an array"},
		{`{"resourceType":"Basic","meta":{"security":["R"]}}`, "Basic.meta.security: entry of the wrong type"},
		{`{"resourceType":"Basic","meta":{"versionId":1}}`, "Basic.meta.versionId: must be a string"},
		{`{"resourceType":"Basic","contained":{}}`, "Basic.contained: must be an array"},
		{`{"resourceType":"Basic","contained":[1]}`, "Basic.contained[0]: must be a resource"},
		{`{"resourceType":"Basic","contained":[{"resourceType":"X","id":"a"}]}`, "Basic.contained[0].resourceType: must be a resource type of FHIR R4"},
		{`{"resourceType":"Basic","contained":[{"resourceType":"Patient"}]}`, "Basic.contained[0].id: a contained resource needs a valid id"},
		{`{"resourceType":"Basic","contained":[{"resourceType":"Patient","id":"a","contained":[]}]}`, "Basic.contained[0].contained: contained resources do not nest"},
		{`{"resourceType":"Basic","contained":[{"resourceType":"Patient","id":"a"},{"resourceType":"Patient","id":"a"}]}`, "Basic.contained[1].id: used by another contained resource"},
	} {
		if err := CheckWritable(mustParse(t, c.body)); err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.body, err, c.want)
		}
	}
}

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		issues []Issue
		want   string
	}{
		{nil, `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","details":{"text":"All OK"}}]}`},
		{[]Issue{{Code: "forbidden", Text: "No."}}, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"forbidden","details":{"text":"No."}}]}`},
		{[]Issue{{}, {Severity: "warning", Code: "suppressed", Expression: []string{"Bundle.entry[0]"}}}, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"},{"severity":"warning","code":"suppressed","expression":["Bundle.entry[0]"]}]}`},
	} {
		if got := string(Outcome(c.issues...)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
