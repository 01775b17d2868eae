package resourceserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/fhir"
)

// FuzzClassify: whatever comes in, the classifier neither panics nor lets a request through whose needs are not said, whose
// path is not plain, or that asks beyond its own rows.
func FuzzClassify(f *testing.F) {
	for _, s := range []struct{ method, path, query, media, body string }{
		{"GET", "Patient/p1", "", "", ""},
		{"GET", "Observation", "patient=p1&category=laboratory&_include=Observation:encounter&_sort=-date", "", ""},
		{"POST", "Observation/_search", "a=b", "application/x-www-form-urlencoded", "subject=Patient/p1&_count=2"},
		{"POST", "", "", "application/fhir+json", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p1?x=%41"}}]}`},
		{"PUT", "Observation/o1", "", "application/json", `{"resourceType":"Observation","id":"o1"}`},
		{"PATCH", "Observation?code=x", "", "application/json-patch+json", `[]`},
		{"GET", "Patient/p1/%24everything", "_type=Observation", "", ""},
		{"GET", "Patient/../Observation", "", "", ""}, {"GET", "Patient//p1", "", "", ""}, {"GET", "Patient/%2e%2e/x", "", "", ""}, {"GET", "Patient/p1%2f_history", "", "", ""},
		{"DELETE", "Observation", "_has:x=y", "", ""},
	} {
		f.Add(s.method, s.path, s.query, s.media, s.body)
	}
	c := &Classifier{Base: "https://rs.example/fhir", UpstreamBase: "http://up.example"}
	f.Fuzz(func(t *testing.T, method, path, query, media, body string) {
		h := requestHead{Method: method, Path: path, Query: query, ContentType: media, IfNoneExist: query}
		a, needsBody, refused := c.ClassifyHead(h)
		if refused == nil && needsBody {
			refused = c.ClassifyBody(a, h, []byte(body))
		}
		if refused != nil {
			if refused.Status < 400 || refused.Status > 599 || refused.Code == "" || refused.Text == "" {
				t.Fatalf("refusal without a word: %+v", refused)
			}
			return
		}
		if strings.Contains(path, "..") && !strings.Contains(path, "...") && slices.Contains(strings.Split(path, "/"), "..") || strings.Contains(path, "//") || strings.ContainsAny(path, "\\?#") {
			t.Fatalf("path %q was let through", path)
		}
		list := []*Access{a}
		if a.Bundle != nil {
			list = nil
			for _, e := range a.Bundle.Entries {
				if e.Err == nil {
					list = append(list, e.Access)
				}
			}
		}
		for _, a := range list {
			if a.Page == "" && len(a.Needs) == 0 {
				t.Fatalf("%s %q needs nothing", method, path)
			}
			if a.Type != "" && (!fhir.IsType(a.Type) || a.Type == "AuditEvent" || a.Type == "Subscription") {
				t.Fatalf("type %q", a.Type)
			}
			if a.ID != "" && !fhir.ValidID(a.ID) || a.Version != "" && !fhir.ValidID(a.Version) {
				t.Fatalf("id %q version %q", a.ID, a.Version)
			}
			for _, p := range a.Search.Filters {
				if strings.Contains(p.Name, ".") || strings.HasPrefix(p.Name, "_has") || p.Name == "_filter" {
					t.Fatalf("filter %q", p.Name)
				}
			}
			if a.Body != nil && (a.Body.Type() != a.Type || a.Interaction == fhir.Update && a.ID != "" && a.Body.ID() != a.ID) {
				t.Fatal("body of another resource")
			}
			if (a.Interaction == fhir.Update || a.Interaction == fhir.Create) && a.Body == nil {
				t.Fatal("a write without a body")
			}
		}
	})
}

func TestGW_40_Paths(t *testing.T) {
	c := &Classifier{Base: "https://rs.example/fhir"}
	for path, status := range map[string]int{
		"Patient/p1": 0, "Patient/p1/_history/2": 0, "Patient/p1/%24everything": 0, "Observation": 0, "Patient/p1/Observation": 0,
		"Patient/../Observation/x": 400, "Patient/./p1": 400, "Patient//p1": 400, "/Patient": 400, "Patient/": 400, "Patient/p%31": 400, "Patient/%2e%2e": 400,
		"Patient%2fp1": 400, `Patient\p1`: 400, "Patient/p1;x=1": 400, "Patient/p\x00": 400, "patient/p1": 404, "Patients/p1": 404, "Nothing": 404,
		"Patient/p1/_history/2/3": 404, "Encounter/e1/Observation": 404, "Parameters/x": 404, "Patient/p_1": 404, "OperationOutcome": 404, "Patient/p1/AuditEvent": 404,
		"metadata": 404, "Subscription": 404, "Patient/p1/*": 400,
	} {
		_, _, refused := c.ClassifyHead(requestHead{Method: http.MethodGet, Path: path})
		got := 0
		if refused != nil {
			got = refused.Status
		}
		if got != status {
			t.Errorf("%q: %d, want %d", path, got, status)
		}
	}
}

func TestPresent(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		want    string
	}{
		"plain": {[]string{"Bearer abc"}, "abc"}, "case": {[]string{"bEARER abc"}, "abc"}, "none": {nil, ""}, "two": {[]string{"Bearer a", "Bearer b"}, ""},
		"list": {[]string{"Bearer a, Bearer b"}, ""}, "dpop": {[]string{"DPoP abc"}, "abc"}, "dpop case": {[]string{"dpop abc"}, "abc"},
		"both": {[]string{"DPoP a", "Bearer a"}, ""}, "basic": {[]string{"Basic abc"}, ""}, "empty": {[]string{"Bearer "}, ""}, "no space": {[]string{"Bearer"}, ""},
		"long": {[]string{"Bearer " + strings.Repeat("a", 9000)}, ""},
	} {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{"Authorization": c.headers}}
		if got := present(r); got.token != c.want || got.sent != (len(c.headers) > 0) || got.dpop != strings.HasPrefix(name, "dpop") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestQuoted(t *testing.T) {
	if got := UMAChallenge(Challenge{Realm: `a"b\`, ASURI: "https://as.example", Ticket: "t\r\nx"}); got != `UMA realm="a\"b\\", as_uri="https://as.example", ticket="tx"` {
		t.Error(got)
	}
}

func TestFilterZeroValueIsNone(t *testing.T) {
	if !(Filter{}).None() || !filterOf(0, []*Entry{{}}).None() || !filterOf(1, nil).None() || FilterAll().None() || !FilterAll().All() {
		t.Error("GW-36: an empty filter must show nothing")
	}
}
