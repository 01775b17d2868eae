package conformance_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/umaas/umaas/conformance"
)

// Every member a profile may have, every member a hook is told, and every need stands in docs/conformance/README.md.
func TestReadmeNamesEveryMember(t *testing.T) {
	raw, err := os.ReadFile("../docs/conformance/README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type, tag string)
	walk = func(typ reflect.Type, tag string) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get(tag), ",")
			if name != "" && !strings.Contains(text, name) {
				t.Errorf("%s.%s: %q is not in the README", typ.Name(), f.Name, name)
			}
			walk(f.Type, tag)
		}
	}
	walk(reflect.TypeFor[conformance.Profile](), "yaml")
	walk(reflect.TypeFor[conformance.HookRequest](), "json")
	if len(seen) < 15 {
		t.Errorf("only %d types were looked at", len(seen))
	}
	for _, n := range conformance.Needs() {
		if !strings.Contains(text, "`"+string(n)+"`") {
			t.Errorf("the need %s is not in the README", n)
		}
		if n.Words() == string(n) && !strings.Contains("gather", string(n)) {
			t.Errorf("the need %s has no words for people", n)
		}
	}
}
