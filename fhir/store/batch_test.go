package store

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

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
