package federated

import (
	"net/http"
	"slices"

	"github.com/umaas/umaas/conformance"
)

// separation checks that a PAT stands for one owner at one resource server, FedAuthz §1.2, §1.3.
func separation() []check {
	second := []need{conformance.NeedSecondRS}
	return []check{
		{
			ID: "federated.separation.owner-read", Level: must, Covers: []string{"F-006", "F-012"}, Run: ownerRead,
			Title: "One owner's PAT reads no resource of another owner",
		},
		{
			ID: "federated.separation.owner-write", Level: must, Covers: []string{"F-006", "F-012"}, Run: ownerWrite,
			Title: "One owner's PAT changes and removes no resource of another owner",
		},
		{
			ID: "federated.separation.owner-list", Level: must, Covers: []string{"F-012", "F-048"}, Run: ownerList,
			Title: "The list holds no resource of another owner",
		},
		{
			ID: "federated.separation.rs-read", Level: must, Covers: []string{"F-012"}, Needs: second, Run: rsRead,
			Title: "A PAT at one resource server reads nothing registered through another",
		},
		{
			ID: "federated.separation.rs-write", Level: must, Covers: []string{"F-012"}, Needs: second, Run: rsWrite,
			Title: "A PAT at one resource server changes and removes nothing registered through another",
		},
		{
			ID: "federated.separation.rs-list", Level: must, Covers: []string{"F-012", "F-048"}, Needs: second, Run: rsList,
			Title: "The list holds nothing registered through another resource server",
		},
		{
			ID: "federated.separation.no-oracle", Level: should, Covers: []string{"F-012", "F-038"}, Run: noOracle,
			Title: "Somebody else's resource is answered like one that does not exist",
		},
	}
}

func readsNot(t *conformance.T, mine, other string) {
	id := registered(t, mine, describe(t))
	if x := answered(t, t.Get(at(t, id), other)); x.Status/100 == 2 {
		t.Errorf("the description was read with a PAT that has no part in it")
	}
}

func writesNot(t *conformance.T, mine, other string) {
	id := registered(t, mine, describe(t))
	if x := put(t, other, id, describe(t)); x.Status/100 == 2 {
		t.Errorf("PUT was done with a PAT that has no part in the resource")
	}
	if x := answered(t, t.Delete(at(t, id), other)); x.Status/100 == 2 {
		t.Errorf("DELETE was done with a PAT that has no part in the resource")
	}
	if x := answered(t, t.Get(at(t, id), mine)); x.Status == http.StatusNotFound {
		t.Errorf("the resource is gone for its own PAT")
	}
}

func listsNot(t *conformance.T, mine, other string) {
	id := registered(t, mine, describe(t))
	if slices.Contains(list(t, other), id) {
		t.Errorf("the list of another PAT holds the resource")
	}
}

func ownerRead(t *conformance.T)  { a, c := twoOwners(t); readsNot(t, a, c) }
func ownerWrite(t *conformance.T) { a, c := twoOwners(t); writesNot(t, a, c) }
func ownerList(t *conformance.T)  { a, c := twoOwners(t); listsNot(t, a, c) }
func rsRead(t *conformance.T)     { readsNot(t, t.PAT(alice, rs1), t.PAT(alice, rs2)) }
func rsWrite(t *conformance.T)    { writesNot(t, t.PAT(alice, rs1), t.PAT(alice, rs2)) }
func rsList(t *conformance.T)     { listsNot(t, t.PAT(alice, rs1), t.PAT(alice, rs2)) }

func noOracle(t *conformance.T) {
	mine, other := twoOwners(t)
	id := registered(t, mine, describe(t))
	foreign := answered(t, t.Get(at(t, id), other))
	unknown := answered(t, t.Get(at(t, t.Env().Fresh("nowhere")), other))
	if foreign.Status/100 == 2 {
		return // separation.owner-read judges that
	}
	if foreign.Status != unknown.Status || foreign.OAuthError() != unknown.OAuthError() {
		t.Errorf("somebody else's resource answers %d (%s), an unknown one %d (%s): a guess can be confirmed",
			foreign.Status, told(foreign), unknown.Status, told(unknown))
	}
}
