package grant

import (
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// interactionRequest checks the request at the claims interaction endpoint, Grant §3.3.2 and the end of §3.3.3.
func interactionRequest() []check {
	needs := []need{conformance.NeedGather}
	return []check{
		{
			ID: "grant.interaction.client-missing", Level: must, Covers: []string{"G-040", "G-060"}, Needs: needs, Run: clientMissing,
			Title: "Without client_id nobody is redirected",
		},
		{
			ID: "grant.interaction.client-unknown", Level: must, Covers: []string{"G-040", "G-060"}, Needs: needs, Run: clientUnknown,
			Title: "With an unknown client_id nobody is redirected",
		},
		{
			ID: "grant.interaction.person-informed", Level: should, Covers: []string{"G-059"}, Needs: needs, Run: personInformed,
			Title: "The requesting party is told of a wrong client or claims redirect URI on a page that is an error by status",
		},
		{
			ID: "grant.interaction.ticket-missing", Level: must, Covers: []string{"G-041", "G-061"}, Needs: needs, Run: interactionTicketMissing,
			Title: "Without ticket the client is told by the parameter error at its claims redirect URI",
		},
		{
			ID: "grant.interaction.ticket-unknown", Level: must, Covers: []string{"G-041", "G-061"}, Needs: needs, Run: interactionTicketUnknown,
			Title: "With an unknown ticket the client is told by the parameter error at its claims redirect URI",
		},
		{
			ID: "grant.interaction.error-state", Level: must, Covers: []string{"G-055", "G-061"}, Needs: needs, Run: errorState,
			Title: "An error that travels by redirect brings the state back",
		},
		{
			ID: "grant.interaction.foreign-ticket", Level: should, Covers: []string{"G-041", "G-083"}, Run: foreignTicketAtClaims,
			Needs: append([]need{conformance.NeedSecondClient}, needs...),
			Title: "A ticket of one client's process is not good for another client at the claims interaction endpoint",
		},
	}
}

// claimsRequest is the address of Grant §3.3.2 with the client's first claims redirect URI; change replaces parameters, nil
// leaves one out.
func claimsRequest(t *conformance.T, c conformance.Client, ticket string, change url.Values) string {
	endpoint := t.Env().Metadata.ClaimsInteractionEndpoint
	u, err := url.Parse(endpoint)
	if endpoint == "" || err != nil {
		t.Skipf("not offered: the discovery document has no usable claims_interaction_endpoint")
	}
	q := u.Query()
	q.Set("client_id", c.ID)
	q.Set("ticket", ticket)
	q.Set("state", "s-1")
	if len(c.ClaimsRedirectURIs) > 0 {
		q.Set("claims_redirect_uri", c.ClaimsRedirectURIs[0])
	}
	for name, values := range change {
		if values == nil {
			q.Del(name)
			continue
		}
		q[name] = slices.Clone(values)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// visits goes to an address as Bob and answers what is asked there, until the browser leaves the server or stops.
func visits(t *conformance.T, target string) *conformance.Page {
	b := t.SignIn(conformance.Bob)
	b.Open(target)
	return b.Drive(t.Party(conformance.Bob), "gather")
}

// wantNotSent judges that a page does not send the browser to an address that nobody registered: no redirect, no refresh,
// no form that posts itself there.
func wantNotSent(t *conformance.T, p *conformance.Page, target, why string) {
	if p.Left != nil {
		t.Errorf("%s: the browser was sent to %s", why, p.Left)
		return
	}
	if kind := strings.ToLower(p.Exchange.Header.Get("Refresh")); kind != "" {
		t.Errorf("%s: the page refreshes itself: %s", why, kind)
	}
	body := strings.ToLower(string(p.Exchange.Body))
	if strings.Contains(body, "http-equiv=\"refresh\"") || strings.Contains(body, "http-equiv=refresh") {
		t.Errorf("%s: the page refreshes itself", why)
	}
	for _, f := range p.Forms {
		if target != "" && strings.HasPrefix(f.Action, target) {
			t.Errorf("%s: a form of the page goes to %s", why, f.Action)
		}
	}
}

func clientMissing(t *conformance.T) {
	_, ticket := fresh(t)
	target := claimsRequest(t, c1(t), ticket, url.Values{"client_id": nil})
	wantNotSent(t, visits(t, target), c1(t).ClaimsRedirectURIs[0], "without client_id")
}

func clientUnknown(t *conformance.T) {
	_, ticket := fresh(t)
	target := claimsRequest(t, c1(t), ticket, url.Values{"client_id": {"umaas-conformance-nobody"}})
	wantNotSent(t, visits(t, target), c1(t).ClaimsRedirectURIs[0], "with an unknown client_id")
}

func personInformed(t *conformance.T) {
	_, ticket := fresh(t)
	for why, change := range map[string]url.Values{
		"an unknown client_id":                {"client_id": {"umaas-conformance-nobody"}},
		"a claims redirect URI of nobody":     {"claims_redirect_uri": {"https://nobody.example/claims"}},
		"no claims redirect URI where needed": {"claims_redirect_uri": nil},
	} {
		p := t.NewBrowser().Open(claimsRequest(t, c1(t), ticket, change))
		if p.Left != nil {
			continue // the matter of grant.claims-redirect-uri
		}
		if p.Exchange.Status < 400 || p.Exchange.Status > 499 || len(p.Text) < 10 {
			t.Errorf("%s: want a page of status 4xx that says so, got status %d with %d characters", why, p.Exchange.Status, len(p.Text))
		}
	}
}

// sentBack is where an erroneous request at the claims interaction endpoint led.
func sentBack(t *conformance.T, change url.Values) *url.URL {
	_, ticket := fresh(t)
	p := visits(t, claimsRequest(t, c1(t), ticket, change))
	if p.Left == nil {
		return nil
	}
	return p.Left
}

// The error codes of RFC 6749 §4.1.2.1.
var redirectErrors = []string{
	"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable",
}

// wantErrorBack judges that an error came to the registered address with a code of RFC 6749 §4.1.2.1.
func wantErrorBack(t *conformance.T, back *url.URL, why string) {
	if back == nil {
		t.Fatalf("%s: the client was not told at its claims redirect URI", why)
	}
	if want, err := url.Parse(c1(t).ClaimsRedirectURIs[0]); err != nil || bare(back) != bare(want) {
		t.Errorf("%s: the browser was sent to %s", why, back)
	}
	if code := back.Query().Get("error"); !slices.Contains(redirectErrors, code) {
		t.Errorf("%s: error is %q: want one of RFC 6749 section 4.1.2.1", why, code)
	}
}

func interactionTicketMissing(t *conformance.T) {
	wantErrorBack(t, sentBack(t, url.Values{"ticket": nil}), "without ticket")
}

func interactionTicketUnknown(t *conformance.T) {
	wantErrorBack(t, sentBack(t, url.Values{"ticket": {"00000000-f9b9-11e0-bd6f-0021cc6004de"}}), "with an unknown ticket")
}

func errorState(t *conformance.T) {
	const state = "s ~/+&=%-ü"
	back := sentBack(t, url.Values{"ticket": {"00000000-f9b9-11e0-bd6f-0021cc6004de"}, "state": {state}})
	if back == nil || back.Query().Get("error") == "" {
		t.Blockf("an unknown ticket was not answered by redirect with an error")
	}
	if got := back.Query().Get("state"); got != state {
		t.Errorf("sent state %q, got %q", state, got)
	}
}

func foreignTicketAtClaims(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	p := visits(t, claimsRequest(t, t.Client(conformance.C2), x.Text("ticket"), nil))
	if p.Left != nil && p.Left.Query().Get("ticket") != "" {
		t.Errorf("a ticket of C1's process led C2 to a new ticket")
	}
}
