package conformance_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lastRow is the last of the security cases of UMA itself; they are numbered from 1 without a gap.
const lastRow = 59

// TestEverySecurityCaseHasATest reads all test files: every security case SEC-01 … SEC-59 has a test named for it, so that none
// is lost when tests are moved or renamed. A name may stand for several (TestSEC_50_51_52_…).
func TestEverySecurityCaseHasATest(t *testing.T) {
	found, files := map[int][]string{}, 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if n := d.Name(); n != ".." && (strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		contract := strings.Contains(filepath.ToSlash(file), "umaas/store/storetest/") // its cases run as subtests of each engine
		if !strings.HasSuffix(file, "_test.go") && (!contract || !strings.HasSuffix(file, ".go")) {
			return nil
		}
		files++
		names, err := testNames(file, contract)
		for _, name := range names {
			for _, row := range rowsOf(name) {
				found[row] = append(found[row], name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Fatalf("read only %d test files: the walk missed the tree", files)
	}
	for row := 1; row <= lastRow; row++ {
		if len(found[row]) == 0 {
			t.Errorf("SEC-%02d has no test named TestSEC_%02d_…", row, row)
		}
	}
}

// testNames lists a file's test functions with a body that can fail, and with cases the names in its tables of subtests.
func testNames(file string, cases bool) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var names []string
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") && len(fn.Body.List) > 0 {
			names = append(names, strings.TrimPrefix(fn.Name.Name, "Test"))
		}
	}
	if cases {
		ast.Inspect(f, func(n ast.Node) bool {
			table, ok := n.(*ast.CompositeLit)
			if !ok || len(table.Elts) == 0 {
				return true
			}
			if text, ok := table.Elts[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
				if name, err := strconv.Unquote(text.Value); err == nil {
					names = append(names, name)
				}
			}
			return true
		})
	}
	return names, nil
}

var rowName = regexp.MustCompile(`^SEC((?:_[0-9]{2,3})+)(?:_|$)`)

// rowsOf are the cases a test's name stands for.
func rowsOf(name string) []int {
	m := rowName.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	var rows []int
	for _, digits := range strings.Split(m[1][1:], "_") {
		if n, err := strconv.Atoi(digits); err == nil {
			rows = append(rows, n)
		}
	}
	return rows
}

// TestRowsOfAName: what counts as a name for a case, and what does not.
func TestRowsOfAName(t *testing.T) {
	for name, want := range map[string][]int{
		"SEC_09_StoreHoldsNoSecret": {9}, "SEC_50_51_52_AnotherResourceServer": {50, 51, 52}, "SEC_101_Redirects": {101}, "SEC_33": {33},
		"SEC_02_64 take one ticket": {2}, "SEC_109_x": {109}, "SEC_9_x": nil, "SEC_0x": nil, "SEC09": nil, "G_031_PCT": nil, "xSEC_09_": nil, "": nil,
	} {
		if got := rowsOf(name); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
