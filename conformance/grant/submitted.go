package grant

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// denied checks the answer request_denied, Grant §3.3.6.
func denied() []check {
	asks := []need{conformance.NeedParty, conformance.NeedSubmitted, conformance.NeedApproval}
	return []check{
		{
			ID: "grant.denied.code", Level: must, Covers: []string{"G-086", "G-092", "G-093", "G-137"}, Run: deniedCode,
			Needs: []need{conformance.NeedParty},
			Title: "Who may not have access is told need_info, request_denied or request_submitted",
		},
		{
			ID: "grant.denied.status", Level: must, Covers: []string{"G-092"}, Needs: asks, Run: deniedStatus,
			Title: "request_denied comes with status 403",
		},
		{
			ID: "grant.denied.no-ticket", Level: must, Covers: []string{"G-008", "G-092"}, Needs: asks, Run: deniedNoTicket,
			Title: "request_denied ends the process: it carries no ticket",
		},
		{
			ID: "grant.denied.by-owner", Level: must, Covers: []string{"G-092", "G-095"}, Needs: asks, Run: deniedByOwner,
			Title: "Once the owner has denied a submitted request, the poll is answered with request_denied",
		},
	}
}

func deniedCode(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Obtain(c1(t), ticket, conformance.Dave, nil)
	codes := []string{uma.ErrNeedInfo.Code, uma.ErrRequestDenied.Code, uma.ErrRequestSubmitted.Code}
	if slices.Contains(protocolErrors, x.OAuthError()) {
		t.Blockf("the request was not assessed (%s)", told(x))
	}
	if x.Text("access_token") == "" && !slices.Contains(codes, x.OAuthError()) {
		t.Errorf("want one of %q, got %d (%s)", codes, x.Status, told(x))
	}
}

// afterDenial is the answer to the poll that follows the owner's denial.
func afterDenial(t *conformance.T) *exchange {
	r, x := firstSubmitted(t)
	t.Answer(conformance.Alice, conformance.Deny, r)
	return t.Redeem(c1(t), pollWith(t, x), nil)
}

// firstDenied is an answer request_denied.
func firstDenied(t *conformance.T) *exchange {
	x := afterDenial(t)
	if x.OAuthError() != uma.ErrRequestDenied.Code {
		t.Blockf("request_denied was not observed (%s)", told(x))
	}
	return x
}

func deniedStatus(t *conformance.T) {
	if x := firstDenied(t); x.Status != http.StatusForbidden {
		t.Errorf("want status 403, got %d", x.Status)
	}
}

func deniedNoTicket(t *conformance.T) {
	if _, present := firstDenied(t).JSON(t)["ticket"]; present {
		t.Errorf("request_denied carries a ticket")
	}
}

func deniedByOwner(t *conformance.T) {
	if x := afterDenial(t); x.OAuthError() != uma.ErrRequestDenied.Code {
		t.Errorf("want request_denied, got %d (%s)", x.Status, told(x))
	}
}

// submitted checks the answer request_submitted and polling, Grant §3.3.6.
func submitted() []check {
	asks := []need{conformance.NeedParty, conformance.NeedSubmitted}
	answered := []need{conformance.NeedParty, conformance.NeedSubmitted, conformance.NeedApproval}
	return []check{
		{
			ID: "grant.submitted.status", Level: must, Covers: []string{"G-093", "G-137"}, Needs: asks, Run: submittedStatus,
			Title: "request_submitted comes with status 403",
		},
		{
			ID: "grant.submitted.ticket", Level: must, Covers: []string{"G-008", "G-094"}, Needs: asks, Run: submittedTicket,
			Title: "request_submitted has a ticket",
		},
		{
			ID: "grant.submitted.ticket-rotates", Level: must, Covers: []string{"G-094"}, Needs: asks, Run: submittedRotates,
			Title: "Each poll that still waits is answered with another ticket than was sent",
		},
		{
			ID: "grant.submitted.interval", Level: should, Covers: []string{"G-095"}, Needs: asks, Run: submittedInterval,
			Title: "interval, where present, is a number of seconds",
		},
		{
			ID: "grant.submitted.outlives-interval", Level: should, Covers: []string{"G-127"}, Serial: true, Needs: asks, Run: outlivesInterval,
			Title: "The ticket of request_submitted is still good when the interval is over",
		},
		{
			ID: "grant.submitted.no-store", Level: must, Covers: []string{"G-039", "G-093"}, Needs: asks, Run: submittedNoStore,
			Title: "request_submitted is not to be stored: it carries a ticket",
		},
		{
			ID: "grant.submitted.approved", Level: must, Covers: []string{"G-093", "G-094", "G-095"}, Needs: answered, Run: submittedApproved,
			Title: "Once the owner has approved, the poll is answered with an RPT that has what was asked",
		},
		{
			ID: "grant.submitted.approved-in-part", Level: must, Covers: []string{"G-065"}, Needs: answered, Run: approvedInPart,
			Title: "An approval of less than was asked never gives more",
		},
	}
}

func submittedStatus(t *conformance.T) {
	if _, x := firstSubmitted(t); x.Status != http.StatusForbidden {
		t.Errorf("want status 403, got %d", x.Status)
	}
}

func submittedTicket(t *conformance.T) {
	if _, x := firstSubmitted(t); x.Text("ticket") == "" {
		t.Errorf("request_submitted without a ticket")
	}
}

func submittedNoStore(t *conformance.T) {
	_, x := firstSubmitted(t)
	wantNoStore(t, x)
}

func submittedRotates(t *conformance.T) {
	_, x := firstSubmitted(t)
	sent := pollWith(t, x)
	for range 3 {
		if x = t.Redeem(c1(t), sent, nil); x.OAuthError() != uma.ErrRequestSubmitted.Code {
			t.Blockf("the poll was not answered with request_submitted (%s)", told(x))
		}
		if x.Text("ticket") == sent {
			t.Fatalf("the poll was answered with the ticket that was sent")
		}
		sent = x.Text("ticket")
	}
}

// pollWith is the ticket to poll with.
func pollWith(t *conformance.T, x *exchange) string {
	ticket := x.Text("ticket")
	if ticket == "" {
		t.Blockf("request_submitted came without a ticket")
	}
	return ticket
}

// intervalOf reads interval; ok is false for what is no number of whole seconds.
func intervalOf(x *exchange) (seconds time.Duration, present, ok bool) {
	var body map[string]json.RawMessage
	if err := json.Unmarshal(x.Body, &body); err != nil {
		return 0, false, false
	}
	raw, present := body["interval"]
	if !present {
		return 0, false, true
	}
	var n float64
	if err := json.Unmarshal(raw, &n); err != nil || n < 0 || n != math.Trunc(n) || n > 1<<31 {
		return 0, true, false
	}
	return time.Duration(n) * time.Second, true, true
}

func submittedInterval(t *conformance.T) {
	_, x := firstSubmitted(t)
	_, present, ok := intervalOf(x)
	switch {
	case !ok:
		t.Errorf("interval is no number of seconds: %s", x.Body)
	case !present:
		t.Skipf("not offered: request_submitted came without interval")
	}
}

// outlivesInterval polls after the interval, or after a moment where the server names none.
func outlivesInterval(t *conformance.T) {
	_, x := firstSubmitted(t)
	pause, _, ok := intervalOf(x)
	if !ok {
		t.Blockf("interval is no number of seconds")
	}
	t.Wait(pause+pause/5, "the interval between polls")
	if again := t.Redeem(c1(t), pollWith(t, x), nil); !assessed(again) {
		t.Errorf("the poll after the interval of %s was refused (%s)", pause, told(again))
	}
}

func submittedApproved(t *conformance.T) {
	r, x := firstSubmitted(t)
	t.Answer(conformance.Alice, conformance.Approve, r)
	next := t.Redeem(c1(t), pollWith(t, x), nil)
	rpt := next.Text("access_token")
	if rpt == "" {
		t.Fatalf("want an RPT, got %d (%s)", next.Status, told(next))
	}
	t.Require(conformance.NeedIntrospection)
	wantPermissions(t, t.Permissions(alicePAT(t), rpt), map[string][]string{r.ID: r.Scopes[:1]})
}

func approvedInPart(t *conformance.T) {
	t.Require(conformance.NeedIntrospection)
	r := t.Resource(conformance.Alice, conformance.RS1)
	x := t.Obtain(c1(t), asked(t, r), conformance.Bob, nil)
	if x.OAuthError() != uma.ErrRequestSubmitted.Code {
		t.Blockf("a request that no policy answers did not lead to request_submitted (%s)", told(x))
	}
	t.Answer(conformance.Alice, conformance.Approve, r, r.Scopes[0])
	x = t.Redeem(c1(t), pollWith(t, x), nil)
	rpt := x.Text("access_token")
	if rpt == "" {
		t.Skipf("the server gives nothing when the owner approves a part (%s); it may", told(x))
	}
	for _, over := range beyond(t.Permissions(alicePAT(t), rpt), map[string][]string{r.ID: r.Scopes[:1]}) {
		t.Errorf("the RPT has more than the owner approved: %s", over)
	}
}
