package federated

import (
	"strings"

	"github.com/umaas/umaas/conformance"
)

// privacy checks what FedAuthz §8 warns of: descriptions are between the owner, her resource server and her
// authorization server.
func privacy() []check {
	return []check{
		{
			ID: "federated.privacy.descriptions", Level: should, Covers: []string{"F-076"}, Run: descriptionsStay,
			Title: "Answers to clients tell nothing of a resource's description",
		},
	}
}

func descriptionsStay(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	d := describe(t)
	d["name"], d["type"] = t.Env().Fresh("secretname"), "https://conformance.invalid/"+t.Env().Fresh("secrettype")
	id := registered(t, pat, d)
	x := ask(t, pat, permission(id, t.Env().Scopes(1)...))
	ticket := x.Text("ticket")
	if ticket == "" {
		t.Blockf("no ticket: %d (%s)", x.Status, told(x))
	}
	answer := answered(t, t.Redeem(t.Client(c1), ticket, nil))
	for _, secret := range []any{d["name"], d["type"]} {
		if text, ok := secret.(string); ok && strings.Contains(string(answer.Body), text) {
			t.Errorf("the answer to a client that has no access yet holds the description's words")
		}
	}
}
