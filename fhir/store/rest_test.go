package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	patientA = `{"resourceType":"Patient","id":"a","identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"Müller","given":["Änne","Lee"]}],"gender":"female","birthDate":"1980-02-03"}`
	patientB = `{"resourceType":"Patient","id":"b","identifier":[{"system":"urn:mrn","value":"2"}],"name":[{"family":"Smith"}],"gender":"male","birthDate":"1990"}`
)

func observation(id, patient, code string, value float64, date string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","category":[{"coding":[{"system":"cat","code":"laboratory"}]}],
		"code":{"coding":[{"system":"http://loinc.org","code":%q}]},"subject":{"reference":"Patient/%s"},"effectiveDateTime":%q,
		"valueQuantity":{"value":%v,"system":"http://unitsofmeasure.org","code":"mg"}}`, id, code, patient, date, value)
}

func TestCreateReadUpdateDelete(t *testing.T) {
	s := newServer(t)
	c := s.do("POST", "Patient", patientA).want(201)
	id := c.json()["id"].(string)
	if id == "a" {
		t.Error("a create took over the client's id")
	}
	loc := testBase + "/Patient/" + id + "/_history/1"
	if c.header.Get("Location") != loc || c.header.Get("ETag") != `W/"1"` || c.header.Get("Last-Modified") != "Wed, 01 May 2024 12:00:01 GMT" {
		t.Errorf("headers %v", c.header)
	}
	r := s.do("GET", "Patient/"+id, "").want(200)
	meta := r.json()["meta"].(map[string]any)
	if meta["versionId"] != "1" || meta["lastUpdated"] != "2024-05-01T12:00:01.000Z" {
		t.Errorf("meta %v", meta)
	}
	s.do("GET", "Patient/"+id, "", "If-None-Match", `W/"1"`).want(304)
	s.do("GET", "Patient/"+id, "", "If-None-Match", `"7"`).want(200)
	s.do("GET", "Patient/"+id, "", "If-Modified-Since", r.header.Get("Last-Modified")).want(304)
	if h := s.do("HEAD", "Patient/"+id, "").want(200); h.header.Get("ETag") != `W/"1"` {
		t.Errorf("HEAD %v", h.header)
	}
	body := strings.Replace(patientA, `"id":"a"`, `"id":"`+id+`","meta":{"versionId":"99","tag":[{"code":"kept"}]}`, 1)
	s.do("PUT", "Patient/"+id, body, "If-Match", `W/"9"`).refused(412, "conflict")
	u := s.do("PUT", "Patient/"+id, body, "If-Match", `W/"1"`).want(200)
	meta = u.json()["meta"].(map[string]any)
	if meta["versionId"] != "2" || meta["tag"] == nil {
		t.Errorf("meta %v", meta)
	}
	s.do("GET", "Patient/"+id+"/_history/1", "").want(200)
	s.do("GET", "Patient/"+id+"/_history/3", "").refused(404, "not-found")
	s.do("GET", "Patient/"+id+"/_history/01", "").refused(404, "not-found")
	s.do("DELETE", "Patient/"+id, "", "If-Match", `W/"1"`).refused(412, "conflict")
	s.do("DELETE", "Patient/"+id, "").want(204)
	if g := s.do("GET", "Patient/"+id, "").refused(410, "deleted"); g.header.Get("ETag") != `W/"3"` {
		t.Errorf("ETag %q", g.header.Get("ETag"))
	}
	s.do("GET", "Patient/"+id+"/_history/3", "").refused(410, "deleted")
	s.do("GET", "Patient/"+id+"/_history/2", "").want(200)
	s.do("DELETE", "Patient/"+id, "").want(204)
	s.do("DELETE", "Patient/never", "").want(204)
	if got := s.all("Patient"); len(got) != 0 {
		t.Errorf("deleted but found: %v", got)
	}
	h := s.do("GET", "Patient/"+id+"/_history", "").want(200).bundle()
	var methods []string
	for _, e := range h.Entry {
		methods = append(methods, e.Request.Method)
	}
	if !slices.Equal(methods, []string{"DELETE", "PUT", "POST"}) {
		t.Errorf("history %v", methods)
	}
	s.do("PUT", "Patient/"+id, body).want(201) // back again, as version 4
	if got := s.all("Patient"); len(got) != 1 {
		t.Errorf("found %v", got)
	}
}

func TestPrefer(t *testing.T) {
	s := newServer(t)
	if a := s.do("POST", "Patient", patientA, "Prefer", "return=minimal").want(201); len(a.body) != 0 || a.header.Get("Location") == "" {
		t.Errorf("minimal: %s", a.body)
	}
	if a := s.do("POST", "Patient", patientA, "Prefer", "return=OperationOutcome").want(201); a.json()["resourceType"] != "OperationOutcome" {
		t.Errorf("OperationOutcome: %s", a.body)
	}
	if a := s.do("POST", "Patient", patientA, "Prefer", "handling=lenient; return=representation").want(201); a.json()["resourceType"] != "Patient" {
		t.Errorf("representation: %s", a.body)
	}
}

func TestAcceptedFormats(t *testing.T) {
	s := newServer(t)
	s.put(patientA)
	for _, accept := range []string{"", "*/*", "application/json", "application/fhir+json; charset=utf-8", "text/html, */*;q=0.1", "application/fhir+json;fhirVersion=4.0"} {
		s.do("GET", "Patient/a", "", "Accept", accept).want(200)
	}
	s.do("GET", "Patient/a?_format=application/fhir%2Bjson", "", "Accept", "text/html").want(200)
	s.do("GET", "Patient/a?_format=application/fhir+json", "").want(200)
}

func TestHistoryPaging(t *testing.T) {
	s := newServer(t)
	s.put(patientA, patientB)
	for range 6 {
		s.do("PUT", "Patient/a", patientA).want(200)
	}
	s.put(observation("o", "a", "1", 1, "2020"))
	for _, tt := range []struct {
		path string
		want int
	}{{"_history?_count=2", 9}, {"Patient/_history?_count=3", 8}, {"Patient/a/_history?_count=2", 7}, {"Patient/a/_history?_since=2024-05-01T12:00:08Z", 0}} {
		n := 0
		for target := tt.path; target != ""; {
			b := s.do("GET", target, "").want(200).bundle()
			if b.Type != "history" {
				t.Fatalf("type %s", b.Type)
			}
			n += len(b.Entry)
			target = b.next()
		}
		if tt.want > 0 && n != tt.want || tt.want == 0 && (n == 0 || n >= 7) {
			t.Errorf("%s: %d entries, want %d", tt.path, n, tt.want)
		}
	}
}

func TestEverything(t *testing.T) {
	s := newServer(t)
	s.put(patientA, patientB, `{"resourceType":"Practitioner","id":"d"}`, `{"resourceType":"Practitioner","id":"other"}`)
	for i := range 7 {
		s.put(observation(fmt.Sprintf("a%d", i), "a", "1", 1, "2020"), observation(fmt.Sprintf("b%d", i), "b", "1", 1, "2020"))
	}
	s.put(`{"resourceType":"Encounter","id":"e","subject":{"reference":"Patient/a"},"participant":[{"individual":{"reference":"Practitioner/d"}}]}`,
		`{"resourceType":"Observation","id":"focus","subject":{"reference":"Patient/b"},"focus":[{"reference":"Patient/a"}]}`)
	seen := map[string]int{}
	pages := 0
	for target := "Patient/a/$everything?_count=3"; target != ""; pages++ {
		b := s.do("GET", target, "").want(200).bundle()
		for _, id := range b.ids("") {
			seen[id]++
		}
		target = b.next()
	}
	if pages != 3 || len(seen) != 10 || seen["Patient/a"] != 1 || seen["Practitioner/d"] != 1 || seen["Observation/a6"] != 1 {
		t.Errorf("%d pages: %v", pages, seen)
	}
	b := s.do("GET", "Patient/a/$everything?_type=Encounter", "").want(200).bundle()
	if got := b.ids(""); !slices.Equal(got, []string{"Encounter/e"}) {
		t.Errorf("_type: %v", got)
	}
}

func TestPatch(t *testing.T) {
	s := newServer(t)
	s.put(patientA)
	ok := s.do("PATCH", "Patient/a", `[{"op":"test","path":"/gender","value":"female"},{"op":"add","path":"/name/0/given/-","value":"X"}]`,
		"Content-Type", mediaPatch, "If-Match", `W/"1"`).want(200)
	if !strings.Contains(string(ok.body), `"given":["Änne","Lee","X"]`) || ok.header.Get("ETag") != `W/"2"` {
		t.Errorf("patched: %s", ok.body)
	}
	for _, tt := range []struct {
		patch  string
		status int
		code   string
	}{
		{`[{"op":"test","path":"/gender","value":"male"}]`, 422, "processing"},
		{`[{"op":"remove","path":"/nothing"}]`, 422, "processing"},
		{`[{"op":"replace","path":"/id","value":"other"}]`, 422, "business-rule"},
		{`[{"op":"replace","path":"/resourceType","value":"Group"}]`, 422, "business-rule"},
		{`[{"op":"replace","path":"","value":5}]`, 422, "structure"},
		{`{"op":"remove"}`, 400, "invalid"},
		{`[{"op":"explode","path":"/gender"}]`, 400, "invalid"},
	} {
		s.do("PATCH", "Patient/a", tt.patch, "Content-Type", mediaPatch).refused(tt.status, tt.code)
	}
	s.do("PATCH", "Patient/a", `[]`, "Content-Type", mediaPatch, "If-Match", `W/"1"`).refused(412, "conflict")
	s.do("DELETE", "Patient/a", "").want(204)
	s.do("PATCH", "Patient/a", `[]`, "Content-Type", mediaPatch).refused(410, "deleted")
}
