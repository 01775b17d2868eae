package register_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
	"github.com/umaas/umaas/conformance/suites"
)

func load(t *testing.T) register.Register {
	t.Helper()
	r, err := register.Load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A MUST or MUST NOT that neither a check nor a named test stands for breaks the build; so does any other statement that
// nothing at all is said about.
func TestNoGaps(t *testing.T) {
	if errs := conformance.Validate(suites.All()); len(errs) > 0 {
		t.Fatal(errors.Join(errs...))
	}
	r, err := load(t).Cover(suites.All())
	if err != nil {
		t.Error(err)
	}
	for _, s := range r.Gaps() {
		t.Errorf("%s (§%s, %v, %s) has neither a check nor, with the reason, a test: %s", s.ID, s.Section, s.Roles, s.Level, s.Says)
	}
	for _, s := range r.All() {
		if len(s.Checks) > 0 && s.Unseen != "" {
			t.Errorf("%s is said not to be seen from outside, but %v look at it", s.ID, s.Checks)
		}
		if s.Inside != "" && len(s.Checks) == 0 {
			t.Errorf("%s speaks of a role that no check asks, but none asks any: that is unseen", s.ID)
		}
	}
	if n := len(r.All()); n < 234 {
		t.Errorf("%d statements; the Recommendations and HEART have 234 and more", n)
	}
}

// A check is as strict as the text: MUST only where a statement it covers is absolute, said as a fact, or leaves the other
// side free, which a server then has to live with.
func TestLevelsOfChecks(t *testing.T) {
	r := load(t)
	for _, c := range suites.All() {
		absolute := false
		for _, id := range c.Covers {
			s, _ := r.Statement(id)
			absolute = absolute || s.Level.Absolute() || s.Level == register.Stated || s.Level == register.May && !s.Binds(register.Asks(c))
		}
		if c.Level == conformance.LevelMust && !absolute {
			t.Errorf("%s is a MUST, but none of %v is absolute, stated, or leaves the other side free", c.ID, c.Covers)
		}
	}
}

// Every test the register names exists.
func TestNamedTestsExist(t *testing.T) {
	known := map[string]bool{}
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel("../..", file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				known[path.Dir(filepath.ToSlash(rel))+"."+fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(known) < 300 {
		t.Fatalf("read only %d tests: the walk missed the tree", len(known))
	}
	for _, s := range load(t).All() {
		for _, name := range s.Tests {
			if !known[name] {
				t.Errorf("%s names the test %s, which does not exist", s.ID, name)
			}
		}
	}
}

// The rule itself: what counts as covered.
func TestGapsRule(t *testing.T) {
	const as = register.AS
	one := func(l register.Level, unseen string, tests ...string) register.Statement {
		return register.Statement{ID: "G-999", Section: "1", Roles: []register.Role{as}, Level: l, Says: "x", Unseen: unseen, Tests: tests}
	}
	for i, c := range []struct {
		s       register.Statement
		checked bool
		gap     bool
	}{
		{one(register.Must, ""), true, false},
		{one(register.Must, ""), false, true},
		{one(register.Must, "inside only"), false, true},
		{one(register.Must, "", "umaas.TestX"), false, true},
		{one(register.Must, "inside only", "umaas.TestX"), false, false},
		{one(register.MustNot, "inside only"), false, true},
		{one(register.Should, ""), false, true},
		{one(register.Should, "inside only"), false, false},
		{one(register.Stated, "", "umaas.TestX"), false, false},
	} {
		r := register.Register{Texts: []register.Text{{Statements: []register.Statement{c.s}}}}
		var checks []conformance.Check
		if c.checked {
			checks = append(checks, conformance.Check{ID: "a.b.c", Covers: []string{"G-999"}})
		}
		r, err := r.Cover(checks)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(r.Gaps()) > 0; got != c.gap {
			t.Errorf("case %d: gap %v, want %v", i, got, c.gap)
		}
	}
	both := register.Statement{ID: "G-999", Section: "1", Roles: []register.Role{as, register.Client}, Level: register.Must, Says: "x"}
	reason := both
	reason.Inside, reason.Tests = "no client", []string{"umaas.TestX"}
	server, client := conformance.Check{ID: "a.b.c", Covers: []string{"G-999"}}, conformance.Check{ID: "a.b.d", Covers: []string{"G-999"}, Subject: conformance.SubjectClient}
	for i, c := range []struct {
		s      register.Statement
		checks []conformance.Check
		gap    bool
	}{
		{both, []conformance.Check{server}, true}, {both, []conformance.Check{client}, true}, {both, []conformance.Check{server, client}, false},
		{reason, []conformance.Check{server}, false},
	} {
		r, err := register.Register{Texts: []register.Text{{Statements: []register.Statement{c.s}}}}.Cover(c.checks)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(r.Gaps()) > 0; got != c.gap {
			t.Errorf("roles, case %d: gap %v, want %v", i, got, c.gap)
		}
	}
	_, err := register.Register{}.Cover([]conformance.Check{{ID: "a.b.c", Covers: []string{"G-998"}}})
	if err == nil || !strings.Contains(err.Error(), "G-998") {
		t.Errorf("an unknown statement: %v", err)
	}
}

// Ids go up and leave nothing out: each text's main series is complete.
func TestSeriesAreComplete(t *testing.T) {
	r := load(t)
	for prefix, last := range map[string]int{"G": 137, "F": 77} {
		for n := 1; n <= last; n++ {
			if _, ok := r.Statement(fmt.Sprintf("%s-%03d", prefix, n)); !ok {
				t.Errorf("%s-%03d is missing", prefix, n)
			}
		}
	}
	all := r.All()
	if !slices.ContainsFunc(all, func(s register.Statement) bool { return s.ID == "H-20" }) {
		t.Error("H-20 is missing")
	}
}
