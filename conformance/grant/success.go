package grant

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// success checks the answer that carries an RPT, Grant §3.3.5 and RFC 6749 §5.1.
func success() []check {
	needs := []need{conformance.NeedPolicy, conformance.NeedParty}
	return []check{
		{
			ID: "grant.success.shape", Level: must, Covers: []string{"G-022", "G-067", "G-075"}, Needs: needs, Run: successShape,
			Title: "A success is status 200 with a JSON object that has access_token and token_type",
		},
		{
			ID: "grant.success.expires-in", Level: must, Covers: []string{"G-067", "G-075"}, Needs: needs, Run: expiresIn,
			Title: "expires_in, where present, is a number of seconds above zero",
		},
		{
			ID: "grant.success.no-store", Level: must, Covers: []string{"G-039", "G-067"}, Needs: needs, Run: successNoStore,
			Title: "A success is not to be stored",
		},
		{
			ID: "grant.success.no-scope", Level: should, Covers: []string{"G-076"}, Needs: needs, Run: noScopeMember,
			Title: "A success has no scope: scopes belong to resources",
		},
		{
			ID: "grant.success.no-ticket", Level: must, Covers: []string{"G-008"}, Needs: needs, Run: successNoTicket,
			Title: "A success carries no ticket",
		},
		{
			ID: "grant.success.rpt-unguessable", Level: should, Covers: []string{"G-107"}, Needs: needs, Run: rptUnguessable,
			Title: "Two RPTs of equal content are different values",
		},
		{
			ID: "grant.success.one-party", Level: must, Covers: []string{"G-006"}, Run: oneParty,
			Needs: []need{conformance.NeedPolicy, conformance.NeedGather},
			Title: "An RPT belongs to one requesting party: another one gets another RPT for the same ask",
		},
		{
			ID: "grant.success.one-resource-server", Level: must, Covers: []string{"G-006"}, Run: oneResourceServer,
			Needs: []need{conformance.NeedPolicy, conformance.NeedParty, conformance.NeedSecondRS, conformance.NeedIntrospection},
			Title: "An RPT belongs to one resource server: another one is shown none of its permissions",
		},
		{
			ID: "grant.success.one-owner", Level: must, Covers: []string{"G-006"}, Run: oneOwner,
			Needs: []need{conformance.NeedPolicy, conformance.NeedParty, conformance.NeedIntrospection},
			Title: "An RPT belongs to one resource owner: the token of another owner's protection does not see it",
		},
	}
}

// granted is a success for Bob through C1.
func granted(t *conformance.T) *exchange {
	return t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob).Answer
}

func successShape(t *conformance.T) {
	x := granted(t)
	if x.Status != http.StatusOK {
		t.Errorf("want status 200, got %d", x.Status)
	}
	if x.MediaType() != "application/json" {
		t.Errorf("want Content-Type application/json, got %q", x.Header.Get("Content-Type"))
	}
	if x.Text("access_token") == "" || x.Text("token_type") == "" {
		t.Errorf("access_token or token_type is missing or no string")
	}
}

func expiresIn(t *conformance.T) {
	var body map[string]json.RawMessage
	granted(t).Decode(t, &body)
	raw, present := body["expires_in"]
	if !present {
		t.Skipf("not offered: the success came without expires_in")
	}
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err != nil || seconds <= 0 {
		t.Errorf("expires_in is %s: want a number above zero", raw)
	}
}

func successNoStore(t *conformance.T) { wantNoStore(t, granted(t)) }

func noScopeMember(t *conformance.T) {
	if v, present := granted(t).JSON(t)["scope"]; present {
		t.Errorf("the success has scope: %v", v)
	}
}

func successNoTicket(t *conformance.T) {
	if _, present := granted(t).JSON(t)["ticket"]; present {
		t.Errorf("the success carries a ticket")
	}
}

func rptUnguessable(t *conformance.T) {
	r := t.Resource(conformance.Alice, conformance.RS1)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	first, _ := grantedTo(t, c1(t), asked(t, r), nil)
	second, _ := grantedTo(t, c1(t), asked(t, r), nil)
	if first == second || strings.HasPrefix(second, first[:len(first)-1]) {
		t.Errorf("two processes got the same RPT, or one that differs in its last character alone")
	}
}

func oneParty(t *conformance.T) {
	r := t.Resource(conformance.Alice, conformance.RS1, t.Env().Scopes(3)...)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Dave})
	bob := token(t, t.Obtain(c1(t), asked(t, r), conformance.Bob, nil))
	dave := token(t, t.Obtain(c1(t), asked(t, r), conformance.Dave, nil))
	if bob == dave {
		t.Errorf("two requesting parties got the same RPT")
	}
}

func oneResourceServer(t *conformance.T) {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	if shown := t.Permissions(t.PAT(conformance.Alice, conformance.RS2), g.RPT); len(shown) > 0 {
		t.Errorf("RS2 is shown permissions of RS1: %q", slices.Sorted(maps.Keys(shown)))
	}
}

func oneOwner(t *conformance.T) {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	if shown := t.Permissions(t.PAT(conformance.Carol, conformance.RS1), g.RPT); len(shown[g.Resource.ID]) > 0 {
		t.Errorf("Carol's protection token is shown a permission on Alice's resource: %q", shown[g.Resource.ID])
	}
}
