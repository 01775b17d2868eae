package store

import (
	"strings"
	"testing"
)

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
