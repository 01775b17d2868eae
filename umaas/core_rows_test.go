package umaas_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_36_TokensStaySmall: a signed RPT that would not fit into a header is issued as an opaque one (decisions 1).
func TestSEC_36_TokensStaySmall(t *testing.T) {
	w := inMemory(t)
	w.put(func(tx umaas.Tx) error {
		c, err := tx.Client(rs1)
		if err != nil {
			return err
		}
		c.RPTFormat = umaas.RPTJWT
		return tx.PutClient(c)
	})
	var perms []uma.Permission
	var rules []umaas.Rule
	for i := range w.Limits.MaxPermissions {
		id := w.set(w.alice, rs1, "view", "edit")
		perms = append(perms, limited(perm(id, "view", "edit"), "query", fmt.Sprintf("category=%d", i)))
		rules = append(rules, rule(rs1, id, "view", "edit"))
	}
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClient, Client: c1}, rules)
	for n, signed := range map[int]bool{1: true, 2: true, len(perms): false} {
		token := w.rpt(c1, w.ticket(perms[:n]...)).AccessToken
		if got := strings.Count(token, ".") == 2; got != signed || len(token) > 4096 {
			t.Errorf("%d permissions: a token of %d bytes, signed: %v", n, len(token), got)
		}
		if i := w.inspect(w.alice, rs1, token); !i.Active || len(i.Permissions) != n {
			t.Errorf("%d permissions: introspection shows %d", n, len(i.Permissions))
		}
	}
}

// TestSEC_34_WithdrawalReachesLiveTokens: a thousand shares are stopped one after the other; whichever server on the store is
// asked next says so, for the RPT and for its refresh token.
func TestSEC_34_WithdrawalReachesLiveTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memkv.New(memkv.Options{}))
	servers := []*umaas.Service{w.Service, w.service(), w.service()}
	pat := umaas.PAT{Owner: w.alice, RS: rs1}
	r := w.set(w.alice, rs1, "view")
	for n := range 1000 {
		id := w.policy(w.alice, umaas.Who{Kind: umaas.WhoClient, Client: c1}, []umaas.Rule{rule(rs1, r, "view")})
		token := w.rpt(c1, w.ticket(perm(r, "view")))
		before, err := servers[n%3].Introspect(t.Context(), pat, token.AccessToken)
		w.must(err)
		if !before.Active {
			t.Fatalf("%d: not active", n)
		}
		_, err = servers[(n+1)%3].StopShare(t.Context(), w.alice, id, "")
		w.must(err)
		after, err := servers[(n+2)%3].Introspect(t.Context(), pat, token.AccessToken)
		w.must(err)
		if after.Active {
			t.Fatalf("%d: active after its share was stopped", n)
		}
		if _, err := w.refresh(c1, token.RefreshToken); err == nil {
			t.Fatalf("%d: refreshed after its share was stopped", n)
		}
	}
}

// TestSEC_57_ProtectionOutlivesThePAT: sets and shares stay when a PAT has expired and when its resource server renews it; a
// resource server that is closed takes all of its tokens with it (F-075).
func TestSEC_57_ProtectionOutlivesThePAT(t *testing.T) {
	eachStore(t, func(w *world) {
		t := w.t
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, umaas.Who{Kind: umaas.WhoClient, Client: c1}, []umaas.Rule{rule(rs1, r, "view")})
		w.sleep(60 * 24 * time.Hour)
		token := w.rpt(c1, w.ticket(perm(r, "view")))
		if !w.inspect(w.alice, rs1, token.AccessToken).Active {
			t.Error("after two months the share does not count")
		}
		w.disableClient(rs1)
		if w.inspect(w.alice, rs1, token.AccessToken).Active {
			t.Error("a closed resource server's RPT is active")
		}
		_, err := w.refresh(c1, token.RefreshToken)
		w.wantError(nil, err, 400, "invalid_grant", "")
	})
}
