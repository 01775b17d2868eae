package grant

import (
	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// privacy checks what answers tell of the resource owner and of other people, Grant §6 and §1.3.
func privacy() []check {
	return []check{
		{
			ID: "grant.privacy.owner-untold", Level: should, Covers: []string{"G-007", "G-136"}, Run: ownerUntold,
			Title: "An answer to whoever holds a ticket does not name the resource owner, the resource or its scopes",
		},
		{
			ID: "grant.privacy.cors", Level: should, Covers: []string{"G-107"}, Run: noCredentialsForAnybody,
			Title: "The token endpoint does not let every site's scripts use a browser's credentials",
		},
	}
}

// ownerUntold looks at the answer a stranger can get without the owner's doing.
func ownerUntold(t *conformance.T) {
	r, ticket := fresh(t)
	alice := t.Owner(conformance.Alice)
	x := t.Redeem(c1(t), ticket, nil)
	if x.Text("access_token") != "" {
		t.Blockf("an RPT was issued")
	}
	wantOpaque(t, "the answer "+x.OAuthError(), string(x.Body), alice.Email, r.ID, r.Name)
}

// noCredentialsForAnybody: a wildcard together with credentials, or any origin mirrored with credentials.
func noCredentialsForAnybody(t *conformance.T) {
	h := map[string][]string{"Origin": {"https://attacker.example"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	x := t.Request("POST", t.Env().Metadata.TokenEndpoint, []byte("grant_type="+uma.GrantTypeTicket), h)
	if x.Header.Get("Access-Control-Allow-Credentials") == "true" && x.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the token endpoint lets %s use credentials", x.Header.Get("Access-Control-Allow-Origin"))
	}
}
