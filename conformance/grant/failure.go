package grant

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// needInfo checks the answer need_info, Grant §3.3.6.
func needInfo() []check {
	return []check{
		{
			ID: "grant.need-info.status", Level: must, Covers: []string{"G-086", "G-137"}, Run: needInfoStatus,
			Title: "need_info comes with status 403 as a JSON object",
		},
		{
			ID: "grant.need-info.no-store", Level: must, Covers: []string{"G-039", "G-086"}, Run: needInfoNoStore,
			Title: "need_info is not to be stored: it carries a ticket",
		},
		{
			ID: "grant.need-info.ticket", Level: must, Covers: []string{"G-087", "G-008"}, Run: needInfoTicket,
			Title: "need_info has a ticket",
		},
		{
			ID: "grant.need-info.ticket-rotates", Level: must, Covers: []string{"G-089"}, Run: needInfoRotates,
			Title: "The ticket of need_info is another one than was sent",
		},
		{
			ID: "grant.need-info.ticket-works", Level: must, Covers: []string{"G-087"}, Run: needInfoTicketWorks,
			Title: "The ticket of need_info continues the process at the token endpoint, at once",
		},
		{
			ID: "grant.need-info.hints", Level: must, Covers: []string{"G-088", "G-137"}, Run: needInfoHints,
			Title: "need_info says what is needed: required_claims, redirect_user or both",
		},
		{
			ID: "grant.need-info.required-claims", Level: must, Covers: []string{"G-088", "G-090"}, Run: requiredClaims,
			Title: "required_claims is an array of objects whose members have the types the Recommendation gives them",
		},
		{
			ID: "grant.need-info.redirect-user", Level: must, Covers: []string{"G-091"}, Run: redirectUser,
			Title: "redirect_user is an absolute URI without fragment",
		},
		{
			ID: "grant.need-info.redirect-user-works", Level: must, Covers: []string{"G-013", "G-091"}, Run: redirectUserWorks,
			Needs: []need{conformance.NeedGather},
			Title: "The requesting party can be sent to redirect_user, its query kept, and comes back with a ticket",
		},
	}
}

func needInfoStatus(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	if x.Status != http.StatusForbidden {
		t.Errorf("want status 403, got %d", x.Status)
	}
	if x.MediaType() != "application/json" {
		t.Errorf("want Content-Type application/json, got %q", x.Header.Get("Content-Type"))
	}
}

func needInfoNoStore(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	wantNoStore(t, x)
}

// wantNoStore: RFC 6749 §5.1, §5.2.
func wantNoStore(t *conformance.T, x *exchange) {
	if !strings.Contains(strings.ToLower(strings.Join(x.Header.Values("Cache-Control"), ",")), "no-store") {
		t.Errorf("want Cache-Control: no-store, got %q", x.Header.Values("Cache-Control"))
	}
}

func needInfoTicket(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	if x.Text("ticket") == "" {
		t.Errorf("need_info without a ticket")
	}
}

func needInfoRotates(t *conformance.T) {
	sent, x := firstNeedInfo(t, c1(t))
	if x.Text("ticket") == sent {
		t.Errorf("need_info repeats the ticket that was sent")
	}
}

func needInfoTicketWorks(t *conformance.T) {
	sent, x := firstNeedInfo(t, c1(t))
	next := x.Text("ticket")
	if next == "" || next == sent {
		t.Blockf("need_info came without a new ticket")
	}
	if again := t.Redeem(c1(t), next, nil); !assessed(again) {
		t.Errorf("the new ticket was not accepted (%s)", told(again))
	}
}

func needInfoHints(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	body := x.JSON(t)
	_, claims := body["required_claims"]
	_, redirect := body["redirect_user"]
	if !claims && !redirect {
		t.Errorf("need_info has neither required_claims nor redirect_user")
	}
}

func requiredClaims(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	v, present := x.JSON(t)["required_claims"]
	if !present {
		t.Skipf("not offered: need_info came without required_claims")
	}
	list, ok := v.([]any)
	if !ok {
		t.Fatalf("required_claims is no array")
	}
	for i, e := range list {
		claim, ok := e.(map[string]any)
		if !ok {
			t.Errorf("required_claims[%d] is no object", i)
			continue
		}
		for _, name := range []string{"claim_token_format", "issuer"} {
			if v, present := claim[name]; present {
				if _, ok := texts(v); !ok {
					t.Errorf("required_claims[%d]: %s is no array of strings", i, name)
				}
			}
		}
		for _, name := range []string{"claim_type", "friendly_name", "name"} {
			if v, present := claim[name]; present {
				if _, ok := v.(string); !ok {
					t.Errorf("required_claims[%d]: %s is no string", i, name)
				}
			}
		}
	}
}

// sentTo is redirect_user of an answer; skips when there is none.
func sentTo(t *conformance.T, x *exchange) string {
	v, present := x.JSON(t)["redirect_user"]
	if !present {
		t.Skipf("not offered: need_info came without redirect_user")
	}
	s, _ := v.(string)
	return s
}

func redirectUser(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	if s := sentTo(t, x); !absolute(s) || strings.Contains(s, "#") {
		t.Errorf("redirect_user %q is no absolute URI without fragment", s)
	}
}

func redirectUserWorks(t *conformance.T) {
	sent, x := firstNeedInfo(t, c1(t))
	start, next := sentTo(t, x), x.Text("ticket")
	if !absolute(start) || strings.Contains(start, "#") || next == "" || next == sent {
		t.Blockf("need_info came without a new ticket, or redirect_user is no absolute URI")
	}
	g := t.Gather(c1(t), next, conformance.Bob, conformance.GatherOptions{Start: start})
	if g.Redirect == nil || g.Redirect.Query().Get("error") != "" {
		t.Errorf("the requesting party was not led back from redirect_user")
	}
}

// otherErrors checks invalid_grant and invalid_scope, Grant §3.3.6.
func otherErrors() []check {
	return []check{
		{
			ID: "grant.errors.invalid-grant-ends", Level: must, Covers: []string{"G-008"}, Run: invalidGrantEnds,
			Title: "invalid_grant carries no ticket",
		},
		{
			ID: "grant.errors.invalid-scope", Level: must, Covers: []string{"G-084"}, Run: invalidScope,
			Title: "A scope that no resource of the ticket has is invalid_scope",
		},
		{
			ID: "grant.errors.invalid-scope-ends", Level: must, Covers: []string{"G-008"}, Run: invalidScopeEnds,
			Title: "invalid_scope carries no ticket",
		},
		{
			ID: "grant.errors.no-store", Level: should, Covers: []string{"G-039", "G-083", "G-203"}, Run: errorsNotStored,
			Title: "An error of the token endpoint is not to be stored",
		},
		{
			ID: "grant.errors.json", Level: must, Covers: []string{"G-039", "G-083", "G-203"}, Run: errorsAreJSON,
			Title: "An error of the token endpoint is a JSON object",
		},
	}
}

// noScope is registered with no resource of the suite.
const noScope = "umaas-conformance-no-such-scope"

func invalidGrantEnds(t *conformance.T) {
	x := t.Redeem(c1(t), "00000000-f9b9-11e0-bd6f-0021cc6004de", nil)
	if _, present := x.JSON(t)["ticket"]; present {
		t.Errorf("an answer that ends the process (%s) carries a ticket", told(x))
	}
}

// invalidScope: where the client asks for a scope it is not registered for, the same code is allowed (Grant §3.3.6), so any
// client will do.
func invalidScope(t *conformance.T) {
	_, ticket := fresh(t)
	wantError(t, t.Redeem(c1(t), ticket, url.Values{"scope": {noScope}}), http.StatusBadRequest, uma.ErrInvalidScope.Code)
}

func invalidScopeEnds(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Redeem(c1(t), ticket, url.Values{"scope": {noScope}})
	if x.OAuthError() != uma.ErrInvalidScope.Code {
		t.Blockf("a scope that no resource has was not answered with invalid_scope (%s)", told(x))
	}
	if x.Text("ticket") != "" {
		t.Errorf("an answer that ends the process (%s) carries a ticket", told(x))
	}
}

func errorsNotStored(t *conformance.T) {
	wantNoStore(t, t.Redeem(c1(t), "00000000-f9b9-11e0-bd6f-0021cc6004de", nil))
}

func errorsAreJSON(t *conformance.T) {
	x := t.Redeem(c1(t), "00000000-f9b9-11e0-bd6f-0021cc6004de", nil)
	if x.MediaType() != "application/json" {
		t.Errorf("want Content-Type application/json, got %q", x.Header.Get("Content-Type"))
	}
}
