package federated

import (
	"net/http"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// permissionRefusals checks permission requests that must fail, FedAuthz §4, §4.1, §4.3.
func permissionRefusals() []check {
	return []check{
		{
			ID: "federated.ask.no-id", Level: must, Covers: []string{"F-055"}, Run: missingID,
			Title: "A permission without resource_id is refused with 400",
		},
		{
			ID: "federated.ask.no-scopes-member", Level: must, Covers: []string{"F-056"}, Run: missingScopes,
			Title: "A permission without resource_scopes is refused with 400",
		},
		{
			ID: "federated.ask.empty-array", Level: must, Covers: []string{"F-054"}, Run: emptyArray,
			Title: "A request for no permission at all is refused with 400",
		},
		{
			ID: "federated.ask.malformed", Level: must, Covers: []string{"F-054", "F-072"}, Run: malformedRequest,
			Title: "A body of another shape is refused with 400",
		},
		{
			ID: "federated.ask.unknown-resource", Level: must, Covers: []string{"F-055", "F-059"}, Run: unknownResource,
			Title: "An unknown resource is refused with 400, invalid_resource_id",
		},
		{
			ID: "federated.ask.unregistered-scope", Level: must, Covers: []string{"F-057", "F-059"}, Run: unregisteredScope,
			Title: "A scope that the resource was not registered with is refused with 400, invalid_scope",
		},
		{
			ID: "federated.ask.scope-of-another", Level: must, Covers: []string{"F-057", "F-059"}, Run: scopeOfAnother,
			Title: "A scope of another resource is no scope of this one",
		},
		{
			ID: "federated.ask.scope-case", Level: must, Covers: []string{"F-002", "F-057"}, Run: scopeCase,
			Title: "Scopes are case-sensitive",
		},
		{
			ID: "federated.ask.whole-array", Level: must, Covers: []string{"F-055", "F-059"}, Run: wholeArray,
			Title: "One wrong permission in an array refuses them all",
		},
		{
			ID: "federated.ask.other-owner", Level: must, Covers: []string{"F-012", "F-049", "F-059"}, Run: otherOwner,
			Title: "One owner's PAT asks for no permission on another owner's resource",
		},
		{
			ID: "federated.ask.two-owners", Level: must, Covers: []string{"F-049", "F-059"}, Run: mixedOwners,
			Title: "One request asks for resources of one owner: a mixed array is refused",
		},
		{
			ID: "federated.ask.other-rs", Level: must, Covers: []string{"F-012", "F-057"}, Needs: []need{conformance.NeedSecondRS}, Run: otherRS,
			Title: "A PAT at one resource server asks for no permission on what another registered",
		},
	}
}

// refusedRequest judges a refusal; no ticket may come with it.
func refusedRequest(t *conformance.T, what string, x *exchange, codes ...string) {
	if x.Text("ticket") != "" {
		t.Errorf("%s: a ticket was given", what)
		return
	}
	if !want(t, x, what, http.StatusBadRequest) || len(codes) == 0 {
		return
	}
	if got := x.OAuthError(); got != codes[0] {
		t.Errorf("%s: want the error %s, got %q", what, strings.Join(codes, " or "), got)
	}
}

func missingID(t *conformance.T) {
	refusedRequest(t, "no resource_id", ask(t, t.PAT(alice, rs1), object{"resource_scopes": t.Env().Scopes(1)}))
}

func missingScopes(t *conformance.T) {
	r := t.Resource(alice, rs1)
	refusedRequest(t, "no resource_scopes", ask(t, t.PAT(alice, rs1), object{"resource_id": r.ID}))
}

func emptyArray(t *conformance.T) {
	refusedRequest(t, "an empty array", ask(t, t.PAT(alice, rs1), []any{}))
}

func malformedRequest(t *conformance.T) {
	pat, r := t.PAT(alice, rs1), t.Resource(alice, rs1)
	if t.Env().Profile.Fixtures.PermissionRequest == "array" {
		t.Skipf("the server takes no single object (another check judges that), so what else it refuses says nothing")
	}
	for what, body := range map[string]string{
		"an empty body": "", "cut JSON": `{"resource_id":"` + r.ID + `","resource_scopes":[]`, "a string": `"` + r.ID + `"`, "null": "null",
		"scopes as a string": `{"resource_id":"` + r.ID + `","resource_scopes":"` + r.Scopes[0] + `"}`, "a number as id": `{"resource_id":7,"resource_scopes":[]}`,
	} {
		refusedRequest(t, what, raw(t, http.MethodPost, permissionEndpoint(t), body, pat))
	}
}

func unknownResource(t *conformance.T) {
	x := ask(t, t.PAT(alice, rs1), permission(t.Env().Fresh("none"), t.Env().Scopes(1)...))
	refusedRequest(t, "an unknown resource", x, "invalid_resource_id")
}

func unregisteredScope(t *conformance.T) {
	r := t.Resource(alice, rs1)
	x := ask(t, t.PAT(alice, rs1), permission(r.ID, r.Scopes[0], t.Env().Fresh("unregistered")))
	refusedRequest(t, "an unregistered scope", x, "invalid_scope")
}

func scopeOfAnother(t *conformance.T) {
	scopes := t.Env().Scopes(4)
	a, _ := t.Resource(alice, rs1, scopes[:2]...), t.Resource(alice, rs1, scopes[2:]...)
	refusedRequest(t, "a scope of another resource", ask(t, t.PAT(alice, rs1), permission(a.ID, scopes[2])), "invalid_scope")
}

func scopeCase(t *conformance.T) {
	r := t.Resource(alice, rs1)
	turned := strings.ToUpper(r.Scopes[0])
	if turned == r.Scopes[0] {
		turned = strings.ToLower(turned)
	}
	if turned == r.Scopes[0] {
		t.Skipf("the scope %q has no letters to turn", turned)
	}
	if x := ask(t, t.PAT(alice, rs1), permission(r.ID, turned)); x.Status/100 == 2 {
		t.Errorf("a ticket was given for the scope %q of a resource that has %q", turned, r.Scopes[0])
	}
}

func wholeArray(t *conformance.T) {
	r := t.Resource(alice, rs1)
	x := ask(t, t.PAT(alice, rs1), []any{permission(r.ID, r.Scopes...), permission(t.Env().Fresh("none"), r.Scopes...)})
	refusedRequest(t, "an array with one unknown resource", x)
}

func otherOwner(t *conformance.T) {
	_, other := twoOwners(t)
	r := t.Resource(alice, rs1)
	refusedRequest(t, "another owner's resource", ask(t, other, permission(r.ID, r.Scopes...)))
}

func mixedOwners(t *conformance.T) {
	_, other := twoOwners(t)
	hers, theirs := t.Resource(alice, rs1), t.Resource(carol, rs1)
	x := ask(t, other, []any{permission(theirs.ID, theirs.Scopes...), permission(hers.ID, hers.Scopes...)})
	refusedRequest(t, "resources of two owners", x)
}

func otherRS(t *conformance.T) {
	r := t.Resource(alice, rs1)
	refusedRequest(t, "another resource server's resource", ask(t, t.PAT(alice, rs2), permission(r.ID, r.Scopes...)))
}
