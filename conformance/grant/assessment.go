package grant

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// assessment checks the authorization assessment, Grant §3.3.4 and §5.6, by what an RPT holds in the end.
func assessment() []check {
	needs := []need{conformance.NeedPolicy, conformance.NeedParty, conformance.NeedIntrospection}
	scoped := append([]need{conformance.NeedScopeParam}, needs...)
	return []check{
		{
			ID: "grant.assessment.all", Level: must, Covers: []string{"G-062", "G-064"}, Needs: needs, Run: allGranted,
			Title: "Where a policy gives all that was asked, the RPT has exactly that",
		},
		{
			ID: "grant.assessment.ticket-bounds", Level: must, Covers: []string{"G-062"}, Needs: needs, Run: ticketBounds,
			Title: "A policy wider than the ticket gives no more than the ticket asks for",
		},
		{
			ID: "grant.assessment.partial", Level: must, Covers: []string{"G-062", "G-065"}, Needs: needs, Run: partial,
			Title: "Where a policy gives a part of what was asked, nobody gets more than that part",
		},
		{
			ID: "grant.assessment.several-resources", Level: must, Covers: []string{"G-062", "G-064"}, Needs: needs, Run: severalResources,
			Title: "The scopes of several resources in one ticket are kept apart",
		},
		{
			ID: "grant.assessment.unshared-companion", Level: must, Covers: []string{"G-062", "G-128"}, Needs: needs, Run: unsharedCompanion,
			Title: "A resource without a policy gets nothing by standing in a ticket beside one that has a policy",
		},
		{
			ID: "grant.assessment.default-deny", Level: should, Covers: []string{"G-128"}, Run: defaultDeny,
			Needs: []need{conformance.NeedParty},
			Title: "Nobody has a right to a resource that no policy speaks of",
		},
		{
			ID: "grant.assessment.other-party", Level: must, Covers: []string{"G-062"}, Run: otherParty,
			Needs: []need{conformance.NeedPolicy, conformance.NeedGather},
			Title: "A policy for one requesting party gives another one nothing",
		},
		{
			ID: "grant.assessment.other-resource", Level: must, Covers: []string{"G-062"}, Needs: needs, Run: otherResource,
			Title: "A policy on one resource gives nothing on another of the same owner and scopes",
		},
		{
			ID: "grant.assessment.requested-scope", Level: must, Covers: []string{"G-035", "G-036", "G-062"}, Needs: scoped, Run: requestedScope,
			Title: "A scope the client is registered for is added to what the ticket asks",
		},
		{
			ID: "grant.assessment.scope-stays-with-its-resource", Level: must, Covers: []string{"G-063"}, Needs: scoped, Run: scopeStays,
			Title: "A requested scope is added to the resources that have it, and to no other",
		},
		{
			ID: "grant.assessment.scope-not-registered", Level: must, Covers: []string{"G-036", "G-085"}, Run: scopeNotRegistered,
			Needs: append([]need{conformance.NeedSecondClient}, scoped...),
			Title: "A requested scope that the client is not registered for does not count",
		},
		{
			ID: "grant.assessment.latest-scope", Level: must, Covers: []string{"G-062", "G-204"}, Run: latestScope,
			Needs: append([]need{conformance.NeedDynamicRegistration, conformance.NeedGather}, scoped...),
			Title: "Of scopes asked for in several requests of a process the latest request's count",
		},
		{
			ID: "grant.assessment.album", Level: must, Covers: []string{"G-062", "G-063", "G-065"}, Needs: scoped, Run: album,
			Title: "The example of the Recommendation: of album, photo1 and photo2 only photo1 may be viewed",
		},
	}
}

func allGranted(t *conformance.T) {
	r := t.Resource(conformance.Alice, conformance.RS1, t.Env().Scopes(3)...)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	rpt, _ := grantedTo(t, c1(t), asked(t, r), nil)
	wantPermissions(t, t.Permissions(alicePAT(t), rpt), map[string][]string{r.ID: r.Scopes})
}

func ticketBounds(t *conformance.T) {
	r := t.Resource(conformance.Alice, conformance.RS1, t.Env().Scopes(4)...)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	rpt, _ := grantedTo(t, c1(t), t.Ticket(conformance.Alice, conformance.RS1, r.Permission(r.Scopes[0])), nil)
	for _, over := range beyond(t.Permissions(alicePAT(t), rpt), map[string][]string{r.ID: r.Scopes[:1]}) {
		t.Errorf("the RPT has more than the ticket asks for: %s", over)
	}
}

// wantAtMost judges the end of a process that nobody answers: an RPT within the bound, or none.
func wantAtMost(t *conformance.T, x *exchange, bound map[string][]string) {
	rpt := x.Text("access_token")
	if rpt == "" {
		t.Logf("no RPT was issued (%s)", told(x))
		return
	}
	permissions := t.Permissions(alicePAT(t), rpt)
	for _, over := range beyond(permissions, bound) {
		t.Errorf("the RPT has more than the policy gives: %s", over)
	}
}

func partial(t *conformance.T) {
	r := t.Resource(conformance.Alice, conformance.RS1)
	t.Permit(conformance.PolicySpec{Resource: r, Scopes: r.Scopes[:1], Party: conformance.Bob})
	x := t.Obtain(c1(t), asked(t, r), conformance.Bob, nil)
	wantAtMost(t, x, map[string][]string{r.ID: r.Scopes[:1]})
}

func severalResources(t *conformance.T) {
	names := t.Env().Scopes(3)
	a := t.Resource(conformance.Alice, conformance.RS1, names...)
	b := t.Resource(conformance.Alice, conformance.RS1, names...)
	c := t.Resource(conformance.Alice, conformance.RS1, names...)
	for _, r := range []conformance.Resource{a, b, c} {
		t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	}
	ticket := t.Ticket(conformance.Alice, conformance.RS1, a.Permission(names[0]), b.Permission(names[1]), c.Permission(names[0], names[2]))
	rpt, _ := grantedTo(t, c1(t), ticket, nil)
	wantPermissions(t, t.Permissions(alicePAT(t), rpt), map[string][]string{a.ID: {names[0]}, b.ID: {names[1]}, c.ID: {names[0], names[2]}})
}

func unsharedCompanion(t *conformance.T) {
	with, without := t.Resource(conformance.Alice, conformance.RS1), t.Resource(conformance.Alice, conformance.RS1)
	t.Permit(conformance.PolicySpec{Resource: with, Party: conformance.Bob})
	x := t.Obtain(c1(t), asked(t, with, without), conformance.Bob, nil)
	wantAtMost(t, x, map[string][]string{with.ID: with.Scopes})
}

func defaultDeny(t *conformance.T) {
	ticket := asked(t, t.Resource(conformance.Alice, conformance.RS1, t.Env().Scopes(1)...))
	if x := t.Obtain(c1(t), ticket, conformance.Bob, nil); x.Text("access_token") != "" {
		t.Errorf("an RPT was issued for a resource without any policy")
	}
}

func otherParty(t *conformance.T) {
	r := t.Resource(conformance.Alice, conformance.RS1, t.Env().Scopes(3)...)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	if x := t.Obtain(c1(t), asked(t, r), conformance.Dave, nil); x.Text("access_token") != "" {
		t.Errorf("a policy for %s gave %s an RPT", conformance.Bob, conformance.Dave)
	}
}

func otherResource(t *conformance.T) {
	names := t.Env().Scopes(3)
	open, closed := t.Resource(conformance.Alice, conformance.RS1, names...), t.Resource(conformance.Alice, conformance.RS1, names...)
	t.Permit(conformance.PolicySpec{Resource: open, Party: conformance.Bob})
	ticket := t.Ticket(conformance.Alice, conformance.RS1, closed.Permission(names[0]))
	if x := t.Obtain(c1(t), ticket, conformance.Bob, nil); x.Text("access_token") != "" {
		t.Errorf("a policy on another resource gave an RPT")
	}
}

// requestable is a scope that C1 is registered for, and a scope of the usual kind.
func requestable(t *conformance.T) (registered, usual string) {
	c := c1(t)
	usual = t.Env().Scopes(1)[0]
	for _, s := range c.Scopes {
		if s != usual && s != uma.ScopeProtection && s != "openid" && s != "offline_access" {
			return s, usual
		}
	}
	t.Skipf("the client C1 is registered for no scope that a resource could have")
	return "", ""
}

func requestedScope(t *conformance.T) {
	extra, usual := requestable(t)
	r := t.Resource(conformance.Alice, conformance.RS1, usual, extra)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	ticket := t.Ticket(conformance.Alice, conformance.RS1, r.Permission(usual))
	rpt, _ := grantedTo(t, c1(t), ticket, url.Values{"scope": {extra}})
	got := t.Permissions(alicePAT(t), rpt)
	if !slices.Contains(got[r.ID], extra) {
		t.Errorf("the client asked for %s, is registered for it and the policy gives it; the RPT has %q", extra, got[r.ID])
	}
}

func scopeStays(t *conformance.T) {
	extra, usual := requestable(t)
	has := t.Resource(conformance.Alice, conformance.RS1, usual, extra)
	lacks := t.Resource(conformance.Alice, conformance.RS1, usual)
	t.Permit(conformance.PolicySpec{Resource: has, Party: conformance.Bob})
	t.Permit(conformance.PolicySpec{Resource: lacks, Party: conformance.Bob})
	ticket := t.Ticket(conformance.Alice, conformance.RS1, has.Permission(usual), lacks.Permission(usual))
	rpt, _ := grantedTo(t, c1(t), ticket, url.Values{"scope": {extra}})
	bound := map[string][]string{has.ID: {usual, extra}, lacks.ID: {usual}}
	for _, over := range beyond(t.Permissions(alicePAT(t), rpt), bound) {
		t.Errorf("the RPT has a scope its resource is not registered with: %s", over)
	}
}

func scopeNotRegistered(t *conformance.T) {
	extra, usual := requestable(t)
	c := t.Client(conformance.C2)
	if slices.Contains(c.Scopes, extra) {
		t.Skipf("the client C2 is registered for %s as well", extra)
	}
	r := t.Resource(conformance.Alice, conformance.RS1, usual, extra)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	ticket := t.Ticket(conformance.Alice, conformance.RS1, r.Permission(usual))
	x := t.Obtain(c, ticket, conformance.Bob, url.Values{"scope": {extra}})
	wantAtMost(t, x, map[string][]string{r.ID: {usual}})
}

// latestScope asks for one scope first and for another one last; both are the client's to ask for, and a policy gives both.
func latestScope(t *conformance.T) {
	names := t.Env().Scopes(4)
	usual, early, late := names[0], names[2], names[3]
	c, x := t.Register(map[string]any{"scope": early + " " + late})
	if x.Status != http.StatusCreated {
		t.Blockf("a client with two scopes was not registered (%s)", told(x))
	}
	r := t.Resource(conformance.Alice, conformance.RS1, usual, early, late)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	x = t.Redeem(c, t.Ticket(conformance.Alice, conformance.RS1, r.Permission(usual)), url.Values{"scope": {early}})
	next := x.Text("ticket")
	if x.OAuthError() != uma.ErrNeedInfo.Code || next == "" {
		t.Blockf("the first request was not answered with need_info and a ticket (%s)", told(x))
	}
	g := t.Gather(c, next, conformance.Bob, conformance.GatherOptions{})
	if g.Ticket == "" {
		t.Blockf("the interaction gave no ticket (%s)", g.Told())
	}
	rpt := token(t, t.Redeem(c, g.Ticket, url.Values{"scope": {late}}))
	for _, over := range beyond(t.Permissions(alicePAT(t), rpt), map[string][]string{r.ID: {usual, late}}) {
		t.Errorf("the latest request asked for %s alone, and the RPT has more: %s", late, over)
	}
}

// album builds the example at the end of Grant §3.3.4, with scopes that the profile knows.
func album(t *conformance.T) {
	download, view := requestable(t)
	edit := t.Env().Scopes(2)[1]
	photo1 := t.Resource(conformance.Alice, conformance.RS1, view, download)
	photo2 := t.Resource(conformance.Alice, conformance.RS1, view, download)
	whole := t.Resource(conformance.Alice, conformance.RS1, view, edit, download)
	t.Permit(conformance.PolicySpec{Resource: photo1, Scopes: []string{view}, Party: conformance.Bob})
	ticket := t.Ticket(conformance.Alice, conformance.RS1, whole.Permission(edit), photo1.Permission(view), photo2.Permission(view))
	x := t.Obtain(c1(t), ticket, conformance.Bob, url.Values{"scope": {download}})
	wantAtMost(t, x, map[string][]string{photo1.ID: {view}})
}
