package grant

import (
	"net/http"
	"net/url"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// clientAuthentication checks who may present a ticket: Grant §3.3 and RFC 6749 §2.3, §5.2.
func clientAuthentication() []check {
	return []check{
		{
			ID: "grant.client.public", Level: must, Covers: []string{"G-022"}, Needs: []need{conformance.NeedPublicClient}, Run: publicClient,
			Title: "The grant works for a public client",
		},
		{
			ID: "grant.client.unknown", Level: must, Covers: []string{"G-022", "G-039"}, Run: unknownClient,
			Title: "An unknown client is invalid_client",
		},
		{
			ID: "grant.client.wrong-secret", Level: must, Covers: []string{"G-022", "G-039"}, Run: wrongSecret,
			Title: "A wrong client secret is invalid_client",
		},
		{
			ID: "grant.client.secret-missing", Level: must, Covers: []string{"G-022", "G-039"}, Run: secretMissing,
			Title: "A confidential client that sends its client_id alone is refused",
		},
		{
			ID: "grant.client.none", Level: must, Covers: []string{"G-022", "G-039"}, Run: nobody,
			Title: "A ticket presented by nobody is refused",
		},
	}
}

func publicClient(t *conformance.T) {
	_, ticket := fresh(t)
	wantAssessed(t, t.Redeem(t.Client(conformance.P1), ticket, nil), "a public client's request")
}

// authenticated presents a fresh ticket with some authentication.
func authenticated(t *conformance.T, auth conformance.Auth) *exchange {
	_, ticket := fresh(t)
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}}
	return t.PostForm(t.Env().Metadata.TokenEndpoint, form, auth)
}

func unknownClient(t *conformance.T) {
	wantNotAuthenticated(t, authenticated(t, conformance.Basic("umaas-conformance-nobody", "a-secret-of-nobody")))
}

func wrongSecret(t *conformance.T) {
	c := c1(t)
	if c.Public() || c.Secret == "" {
		t.Skipf("the client C1 has no secret")
	}
	c.Secret += "x"
	wantNotAuthenticated(t, authenticated(t, c.Auth()))
}

// wantNotAuthenticated: RFC 6749 §5.2 leaves 400 to requests that did not use the Authorization header.
func wantNotAuthenticated(t *conformance.T, x *exchange) {
	if x.Request.Header.Get("Authorization") != "" {
		wantError(t, x, http.StatusUnauthorized, uma.ErrInvalidClient.Code)
		return
	}
	if x.OAuthError() != uma.ErrInvalidClient.Code || x.Status != http.StatusBadRequest && x.Status != http.StatusUnauthorized {
		t.Errorf("want invalid_client with 400 or 401, got %d (%s)", x.Status, told(x))
	}
}

func secretMissing(t *conformance.T) {
	c := c1(t)
	if c.Public() {
		t.Skipf("the client C1 is public")
	}
	x := authenticated(t, conformance.FormID(c.ID))
	if assessed(x) {
		t.Errorf("a confidential client's id alone was enough (%s)", told(x))
	}
	wantRefusal(t, x, "a confidential client's id alone")
}

func nobody(t *conformance.T) {
	x := authenticated(t, nil)
	if assessed(x) {
		t.Errorf("a request without any client was assessed (%s)", told(x))
	}
	wantRefusal(t, x, "a request without any client")
}
