package umaas_test

import (
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_31_PublicClientWithoutKey: a public client that showed neither a key nor its PKCE verifier gets the RPT alone; one
// that showed either gets what it asked for, and so does a client that authenticates (SEC-108).
func TestSEC_31_PublicClientWithoutKey(t *testing.T) {
	const verifier = "0123456789012345678901234567890123456789012"
	for name, c := range map[string]struct {
		client umaas.ClientID
		key    bool
		pkce   bool
		lasts  bool
	}{
		"public, nothing":       {client: p1},
		"public, key":           {client: p1, key: true, lasts: true},
		"public, PKCE":          {client: p1, pkce: true, lasts: true},
		"secret, nothing":       {client: c1, lasts: true},
		"secret, key":           {client: c1, key: true, lasts: true},
		"self-registered, none": {client: wild},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(w *world) {
				r := w.set(w.alice, rs1, "view")
				w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
				challenge, h := "", holder{}
				more := []string{"grant_type", uma.GrantTypeTicket}
				if c.pkce {
					challenge, more = challengeOf(verifier), append(more, "code_verifier", verifier)
				}
				if c.key {
					h = w.holder()
				}
				ticket, err := w.RequestPermission(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, []uma.Permission{perm(r, "view")}, challenge, "")
				w.must(err)
				s := w.stage(c.client, ticket, w.bob)
				w.must(s.questions(umaas.GatherAnswer{}))
				req := w.asks(h, c.client, append(more, "ticket", s.confirm(true))...)
				if c.client == wild {
					req.Form.Del("client_secret")
				}
				got, err := w.Token(t.Context(), req)
				w.must(err)
				w.wantRights(got.AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})
				if (got.RefreshToken != "") != c.lasts || (got.PCT != "") != c.lasts {
					t.Fatalf("refresh token %v, PCT %v, want both %v", got.RefreshToken != "", got.PCT != "", c.lasts)
				}
			})
		})
	}
}
