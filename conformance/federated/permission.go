package federated

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// permissions checks permission requests that must succeed, FedAuthz §4, §4.1, §4.2.
func permissions() []check {
	return []check{
		{
			ID: "federated.permission.status", Level: must, Covers: []string{"F-054", "F-058"}, Run: ticketStatus,
			Title: "A permission request answers 201",
		},
		{
			ID: "federated.permission.object", Level: must, Covers: []string{"F-054"}, Run: objectRequest,
			Title: "One permission can be asked for with one object, without an array",
		},
		{
			ID: "federated.permission.ticket", Level: must, Covers: []string{"F-058"}, Run: ticketMember,
			Title: "The answer is a JSON object with the string ticket",
		},
		{
			ID: "federated.permission.array", Level: must, Covers: []string{"F-052", "F-054", "F-058"}, Run: arrayRequest,
			Title: "An array of permissions gives one ticket",
		},
		{
			ID: "federated.permission.no-scopes", Level: must, Covers: []string{"F-052", "F-056"}, Run: zeroScopes,
			Title: "A permission may have no scopes",
		},
		{
			ID: "federated.permission.distinct", Level: must, Covers: []string{"F-058"}, Run: distinctTickets,
			Title: "Two permission requests give two tickets, also when they ask the same",
		},
		{
			ID: "federated.permission.represents", Level: must, Covers: []string{"F-050"}, Needs: granted, Run: represents,
			Title: "A ticket stands for what was asked: where all is permitted, the RPT has the scope of the ticket and no other",
		},
		{
			ID: "federated.permission.represents-all", Level: must, Covers: []string{"F-050", "F-052"}, Needs: granted, Run: representsAll,
			Title: "A ticket for two resources stands for both: where all is permitted, the RPT has both",
		},
	}
}

func ticketStatus(t *conformance.T) {
	r := t.Resource(alice, rs1)
	want(t, ask(t, t.PAT(alice, rs1), permission(r.ID, r.Scopes...)), "the permission request", http.StatusCreated)
}

func objectRequest(t *conformance.T) {
	r := t.Resource(alice, rs1)
	x := answered(t, t.PostJSON(permissionEndpoint(t), permission(r.ID, r.Scopes...), t.PAT(alice, rs1)))
	if x.Status/100 != 2 {
		t.Errorf("a single object is answered with %d (%s)", x.Status, told(x))
	}
}

func ticketMember(t *conformance.T) {
	r := t.Resource(alice, rs1)
	x := ask(t, t.PAT(alice, rs1), permission(r.ID, r.Scopes...))
	if x.Status/100 != 2 {
		t.Blockf("no ticket: %d (%s)", x.Status, told(x))
	}
	if x.Text("ticket") == "" {
		t.Errorf("the body has no string ticket")
	}
}

func arrayRequest(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	a, b := t.Resource(alice, rs1), t.Resource(alice, rs1)
	for what, body := range map[string]any{
		"an array of one": []any{permission(a.ID, a.Scopes...)},
		"an array of two": []any{permission(a.ID, a.Scopes...), permission(b.ID, b.Scopes[0])},
	} {
		x := ask(t, pat, body)
		if x.Status/100 != 2 || len(x.Body) > 0 && strings.HasPrefix(strings.TrimSpace(string(x.Body)), "[") {
			t.Errorf("%s: want one ticket, got %d (%s)", what, x.Status, told(x))
		}
	}
}

func zeroScopes(t *conformance.T) {
	r := t.Resource(alice, rs1)
	if x := ask(t, t.PAT(alice, rs1), permission(r.ID)); x.Status/100 != 2 {
		t.Errorf("a permission request with resource_scopes [] answers %d (%s)", x.Status, told(x))
	}
}

func distinctTickets(t *conformance.T) {
	pat, r := t.PAT(alice, rs1), own(t)
	first, second := ask(t, pat, permission(r.ID, r.Scopes...)).Text("ticket"), ask(t, pat, permission(r.ID, r.Scopes...)).Text("ticket")
	if first == "" || second == "" {
		t.Blockf("no ticket")
	}
	if first == second {
		t.Errorf("the same ticket was given twice")
	}
}

// redeemed is the introspected RPT for a ticket.
func redeemed(t *conformance.T, pat, ticket string, more url.Values) object {
	x := t.Obtain(t.Client(c1), ticket, bob, more)
	token := x.Text("access_token")
	if token == "" {
		t.Blockf("no RPT: %d (%s)", x.Status, told(x))
	}
	return about(t, pat, token, nil).JSON(t)
}

func represents(t *conformance.T) {
	r := own(t)
	t.Permit(conformance.PolicySpec{Resource: r, Party: bob})
	got, _ := scopesOf(redeemed(t, t.PAT(alice, rs1), t.Ticket(alice, rs1, r.Permission(r.Scopes[0])), nil), r.ID)
	if !sameSet(got, r.Scopes[:1]) {
		t.Errorf("asked for %q, all is permitted, granted %q", r.Scopes[:1], got)
	}
}

func representsAll(t *conformance.T) {
	a, b := own(t), own(t)
	t.Permit(conformance.PolicySpec{Resource: a, Party: bob})
	t.Permit(conformance.PolicySpec{Resource: b, Party: bob})
	rpt := redeemed(t, t.PAT(alice, rs1), t.Ticket(alice, rs1, a.Permission(), b.Permission(b.Scopes[0])), nil)
	for id, wanted := range map[string][]string{a.ID: a.Scopes, b.ID: b.Scopes[:1]} {
		if got, _ := scopesOf(rpt, id); !sameSet(got, wanted) {
			t.Errorf("resource %s: asked for %q, all is permitted, granted %q", id, wanted, got)
		}
	}
}
