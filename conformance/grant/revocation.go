package grant

import (
	"net/http"
	"net/url"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// revocation checks token revocation as Grant §3.7 uses it (RFC 7009).
func revocation() []check {
	needs := []need{conformance.NeedRevocation, conformance.NeedPolicy, conformance.NeedParty, conformance.NeedIntrospection}
	withRefresh := append([]need{conformance.NeedRefresh}, needs...)
	return []check{
		{
			ID: "grant.revocation.rpt", Level: must, Covers: []string{"G-103"}, Needs: needs, Run: revokeRPT,
			Title: "A client can revoke its RPT: it is inactive at once",
		},
		{
			ID: "grant.revocation.wrong-hint", Level: must, Covers: []string{"G-103", "G-104"}, Needs: needs, Run: revokeWrongHint,
			Title: "A wrong token type hint does not keep an RPT alive",
		},
		{
			ID: "grant.revocation.refresh-token", Level: must, Covers: []string{"G-103"}, Needs: withRefresh, Run: revokeRefresh,
			Title: "A client can revoke its refresh token: it gives no RPT any more",
		},
		{
			ID: "grant.revocation.foreign-client", Level: must, Covers: []string{"G-103"}, Run: revokeForeign,
			Needs: append([]need{conformance.NeedSecondClient}, needs...),
			Title: "No client can revoke another one's RPT",
		},
		{
			ID: "grant.revocation.hint-pct", Level: must, Covers: []string{"G-104", "G-137"}, Needs: needs[:1], Run: revokeHintPCT,
			Title: "The token type hint pct is accepted, for a value nobody knows, too",
		},
		{
			ID: "grant.revocation.authenticated", Level: must, Covers: []string{"G-103"}, Needs: needs, Run: revokeUnauthenticated,
			Title: "Nobody revokes an RPT of a confidential client without its credentials",
		},
	}
}

// revoke asks for a revocation; hint "" sends none.
func revoke(t *conformance.T, c conformance.Client, value, hint string) *exchange {
	form := url.Values{"token": {value}}
	if hint != "" {
		form.Set("token_type_hint", hint)
	}
	return t.PostForm(t.Env().Metadata.RevocationEndpoint, form, c.Auth())
}

// revocable is a grant whose RPT is active.
func revocable(t *conformance.T) conformance.Granted {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	if !t.Active(alicePAT(t), g.RPT) {
		t.Blockf("a new RPT is not active")
	}
	return g
}

func revokeRPT(t *conformance.T) {
	g := revocable(t)
	if x := revoke(t, c1(t), g.RPT, "access_token"); x.Status != http.StatusOK {
		t.Errorf("want status 200, got %d (%s)", x.Status, told(x))
	}
	if t.Active(alicePAT(t), g.RPT) {
		t.Errorf("the revoked RPT is still active")
	}
}

func revokeWrongHint(t *conformance.T) {
	g := revocable(t)
	revoke(t, c1(t), g.RPT, uma.HintPCT)
	if t.Active(alicePAT(t), g.RPT) {
		t.Errorf("an RPT revoked with the hint pct is still active")
	}
}

func revokeRefresh(t *conformance.T) {
	g := refreshable(t)
	revoke(t, c1(t), g.Refresh, "refresh_token")
	if x := refreshes(t, c1(t), g.Refresh, nil); x.Text("access_token") != "" {
		t.Errorf("the revoked refresh token gave an RPT")
	}
}

func revokeForeign(t *conformance.T) {
	g := revocable(t)
	revoke(t, t.Client(conformance.C2), g.RPT, "access_token")
	if !t.Active(alicePAT(t), g.RPT) {
		t.Errorf("another client revoked the RPT")
	}
}

// revokeHintPCT: RFC 7009 §2.2, an invalid token is answered like a revoked one.
func revokeHintPCT(t *conformance.T) {
	if x := revoke(t, c1(t), "umaas-conformance-no-such-pct", uma.HintPCT); x.Status != http.StatusOK {
		t.Errorf("want status 200, got %d (%s)", x.Status, told(x))
	}
}

func revokeUnauthenticated(t *conformance.T) {
	c := c1(t)
	if c.Public() {
		t.Skipf("the client C1 is public")
	}
	g := revocable(t)
	x := t.PostForm(t.Env().Metadata.RevocationEndpoint, url.Values{"token": {g.RPT}}, conformance.FormID(c.ID))
	if x.Status < 400 {
		t.Errorf("a revocation without credentials was answered %d", x.Status)
	}
	if !t.Active(alicePAT(t), g.RPT) {
		t.Errorf("a revocation without credentials ended the RPT")
	}
}
