package grant

import (
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// interactionResult checks the way back to the client, Grant §3.3.3.
func interactionResult() []check {
	needs := []need{conformance.NeedGather}
	return []check{
		{
			ID: "grant.redirect-back.ticket", Level: must, Covers: []string{"G-053", "G-206"}, Needs: needs, Run: ticketBack,
			Title: "After the interaction the client gets a ticket at its claims redirect URI",
		},
		{
			ID: "grant.redirect-back.ticket-rotates", Level: must, Covers: []string{"G-054"}, Needs: needs, Run: ticketBackRotates,
			Title: "The ticket that comes back is another one than was sent",
		},
		{
			ID: "grant.redirect-back.ticket-works", Level: must, Covers: []string{"G-053"}, Needs: needs, Run: ticketBackWorks,
			Title: "The ticket that comes back continues the process at the token endpoint",
		},
		{
			ID: "grant.redirect-back.state", Level: must, Covers: []string{"G-052", "G-055"}, Needs: needs, Run: stateBack,
			Title: "The state comes back byte for byte",
		},
		{
			ID: "grant.redirect-back.no-state", Level: must, Covers: []string{"G-052", "G-055"}, Needs: needs, Run: noStateBack,
			Title: "Where no state was sent, none comes back",
		},
		{
			ID: "grant.redirect-back.nothing-gathered", Level: must, Covers: []string{"G-056", "G-116", "G-118"}, Needs: needs, Run: nothingGathered,
			Title: "Nothing that was gathered, and no token, travels with the redirect",
		},
		{
			ID: "grant.redirect-back.declined", Level: must, Covers: []string{"G-061"}, Needs: needs, Run: declined,
			Title: "When the requesting party declines, the client is told access_denied with its state",
		},
		{
			ID: "grant.redirect-back.referrer", Level: should, Covers: []string{"G-107"}, Needs: needs, Run: referrer,
			Title: "Pages whose address holds a ticket do not tell it to other sites",
		},
	}
}

// gathers takes Bob through the interaction with C1.
func gathers(t *conformance.T, o conformance.GatherOptions) (sent string, g conformance.Gathered) {
	_, sent = fresh(t)
	g = t.Gather(c1(t), sent, conformance.Bob, o)
	if g.Redirect == nil {
		t.Blockf("the requesting party was not sent back (%s)", g.Told())
	}
	return sent, g
}

func ticketBack(t *conformance.T) {
	if _, g := gathers(t, conformance.GatherOptions{}); g.Ticket == "" {
		t.Errorf("no ticket came back (%s)", g.Told())
	}
}

func ticketBackRotates(t *conformance.T) {
	if sent, g := gathers(t, conformance.GatherOptions{}); g.Ticket == sent {
		t.Errorf("the ticket that was sent came back")
	}
}

func ticketBackWorks(t *conformance.T) {
	sent, g := gathers(t, conformance.GatherOptions{})
	if g.Ticket == "" || g.Ticket == sent {
		t.Blockf("no new ticket came back")
	}
	if x := t.Redeem(c1(t), g.Ticket, nil); !assessed(x) {
		t.Errorf("the ticket that came back was not accepted (%s)", told(x))
	}
}

func stateBack(t *conformance.T) {
	for _, state := range []string{"abc", "a b+c%20d&e=f/g?h#i~ä€😀\"<>", strings.Repeat("x", 500)} {
		_, g := gathers(t, conformance.GatherOptions{State: state})
		if got := g.Redirect.Query()["state"]; !slices.Equal(got, []string{state}) {
			t.Errorf("sent state %q, got %q", state, got)
		}
	}
}

func noStateBack(t *conformance.T) {
	_, g := gathers(t, conformance.GatherOptions{State: conformance.NoState})
	if q := g.Redirect.Query(); q.Has("state") {
		t.Errorf("no state was sent, and %q came back", q.Get("state"))
	}
}

// nothingGathered allows what defines itself: ticket, state, the issuer of RFC 9207 and what was in the registered URI.
func nothingGathered(t *conformance.T) {
	_, g := gathers(t, conformance.GatherOptions{State: "s-1", RedirectURI: withoutQuery(t, c1(t))})
	bob := t.Party(conformance.Bob)
	for name, values := range g.Redirect.Query() {
		switch name {
		case "ticket", "state", "iss":
			continue
		case "access_token", "rpt", "pct", "id_token", "refresh_token", "claims", "claim_token":
			t.Errorf("the redirect has %s", name)
		}
		for _, v := range values {
			wantOpaque(t, "the parameter "+name, v, bob.Login, bob.Email, bob.Sub)
		}
	}
	if g.Redirect.Fragment != "" {
		t.Errorf("the redirect has a fragment")
	}
	wantOpaque(t, "the ticket", g.Ticket, bob.Login, bob.Email, bob.Sub)
}

func declined(t *conformance.T) {
	_, ticket := fresh(t)
	g := t.Gather(c1(t), ticket, conformance.Bob, conformance.GatherOptions{Cancel: true, State: "s-2"})
	if g.Redirect == nil {
		t.Skipf("the profile does not say how a requesting party declines (pages with for: cancel), or the server offers no way")
	}
	want := url.Values{"error": {"access_denied"}, "state": {"s-2"}}
	for name := range want {
		if got := g.Redirect.Query().Get(name); got != want.Get(name) {
			t.Errorf("want %s=%s, got %q", name, want.Get(name), got)
		}
	}
	if g.Ticket != "" {
		t.Errorf("a ticket came back although she declined")
	}
}

// referrer: a ticket in the address of a page must not leave with the Referer header (RFC 9700 §4.2.4).
func referrer(t *conformance.T) {
	_, ticket := fresh(t)
	p := t.NewBrowser().Open(claimsRequest(t, c1(t), ticket, nil))
	policy := strings.ToLower(p.Exchange.Header.Get("Referrer-Policy"))
	if !strings.Contains(p.URL.RawQuery, url.QueryEscape(ticket)) {
		t.Logf("the page's address does not hold the ticket")
		return
	}
	if policy != "no-referrer" && policy != "same-origin" && policy != "origin" && policy != "strict-origin" &&
		policy != "strict-origin-when-cross-origin" && policy != "origin-when-cross-origin" {
		t.Errorf("the page's address holds the ticket, and Referrer-Policy is %q", policy)
	}
}
