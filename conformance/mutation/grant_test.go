package mutation_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/federated"
	"github.com/umaas/umaas/conformance/grant"
	"github.com/umaas/umaas/conformance/mutation"
)

// grantFaults is one fault for each check of the Grant.
func grantFaults() map[string]mutation.Mutation {
	out := map[string]mutation.Mutation{}
	for _, table := range []map[string]mutation.Mutation{
		discoveryFaults, registrationFaults, requestFaults, clientFaults, arrivalFaults, returnFaults, assessmentFaults, successFaults,
		upgradeFaults, failureFaults, ticketFaults, refreshFaults, revocationFaults, withdrawalFaults, pushFaults, pctFaults,
	} {
		maps.Copy(out, table)
	}
	return out
}

// Each check of the Grant sees its fault, and no other check takes it for its own.
func TestGrantMutations(t *testing.T) {
	checks, faults := grant.Checks(), grantFaults()
	for _, c := range checks {
		if _, ok := faults[c.ID]; !ok {
			t.Errorf("no mutation makes %s fail", c.ID)
		}
	}
	suite := offered(t, checks)
	maps.DeleteFunc(faults, func(id string, _ mutation.Mutation) bool {
		return slices.ContainsFunc(checks, func(c conformance.Check) bool { return c.ID == id }) &&
			!slices.ContainsFunc(suite, func(c conformance.Check) bool { return c.ID == id })
	})
	judge(t, suite, grantEverything(), faults)
}

// grantEverything is what must not fail beside.
func grantEverything() []conformance.Check { return slices.Concat(grant.Checks(), federated.Checks()) }

// On the honest server nothing fails.
func TestGrantHonest(t *testing.T) {
	for id, why := range honest(t, grant.Checks()) {
		t.Logf("%s: %s", id, why)
	}
}
