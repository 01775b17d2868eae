package httpapi

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzForm: what is accepted means the same to net/url, and nothing stands twice.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=b&c=d", "a=1&a=2", "resource=1&resource=2", "a=%zz", "=x", "a", "&&", "a=%00", "a=\xff", "a;b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseForm(s)
		if err != nil {
			if got != nil {
				t.Fatal("a failed parse returned something")
			}
			return
		}
		for name, values := range got {
			if len(values) > 1 && !repeatable[name] {
				t.Fatalf("%q stands twice", name)
			}
		}
		if strings.Contains(s, ";") {
			return // net/url refuses it, a form may have it
		}
		want, err := url.ParseQuery(s)
		if err != nil {
			t.Fatalf("accepted what net/url refuses: %v", err)
		}
		for name, values := range got {
			kept := []string{}
			for _, v := range want[name] {
				if v != "" {
					kept = append(kept, v)
				}
			}
			if !reflect.DeepEqual(values, kept) {
				t.Fatalf("%q: %q, want %q", name, values, kept)
			}
		}
	})
}

// FuzzJSON: the scanner and encoding/json agree on what a description says; malformed input never gets further.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"resource_scopes":["a"],"name":"x"}`, `{"a":1,"a":2}`, `[[[]]]`, `"\ud800"`, ` {"x" : [1 , {"y":"]"}]} `, `{"\u0061":1,"a":2}`, `{`, `nul`, `1 2`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if checkJSON(raw) != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatal("accepted malformed JSON")
		}
		d, err := parseDescription(raw)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		var scopes []string
		if err := json.Unmarshal(want["resource_scopes"], &scopes); err != nil || !reflect.DeepEqual(scopes, d.Scopes) {
			t.Fatalf("scopes %q, want %q (%v)", d.Scopes, scopes, err)
		}
		_, _, _ = parsePermissions(raw)
	})
}

// FuzzEndpoints: malformed input to every endpoint gives a spec-shaped error and no panic.
func FuzzEndpoints(f *testing.F) {
	paths := []string{
		"POST /a/token form", "POST /a/revoke form", "POST /a/introspect form", "POST /a/grants/consume form", "POST /a/register json",
		"POST /a/resource_set/ json", "PUT /a/resource_set/r1 json", "POST /a/permission json", "POST /a/access-events json", "POST /a/authorize form",
	}
	for i, s := range []string{`{"resource_scopes":[`, "token=%", "a=b&a=c", `[{"resource_id":1}]`, "\x00", `{"client_name":{}}`} {
		f.Add(uint8(i), []byte(s))
	}
	h := server(f, &fake{}, nil)
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		parts := strings.Fields(paths[int(which)%len(paths)])
		w := call{method: parts[0], path: parts[1], kind: parts[2], body: string(body), header: withPAT}.do(h)
		if w.Code >= 500 {
			t.Fatalf("%v: %d %s", parts, w.Code, w.Body)
		}
		if w.Code >= 400 && !strings.Contains(parts[1], "authorize") {
			var e struct {
				Error string `json:"error"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error == "" {
				t.Fatalf("%v: %d %s", parts, w.Code, w.Body)
			}
		}
	})
}
