package umaas_test

import (
	"crypto/sha256"
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestG_204_LatestScopes: of the scopes a client asks for in several requests of one process the latest ones count (Grant
// §3.3.4); a request without scopes leaves the earlier ones, and what the resource server asked for always stands.
func TestG_204_LatestScopes(t *testing.T) {
	eachStore(t, func(w *world) {
		const asker = umaas.ClientID("c-asker")
		w.put(func(tx umaas.Tx) error {
			return tx.PutClient(umaas.Client{
				ID: asker, Name: "Asker", AuthMethod: umaas.AuthSecretPost, SecretHash: umaas.SecretHash(sha256.Sum256([]byte(secret))),
				GrantTypes: []string{uma.GrantTypeTicket}, Scopes: []string{"download", "print"}, ClaimsRedirectURIs: []string{"https://asker.example/cb"}, Created: w.now(),
			})
		})
		r := w.set(w.alice, rs1, "view", "download", "print")
		names := map[umaas.ResourceID]string{r: "r"}
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view", "download", "print")})
		for _, c := range []struct {
			last []string
			want string
		}{
			{[]string{"scope", "print"}, "r{view,print}"},
			{[]string{"scope", "download print"}, "r{view,download,print}"},
			{nil, "r{view,download}"},
		} {
			e := w.refused(asker, w.ticket(perm(r, "view")), 403, "need_info", "", "scope", "download")
			w.wantRights(w.rpt(asker, w.gather(asker, e.Ticket, w.bob), c.last...).AccessToken, c.want, names)
		}
	})
}
