package httpapi_test

import (
	"testing"
	"time"
)

// TestSEC_58_AnothersDecisionIsAClaim: what another authorization server decided counts as a statement of a trusted issuer that
// an owner here believes, while it is good, and never widens what she gives. Its access tokens state nothing.
func TestSEC_58_AnothersDecisionIsAClaim(t *testing.T) {
	a := newClaimsAS(t)
	wide := members{"access": members{"permissions": []any{members{"kind": "data", "resource_type": "*", "interactions": []string{"create", "read", "update", "delete", "search"}}}}}
	ask := func() string {
		return a.ticket("patient/Observation.r", "patient/Observation.s", "patient/Condition.r")
	}
	if status, got := a.asSigner(ask(), permTicket, a.referred(wide)); status != 403 || got["error"] != "request_submitted" {
		t.Errorf("without a policy of the owner: %d %v", status, got)
	}
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.r")
	status, got := a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(wide))
	if status != 200 {
		t.Fatalf("with one: %d %v", status, got)
	}
	if p := a.inspect(got["access_token"])["permissions"].([]any); len(p) != 1 || len(p[0].(map[string]any)["resource_scopes"].([]any)) != 1 {
		t.Errorf("wider than the owner's policy: %v", p)
	}
	if status, got := a.asSigner(ask(), permTicket, a.referred(wide)); status != 403 || got["access_token"] != nil {
		t.Errorf("the rest was given without her: %d %v", status, got)
	}
	now := time.Now()
	for name, token := range map[string]string{
		"stale":                     a.referred(wide, members{"exp": now.Add(-time.Second).Unix()}),
		"foreign issuer":            a.referred(wide, members{"iss": "https://as.other.example"}),
		"for somebody else":         a.referred(wide, members{"aud": "https://as.other.example"}),
		"withdrawal cannot be seen": a.referred(wide, members{"revocation": members{"url": a.iss + "/nothing-there", "index": 1}}),
	} {
		if status, got := a.asSigner(a.ticket("patient/Observation.r"), permTicket, token); status != 403 || got["error"] != "need_info" {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	head := members{"alg": "ES256", "typ": "at+jwt", "kid": "e1"}
	access := es256(t, a.ec, head, a.nora(members{"client_id": string(a.app.ID), "scope": "patient/*.cruds"}))
	for _, format := range []string{jwtToken, idToken, permTicket} {
		if status, got := a.push(a.ticket("patient/Observation.r"), format, access); status != 403 || got["error"] != "need_info" {
			t.Errorf("an access token as %s: %d %v", format, status, got)
		}
	}
}
