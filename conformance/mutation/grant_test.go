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
	judge(t, grant.Checks(), grantEverything(), grantFaults())
}

// grantEverything is what must not fail beside.
func grantEverything() []conformance.Check { return slices.Concat(grant.Checks(), federated.Checks()) }

// On the honest server nothing fails, and nothing is skipped: it offers all that the Grant has, so that a check which is
// skipped is a feature that was lost.
func TestGrantHonest(t *testing.T) {
	for id, why := range honest(t, grant.Checks()) {
		t.Errorf("%s is skipped: %s", id, why)
	}
}
