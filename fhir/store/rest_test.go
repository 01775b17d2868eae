package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/umaas/umaas/fhir"
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

func TestRefusals(t *testing.T) {
	s := newServer(t, func(o *Options) { o.UpdateAsCreate, o.MaxBody = false, 4096 })
	s.do("PUT", "Patient/a", patientA).refused(405, "not-supported")
	created := s.do("POST", "Patient", patientA).want(201).json()["id"].(string)
	big := `{"resourceType":"Patient","extension":[` + strings.Repeat(`{"url":"x"},`, 500) + `{"url":"x"}]}`
	deep := `{"resourceType":"Patient","extension":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`
	tests := []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"unknown type", "GET", "Nonsense/1", "", nil, 404, "not-supported"},
		{"lower case type", "GET", "patient/1", "", nil, 404, "not-supported"},
		{"unknown id", "GET", "Patient/1", "", nil, 404, "not-found"},
		{"dot segment", "GET", "Patient/%2e%2e/1", "", nil, 400, "invalid"},
		{"encoded slash", "GET", "Patient/1%2f2", "", nil, 400, "invalid"},
		{"long path", "GET", "Patient/a/b/c/d/e/f/g/h", "", nil, 404, "not-found"},
		{"unknown operation", "GET", "Patient/1/$graphql", "", nil, 404, "not-supported"},
		{"system operation", "POST", "$convert", "{}", nil, 404, "not-supported"},
		{"method", "POST", "Patient/1", "{}", nil, 405, "not-supported"},
		{"method on metadata", "DELETE", "metadata", "", nil, 405, "not-supported"},
		{"method on base", "DELETE", "", "", nil, 405, "not-supported"},
		{"odd method", "BREW", "Patient", "", nil, 405, "not-supported"},
		{"xml wanted", "GET", "Patient/" + created, "", []string{"Accept", "application/fhir+xml"}, 406, "not-supported"},
		{"xml by _format", "GET", "Patient/" + created + "?_format=xml", "", nil, 406, "not-supported"},
		{"R5 wanted", "GET", "Patient/" + created, "", []string{"Accept", "application/fhir+json; fhirVersion=5.0"}, 406, "not-supported"},
		{"json refused by q=0", "GET", "Patient/" + created, "", []string{"Accept", "application/fhir+json;q=0"}, 406, "not-supported"},
		{"xml sent", "POST", "Patient", "<Patient/>", []string{"Content-Type", "application/fhir+xml"}, 415, "not-supported"},
		{"latin1 sent", "POST", "Patient", patientA, []string{"Content-Type", "application/json; charset=latin1"}, 415, "not-supported"},
		{"too long", "POST", "Patient", big, nil, 413, "too-long"},
		{"no JSON", "POST", "Patient", "{", nil, 400, "structure"},
		{"duplicate member", "POST", "Patient", `{"resourceType":"Patient","gender":"male","gender":"female"}`, nil, 400, "structure"},
		{"too deep", "POST", "Patient", deep, nil, 400, "structure"},
		{"no type", "POST", "Patient", `{}`, nil, 400, "structure"},
		{"other type", "POST", "Patient", `{"resourceType":"Group"}`, nil, 400, "invalid"},
		{"not a record", "POST", "Parameters", `{"resourceType":"Parameters"}`, nil, 422, "business-rule"},
		{"bad id", "POST", "Patient", `{"resourceType":"Patient","id":"a b"}`, nil, 422, "structure"},
		{"put without id", "PUT", "Patient/" + created, `{"resourceType":"Patient"}`, nil, 400, "invalid"},
		{"put other id", "PUT", "Patient/" + created, `{"resourceType":"Patient","id":"x"}`, nil, 400, "invalid"},
		{"put if-none-match", "PUT", "Patient/" + created, `{"resourceType":"Patient","id":"` + created + `"}`, []string{"If-None-Match", "*"}, 412, "conflict"},
		{"put if-match absent", "PUT", "Patient/x", `{"resourceType":"Patient","id":"x"}`, []string{"If-Match", "*"}, 412, "conflict"},
		{"delete if-match absent", "DELETE", "Patient/x", "", []string{"If-Match", `W/"1"`}, 412, "conflict"},
		{"delete no criteria", "DELETE", "Patient", "", nil, 412, "required"},
		{"update no criteria", "PUT", "Patient", `{"resourceType":"Patient"}`, nil, 412, "required"},
		{"delete unknown criteria", "DELETE", "Patient?nonsense=1", "", nil, 400, "not-supported"},
		{"_elements on read", "GET", "Patient/" + created + "?_elements=name", "", nil, 400, "not-supported"},
		{"_summary on read", "GET", "Patient/" + created + "?_summary=true", "", nil, 400, "not-supported"},
		{"_search by JSON", "POST", "Patient/_search", "{}", nil, 415, "not-supported"},
		{"_search by GET", "GET", "Patient/_search", "", nil, 405, "not-supported"},
		{"bad escape", "GET", "Patient?name=%zz", "", nil, 400, "invalid"},
		{"not UTF-8", "GET", "Patient?name=%ff", "", nil, 400, "invalid"},
		{"unknown parameter", "GET", "Patient?nonsense=1", "", nil, 400, "not-supported"},
		{"unknown parameter, strict", "GET", "Patient?nonsense=1", "", []string{"Prefer", "handling=strict"}, 400, "not-supported"},
		{"chain", "GET", "Observation?subject.name=x", "", nil, 400, "not-supported"},
		{"chain, lenient", "GET", "Observation?subject.name=x", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"typed chain, lenient", "GET", "Observation?subject:Patient.name=x", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"_has, lenient", "GET", "Patient?_has:Observation:patient:code=1", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"_filter", "GET", "Patient?_filter=name%20eq%20x", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"_text", "GET", "Patient?_text=x", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"_content", "GET", "Patient?_content=x", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"_list", "GET", "Patient?_list=x", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"_query", "GET", "Patient?_query=x", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"known parameter, bad value, lenient", "GET", "Patient?birthdate=nodate", "", []string{"Prefer", "handling=lenient"}, 400, "not-supported"},
		{"composite", "GET", "Observation?code-value-quantity=1$2", "", nil, 400, "not-supported"},
		{"bad modifier", "GET", "Patient?name:foo=x", "", nil, 400, "not-supported"},
		{"bad count", "GET", "Patient?_count=-1", "", nil, 400, "invalid"},
		{"count twice", "GET", "Patient?_count=1&_count=2", "", nil, 400, "invalid"},
		{"bad sort", "GET", "Patient?_sort=nonsense", "", nil, 400, "not-supported"},
		{"chained sort", "GET", "Observation?_sort=subject.name", "", nil, 400, "not-supported"},
		{"bad total", "GET", "Patient?_total=all", "", nil, 400, "invalid"},
		{"_elements", "GET", "Patient?_elements=name", "", nil, 400, "not-supported"},
		{"_summary=data", "GET", "Patient?_summary=data", "", nil, 400, "not-supported"},
		{"include everything", "GET", "Patient?_include=*", "", nil, 400, "not-supported"},
		{"include unknown", "GET", "Patient?_include=Patient:name", "", nil, 400, "not-supported"},
		{"include modifier", "GET", "Patient?_include:foo=Patient:link", "", nil, 400, "not-supported"},
		{"system search without type", "GET", "?_lastUpdated=gt2020", "", nil, 400, "not-supported"},
		{"system search bad type", "GET", "?_type=Foo", "", nil, 400, "invalid"},
		{"forged page", "GET", "Patient?_page=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", nil, 400, "invalid"},
		{"empty page", "GET", "Patient?_page=", "", nil, 400, "invalid"},
		{"history search", "GET", "Patient/_history?name=x", "", nil, 400, "not-supported"},
		{"history _at", "GET", "Patient/_history?_at=2020", "", nil, 400, "not-supported"},
		{"history since", "GET", "Patient/_history?_since=never", "", nil, 400, "invalid"},
		{"history unknown", "GET", "Patient/x/_history", "", nil, 404, "not-found"},
		{"everything unknown", "GET", "Patient/x/$everything", "", nil, 404, "not-found"},
		{"everything parameter", "GET", "Patient/" + created + "/$everything?start=2020", "", nil, 400, "not-supported"},
		{"compartment of another type", "GET", "Encounter/x/Observation", "", nil, 404, "not-found"},
		{"patch media", "PATCH", "Patient/" + created, "[]", []string{"Content-Type", mediaJSON}, 415, "not-supported"},
		{"patch unknown", "PATCH", "Patient/x", "[]", []string{"Content-Type", mediaPatch}, 404, "not-found"},
		{"bundle type", "POST", "", `{"resourceType":"Bundle","type":"collection"}`, nil, 400, "not-supported"},
		{"not a bundle", "POST", "", patientA, nil, 400, "invalid"},
		{"bundle media", "POST", "", "x", []string{"Content-Type", "text/plain"}, 415, "not-supported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &server{t: t, s: s.s, h: s.h}
			s.do(tt.method, tt.path, tt.body, tt.header...).refused(tt.status, tt.code)
		})
	}
	if a := s.do("POST", "Patient/1", "{}"); a.header.Get("Allow") != "GET, PUT, PATCH, DELETE" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
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

func TestConditionalInteractions(t *testing.T) {
	s := newServer(t)
	first := s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").want(201)
	id := first.json()["id"].(string)
	if again := s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").want(200); again.json()["id"] != id {
		t.Errorf("another resource: %s", again.body)
	}
	u := s.do("PUT", "Patient?identifier=urn:mrn|1", strings.Replace(patientA, `"id":"a",`, "", 1)).want(200)
	if u.json()["id"] != id || u.header.Get("ETag") != `W/"2"` {
		t.Errorf("conditional update: %s", u.body)
	}
	s.do("PUT", "Patient?identifier=urn:mrn|1", patientA).refused(400, "invalid")    // body names another id
	s.do("PUT", "Patient?identifier=urn:mrn|77", patientA).want(201)                 // update as create with the body's id
	s.do("PUT", "Patient?identifier=urn:mrn|77", patientA).refused(409, "duplicate") // exists, does not match
	s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").refused(412, "multiple-matches")
	s.do("PUT", "Patient?identifier=urn:mrn|1", patientA).refused(412, "multiple-matches")
	s.do("DELETE", "Patient?identifier=urn:mrn|1", "").refused(412, "multiple-matches")
	s.do("POST", "Patient", patientA, "If-None-Exist", "name.foo=1").refused(400, "not-supported")
	if n := s.do("PUT", "Patient?identifier=urn:mrn|9", `{"resourceType":"Patient"}`).want(201); n.json()["id"] == "" {
		t.Errorf("no id: %s", n.body)
	}
	patch := `[{"op":"replace","path":"/gender","value":"other"}]`
	s.do("PATCH", "Patient?identifier=urn:mrn|404", patch, "Content-Type", mediaPatch).refused(404, "not-found")
	s.do("DELETE", "Patient/a", "").want(204)
	if p := s.do("PATCH", "Patient?identifier=urn:mrn|1", patch, "Content-Type", mediaPatch).want(200); p.json()["gender"] != "other" {
		t.Errorf("conditional patch: %s", p.body)
	}
	s.do("DELETE", "Patient?identifier=urn:mrn|1", "").want(204)
	s.do("GET", "Patient/"+id, "").refused(410, "deleted")
	s.do("DELETE", "Patient?identifier=urn:mrn|1", "").want(204)
}

func TestConditionalReference(t *testing.T) {
	s := newServer(t)
	s.put(patientA)
	o := strings.Replace(observation("o", "a", "1", 1, "2020"), "Patient/a", "Patient?identifier=urn:mrn|1", 1)
	a := s.do("POST", "Observation", o).want(201)
	if ref := a.json()["subject"].(map[string]any)["reference"]; ref != "Patient/a" {
		t.Errorf("reference %v", ref)
	}
	s.do("POST", "Observation", strings.Replace(o, "mrn|1", "mrn|2", 1)).refused(412, "conflict")
	s.put(strings.Replace(patientA, `"id":"a"`, `"id":"twin"`, 1))
	s.do("POST", "Observation", o).refused(412, "conflict")
}

func TestAbsoluteReferencesToThisServerBecomeRelative(t *testing.T) {
	s := newServer(t)
	s.put(patientA, strings.Replace(observation("o", "a", "1", 1, "2020"), "Patient/a", testBase+"/Patient/a", 1))
	if got := s.all("Observation?patient=a"); !slices.Equal(got, []string{"Observation/o"}) {
		t.Errorf("found %v", got)
	}
}

func TestConcurrentConditionalCreateHasOneWinner(t *testing.T) {
	s := newServer(t)
	var wg sync.WaitGroup
	codes := make(chan int, 64)
	for range 64 {
		wg.Go(func() {
			codes <- s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").status
		})
	}
	wg.Wait()
	close(codes)
	count := map[int]int{}
	for c := range codes {
		count[c]++
	}
	if count[201] != 1 || count[200] != 63 {
		t.Errorf("answers %v", count)
	}
}

func TestConcurrentIfMatchHasOneWinner(t *testing.T) {
	s := newServer(t)
	s.put(patientA)
	var wg sync.WaitGroup
	codes := make(chan int, 64)
	for range 64 {
		wg.Go(func() { codes <- s.do("PUT", "Patient/a", patientA, "If-Match", `W/"1"`).status })
	}
	wg.Wait()
	close(codes)
	count := map[int]int{}
	for c := range codes {
		count[c]++
	}
	if count[200] != 1 || count[412] != 63 {
		t.Errorf("answers %v", count)
	}
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

func TestBatch(t *testing.T) {
	s := newServer(t)
	s.put(patientA)
	patch := base64.StdEncoding.EncodeToString([]byte(`[{"op":"replace","path":"/gender","value":"other"}]`))
	b := s.do("POST", "", `{"resourceType":"Bundle","type":"batch","entry":[
		{"resource":`+patientB+`,"request":{"method":"PUT","url":"Patient/b"}},
		{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"`+patch+`"},"request":{"method":"PATCH","url":"Patient/a"}},
		{"request":{"method":"GET","url":"Patient/b"}},
		{"request":{"method":"GET","url":"Patient/absent"}},
		{"request":{"method":"GET","url":"Patient?gender=male"}},
		{"request":{"method":"GET","url":"https://elsewhere.example/fhir/Patient/b"}},
		{"resource":{"resourceType":"Bundle","type":"batch"},"request":{"method":"POST","url":"/"}},
		{"resource":{"resourceType":"Patient","id":"x"},"request":{"method":"PUT","url":"Patient/y"}},
		{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=urn:mrn|1"}},
		{"request":{"method":"DELETE","url":"Patient/a","ifMatch":"W/\"1\""}},
		{}]}`).want(200).bundle()
	if b.Type != "batch-response" {
		t.Fatalf("type %s", b.Type)
	}
	want := []string{"201 Created", "200 OK", "200 OK", "404 Not Found", "200 OK", "400 Bad Request", "400 Bad Request", "400 Bad Request", "200 OK",
		"412 Precondition Failed", "400 Bad Request"}
	for i, e := range b.Entry {
		if e.Response.Status != want[i] {
			t.Errorf("entry %d: %s, want %s: %v", i, e.Response.Status, want[i], e.Response.Outcome)
		}
		if failed := strings.HasPrefix(want[i], "4"); failed != (e.Response.Outcome != nil) {
			t.Errorf("entry %d: outcome %v", i, e.Response.Outcome)
		}
	}
	if b.Entry[0].Response.Location != "Patient/b/_history/1" || b.Entry[2].Resource["id"] != "b" {
		t.Errorf("entries %+v", b.Entry)
	}
	if g := s.do("GET", "Patient/a", "").want(200).json()["gender"]; g != "other" {
		t.Errorf("patch in a batch: %v", g)
	}
}

func TestTransaction(t *testing.T) {
	s := newServer(t)
	s.put(patientB)
	b := s.do("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"GET","url":"Observation?subject:Patient=b"}},
		{"fullUrl":"urn:uuid:0001","resource":{"resourceType":"Observation","status":"final","code":{"text":"urn:uuid:0002"},
		 "subject":{"reference":"urn:uuid:0002"},"encounter":{"reference":"urn:uuid:0003"},
		 "identifier":[{"value":"urn:uuid:0002"}],"performer":[{"reference":"Patient?identifier=urn:mrn|2"}]},"request":{"method":"POST","url":"Observation"}},
		{"fullUrl":"urn:uuid:0002","resource":`+patientA+`,"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=urn:mrn|2"}},
		{"fullUrl":"urn:uuid:0003","resource":{"resourceType":"Encounter","status":"planned"},"request":{"method":"PUT","url":"Encounter?status=planned"}}
		]}`).want(200).bundle()
	var status []string
	for _, e := range b.Entry {
		status = append(status, e.Response.Status)
	}
	if b.Type != "transaction-response" || !slices.Equal(status, []string{"200 OK", "201 Created", "200 OK", "201 Created"}) {
		t.Fatalf("%s %v", b.Type, status)
	}
	loc, _, _ := strings.Cut(b.Entry[1].Response.Location, "/_history")
	enc, _, _ := strings.Cut(b.Entry[3].Response.Location, "/_history")
	o := string(s.do("GET", loc, "").want(200).body)
	for _, want := range []string{`"subject":{"reference":"Patient/b"}`, `"encounter":{"reference":"` + enc + `"}`, `"text":"urn:uuid:0002"`,
		`"value":"urn:uuid:0002"`, `"performer":[{"reference":"Patient/b"}]`} {
		if !strings.Contains(o, want) {
			t.Errorf("no %s in %s", want, o)
		}
	}
	if first := b.Entry[0].Resource["total"]; first != float64(1) {
		t.Errorf("a read comes last in a transaction and sees what was written: total %v", first)
	}
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	entry := func(method, url, resource string) string {
		if resource != "" {
			resource = `"resource":` + resource + `,`
		}
		return `{` + resource + `"request":{"method":"` + method + `","url":"` + url + `"}}`
	}
	good := entry("PUT", "Patient/new", `{"resourceType":"Patient","id":"new"}`)
	for _, tt := range []struct {
		name, bad string
		status    int
		code      string
	}{
		{"read of nothing", entry("GET", "Patient/absent", ""), 404, "not-found"},
		{"wrong id", entry("PUT", "Patient/x", `{"resourceType":"Patient","id":"y"}`), 400, "invalid"},
		{"broken resource", entry("POST", "Patient", `{"resourceType":"Patient","id":5}`), 400, "structure"},
		{"same resource twice", good, 400, "invalid"},
		{"no request", `{"resource":{"resourceType":"Patient"}}`, 400, "required"},
		{"foreign", entry("GET", "https://elsewhere.example/Patient/1", ""), 400, "invalid"},
		{"unresolved search", entry("POST", "Encounter", `{"resourceType":"Encounter","subject":{"reference":"Patient?identifier=none"}}`), 412, "conflict"},
		{"operation", entry("GET", "Patient/1/$graphql", ""), 404, "not-supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			a := s.do("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+good+`,`+tt.bad+`]}`).refused(tt.status, tt.code)
			if !strings.Contains(string(a.body), "entry 1") {
				t.Errorf("does not name the entry: %s", a.body)
			}
			s.do("GET", "Patient/new", "").refused(404, "not-found")
			if h := s.do("GET", "_history", "").want(200).bundle(); len(h.Entry) != 0 {
				t.Errorf("%d versions written", len(h.Entry))
			}
			s.do("PUT", "Patient/new", `{"resourceType":"Patient","id":"new"}`).want(201)
		})
	}
}

// A change that fails after its first write is rolled back alone; the others of its group are stored.
func TestGroupSurvivesOneBrokenWriter(t *testing.T) {
	s := newServer(t)
	hold := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.s.commit.do(context.Background(), func(*txn) error { <-hold; return nil }); err != nil {
			t.Error(err)
		}
	})
	p, err := s.s.prepare([]byte(patientB))
	if err != nil {
		t.Fatal(err)
	}
	broken := func(boom bool) func() {
		return func() {
			err := s.s.commit.do(context.Background(), func(tx *txn) error {
				if _, err := tx.put(p, "broken", methodPut); err != nil {
					return err
				}
				if boom {
					panic("boom")
				}
				return fmt.Errorf("half way")
			})
			if err == nil {
				t.Error("no error")
			}
		}
	}
	wg.Go(broken(true))
	for i := range 10 {
		wg.Go(func() {
			id := fmt.Sprintf("g%d", i)
			if a := s.do("PUT", "Patient/"+id, strings.Replace(patientA, `"id":"a"`, `"id":"`+id+`"`, 1)); a.status != 201 {
				t.Errorf("%d: %s", a.status, a.body)
			}
		})
	}
	wg.Go(broken(false))
	close(hold)
	wg.Wait()
	if got := s.all("Patient"); len(got) != 10 {
		t.Errorf("stored %v", got)
	}
}

func TestReopenKeepsDataAndRebuildsIndex(t *testing.T) {
	s := newServer(t)
	s.put(patientA, observation("o", "a", "718-7", 1, "2020-01-01"))
	next := s.do("GET", "Patient/_history?_count=1", "").want(200).bundle()
	path := s.s.opts.Path
	if err := s.s.Close(); err != nil {
		t.Fatal(err)
	}
	setMeta(t, path, "index", "of an older program")
	s2 := newServer(t, func(o *Options) { o.Path = path })
	if got := s2.all("Observation?patient=a&code=718-7"); len(got) != 1 {
		t.Errorf("after rebuild: %v", got)
	}
	if next.next() != "" {
		s2.do("GET", next.next(), "").want(200)
	}
	if r, err := s2.s.Read("Patient", "a"); err != nil || r.ID() != "a" {
		t.Errorf("Read: %v", err)
	}
	if _, err := s2.s.Read("Patient", "zz"); err == nil {
		t.Error("Read of nothing gave no error")
	}
	if err := s2.s.Close(); err != nil {
		t.Fatal(err)
	}
	setMeta(t, path, "schema", "99")
	if _, err := Open(Options{Path: path, Base: testBase}); err == nil || !strings.Contains(err.Error(), `schema "99"`) {
		t.Errorf("a newer schema: %v", err)
	}
	if _, err := s2.s.db.Begin(false); err == nil {
		t.Error("the file is still open")
	}
}

func TestClosedStoreRefusesWrites(t *testing.T) {
	s := newServer(t)
	if err := s.s.Close(); err != nil {
		t.Fatal(err)
	}
	s.do("POST", "Patient", patientA).refused(http.StatusServiceUnavailable, "transient")
}

func TestPutAndPatients(t *testing.T) {
	s := newServer(t)
	var all []*fhir.Resource
	for i := range 250 {
		r, err := fhir.Parse([]byte(fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	for range 2 {
		if err := s.s.Put(context.Background(), all...); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for r, err := range s.s.Patients(context.Background()) {
		if err != nil || r.ID() != fmt.Sprintf("p%d", n) || r.VersionID() != "1" {
			t.Fatalf("%d: %v %v", n, r, err)
		}
		n++
	}
	if n != 250 {
		t.Errorf("%d patients", n)
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.s.Put(context.Background(), r); err == nil {
		t.Error("a resource without id was stored")
	}
}

func TestCapabilityStatement(t *testing.T) {
	s := newServer(t)
	m := s.do("GET", "metadata", "").want(200).json()
	rest := m["rest"].([]any)[0].(map[string]any)
	if m["resourceType"] != "CapabilityStatement" || m["fhirVersion"] != "4.0.1" || len(rest["resource"].([]any)) != 144 {
		t.Errorf("%v, %d resources", m["fhirVersion"], len(rest["resource"].([]any)))
	}
	// Every parameter promised is one the server takes.
	for _, r := range rest["resource"].([]any) {
		typ := r.(map[string]any)["type"].(string)
		for _, p := range r.(map[string]any)["searchParam"].([]any) {
			name := p.(map[string]any)["name"].(string)
			if _, err := fhir.ParseQuery(typ, []fhir.Pair{{Name: name + ":missing", Value: "true"}}); err != nil {
				t.Errorf("%s?%s: %v", typ, name, err)
			}
		}
	}
	s.do("GET", "metadata?mode=terminology", "").refused(400, "not-supported")
}
