package grant

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// registration checks the client metadata of Grant §2 at a server with dynamic registration (RFC 7591).
func registration() []check {
	needs := []need{conformance.NeedDynamicRegistration}
	return []check{
		{
			ID: "grant.registration.echoes-claims-redirect-uris", Level: must, Covers: []string{"G-016", "G-137"}, Needs: needs, Run: echoesClaimsRedirectURIs,
			Title: "claims_redirect_uris can be registered, and the answer states them",
		},
		{
			ID: "grant.registration.registered-uri-works", Level: must, Covers: []string{"G-016"}, Run: registeredURIWorks,
			Needs: []need{conformance.NeedDynamicRegistration, conformance.NeedGather},
			Title: "A claims redirect URI that was registered dynamically is accepted at the claims interaction endpoint",
		},
		{
			ID: "grant.registration.optional", Level: must, Covers: []string{"G-017"}, Needs: needs, Run: claimsRedirectOptional,
			Title: "A confidential client can be registered without claims_redirect_uris",
		},
		{
			ID: "grant.registration.fragment-refused", Level: should, Covers: []string{"G-046"}, Needs: needs, Run: fragmentRefused,
			Title: "A claims redirect URI with a fragment is not registered",
		},
		{
			ID: "grant.registration.relative-refused", Level: should, Covers: []string{"G-044"}, Needs: needs, Run: relativeRefused,
			Title: "A relative claims redirect URI is not registered",
		},
		{
			ID: "grant.registration.unknown-members", Level: should, Covers: []string{"G-003", "G-004"}, Needs: needs, Run: unknownMembers,
			Title: "A registration with a member the server does not know is accepted",
		},
		{
			ID: "grant.registration.grant-types", Level: should, Covers: []string{"G-023"}, Needs: needs, Run: grantTypeNotRegistered,
			Title: "A client that did not register for the uma-ticket grant is told unauthorized_client",
		},
	}
}

const (
	callbackA = "https://client.example/claims"
	callbackB = "https://client.example/claims?x=1&y=2"
)

func echoesClaimsRedirectURIs(t *conformance.T) {
	want := []string{callbackA, callbackB}
	_, x := t.Register(map[string]any{"claims_redirect_uris": want})
	if x.Status != http.StatusCreated {
		t.Fatalf("want status 201, got %d (%s)", x.Status, told(x))
	}
	got, _ := texts(x.JSON(t)["claims_redirect_uris"])
	if !slices.Equal(got, want) {
		t.Errorf("registered %q, the answer says %q", want, got)
	}
}

func registeredURIWorks(t *conformance.T) {
	c, x := t.Register(map[string]any{"claims_redirect_uris": []string{callbackA}})
	if x.Status != http.StatusCreated {
		t.Blockf("the registration was answered %d (%s)", x.Status, told(x))
	}
	_, ticket := fresh(t)
	g := t.Gather(c, ticket, conformance.Bob, conformance.GatherOptions{RedirectURI: callbackA})
	if g.Redirect == nil || bare(g.Redirect) != callbackA {
		t.Errorf("the requesting party was not sent to %s", callbackA)
	}
}

// bare is an address without its query.
func bare(u *url.URL) string {
	b := *u
	b.RawQuery, b.Fragment = "", ""
	return b.String()
}

func claimsRedirectOptional(t *conformance.T) {
	_, x := t.Register(map[string]any{"claims_redirect_uris": nil})
	if x.Status != http.StatusCreated {
		t.Errorf("want status 201, got %d (%s)", x.Status, told(x))
	}
}

func fragmentRefused(t *conformance.T) {
	_, x := t.Register(map[string]any{"claims_redirect_uris": []string{callbackA + "#part"}})
	wantRefusal(t, x, "a claims redirect URI with a fragment")
}

func relativeRefused(t *conformance.T) {
	_, x := t.Register(map[string]any{"claims_redirect_uris": []string{"/claims"}})
	wantRefusal(t, x, "a relative claims redirect URI")
}

func unknownMembers(t *conformance.T) {
	_, x := t.Register(map[string]any{"x_umaas_conformance": map[string]any{"any": "thing"}})
	if x.Status != http.StatusCreated {
		t.Errorf("want status 201, got %d (%s)", x.Status, told(x))
	}
}

// grantTypeNotRegistered: unauthorized_client of RFC 6749 §5.2.
func grantTypeNotRegistered(t *conformance.T) {
	c, x := t.Register(map[string]any{"grant_types": []string{uma.GrantTypeAuthorizationCode}})
	if x.Status != http.StatusCreated {
		t.Blockf("a client for authorization_code alone was not registered (%s)", told(x))
	}
	if given, ok := texts(x.JSON(t)["grant_types"]); ok && slices.Contains(given, uma.GrantTypeTicket) {
		t.Skipf("the server registers every client for the uma-ticket grant, and says so")
	}
	_, ticket := fresh(t)
	wantError(t, t.Redeem(c, ticket, nil), http.StatusBadRequest, uma.ErrUnauthorizedClient.Code)
}
