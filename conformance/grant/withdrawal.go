package grant

import (
	"github.com/umaas/umaas/conformance"
)

// withdrawal checks how soon a policy that is taken back takes effect, Grant §6.1.
func withdrawal() []check {
	needs := []need{conformance.NeedPolicy, conformance.NeedParty, conformance.NeedIntrospection}
	return []check{
		{
			ID: "grant.withdrawal.rpt", Level: should, Covers: []string{"G-133"}, Needs: needs, Run: withdrawnRPT,
			Title: "An RPT loses its permissions when the owner takes back the policy it rests on",
		},
		{
			ID: "grant.withdrawal.refresh", Level: should, Covers: []string{"G-133"}, Run: withdrawnRefresh,
			Needs: append([]need{conformance.NeedRefresh}, needs...),
			Title: "A refresh token gives none of the permissions the owner has taken back",
		},
		{
			ID: "grant.withdrawal.new-request", Level: must, Covers: []string{"G-062", "G-133"}, Needs: needs, Run: withdrawnRequest,
			Title: "After the owner has taken back a policy, a new request gets nothing from it",
		},
		{
			ID: "grant.withdrawal.others-stay", Level: should, Covers: []string{"G-133"}, Needs: needs, Run: othersStay,
			Title: "Taking back one policy leaves permissions of other policies alone",
		},
	}
}

func withdrawnRPT(t *conformance.T) {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	t.Revoke(g.Policy)
	if got := t.Permissions(alicePAT(t), g.RPT)[g.Resource.ID]; len(got) > 0 {
		t.Errorf("the policy is gone, and the RPT still has %q", got)
	}
}

func withdrawnRefresh(t *conformance.T) {
	g := refreshable(t)
	t.Revoke(g.Policy)
	x := refreshes(t, c1(t), g.Refresh, nil)
	rpt := x.Text("access_token")
	if rpt == "" {
		return
	}
	if got := t.Permissions(alicePAT(t), rpt)[g.Resource.ID]; len(got) > 0 {
		t.Errorf("the policy is gone, and the refreshed RPT has %q", got)
	}
}

func withdrawnRequest(t *conformance.T) {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	t.Revoke(g.Policy)
	x := t.Obtain(c1(t), asked(t, g.Resource), conformance.Bob, nil)
	wantAtMost(t, x, nil)
}

func othersStay(t *conformance.T) {
	one := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob, t.Env().Scopes(4)...)
	two := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob, t.Env().Scopes(4)...)
	t.Revoke(one.Policy)
	if got := t.Permissions(alicePAT(t), two.RPT)[two.Resource.ID]; len(got) == 0 {
		t.Errorf("a policy of another resource was taken back, and this RPT lost its permissions")
	}
}
