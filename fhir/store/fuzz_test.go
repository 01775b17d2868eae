package store

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRequestLine sends any path and query to the real handler: always a FHIR JSON answer, never a fault, nothing written.
func FuzzRequestLine(f *testing.F) {
	s := newServer(f)
	s.put(patientA, observation("o", "a", "718-7", 1, "2020"))
	for _, seed := range [][2]string{
		{"Patient", "name=a%20b&_sort=-birthdate,name&_count=3"}, {"Observation", "subject:Patient=a&code=x|y,|z&date=ge2020&_include=Observation:subject"},
		{"Patient/a/*", "_type=Observation&_summary=count"}, {"Patient/a/_history/1", "_format=json"}, {"Patient/a/$everything", "_since=2020-01-01T00:00:00Z"},
		{"_history", "_count=0&_since=x"}, {"Patient/%2e%2e", "_page=AAAA"}, {"", "_type=Patient&_id=a\\,b,c"}, {"metadata", "mode=full"},
		{"Observation", "value-quantity=gt5.4||mg&_total=accurate&_revinclude:iterate=Provenance:target"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil)
		r.URL = &url.URL{Path: "/" + path, RawQuery: query}
		if un, err := url.PathUnescape(path); err == nil {
			r.URL.Path, r.URL.RawPath = "/"+un, "/"+path
		}
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Code == 500 || w.Code == 200 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s?%s: %d %s", path, query, w.Code, w.Body)
		}
		if w.Code >= 400 && !strings.HasPrefix(w.Body.String(), `{"resourceType":"OperationOutcome"`) {
			t.Errorf("%d without OperationOutcome: %s", w.Code, w.Body)
		}
	})
}

func FuzzParsePairs(f *testing.F) {
	for _, seed := range []string{"a=b&a=c", "a=%41+b", "=x", "a", "&&", "a=%", "a=%ff", "a:b.c=d\\,e", "a=b;c=d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		pairs, err := parsePairs(raw)
		if err != nil {
			if pairs != nil {
				t.Errorf("an error with a result: %v", pairs)
			}
			return
		}
		for _, p := range pairs {
			if p.Name == "" || !utf8.ValidString(p.Name+p.Value) {
				t.Errorf("%q gives %q", raw, p)
			}
		}
		again, err := parsePairs(strings.TrimPrefix(withPairs("", pairs), "?"))
		if err != nil || len(again) != len(pairs) {
			t.Fatalf("%q: printed and parsed again: %v %v", raw, again, err)
		}
		for i := range pairs {
			if pairs[i] != again[i] {
				t.Errorf("%q: %q became %q", raw, pairs[i], again[i])
			}
		}
	})
}

// FuzzBundle posts any entry to a transaction: never a fault.
func FuzzBundle(f *testing.F) {
	s := newServer(f)
	f.Add("POST", "Patient", "identifier=1", `{"resourceType":"Patient","link":[{"other":{"reference":"urn:uuid:1"}}]}`)
	f.Add("PUT", "Patient?identifier=1", "", `{"resourceType":"Patient","id":"x","text":{"div":"a?b"},"x":{"reference":"Patient?_id=x"}}`)
	f.Add("DELETE", "Patient/x", "", `null`)
	f.Fuzz(func(t *testing.T, method, target, exist, resource string) {
		if !json.Valid([]byte(resource)) {
			resource = "null"
		}
		entry, err := json.Marshal(map[string]any{
			"fullUrl": "urn:uuid:1", "resource": json.RawMessage(resource), "request": map[string]string{"method": method, "url": target, "ifNoneExist": exist},
		})
		if err != nil {
			return // a string that JSON cannot carry
		}
		s := &server{t, s.s, s.h}
		for _, typ := range []string{"transaction", "batch"} {
			a := s.do("POST", "", `{"resourceType":"Bundle","type":"`+typ+`","entry":[`+string(entry)+`]}`)
			if a.status == 500 || strings.Contains(string(a.body), `"500 `) || !json.Valid(a.body) {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
	})
}

func FuzzMembers(f *testing.F) {
	f.Add(`{"a":1,"b":[{"c":"}"}],"\u0064":"\\\""}`)
	f.Fuzz(func(t *testing.T, raw string) {
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(raw), &want) != nil || want == nil {
			return
		}
		var compact strings.Builder
		compact.Write(compactJSON(t, raw))
		got, err := members([]byte(compact.String()))
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		last := map[string]string{}
		for _, m := range got {
			last[m.name] = string(m.value)
		}
		if len(last) != len(want) {
			t.Errorf("%q: %d members, want %d", raw, len(last), len(want))
		}
		for k, v := range want {
			if string(compactJSON(t, string(v))) != last[k] {
				t.Errorf("%q: member %q is %q", raw, k, last[k])
			}
		}
		same, err := rewriteStrings([]byte(raw), func(_, v string) (string, bool, error) { return v, true, nil })
		var a, b any
		if err != nil || json.Unmarshal(same, &a) != nil || json.Unmarshal([]byte(raw), &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%q rewritten to itself is %q, %v", raw, same, err)
		}
	})
}
