package conformance_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/umaas/umaas/"

// imports is the diagram of ARCHITECTURE.md as data: what each package may import beside the standard library. It is a
// statement of policy; do not change it to mend a build. "…/" at the end of a name means the folder and all below it.
var imports = map[string][]string{
	"fhir":                                 {},
	"fhir/internal/…":                      {"fhir"},
	"fhir/store":                           {"fhir", "go.etcd.io/bbolt"},
	"scopes":                               {"fhir"},
	"umaas":                                {"umaas/uma", "umaas/keys", "umaas/pop"},
	"umaas/pop":                            {},
	"umaas/qrpath":                         {"rsc.io/qr"},
	"umaas/uma":                            {},
	"umaas/keys":                           {"github.com/lestrrat-go/jwx/v2/…"},
	"umaas/outbound/reach":                 {},
	"umaas/outbound":                       {"umaas/outbound/reach"},
	"umaas/policy":                         {"umaas", "umaas/uma", "scopes", "fhir"},
	"umaas/fhirview":                       {"umaas", "umaas/uma"},
	"umaas/signin":                         {"umaas", "umaas/uma", "umaas/outbound", "umaas/keys", "github.com/coreos/go-oidc/v3/oidc", "golang.org/x/oauth2/…", "golang.org/x/crypto/…", "golang.org/x/time/rate", "golang.org/x/sync/…"},
	"umaas/store":                          {"umaas", "umaas/uma", "umaas/store/kv"},
	"umaas/store/kv":                       {},
	"umaas/store/kv/boltkv":                {"umaas/store/kv", "go.etcd.io/bbolt"},
	"umaas/store/kv/memkv":                 {"umaas/store/kv"},
	"umaas/store/kv/kvtest":                {"umaas/store/kv", "umaas/store/kv/memkv", "pgregory.net/rapid"},
	"umaas/store/storetest":                {"umaas", "umaas/uma", "umaas/store", "umaas/store/kv/…", "pgregory.net/rapid"},
	"umaas/httpapi":                        {"umaas", "umaas/uma", "umaas/pop", "github.com/gin-gonic/gin/…", "golang.org/x/time/rate"},
	"umaas/web":                            {"umaas", "umaas/uma", "umaas/signin", "umaas/qrpath", "github.com/gin-gonic/gin/…", "golang.org/x/time/rate", "golang.org/x/text/…"},
	"umaas/config":                         {"github.com/goccy/go-yaml", "github.com/go-playground/validator/v10"},
	"resourceserver":                       {"resourceserver/asclient", "umaas/uma", "umaas/pop", "umaas/store/kv", "scopes", "fhir", "fhir/balp", "github.com/lestrrat-go/jwx/v2/…", "golang.org/x/sync/…", "golang.org/x/time/rate"},
	"resourceserver/asclient/asclienttest": {"umaas/uma"},
	"resourceserver/asclient":              {"umaas/outbound/reach", "umaas/uma", "github.com/lestrrat-go/jwx/v2/…", "github.com/coreos/go-oidc/v3/oidc", "golang.org/x/oauth2/…"},
	"resourceserver/state":                 {"resourceserver", "resourceserver/asclient", "scopes", "umaas/uma", "umaas/store/kv"},
	"resourceserver/ginrs":                 {"resourceserver", "github.com/gin-gonic/gin/…"},
	"resourceserver/gateway":               {"resourceserver", "resourceserver/asclient", "fhir", "scopes", "umaas/uma", "umaas/pop"},
	"resourceserver/rstest":                {"resourceserver", "umaas/uma", "umaas/pop", "scopes"},
	"resolver":                             {"umaas/uma", "resourceserver", "resourceserver/asclient", "resourceserver/state", "scopes", "umaas/qrpath", "golang.org/x/time/rate"},
	"resolver/client":                      {"umaas/uma", "umaas/pop"},
	"conformance":                          {"umaas/uma", "scopes", "github.com/lestrrat-go/jwx/v2/…", "golang.org/x/net/html/…", "github.com/goccy/go-yaml", "github.com/go-playground/validator/v10"},
	"conformance/register":                 {"conformance", "github.com/goccy/go-yaml"},
	"conformance/report":                   {"conformance", "conformance/register", "golang.org/x/term"},
	"conformance/suites":                   {"conformance", "conformance/grant", "conformance/federated", "conformance/heart", "conformance/rsduty", "conformance/clientduty"},
	"conformance/grant":                    {"conformance", "umaas/uma", "scopes", "github.com/lestrrat-go/jwx/v2/…"},
	"conformance/federated":                {"conformance", "umaas/uma", "scopes"},
	"conformance/heart":                    {"conformance", "umaas/uma", "scopes", "github.com/lestrrat-go/jwx/v2/…"},
	"conformance/rsduty":                   {"conformance", "umaas/uma", "scopes", "github.com/lestrrat-go/jwx/v2/…"},
	"conformance/clientduty":               {"conformance", "umaas/uma", "scopes", "github.com/lestrrat-go/jwx/v2/…"},
}

// anything may import anything: the wiring.
var wiring = []string{"cmd/", "conformance/inproc", "conformance/ours", "conformance/mutation"}

func TestImportDiagram(t *testing.T) {
	root := ".."
	seen := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n != ".." && (strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		seen++
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		checkFile(t, file, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("read only %d files: the walk missed the tree", seen)
	}
}

func checkFile(t *testing.T, file, rel string) {
	t.Helper()
	dir := path.Dir(rel)
	for _, w := range wiring {
		if strings.HasPrefix(dir+"/", w) || dir == strings.TrimSuffix(w, "/") {
			return
		}
	}
	allowed, ok := rule(dir)
	if !ok {
		t.Errorf("%s: package %s is not in the import diagram", rel, dir)
		return
	}
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if name == "net/http" && dir == "umaas" {
			t.Errorf("%s: the core imports no HTTP server types", rel)
		}
		if !strings.Contains(strings.SplitN(name, "/", 2)[0], ".") {
			continue // standard library
		}
		if !permitted(allowed, strings.TrimPrefix(name, module)) {
			t.Errorf("%s: %s may not import %s", rel, dir, name)
		}
	}
}

func rule(dir string) ([]string, bool) {
	if allowed, ok := imports[dir]; ok {
		return allowed, true
	}
	for name, allowed := range imports {
		if prefix, ok := strings.CutSuffix(name, "…"); ok && strings.HasPrefix(dir+"/", prefix) {
			return allowed, true
		}
	}
	return nil, false
}

func permitted(allowed []string, name string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		prefix, open := strings.CutSuffix(a, "…")
		return a == name || open && strings.HasPrefix(name+"/", prefix)
	})
}
