package fhir_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/umaas/umaas/fhir"
)

// The vectors are RFC 6902 Appendix A, by its numbers, and what its sections forbid.
func TestJSONPatchRFC6902(t *testing.T) {
	for _, tt := range []struct {
		name, doc, patch, want string
		err                    error
	}{
		{"A.1 add member", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"baz":"qux","foo":"bar"}`, nil},
		{"A.2 add element", `{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`, nil},
		{"A.3 remove member", `{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`, nil},
		{"A.4 remove element", `{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`, nil},
		{"A.5 replace", `{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`, nil},
		{"A.6 move", `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`,
			`{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`, nil},
		{"A.7 move element", `{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`, nil},
		{"A.8 test ok", `{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`,
			`{"baz":"qux","foo":["a",2,"c"]}`, nil},
		{"A.9 test fails", `{"baz":"qux"}`, `[{"op":"test","path":"/baz","value":"bar"}]`, "", fhir.ErrPatchFailed},
		{"A.10 nested add", `{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"child":{"grandchild":{}},"foo":"bar"}`, nil},
		{"A.11 unknown members ignored", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"baz":"qux","foo":"bar"}`, nil},
		{"A.12 add to nothing", `{"foo":"bar"}`, `[{"op":"add","path":"/baz/bat","value":"qux"}]`, "", fhir.ErrPatchFailed},
		{"A.14 escapes", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`, nil},
		{"A.15 string is no number", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":"10"}]`, "", fhir.ErrPatchFailed},
		{"A.16 add array to end", `{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`, nil},
		{"replace all", `{"a":1}`, `[{"op":"replace","path":"","value":{"b":2}}]`, `{"b":2}`, nil},
		{"null value", `{"a":1}`, `[{"op":"add","path":"/b","value":null},{"op":"test","path":"/b","value":null}]`, `{"a":1,"b":null}`, nil},
		{"numbers by value", `{"a":1.50}`, `[{"op":"test","path":"/a","value":15e-1}]`, `{"a":1.50}`, nil},
		{"objects without order", `{"a":{"x":1,"y":2}}`, `[{"op":"test","path":"/a","value":{"y":2,"x":1}}]`, `{"a":{"x":1,"y":2}}`, nil},
		{"number text kept", `{"a":1.00,"b":12345678901234567890}`, `[]`, `{"a":1.00,"b":12345678901234567890}`, nil},
		{"copy is deep", `{"a":{"x":[1]}}`, `[{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/x/-","value":2}]`, `{"a":{"x":[1]},"b":{"x":[1,2]}}`, nil},
		{"move into itself", `{"a":{"b":1}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, "", fhir.ErrPatchFailed},
		{"move onto itself", `{"a":1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":1}`, nil},
		{"leading zero", `{"a":[1,2]}`, `[{"op":"remove","path":"/a/01"}]`, "", fhir.ErrPatchFailed},
		{"negative index", `{"a":[1,2]}`, `[{"op":"remove","path":"/a/-1"}]`, "", fhir.ErrPatchFailed},
		{"index past end", `{"a":[1,2]}`, `[{"op":"add","path":"/a/3","value":1}]`, "", fhir.ErrPatchFailed},
		{"remove at end mark", `{"a":[1,2]}`, `[{"op":"remove","path":"/a/-"}]`, "", fhir.ErrPatchFailed},
		{"into a scalar", `{"a":1}`, `[{"op":"add","path":"/a/b","value":1}]`, "", fhir.ErrPatchFailed},
		{"remove all", `{"a":1}`, `[{"op":"remove","path":""}]`, "", fhir.ErrPatchFailed},
		{"replace absent", `{"a":1}`, `[{"op":"replace","path":"/b","value":1}]`, "", fhir.ErrPatchFailed},
		{"bad escape", `{}`, `[{"op":"add","path":"/~2","value":1}]`, "", fhir.ErrPatchSyntax},
		{"no slash", `{}`, `[{"op":"add","path":"a","value":1}]`, "", fhir.ErrPatchSyntax},
		{"no path", `{}`, `[{"op":"add","value":1}]`, "", fhir.ErrPatchSyntax},
		{"no value", `{}`, `[{"op":"add","path":"/a"}]`, "", fhir.ErrPatchSyntax},
		{"no from", `{}`, `[{"op":"move","path":"/a"}]`, "", fhir.ErrPatchSyntax},
		{"malformed before failing", `{"a":1}`, `[{"op":"test","path":"/a","value":2},{"op":"spin","path":"/a"}]`, "", fhir.ErrPatchSyntax},
		{"null patch", `{}`, `null`, "", fhir.ErrPatchSyntax},
		{"not a list", `{}`, `{}`, "", fhir.ErrPatchSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := fhir.ApplyPatch([]byte(tt.doc), []byte(tt.patch))
			if !errors.Is(err, tt.err) || err == nil && string(got) != tt.want {
				t.Errorf("%s, %v; want %s, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestJSONPatchCopiesAreBounded(t *testing.T) {
	doc := `{"a":["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]}`
	patch := `[`
	for i := range 40 { // each copy doubles: 64 bytes × 2^40
		if i > 0 {
			patch += ","
		}
		patch += `{"op":"copy","from":"/a","path":"/a/-"}`
	}
	if _, err := fhir.ApplyPatch([]byte(doc), []byte(patch+"]")); !errors.Is(err, fhir.ErrPatchFailed) {
		t.Errorf("error %v", err)
	}
}

// A document copied into itself doubles with every operation; a long chain of moves makes it deep, not large.
func TestJSONPatchWorkIsBounded(t *testing.T) {
	ops := func(n int, op string) string { return "[" + strings.TrimSuffix(strings.Repeat(op+",", n), ",") + "]" }
	for name, patch := range map[string]string{
		"document into itself": ops(200, `{"op":"copy","from":"","path":"/a"}`),
		"too many operations":  ops(1001, `{"op":"test","path":"/a","value":1}`),
	} {
		if got, err := fhir.ApplyPatch([]byte(`{"a":1,"x":"`+strings.Repeat("y", 1000)+`"}`), []byte(patch)); err == nil {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}

func FuzzApplyPatch(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}]}`, `[{"op":"move","from":"/a/1","path":"/c"},{"op":"copy","from":"/c","path":"/a/-"}]`)
	f.Add(`{"a":1}`, `[{"op":"replace","path":"","value":[]},{"op":"add","path":"/0","value":{}}]`)
	f.Fuzz(func(t *testing.T, doc, patch string) {
		got, err := fhir.ApplyPatch([]byte(doc), []byte(patch))
		if err == nil && !json.Valid(got) {
			t.Errorf("not JSON: %q", got)
		}
		if err != nil && got != nil {
			t.Errorf("an error with a result: %v", err)
		}
	})
}
