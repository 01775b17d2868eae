package federated

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// introspectionBounds checks what introspection does not tell, FedAuthz §5.1, §5.1.1, RFC 7662 §2.2, §4.
func introspectionBounds() []check {
	plain := []need{conformance.NeedIntrospection}
	needs := append([]need{conformance.NeedIntrospection}, granted...)
	return []check{
		{
			ID: "federated.inactive.unknown", Level: must, Covers: []string{"F-064"}, Needs: plain, Run: inactive,
			Title: "An unknown token answers 200 with active false",
		},
		{
			ID: "federated.inactive.bare", Level: should, Covers: []string{"F-064"}, Needs: plain, Run: inactiveBare,
			Title: "The object of an inactive token has no other member",
		},
		{
			ID: "federated.inactive.other-owner", Level: should, Covers: []string{"F-071"}, Needs: needs, Run: otherOwnersRPT,
			Title: "An RPT tells nothing to the PAT of an owner who has no part in it",
		},
		{
			ID: "federated.inactive.other-rs", Level: should, Covers: []string{"F-071"}, Needs: append([]need{conformance.NeedSecondRS}, needs...), Run: otherServersRPT,
			Title: "An RPT tells nothing to a resource server that has no part in it",
		},
		{
			ID: "federated.inactive.no-token", Level: should, Covers: []string{"F-063"}, Needs: plain, Run: noTokenParameter,
			Title: "A request without the parameter token is refused with 400",
		},
		{
			ID: "federated.inactive.get", Level: should, Covers: []string{"F-063"}, Needs: needs, Run: introspectByGet,
			Title: "Introspection takes no token from a query string",
		},
		{
			ID: "federated.inactive.plain-token", Level: may, Covers: []string{"F-062"}, Needs: plain, Run: plainIntrospection,
			Title: "Plain introspection (RFC 7662), where it is offered beside, has a Boolean active and no permissions",
		},
	}
}

func inactive(t *conformance.T) {
	x := about(t, t.PAT(alice, rs1), t.Env().Fresh("unknown"), nil)
	if !want(t, x, "introspection of an unknown token", http.StatusOK) {
		return
	}
	if v, isBool := x.JSON(t)["active"].(bool); !isBool || v {
		t.Errorf("active is %v, want false", x.JSON(t)["active"])
	}
}

func inactiveBare(t *conformance.T) {
	x := about(t, t.PAT(alice, rs1), t.Env().Fresh("unknown"), nil)
	if x.Status != http.StatusOK {
		t.Blockf("introspection of an unknown token answers %d (%s)", x.Status, told(x))
	}
	for name := range x.JSON(t) {
		if name != "active" {
			t.Errorf("the object of an inactive token has a member %s (RFC 7662 §2.2)", name)
		}
	}
}

// tellsNothing judges an introspection by somebody without a part in the grant.
func tellsNothing(t *conformance.T, g conformance.Granted, pat string) {
	if t.Env().Profile.Fixtures.Introspection == "client" {
		t.Skipf("the server takes no PAT for introspection (another check judges that), so none can be told apart")
	}
	o := withPAT(t, pat, g.RPT, nil).JSON(t)
	if _, named := scopesOf(o, g.Resource.ID); named {
		t.Errorf("the permissions are told to somebody who has no part in them (RFC 7662 §4)")
	}
	if o["active"] == true {
		t.Errorf("the RPT is active for somebody who has no part in it")
	}
}

func otherOwnersRPT(t *conformance.T) {
	_, other := twoOwners(t)
	tellsNothing(t, some(t), other)
}

func otherServersRPT(t *conformance.T) { tellsNothing(t, some(t), t.PAT(alice, rs2)) }

func noTokenParameter(t *conformance.T) {
	if t.Env().Profile.Fixtures.Introspection == "client" {
		t.Skipf("the server takes no PAT for introspection (another check judges that)")
	}
	x := answered(t, t.PostForm(t.Env().Metadata.IntrospectionEndpoint, url.Values{"token_type_hint": {"access_token"}}, conformance.Bearer(t.PAT(alice, rs1))))
	want(t, x, "introspection without token", http.StatusBadRequest)
}

func introspectByGet(t *conformance.T) {
	g := some(t)
	target := t.Env().Metadata.IntrospectionEndpoint
	mark := "?"
	if strings.Contains(target, "?") {
		mark = "&"
	}
	x := answered(t, t.Get(target+mark+url.Values{"token": {g.RPT}}.Encode(), g.PAT))
	if x.Status == http.StatusOK && x.OAuthError() == "" && strings.Contains(strings.ReplaceAll(string(x.Body), " ", ""), `"active":true`) {
		t.Errorf("a token in a query string was introspected (RFC 7662 §2.1: POST; §4: logs)")
	}
}

func plainIntrospection(t *conformance.T) {
	c := t.RS(rs1).Client
	if c.Public() {
		t.Skipf("the resource server has no secret to introspect with")
	}
	x := answered(t, t.PostForm(t.Env().Metadata.IntrospectionEndpoint, url.Values{"token": {t.PAT(alice, rs1)}}, c.Auth()))
	if x.Status != http.StatusOK {
		t.Skipf("not offered: introspection with client credentials answers %d (%s)", x.Status, told(x))
	}
	o := x.JSON(t)
	if _, isBool := o["active"].(bool); !isBool {
		t.Errorf("active is %v, want a Boolean", o["active"])
	}
	if _, there := o["permissions"]; there {
		t.Errorf("a plain token has permissions")
	}
}
