package web_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// TestPG_03_ManageSharing: an app that asks to manage sharing says so before anything else, and that it can share with anyone.
func TestPG_03_ManageSharing(t *testing.T) {
	w := newWorld(t)
	w.must(w.store.Update(t.Context(), func(tx umaas.Tx) error {
		c, err := tx.Client(portal)
		if err != nil {
			return err
		}
		c.Scopes = append(c.Scopes, umaas.ScopeOwner)
		return tx.PutClient(c)
	}))
	b := w.browser()
	p := b.get(w.server.URL + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {string(portal)}, "redirect_uri": {w.app.URL + "/cb"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "scope": {"owner"}, "state": {"s"},
	}.Encode())
	p = b.signIn(p, "alice")
	want(t, p, 200, "Let Doctor's Desk manage your sharing?", "Share with an app – Health Keys")
	for _, fact := range []string{"whom you share with", "start or stop sharing with anyone", "stands in your history"} {
		if !strings.Contains(p.body, fact) {
			t.Errorf("not said: %s", fact)
		}
	}
	if strings.Contains(p.body, "It gets nothing of your record") {
		t.Error("the page calls it an app that learns a name alone")
	}
	if done := b.submit(p, "/consent", url.Values{"answer": {"share"}}); !strings.HasPrefix(done.url.String(), w.app.URL+"/cb?") || done.url.Query().Get("code") == "" {
		t.Errorf("%s", done.url)
	}
}
