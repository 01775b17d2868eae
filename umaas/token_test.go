package umaas_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

const (
	codeBad    = "the authorization code is not valid for this client, redirect_uri and code_verifier, or was used before"
	refreshBad = "the refresh token is not valid for this client, has expired, was withdrawn, or was used before"
)

// TestG005_PATByCode is how a resource server gets a person's PAT: sign-in, one page, code, token; then ID token, userinfo,
// refresh without the person (F-016).
func TestG005_PATByCode(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		rs := w.resourceServer()
		r := w.pat(rs, w.alice)
		if r.TokenType != "Bearer" || r.ExpiresIn != 3600 || r.RefreshToken == "" || r.Scope != "openid fhirUser uma_protection offline_access" || r.Patient != "" {
			t.Errorf("answer %+v", r)
		}
		pat, err := w.s.AuthenticatePAT(t.Context(), r.AccessToken)
		w.must(err)
		if pat.Owner != w.alice.ID || pat.RS != rs.ClientID || pat.Grant.IsZero() {
			t.Errorf("PAT %+v", pat)
		}
		if _, err := w.ring.Verify(r.IDToken, keys.RS256, "JWT"); err != nil {
			t.Errorf("ID token: %v", err)
		}
		c := claimsOf(t, r.IDToken)
		for name, want := range map[string]any{
			"iss": oauthIssuer, "sub": string(w.alice.ID), "aud": string(rs.ClientID), "azp": string(rs.ClientID), "nonce": "nn", "fhirUser": "Patient/a",
			"iat": float64(w.now().Unix()), "exp": float64(w.now().Unix() + 300), "auth_time": float64(w.now().Unix()),
		} {
			if c[name] != want {
				t.Errorf("ID token %s: %v, want %v", name, c[name], want)
			}
		}
		if c["name"] != nil {
			t.Error("name without the scope profile")
		}
		info, err := w.s.UserInfo(t.Context(), r.AccessToken)
		w.must(err)
		if info["sub"] != string(w.alice.ID) || info["fhirUser"] != "Patient/a" || len(info) != 2 {
			t.Errorf("userinfo %v", info)
		}
		w.pass(50 * 24 * time.Hour)
		_, err = w.s.AuthenticatePAT(t.Context(), r.AccessToken)
		wantOAuthError(t, "expired PAT", err, 401, "invalid_token", "")
		next, err := w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken))
		w.must(err)
		if next.RefreshToken == r.RefreshToken || next.RefreshToken == "" || next.IDToken != "" || next.Scope != r.Scope {
			t.Errorf("refresh %+v", next)
		}
		again, err := w.s.AuthenticatePAT(t.Context(), next.AccessToken)
		w.must(err)
		if again.Grant != pat.Grant {
			t.Error("refresh made another grant")
		}
		w.pass(89 * 24 * time.Hour) // the idle end moves with each use (O-047)
		third, err := w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", next.RefreshToken))
		w.must(err)
		w.pass(91 * 24 * time.Hour)
		_, err = w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", third.RefreshToken))
		wantOAuthError(t, "idle refresh token", err, 400, "invalid_grant", refreshBad)
	})
}

func TestF011_PATByClientCredentials(t *testing.T) {
	w := oauthInMemory(t)
	rs := w.resourceServer()
	r, err := w.s.Token(t.Context(), rs.ask("grant_type", "client_credentials", "scope", "uma_protection"))
	w.must(err)
	if r.RefreshToken != "" || r.IDToken != "" || r.Scope != "uma_protection" || r.ExpiresIn != 3600 {
		t.Errorf("%+v", r)
	}
	pat, err := w.s.AuthenticatePAT(t.Context(), r.AccessToken)
	w.must(err)
	client, err := w.s.Client(t.Context(), rs.ClientID)
	w.must(err)
	owner, err := w.s.Account(t.Context(), pat.Owner)
	w.must(err)
	if pat.Owner != client.Account || owner.Kind != umaas.KindOrganization || owner.PasswordHash != "" {
		t.Errorf("owner %+v of %+v", owner, client)
	}
	_, err = w.s.UserInfo(t.Context(), r.AccessToken) // SEC-112: no person behind it
	wantOAuthError(t, "userinfo", err, 403, "insufficient_scope", "this needs a token with the scope openid")

	app := w.register(umaas.ClientMetadata{Name: "Batch", GrantTypes: []string{"client_credentials"}})
	both := w.register(umaas.ClientMetadata{Name: "No client credentials", RedirectURIs: []string{"https://a.example/"}, Scope: "uma_protection"})
	for name, tc := range map[string]struct {
		r                 umaas.TokenRequest
		code, description string
	}{
		"other scope":     {rs.ask("grant_type", "client_credentials", "scope", "openid"), "invalid_scope", "client credentials give the scope uma_protection alone"},
		"mixed scope":     {rs.ask("grant_type", "client_credentials", "scope", "uma_protection patient/*.rs"), "invalid_scope", "client credentials give the scope uma_protection alone"},
		"not registered":  {app.ask("grant_type", "client_credentials"), "invalid_scope", "the client is not registered for the scope uma_protection"},
		"grant not there": {both.ask("grant_type", "client_credentials"), "unauthorized_client", "the client is not registered for that grant type"},
	} {
		_, err := w.s.Token(t.Context(), tc.r)
		wantOAuthError(t, name, err, 400, tc.code, tc.description)
	}
	owner.Disabled = true
	_, err = w.s.PutAccount(t.Context(), owner, "")
	w.must(err)
	_, err = w.s.AuthenticatePAT(t.Context(), r.AccessToken)
	wantOAuthError(t, "owner disabled", err, 401, "invalid_token", "")
	_, err = w.s.Token(t.Context(), rs.ask("grant_type", "client_credentials"))
	wantOAuthError(t, "owner disabled", err, 400, "unauthorized_client", "the organization the client acts for is not active")
}

func TestTokenRequestErrors(t *testing.T) {
	w := oauthInMemory(t)
	app := w.register(appMetadata())
	twice := app.ask("grant_type", "authorization_code")
	twice.Form["code"] = []string{"a", "b"}
	for name, tc := range map[string]struct {
		r                 umaas.TokenRequest
		status            int
		code, description string
	}{
		"empty":                   {umaas.TokenRequest{Form: url.Values{}}, 400, "invalid_request", "parameter missing: grant_type"},
		"no form":                 {umaas.TokenRequest{}, 400, "invalid_request", "parameter missing: grant_type"},
		"no client":               {umaas.TokenRequest{Form: url.Values{"grant_type": {"refresh_token"}}}, 401, "invalid_client", "client authentication failed"},
		"SEC-63 twice":            {twice, 400, "invalid_request", "a parameter is given more than once: code"},
		"empty value is omitted":  {app.ask("grant_type", ""), 400, "invalid_request", "parameter missing: grant_type"},
		"SEC-106 password":        {app.ask("grant_type", "password"), 400, "unsupported_grant_type", "this server does not offer that grant type"},
		"SEC-66 device":           {app.ask("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), 400, "unsupported_grant_type", "this server does not offer that grant type"},
		"ticket not registered":   {app.ask("grant_type", uma.GrantTypeTicket, "ticket", "x"), 400, "unauthorized_client", "the client is not registered for that grant type"},
		"no code":                 {app.ask("grant_type", "authorization_code", "code_verifier", oauthVerifier), 400, "invalid_request", "parameter missing: code"},
		"O-021 no verifier":       {app.ask("grant_type", "authorization_code", "code", "x"), 400, "invalid_request", "parameter missing: code_verifier"},
		"short verifier":          {app.ask("grant_type", "authorization_code", "code", "x", "code_verifier", "short"), 400, "invalid_request", "code_verifier: want 43 to 128 unreserved characters (RFC 7636 section 4.1)"},
		"code of garbage":         {app.redeem("x"), 400, "invalid_grant", codeBad},
		"no refresh token":        {app.ask("grant_type", "refresh_token"), 400, "invalid_request", "parameter missing: refresh_token"},
		"refresh token of nobody": {app.ask("grant_type", "refresh_token", "refresh_token", "x.y"), 400, "invalid_grant", refreshBad},
		"scope syntax":            {app.ask("grant_type", "refresh_token", "refresh_token", "x.y", "scope", `a"b`), 400, "invalid_scope", "a scope holds a character that RFC 6749 section 3.3 does not allow"},
	} {
		_, err := w.s.Token(t.Context(), tc.r)
		wantOAuthError(t, name, err, tc.status, tc.code, tc.description)
	}
}

// TestSEC_60_CodeIsBound: a code is good for its client, redirect URI and verifier alone, and the failed tries leave it good.
func TestSEC_60_CodeIsBound(t *testing.T) {
	w := oauthInMemory(t)
	app, other := w.register(appMetadata()), w.register(appMetadata())
	code := w.code(app, w.alice)
	wrong := strings.Repeat("a", 43)
	for name, r := range map[string]umaas.TokenRequest{
		"other client":        other.redeem(code),
		"other redirect":      app.redeem(code, "redirect_uri", "https://app.example/cb2"),
		"no redirect":         app.redeem(code, "redirect_uri", ""),
		"SEC-64 verifier":     app.redeem(code, "code_verifier", wrong),
		"SEC-64 challenge":    app.redeem(code, "code_verifier", oauthChallenge()),
		"SEC-64 case":         app.redeem(code, "code_verifier", strings.ToUpper(oauthVerifier)),
		"SEC-64 longer":       app.redeem(code, "code_verifier", oauthVerifier+"a"),
		"SEC-55 shorter":      app.redeem(code[:len(code)-1]),
		"SEC-55 longer":       app.redeem(code + "A"),
		"SEC-55 padded":       app.redeem(code + "="),
		"SEC-55 other secret": app.redeem(strings.SplitN(code, ".", 2)[0] + "." + strings.Repeat("A", 27)),
	} {
		_, err := w.s.Token(t.Context(), r)
		wantOAuthError(t, name, err, 400, "invalid_grant", codeBad)
	}
	if _, err := w.s.Token(t.Context(), app.redeem(code)); err != nil {
		t.Errorf("the rightful client afterwards: %v", err)
	}
	late := w.code(app, w.alice)
	w.pass(time.Minute)
	_, err := w.s.Token(t.Context(), app.redeem(late))
	wantOAuthError(t, "expired", err, 400, "invalid_grant", codeBad)
}

// TestSEC_104_CodeReuse: the second use is refused and takes back what the first one gave.
func TestSEC_104_CodeReuse(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		rs := w.resourceServer()
		code := w.code(rs, w.alice, "scope", "openid uma_protection offline_access")
		r, err := w.s.Token(t.Context(), rs.redeem(code))
		w.must(err)
		_, err = w.s.Token(t.Context(), rs.redeem(code))
		wantOAuthError(t, "second use", err, 400, "invalid_grant", codeBad)
		_, err = w.s.AuthenticatePAT(t.Context(), r.AccessToken)
		wantOAuthError(t, "access token of the first", err, 401, "invalid_token", "")
		_, err = w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken))
		wantOAuthError(t, "refresh token of the first", err, 400, "invalid_grant", refreshBad)
	})
}

// TestSEC_109_ReuseEndsTheFamily: an old refresh token kills the newest access and refresh tokens.
func TestSEC_109_ReuseEndsTheFamily(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		rs := w.resourceServer()
		first := w.pat(rs, w.alice)
		refresh := func(token string) (uma.TokenResponse, error) {
			return w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", token))
		}
		second, err := refresh(first.RefreshToken)
		w.must(err)
		_, err = refresh(first.RefreshToken)
		wantOAuthError(t, "reuse", err, 400, "invalid_grant", refreshBad)
		_, err = refresh(second.RefreshToken)
		wantOAuthError(t, "the newest", err, 400, "invalid_grant", refreshBad)
		_, err = w.s.AuthenticatePAT(t.Context(), second.AccessToken)
		wantOAuthError(t, "access token", err, 401, "invalid_token", "")
	})
}

func TestRefreshIsBound(t *testing.T) {
	w := oauthInMemory(t)
	rs := w.resourceServer()
	other := w.register(appMetadata())
	r := w.pat(rs, w.alice)
	_, err := w.s.Token(t.Context(), other.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken))
	wantOAuthError(t, "SEC-60 other client", err, 400, "invalid_grant", refreshBad)
	_, err = w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", r.AccessToken))
	wantOAuthError(t, "an access token", err, 400, "invalid_grant", refreshBad)
	_, err = w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken, "scope", "openid profile"))
	wantOAuthError(t, "O-043 wider", err, 400, "invalid_scope", "refresh cannot add scopes; start a new authorization")
	_, err = w.s.AuthenticatePAT(t.Context(), r.RefreshToken)
	wantOAuthError(t, "refresh token as bearer", err, 401, "invalid_token", "")
	got, err := w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken, "scope", "openid"))
	if err != nil || got.Scope != r.Scope {
		t.Errorf("narrower is answered with what the grant is: %+v, %v", got, err)
	}
}

// TestSEC_38_RefreshAfterLock: owner, or client, locked: neither refresh nor access; unlocked: both again.
func TestSEC_38_RefreshAfterLock(t *testing.T) {
	w := oauthInMemory(t)
	rs := w.resourceServer()
	r := w.pat(rs, w.alice)
	try := func(name string, status int, code string) {
		t.Helper()
		_, err := w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken))
		wantOAuthError(t, name+": refresh", err, status, code, "")
		_, err = w.s.AuthenticatePAT(t.Context(), r.AccessToken)
		wantOAuthError(t, name+": access", err, 401, "invalid_token", "")
	}
	w.must(w.s.SetClientDisabled(t.Context(), rs.ClientID, true, ""))
	try("client", 401, "invalid_client")
	w.must(w.s.SetClientDisabled(t.Context(), rs.ClientID, false, ""))
	locked := w.alice
	locked.Disabled = true
	_, err := w.s.PutAccount(t.Context(), locked, "")
	w.must(err)
	try("owner", 400, "invalid_grant")
	_, err = w.s.PutAccount(t.Context(), w.alice, "")
	w.must(err)
	if _, err := w.s.AuthenticatePAT(t.Context(), r.AccessToken); err != nil {
		t.Errorf("unlocked: %v", err)
	}
}

// TestSEC_55_TruncatedTokens: no change of a token leaves it a token.
func TestSEC_55_TruncatedTokens(t *testing.T) {
	w := oauthInMemory(t)
	token := w.pat(w.resourceServer(), w.alice).AccessToken
	changed := []string{"", ".", token + "A", token + "=", " " + token, token + " ", strings.ToUpper(token), strings.ToLower(token), strings.Replace(token, ".", "", 1), "." + token}
	for n := 1; n < len(token); n++ {
		changed = append(changed, token[:n], token[n:])
	}
	for _, c := range changed {
		if c == token {
			continue
		}
		if _, err := w.s.AuthenticatePAT(t.Context(), c); err == nil {
			t.Errorf("%q is taken for %q", c, token)
		}
	}
	if _, err := w.s.AuthenticatePAT(t.Context(), token); err != nil {
		t.Error(err)
	}
}

func TestRevoke(t *testing.T) {
	w := oauthInMemory(t)
	rs := w.resourceServer()
	other := w.register(appMetadata())
	for _, kind := range []string{"access", "refresh"} {
		r := w.pat(rs, w.alice)
		token := map[string]string{"access": r.AccessToken, "refresh": r.RefreshToken}[kind]
		w.must(w.s.Revoke(t.Context(), other.ask("token", token)))
		if _, err := w.s.AuthenticatePAT(t.Context(), r.AccessToken); err != nil {
			t.Fatalf("%s: another client's revocation worked: %v", kind, err)
		}
		w.must(w.s.Revoke(t.Context(), rs.ask("token", token, "token_type_hint", uma.HintPCT)))
		_, err := w.s.AuthenticatePAT(t.Context(), r.AccessToken)
		wantOAuthError(t, kind+": access token", err, 401, "invalid_token", "")
		_, err = w.s.Token(t.Context(), rs.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken))
		wantOAuthError(t, kind+": refresh token", err, 400, "invalid_grant", refreshBad)
		w.must(w.s.Revoke(t.Context(), rs.ask("token", token)))
	}
	w.must(w.s.Revoke(t.Context(), rs.ask("token", "unknown")))
	wantOAuthError(t, "no token", w.s.Revoke(t.Context(), rs.ask()), 400, "invalid_request", "parameter missing: token")
	wantOAuthError(t, "no client", w.s.Revoke(t.Context(), umaas.TokenRequest{Form: url.Values{"token": {"x"}}}), 401, "invalid_client", "")
}

func TestMetadata(t *testing.T) {
	m := oauthInMemory(t).s.Metadata()
	if m.Issuer != oauthIssuer || m.TokenEndpoint != oauthIssuer+"/token" || m.ClaimsInteractionEndpoint != oauthIssuer+"/claims" || !m.AuthorizationResponseIssParameterSupported ||
		strings.Join(m.CodeChallengeMethodsSupported, " ") != "S256" || strings.Join(m.ResponseTypesSupported, " ") != "code" {
		t.Errorf("%+v", m)
	}
	for _, g := range m.GrantTypesSupported {
		if g == "password" || g == "implicit" {
			t.Errorf("SEC-106: %s", g)
		}
	}
}

// TestF_016_PATWithoutOfflineAccess: protecting goes on without the person, whether or not offline_access was named; an app's
// token does not.
func TestF_016_PATWithoutOfflineAccess(t *testing.T) {
	w := oauthInMemory(t)
	if r := w.tokens(w.resourceServer(), w.alice, "scope", "openid uma_protection"); r.RefreshToken == "" || r.Scope != "openid uma_protection" {
		t.Errorf("PAT %+v", r)
	}
	if r := w.tokens(w.register(appMetadata()), w.alice, "scope", "openid"); r.RefreshToken != "" {
		t.Errorf("app %+v", r)
	}
}
