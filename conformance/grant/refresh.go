package grant

import (
	"net/http"
	"net/url"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// refresh checks refreshing an RPT, Grant §3.6.
func refresh() []check {
	needs := []need{conformance.NeedRefresh, conformance.NeedPolicy, conformance.NeedParty, conformance.NeedIntrospection}
	return []check{
		{
			ID: "grant.refresh.works", Level: must, Covers: []string{"G-068", "G-099", "G-100"}, Needs: needs, Run: refreshWorks,
			Title: "The refresh token that came with an RPT gives a new one",
		},
		{
			ID: "grant.refresh.no-more", Level: must, Covers: []string{"G-100", "G-102"}, Needs: needs, Run: refreshNoMore,
			Title: "A refreshed RPT has the permissions of the earlier one and no others",
		},
		{
			ID: "grant.refresh.no-assessment", Level: must, Covers: []string{"G-102"}, Needs: needs, Run: refreshNoAssessment,
			Title: "A refresh assesses nothing anew: a policy widened meanwhile adds nothing",
		},
		{
			ID: "grant.refresh.scope", Level: must, Covers: []string{"G-101", "G-102"}, Needs: needs, Run: refreshScope,
			Title: "scope at a refresh may narrow the permissions and never widens them",
		},
		{
			ID: "grant.refresh.foreign-client", Level: must, Covers: []string{"G-039", "G-107"}, Run: refreshForeignClient,
			Needs: append([]need{conformance.NeedSecondClient}, needs...),
			Title: "A refresh token is bound to its client",
		},
	}
}

// refreshable is a grant with a refresh token.
func refreshable(t *conformance.T) conformance.Granted {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	if g.Refresh == "" {
		t.Skipf("not offered: the RPT came without a refresh token")
	}
	return g
}

func refreshes(t *conformance.T, c conformance.Client, value string, extra url.Values) *exchange {
	form := url.Values{"grant_type": {uma.GrantTypeRefreshToken}, "refresh_token": {value}}
	for name, values := range extra {
		form[name] = values
	}
	return t.Token(c, form)
}

func refreshWorks(t *conformance.T) {
	g := refreshable(t)
	x := refreshes(t, c1(t), g.Refresh, nil)
	if x.Status != http.StatusOK || x.Text("access_token") == "" {
		t.Fatalf("want an RPT, got %d (%s)", x.Status, told(x))
	}
	if !t.Active(alicePAT(t), x.Text("access_token")) {
		t.Errorf("the refreshed RPT is not active")
	}
}

func refreshNoMore(t *conformance.T) {
	g := refreshable(t)
	rpt := token(t, refreshes(t, c1(t), g.Refresh, nil))
	wantPermissions(t, t.Permissions(alicePAT(t), rpt), map[string][]string{g.Resource.ID: g.Resource.Scopes})
}

func refreshNoAssessment(t *conformance.T) {
	r, ticket := fresh(t)
	t.Permit(conformance.PolicySpec{Resource: r, Scopes: r.Scopes[:1], Party: conformance.Bob})
	_, x := grantedTo(t, c1(t), ticket, nil)
	value := x.Text("refresh_token")
	if value == "" {
		t.Skipf("not offered: the RPT came without a refresh token")
	}
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	rpt := token(t, refreshes(t, c1(t), value, nil))
	for _, over := range beyond(t.Permissions(alicePAT(t), rpt), map[string][]string{r.ID: r.Scopes[:1]}) {
		t.Errorf("the refreshed RPT has more than was ever granted: %s", over)
	}
}

func refreshScope(t *conformance.T) {
	g := refreshable(t)
	all := g.Resource.Scopes
	bound := map[string][]string{g.Resource.ID: all}
	for _, scope := range []string{all[0], all[0] + " " + noScope} {
		x := refreshes(t, c1(t), g.Refresh, url.Values{"scope": {scope}})
		rpt := x.Text("access_token")
		if rpt == "" {
			wantRefusal(t, x, "a refresh with scope")
			continue
		}
		for _, over := range beyond(t.Permissions(alicePAT(t), rpt), bound) {
			t.Errorf("a refresh with scope %q gave more than was granted: %s", scope, over)
		}
		if next := x.Text("refresh_token"); next != "" {
			g.Refresh = next
		}
	}
}

func refreshForeignClient(t *conformance.T) {
	g := refreshable(t)
	x := refreshes(t, t.Client(conformance.C2), g.Refresh, nil)
	wantError(t, x, http.StatusBadRequest, uma.ErrInvalidGrant.Code)
}
