package grant

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// tickets checks the management of permission tickets, Grant §5.4 and §5.5.
func tickets() []check {
	gather := []need{conformance.NeedGather}
	granted := []need{conformance.NeedPolicy, conformance.NeedParty}
	asks := []need{conformance.NeedSubmitted, conformance.NeedParty}
	return []check{
		{
			ID: "grant.tickets.unknown", Level: must, Covers: []string{"G-083"}, Run: unknownTicket,
			Title: "An unknown ticket is invalid_grant",
		},
		{
			ID: "grant.tickets.garbage", Level: must, Covers: []string{"G-083", "G-121"}, Run: garbageTickets,
			Title: "A ticket cut, lengthened, changed or of foreign text is invalid_grant",
		},
		{
			ID: "grant.tickets.expired", Level: must, Covers: []string{"G-083", "G-124"}, Serial: true, Run: expiredTicket,
			Title: "An expired ticket is invalid_grant",
		},
		{
			ID: "grant.tickets.single-use", Level: must, Covers: []string{"G-123", "G-124"}, Needs: granted, Run: deadAfterSuccess,
			Title: "A ticket that gave an RPT gives no second one",
		},
		{
			ID: "grant.tickets.race", Level: must, Covers: []string{"G-123"}, Serial: true, Run: race,
			Title: "Of 50 presentations of one ticket at the same moment one gets past invalid_grant",
		},
		{
			ID: "grant.tickets.race-success", Level: must, Covers: []string{"G-123"}, Serial: true, Run: raceSuccess,
			Needs: append([]need{conformance.NeedGather}, granted...),
			Title: "Of 50 presentations of a ticket that is good for an RPT one gets it",
		},
		{
			ID: "grant.tickets.dead-after-need-info", Level: must, Covers: []string{"G-024", "G-089", "G-124"}, Run: deadAfterNeedInfo,
			Title: "A ticket that was answered with need_info is dead",
		},
		{
			ID: "grant.tickets.dead-after-invalid-scope", Level: must, Covers: []string{"G-124"}, Run: deadAfterInvalidScope,
			Title: "A ticket that was answered with invalid_scope is dead",
		},
		{
			ID: "grant.tickets.dead-after-denial", Level: must, Covers: []string{"G-124"}, Run: deadAfterDenial,
			Needs: []need{conformance.NeedSubmitted, conformance.NeedParty, conformance.NeedApproval},
			Title: "A ticket that was answered with request_denied is dead",
		},
		{
			ID: "grant.tickets.dead-after-submission", Level: must, Covers: []string{"G-094", "G-124"}, Needs: asks, Run: deadAfterSubmission,
			Title: "A ticket that was polled with is dead",
		},
		{
			ID: "grant.tickets.claims-then-token", Level: must, Covers: []string{"G-054", "G-124"}, Needs: gather, Run: claimsThenToken,
			Title: "A ticket presented at the claims interaction endpoint is dead at the token endpoint",
		},
		{
			ID: "grant.tickets.token-then-claims", Level: must, Covers: []string{"G-041", "G-124"}, Needs: gather, Run: tokenThenClaims,
			Title: "A ticket presented at the token endpoint is dead at the claims interaction endpoint",
		},
		{
			ID: "grant.tickets.claims-twice", Level: must, Covers: []string{"G-041", "G-124"}, Needs: gather, Run: claimsTwice,
			Title: "A ticket presented at the claims interaction endpoint is dead there, too",
		},
		{
			ID: "grant.tickets.foreign-client", Level: should, Covers: []string{"G-083"}, Needs: []need{conformance.NeedSecondClient}, Run: foreignClient,
			Title: "The next ticket of a process is good for the client that is in it, and for no other",
		},
		{
			ID: "grant.tickets.unguessable", Level: must, Covers: []string{"G-121", "G-122"}, Run: unguessableTickets,
			Title: "Tickets hold at least 128 unpredictable bits: none repeats, and every bit counted changes",
		},
		{
			ID: "grant.tickets.opaque", Level: should, Covers: []string{"G-007"}, Run: opaqueTickets,
			Title: "A ticket tells its holder neither resource nor scope",
		},
	}
}

// dead judges that a ticket is good for nothing any more at the token endpoint.
func dead(t *conformance.T, ticket, after string) {
	if x := t.Redeem(c1(t), ticket, nil); x.Status != http.StatusBadRequest || x.OAuthError() != uma.ErrInvalidGrant.Code {
		t.Errorf("presented again after %s: want 400 invalid_grant, got %d (%s)", after, x.Status, told(x))
	}
}

func unknownTicket(t *conformance.T) {
	x := t.Redeem(c1(t), "00000000-f9b9-11e0-bd6f-0021cc6004de", nil)
	wantError(t, x, http.StatusBadRequest, uma.ErrInvalidGrant.Code)
}

func garbageTickets(t *conformance.T) {
	_, ticket := fresh(t)
	last := "A"
	if strings.HasSuffix(ticket, last) {
		last = "B"
	}
	for name, bad := range map[string]string{
		"cut by one": ticket[:len(ticket)-1], "cut to half": ticket[:len(ticket)/2], "lengthened": ticket + "A",
		"with its last character changed": ticket[:len(ticket)-1] + last, "turned around": reversed(ticket),
		"of other letters": "ä ö ü % ' \" < >", "of 5000 characters": strings.Repeat("A", 5000),
	} {
		x := t.Redeem(c1(t), bad, nil)
		if x.Status != http.StatusBadRequest || x.OAuthError() != uma.ErrInvalidGrant.Code && x.OAuthError() != uma.ErrInvalidRequest.Code {
			t.Errorf("a ticket %s: want 400 invalid_grant, got %d (%s)", name, x.Status, told(x))
		}
	}
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func expiredTicket(t *conformance.T) {
	life := t.Env().Profile.Lifetimes.Ticket.Duration()
	if life <= 0 {
		t.Skipf("the profile does not say how long a ticket lives (lifetimes: ticket)")
	}
	_, ticket := fresh(t)
	t.Wait(life+life/10, "a ticket to expire")
	wantError(t, t.Redeem(c1(t), ticket, nil), http.StatusBadRequest, uma.ErrInvalidGrant.Code)
}

func deadAfterSuccess(t *conformance.T) {
	_, ticket := shared(t)
	ready := ticketFor(t, ticket, conformance.Bob)
	first := t.Redeem(c1(t), ready, nil)
	token(t, first)
	dead(t, ready, "it gave an RPT")
}

// ticketFor carries a ticket to where its next presentation is decided for a party: through the claims interaction
// endpoint where there is one.
func ticketFor(t *conformance.T, ticket, party string) string {
	if t.Env().Missing(conformance.NeedGather) != "" {
		return ticket // the client itself, or what it pushes, is the party
	}
	g := t.Gather(c1(t), ticket, party, conformance.GatherOptions{})
	if g.Ticket == "" {
		t.Blockf("the claims interaction ended without a ticket")
	}
	return g.Ticket
}

// presentations is how many clients of a race there are.
const presentations = 50

// raced presents one ticket many times at the same moment.
func raced(t *conformance.T, c conformance.Client, ticket string) []*exchange {
	out := make([]*exchange, presentations)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range out {
		all.Add(1)
		go func() {
			defer all.Done()
			<-start
			out[i] = t.Redeem(c, ticket, nil)
		}()
	}
	close(start)
	all.Wait()
	return out
}

func race(t *conformance.T) {
	ticket := asked(t, t.Resource(conformance.Alice, conformance.RS1, t.Env().Scopes(3)...))
	past := 0
	for _, x := range raced(t, c1(t), ticket) {
		switch {
		case assessed(x):
			past++
		case x.OAuthError() == uma.ErrInvalidGrant.Code, x.Status == http.StatusTooManyRequests, x.Status == http.StatusServiceUnavailable:
		default:
			t.Errorf("a presentation was answered %d (%s)", x.Status, told(x))
		}
	}
	if past != 1 {
		t.Errorf("%d of %d presentations of one ticket were assessed: want 1", past, presentations)
	}
}

func raceSuccess(t *conformance.T) {
	_, ticket := shared(t)
	ready := ticketFor(t, ticket, conformance.Bob)
	won := map[string]bool{}
	for _, x := range raced(t, c1(t), ready) {
		if rpt := x.Text("access_token"); rpt != "" {
			won[rpt] = true
		}
	}
	switch len(won) {
	case 1:
	case 0:
		t.Blockf("none of %d presentations got an RPT", presentations)
	default:
		t.Errorf("one ticket gave %d RPTs", len(won))
	}
}

func deadAfterNeedInfo(t *conformance.T) {
	ticket, _ := firstNeedInfo(t, c1(t))
	dead(t, ticket, "need_info")
}

func deadAfterInvalidScope(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Redeem(c1(t), ticket, url.Values{"scope": {noScope}})
	if x.OAuthError() != uma.ErrInvalidScope.Code {
		t.Blockf("a scope that no resource has was not answered with invalid_scope (%s)", told(x))
	}
	dead(t, ticket, "invalid_scope")
}

func deadAfterDenial(t *conformance.T) {
	r, x := firstSubmitted(t)
	t.Answer(conformance.Alice, conformance.Deny, r)
	ticket := pollWith(t, x)
	if second := t.Redeem(c1(t), ticket, nil); second.OAuthError() != uma.ErrRequestDenied.Code {
		t.Blockf("after the owner's denial the poll was not answered with request_denied (%s)", told(second))
	}
	dead(t, ticket, "request_denied")
}

func deadAfterSubmission(t *conformance.T) {
	_, x := firstSubmitted(t)
	ticket := pollWith(t, x)
	if second := t.Redeem(c1(t), ticket, nil); second.OAuthError() != uma.ErrRequestSubmitted.Code {
		t.Blockf("the poll was not answered with request_submitted (%s)", told(second))
	}
	dead(t, ticket, "request_submitted")
}

func claimsThenToken(t *conformance.T) {
	_, ticket := fresh(t)
	t.NewBrowser().Open(claimsRequest(t, c1(t), ticket, nil))
	dead(t, ticket, "it was presented at the claims interaction endpoint")
}

func tokenThenClaims(t *conformance.T) {
	_, ticket := fresh(t)
	if x := t.Redeem(c1(t), ticket, nil); !assessed(x) {
		t.Blockf("the ticket was not accepted at the token endpoint (%s)", told(x))
	}
	wantDeadAtClaims(t, t.NewBrowser().Open(claimsRequest(t, c1(t), ticket, nil)), "the token endpoint")
}

func claimsTwice(t *conformance.T) {
	_, ticket := fresh(t)
	t.NewBrowser().Open(claimsRequest(t, c1(t), ticket, nil))
	wantDeadAtClaims(t, t.NewBrowser().Open(claimsRequest(t, c1(t), ticket, nil)), "the same endpoint")
}

// wantDeadAtClaims judges that nobody is led further with a used ticket: an error by redirect, or an error page.
func wantDeadAtClaims(t *conformance.T, p *conformance.Page, before string) {
	switch {
	case p.Left != nil && p.Left.Query().Get("error") == "":
		t.Errorf("a ticket used at %s led back to the client without an error: %s", before, p.Left)
	case p.Left == nil && p.Exchange.Status < 400:
		t.Errorf("a ticket used at %s was met with a page of status %d", before, p.Exchange.Status)
	}
}

func foreignClient(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	next := x.Text("ticket")
	if next == "" {
		t.Blockf("need_info came without a ticket")
	}
	wantError(t, t.Redeem(t.Client(conformance.C2), next, nil), http.StatusBadRequest, uma.ErrInvalidGrant.Code)
}

func unguessableTickets(t *conformance.T) {
	r := t.Resource(conformance.Alice, conformance.RS1)
	sample := make([]string, samples)
	for i := range sample {
		sample[i] = t.Ticket(conformance.Alice, conformance.RS1, r.Permission(r.Scopes[0]))
	}
	wantUnguessable(t, "tickets", sample)
}

func opaqueTickets(t *conformance.T) {
	r, ticket := fresh(t)
	wantOpaque(t, "the ticket", ticket, r.ID, r.Scopes[0], r.Name)
}
