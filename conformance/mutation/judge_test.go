package mutation_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/suites"
)

// slots bounds the mutants that live at a time, over all tables.
var slots = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))

// judge puts every check of a suite to its mutation: the check must fail, and no other. Beside the check itself run those of
// its section, and all of everything with UMAAS_TEST_REQUIRE=all.
func judge(t *testing.T, suite, everything []conformance.Check, table map[string]mutation.Mutation) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range suite {
		known[c.ID] = true
		if _, ok := table[c.ID]; !ok {
			t.Errorf("no mutation makes %s fail", c.ID)
		}
	}
	for id := range table {
		if !known[id] {
			t.Errorf("a mutation for %s, which is no check", id)
		}
	}
	whole := os.Getenv("UMAAS_TEST_REQUIRE") == "all"
	for _, c := range suite {
		m, ok := table[c.ID]
		if !ok {
			continue
		}
		run := everything
		if !whole {
			run = beside(everything, c, m.Also)
		}
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			r, err := mutation.Run(context.WithoutCancel(t.Context()), m, run)
			if err != nil {
				t.Fatal(err)
			}
			if err := mutation.Judge(r, c.ID, m); err != nil {
				t.Error(err)
			}
		})
	}
}

func beside(all []conformance.Check, c conformance.Check, also []string) []conformance.Check {
	var out []conformance.Check
	for _, one := range all {
		if one.Section() == c.Section() || strings.Contains(" "+strings.Join(also, " ")+" ", " "+one.ID+" ") {
			out = append(out, one)
		}
	}
	return out
}

// honest runs a suite on the server as it is: nothing fails and nothing is blocked. It gives the ids that were skipped.
func honest(t *testing.T, suite []conformance.Check) map[string]string {
	t.Helper()
	r, err := mutation.Run(context.WithoutCancel(t.Context()), mutation.Mutation{}, suite)
	if err != nil {
		t.Fatal(err)
	}
	skipped := map[string]string{}
	for _, one := range r.Results {
		switch one.Verdict {
		case conformance.Pass:
		case conformance.Skip:
			skipped[one.Check.ID] = strings.Join(one.Messages, "; ")
		default:
			t.Errorf("%s on the honest server: %s %v", one.Check.ID, one.Verdict, one.Messages)
		}
	}
	return skipped
}

// The judge itself: a check that sees nothing, one that fails beside, and a reason that is missing are all told.
func TestJudge(t *testing.T) {
	status := func(id string, want int) conformance.Check {
		return conformance.Check{ID: id, Title: id, Covers: []string{"G-000"}, Level: conformance.LevelMust, Run: func(t *conformance.T) {
			if x := t.Get(t.Env().Issuer+"/jwks", ""); x.Status != want {
				t.Errorf("status %d", x.Status)
			}
		}}
	}
	sees, blind, twin := status("a.b.sees", http.StatusOK), status("a.b.blind", http.StatusTeapot), status("a.b.twin", http.StatusOK)
	teapot := mutation.Mutation{Handler: mutation.After(mutation.At(http.MethodGet, "/jwks"), func(ex *mutation.Exchange) { ex.Status = http.StatusTeapot })}
	also := teapot
	also.Also = []string{"a.b.twin"}
	why := also
	why.Why = "both ask for the same"
	var wait sync.WaitGroup
	for name, c := range map[string]struct {
		m      mutation.Mutation
		checks []conformance.Check
		id     string
		want   string
	}{
		"good":          {teapot, []conformance.Check{sees, blind}, "a.b.sees", ""},
		"blind":         {teapot, []conformance.Check{blind}, "a.b.blind", "does not see the fault"},
		"two":           {teapot, []conformance.Check{sees, twin}, "a.b.sees", "a.b.twin fails too"},
		"no reason":     {also, []conformance.Check{sees, twin}, "a.b.sees", "needs a reason"},
		"with a reason": {why, []conformance.Check{sees, twin}, "a.b.sees", ""},
	} {
		wait.Go(func() {
			r, err := mutation.Run(context.WithoutCancel(t.Context()), c.m, c.checks)
			if err != nil {
				t.Error(err)
				return
			}
			err = mutation.Judge(r, c.id, c.m)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		})
	}
	wait.Wait()
}

// A suite that is run is a suite whose checks are put to their mutations here.
func TestEverySuiteIsJudged(t *testing.T) {
	judged := map[string]string{
		"grant": "TestGrantMutations", "federated": "TestFederatedMutations", "rs": "TestResourceServerMutations", "heart": "TestHEARTMutations",
		"client": "TestClientMutations",
	}
	raw := ""
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw += string(text)
	}
	for _, c := range suites.All() {
		if name := judged[c.Suite()]; name == "" || !strings.Contains(raw, "\nfunc "+name+"(") {
			t.Errorf("%s: no test puts the suite %s to its mutations", c.ID, c.Suite())
		}
	}
}
