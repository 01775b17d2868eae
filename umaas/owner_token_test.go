package umaas_test

import (
	"context"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// TestScopeOwner: the scope that manages sharing is for clients an administrator registered for it, in a request of its own; its
// token is good for nothing else, and dies with the right.
func TestScopeOwner(t *testing.T) {
	w := oauthInMemory(t)
	ctx := context.Background()
	rs := w.checked(w.resourceServer())
	add := func(scopes ...string) oauthApp {
		c, secret, err := w.s.AddClient(ctx, umaas.Client{
			Name: "Manager", AuthMethod: umaas.AuthSecretPost, RedirectURIs: []string{"https://m.example/cb"}, Scopes: scopes, GrantTypes: []string{"authorization_code"},
		}, "")
		w.must(err)
		return oauthApp{umaas.ClientInformation{ClientID: c.ID, ClientSecret: secret, ClientMetadata: umaas.ClientMetadata{AuthMethod: c.AuthMethod, RedirectURIs: c.RedirectURIs}}}
	}
	manager, plain := add("owner"), add("openid")
	m := appMetadata()
	m.Scope = "owner"
	stranger := w.register(m) // it may register the scope, and it does not help
	for name, c := range map[string]struct {
		app         oauthApp
		scope       string
		description string
		page        bool
	}{
		"not registered": {plain, "owner", "the client is not registered for the scope owner by an administrator", false},
		"unchecked":      {stranger, "owner", "the client is not registered for the scope owner by an administrator", true},
		"with resources": {manager, "owner patient/Allergy.r", "ask for owner in a request of its own", false},
	} {
		started, err := w.s.StartAuthorization(ctx, c.app.query("scope", c.scope, "aud", rsURL), "", "")
		if c.page {
			wantOAuthError(t, name, err, 400, "invalid_scope", c.description)
			continue
		}
		if err != nil || started.Redirect == nil || started.Redirect.Query.Get("error") != "invalid_scope" || started.Redirect.Query.Get("error_description") != c.description {
			t.Errorf("%s: %+v %v", name, started, err)
		}
	}
	r := w.tokens(manager, w.alice, "scope", "owner")
	if r.Scope != "owner" || r.IDToken != "" || r.RefreshToken != "" {
		t.Errorf("%+v", r)
	}
	token, err := w.s.AuthenticateOwner(ctx, r.AccessToken)
	w.must(err)
	if token.Person != w.alice.ID || token.Client != manager.ClientID {
		t.Errorf("%+v", token)
	}
	_, err = w.s.AuthenticatePAT(ctx, r.AccessToken)
	wantOAuthError(t, "as PAT", err, 403, "insufficient_scope", "")
	_, err = w.s.UserInfo(ctx, r.AccessToken)
	wantOAuthError(t, "as identity", err, 403, "insufficient_scope", "")
	identity := w.tokens(manager, w.alice, "scope", "openid")
	_, err = w.s.AuthenticateOwner(ctx, identity.AccessToken)
	wantOAuthError(t, "identity", err, 403, "insufficient_scope", "this needs a token with the scope owner")
	_, err = w.s.AuthenticateOwner(ctx, w.pat(rs, w.alice).AccessToken)
	wantOAuthError(t, "PAT", err, 403, "insufficient_scope", "")
	_, err = w.s.AuthenticateOwner(ctx, "x.y")
	wantOAuthError(t, "garbage", err, 401, "invalid_token", "")
	w.must(w.store.Update(ctx, func(tx umaas.Tx) error {
		c, err := tx.Client(manager.ClientID)
		if err != nil {
			return err
		}
		c.Scopes = nil
		return tx.PutClient(c)
	}))
	_, err = w.s.AuthenticateOwner(ctx, r.AccessToken)
	wantOAuthError(t, "right lost", err, 403, "insufficient_scope", "")
}
