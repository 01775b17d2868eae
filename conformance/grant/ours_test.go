package grant_test

import (
	"testing"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/grant"
	"github.com/umaas/umaas/conformance/ours"
)

// Our server passes every check that it does not plainly lack the feature for, and no check is left unexamined.
func TestGrantAgainstOurs(t *testing.T) {
	checks := grant.Checks()
	for _, err := range conformance.Validate(checks) {
		t.Error(err)
	}
	s, err := ours.Start(t.Context(), ours.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	env, err := conformance.NewEnv(t.Context(), s.Profile(), s.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	}()
	run := conformance.Execute(t.Context(), env, checks, conformance.RunOptions{Parallel: 4, Timeout: 30 * time.Second})
	for _, r := range run.Results {
		t.Logf("%-7s %s in %s %q", r.Verdict, r.Check.ID, r.Took.Round(time.Millisecond), r.Messages)
		if r.Verdict != conformance.Pass && r.Verdict != conformance.Skip {
			t.Errorf("%s: %s: %q", r.Verdict, r.Check.ID, r.Messages)
		}
	}
}
