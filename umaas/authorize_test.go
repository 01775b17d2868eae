package umaas_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// checked makes a dynamic client an administered one, which gets errors by redirect.
func (w *oauthWorld) checked(a oauthApp) oauthApp {
	w.t.Helper()
	w.must(w.s.VouchForClient(w.t.Context(), a.ClientID, "Test", ""))
	return a
}

func without(q url.Values, names ...string) url.Values {
	for _, n := range names {
		q.Del(n)
	}
	return q
}

// TestAuthorizationErrors: pages before client and redirect URI are known to belong together, redirects with state and iss
// after that.
func TestAuthorizationErrors(t *testing.T) {
	w := oauthInMemory(t)
	app := w.checked(w.register(appMetadata()))
	rs := w.checked(w.resourceServer())
	noCode := w.checked(w.register(umaas.ClientMetadata{Name: "UMA only", GrantTypes: []string{uma.GrantTypeTicket}, RedirectURIs: []string{"https://u.example/"}}))
	off := w.register(appMetadata())
	w.must(w.s.SetClientDisabled(t.Context(), off.ClientID, true, ""))
	twice := app.query()
	twice["scope"] = []string{"openid", "openid"}
	big := strings.Repeat("s", 4097)
	for name, tc := range map[string]struct {
		q                 url.Values
		page              int // status of the error page; 0: by redirect
		code, description string
	}{
		"no client":         {without(app.query(), "client_id"), 400, "invalid_request", "parameter missing: client_id"},
		"unknown client":    {app.query("client_id", "c_x"), 401, "invalid_client", "this app is not known here"},
		"disabled client":   {off.query(), 401, "invalid_client", "this app is not known here"},
		"no redirect_uri":   {without(app.query(), "redirect_uri"), 400, "invalid_request", "parameter missing: redirect_uri"},
		"SEC-62 other":      {app.query("redirect_uri", "https://evil.example/cb"), 400, "invalid_request", "redirect_uri is not one that the app registered"},
		"SEC-62 slash":      {app.query("redirect_uri", "https://app.example/cb/"), 400, "invalid_request", "redirect_uri is not one that the app registered"},
		"SEC-62 query":      {app.query("redirect_uri", "https://app.example/cb?x"), 400, "invalid_request", "redirect_uri is not one that the app registered"},
		"SEC-63 twice":      {twice, 400, "invalid_request", "a parameter is given more than once: scope"},
		"no response_type":  {without(app.query(), "response_type"), 0, "invalid_request", "parameter missing: response_type"},
		"SEC-106 token":     {app.query("response_type", "token"), 0, "unsupported_response_type", "response_type: code is the only one offered"},
		"SEC-106 hybrid":    {app.query("response_type", "code id_token"), 0, "unsupported_response_type", "response_type: code is the only one offered"},
		"grant":             {noCode.query(), 0, "unauthorized_client", "the client is not registered for authorization_code"},
		"SEC-116 mode":      {app.query("response_mode", "web_message"), 0, "invalid_request", "response_mode: query is the only one offered"},
		"request":           {app.query("request", "x"), 0, "request_not_supported", "send the parameters themselves"},
		"request_uri":       {app.query("request_uri", "x"), 0, "request_uri_not_supported", "send the parameters themselves"},
		"O-025 no PKCE":     {without(app.query(), "code_challenge"), 0, "invalid_request", "parameter missing: code_challenge"},
		"SEC-64 no method":  {without(app.query(), "code_challenge_method"), 0, "invalid_request", "code_challenge_method: want S256"},
		"SEC-64 plain":      {app.query("code_challenge_method", "plain"), 0, "invalid_request", "code_challenge_method: want S256"},
		"SEC-64 short":      {app.query("code_challenge", "abc"), 0, "invalid_request", "code_challenge: want the base64url form of a SHA-256 hash, 43 characters"},
		"max_age":           {app.query("max_age", "-1"), 0, "invalid_request", "max_age: want a number of seconds"},
		"prompt":            {app.query("prompt", "x"), 0, "invalid_request", "prompt: want none, login, consent or select_account"},
		"prompt none login": {app.query("prompt", "none login"), 0, "invalid_request", "prompt: none stands alone"},
		"prompt none":       {app.query("prompt", "none"), 0, "interaction_required", "this server asks the person each time"},
		"nonce too long":    {app.query("nonce", big), 0, "invalid_request", "state and nonce may have 4096 bytes each"},
		"scope syntax":      {app.query("scope", `o"`), 0, "invalid_scope", "a scope holds a character that RFC 6749 section 3.3 does not allow"},
		"no scope":          {without(app.query(), "scope"), 0, "invalid_scope", "ask for openid, uma_protection or scopes of a resource server"},
		"unknown scope":     {app.query("scope", "everything"), 0, "invalid_scope", "ask for openid, uma_protection or scopes of a resource server"},
		"PAT for an app":    {app.query("scope", "uma_protection"), 0, "invalid_scope", "the client is not registered for the scope uma_protection"},
		"PAT and resources": {rs.query("scope", "uma_protection patient/Allergy.r", "aud", rsURL), 0, "invalid_scope", "ask for uma_protection and for resource scopes in separate requests"},
		"no server named":   {app.query("scope", "patient/Allergy.r"), 0, "invalid_target", "name the FHIR server with aud or resource"},
		"unknown server":    {app.query("scope", "patient/Allergy.r", "aud", rsURL+"/"), 0, "invalid_target", "resource or aud: name one resource server that this server protects"},
		"unknown resource":  {app.query("resource", "https://x.example"), 0, "invalid_target", "resource or aud: name one resource server that this server protects"},
	} {
		started, err := w.s.StartAuthorization(t.Context(), tc.q, "", "")
		if tc.page != 0 {
			wantOAuthError(t, name, err, tc.page, tc.code, tc.description)
			if started != (umaas.Started{}) {
				t.Errorf("%s: a page and something else: %+v", name, started)
			}
			continue
		}
		if err != nil || started.Redirect == nil || started.ID != "" {
			t.Errorf("%s: %+v, %v; want a redirect", name, started, err)
			continue
		}
		got := started.Redirect
		if got.URI != tc.q.Get("redirect_uri") || got.Query.Get("error") != tc.code || got.Query.Get("error_description") != tc.description ||
			got.Query.Get("state") != "st" || got.Query.Get("iss") != oauthIssuer || got.Query.Has("code") {
			t.Errorf("%s: %s %v, want %s %q", name, got.URI, got.Query, tc.code, tc.description)
		}
	}
}

// TestSEC_102_UncheckedAppsGetNoUnattendedRedirect: for an app that registered itself an error is a page, except where it
// asked for no page at all.
func TestSEC_102_UncheckedAppsGetNoUnattendedRedirect(t *testing.T) {
	w := oauthInMemory(t)
	app := w.register(appMetadata())
	started, err := w.s.StartAuthorization(t.Context(), app.query("scope", "everything"), "", "")
	wantOAuthError(t, "invalid_scope", err, 400, "invalid_scope", "")
	if started.Redirect != nil {
		t.Error("bounced")
	}
	started, err = w.s.StartAuthorization(t.Context(), without(app.query("prompt", "none"), "state"), "", "")
	if err != nil || started.Redirect == nil || started.Redirect.Query.Get("error") != "interaction_required" || started.Redirect.Query.Has("state") {
		t.Errorf("%+v, %v", started, err)
	}
}

func TestBrowserBinding(t *testing.T) {
	w := oauthInMemory(t)
	app := w.register(appMetadata())
	first, err := w.s.StartAuthorization(t.Context(), app.query(), "", "")
	w.must(err)
	second, err := w.s.StartAuthorization(t.Context(), app.query(), umaas.Browser(first.Browser), "")
	w.must(err)
	if first.Browser == "" || second.Browser != first.Browser || second.ID == first.ID {
		t.Errorf("%+v, %+v: a browser keeps its binding over tabs", first, second)
	}
	third, err := w.s.StartAuthorization(t.Context(), app.query(), "chosen-by-an-attacker", "")
	w.must(err)
	if third.Browser == "chosen-by-an-attacker" || third.Browser == first.Browser {
		t.Errorf("%+v", third)
	}
	for _, b := range []string{"", third.Browser, first.Browser[:26], first.Browser + "A"} {
		if _, err := w.s.Flow(t.Context(), first.ID, umaas.Browser(b), nil); !errors.Is(err, umaas.ErrOtherBrowser) {
			t.Errorf("browser %q: %v", b, err)
		}
	}
}

// TestFreshSignIn: prompt=login and max_age send a signed-in person to sign in again, and an answer with an old session is
// not taken.
func TestFreshSignIn(t *testing.T) {
	w := oauthInMemory(t)
	app := w.register(appMetadata())
	_, old, err := w.s.CreateSession(t.Context(), w.alice.ID, nil)
	w.must(err)
	w.pass(10 * time.Second)
	for name, tc := range map[string]struct {
		pair  []string
		again bool
	}{
		"nothing": {nil, false}, "login": {[]string{"prompt", "login"}, true}, "select_account": {[]string{"prompt", "select_account"}, true}, "consent": {[]string{"prompt", "consent"}, false},
		"max_age 0": {[]string{"max_age", "0"}, true}, "max_age 9": {[]string{"max_age", "9"}, true}, "max_age 11": {[]string{"max_age", "11"}, false},
	} {
		started, err := w.s.StartAuthorization(t.Context(), app.query(tc.pair...), "", "")
		w.must(err)
		v, err := w.s.Flow(t.Context(), started.ID, umaas.Browser(started.Browser), &old)
		w.must(err)
		if (v.Step == umaas.StepSignIn) != tc.again {
			t.Errorf("%s: step %s", name, v.Step)
		}
		if !tc.again {
			continue
		}
		if _, err := w.s.AnswerConsent(t.Context(), started.ID, umaas.Browser(started.Browser), old, umaas.ConsentAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrStep) {
			t.Errorf("%s: answer with the old session: %v", name, err)
		}
		w.pass(time.Second)
		_, fresh, err := w.s.CreateSession(t.Context(), w.alice.ID, nil)
		w.must(err)
		if v, err = w.s.Flow(t.Context(), started.ID, umaas.Browser(started.Browser), &fresh); err != nil || v.Step != umaas.StepConsent {
			t.Errorf("%s: after signing in: %s, %v", name, v.Step, err)
		}
		w.pass(-time.Second)
	}
}

// oauthRecord registers a record set of a person.
func (w *oauthWorld) oauthRecord(rs oauthApp, owner umaas.Account, level, patient string, scopes ...string) umaas.ResourceID {
	w.t.Helper()
	p, err := w.s.AuthenticatePAT(w.t.Context(), w.pat(rs, owner).AccessToken)
	w.must(err)
	id, err := w.s.CreateResource(w.t.Context(), p, uma.ResourceDescription{
		Name: "Health record", Scopes: scopes, Context: &uma.ResourceContext{Level: level, Label: "My record", FHIRBase: rsURL, Patient: patient},
	}, "r")
	w.must(err)
	return id
}

// TestOAuthDoor: SMART scopes become permissions on the person's own sets, and the same introspection and the same
// withdrawal apply as behind the UMA door.
func TestOAuthDoor(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		rs := w.resourceServer()
		record := w.oauthRecord(rs, w.alice, "record", "a", "patient/Allergy.r", "patient/Allergy.s", "patient/Condition.r")
		w.oauthRecord(rs, w.bob, "record", "b", "patient/Allergy.r")
		app := w.register(appMetadata())
		r := w.tokens(app, w.alice, "scope", "openid fhirUser offline_access patient/Allergy.r patient/Condition.r patient/Secret.r launch/patient", "aud", rsURL)
		if r.Scope != "openid fhirUser offline_access patient/Allergy.r patient/Condition.r" || r.Patient != "a" || r.ExpiresIn != 3600 || r.RefreshToken == "" || r.IDToken == "" {
			t.Errorf("answer %+v", r)
		}
		_, err := w.s.AuthenticatePAT(t.Context(), r.AccessToken)
		wantOAuthError(t, "SEC-50 an app's token as PAT", err, 403, "insufficient_scope", "this needs a protection API token (scope uma_protection)")
		own, err := w.s.Token(t.Context(), rs.ask("grant_type", "client_credentials"))
		w.must(err)
		pat, err := w.s.AuthenticatePAT(t.Context(), own.AccessToken)
		w.must(err)
		got, err := w.s.Introspect(t.Context(), pat, r.AccessToken)
		w.must(err)
		if !got.Active || got.Kind != "oauth" || got.Sub != string(w.alice.ID) || len(got.Permissions) != 1 || got.Permissions[0].ResourceID != string(record) ||
			strings.Join(got.Permissions[0].Scopes, " ") != "patient/Allergy.r patient/Condition.r" || got.Patient != "a" {
			t.Errorf("introspection %+v", got)
		}
		// Withdrawn by the owner: access and refresh end (SEC-32, G-133).
		shares, err := w.s.Shares(t.Context(), w.alice.ID)
		w.must(err)
		for _, share := range shares {
			_, err := w.s.StopShare(t.Context(), w.alice.ID, share.ID, "r")
			w.must(err)
		}
		if got, err = w.s.Introspect(t.Context(), pat, r.AccessToken); err != nil || got.Active {
			t.Errorf("after withdrawal: %+v, %v", got, err)
		}
		_, err = w.s.Token(t.Context(), app.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken))
		wantOAuthError(t, "refresh after withdrawal", err, 400, "invalid_grant", refreshBad)
	})
}

// TestOAuthDoorPartOnly: what was not ticked is not in scope; nothing ticked is no code.
func TestOAuthDoorPartOnly(t *testing.T) {
	w := oauthInMemory(t)
	rs := w.resourceServer()
	w.oauthRecord(rs, w.alice, "record", "a", "patient/Allergy.r", "patient/Condition.r")
	app := w.register(appMetadata())
	started, err := w.s.StartAuthorization(t.Context(), app.query("scope", "patient/Allergy.r patient/Condition.r offline_access", "aud", rsURL), "", "")
	w.must(err)
	_, sess, err := w.s.CreateSession(t.Context(), w.alice.ID, nil)
	w.must(err)
	b := umaas.Browser(started.Browser)
	v, err := w.s.Flow(t.Context(), started.ID, b, &sess)
	w.must(err)
	if v.Step != umaas.StepConsent || len(v.Records) != 1 || len(v.Records[0].Items) != 2 || !v.Offline || v.Records[0].Label != "My record" {
		t.Fatalf("%+v", v)
	}
	if _, err := w.s.AnswerConsent(t.Context(), started.ID, b, sess, umaas.ConsentAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrNothingChosen) {
		t.Errorf("nothing ticked: %v", err)
	}
	back, err := w.s.AnswerConsent(t.Context(), started.ID, b, sess, umaas.ConsentAnswer{Digest: v.Digest, Items: []string{v.Records[0].Items[1].ID}, Until: w.now().Add(time.Hour)})
	w.must(err)
	r, err := w.s.Token(t.Context(), app.redeem(back.Query.Get("code")))
	w.must(err)
	if r.Scope != "patient/Condition.r" || r.RefreshToken != "" || r.IDToken != "" {
		t.Errorf("answer %+v; a consent for an hour is not for use without her", r)
	}
	w.pass(59 * time.Minute)
	if _, err := w.s.AnswerConsent(t.Context(), started.ID, b, sess, umaas.ConsentAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrFlowGone) {
		t.Errorf("double answer: %v", err)
	}
	// A person who has nothing there gets a page without lines, and the app no code.
	q := w.consent(app.query("scope", "patient/Allergy.r", "aud", rsURL), w.bob)
	if q.Get("error") != "invalid_scope" || q.Get("state") != "st" || q.Get("iss") != oauthIssuer || q.Has("code") {
		t.Errorf("%v", q)
	}
}

// TestOAuthDoorLevels: patient/ scopes reach records and a user's access to a patient, user/ scopes the user-level set; two
// patients in one grant leave no single launch patient.
func TestOAuthDoorLevels(t *testing.T) {
	w := oauthInMemory(t)
	rs := w.resourceServer()
	w.oauthRecord(rs, w.alice, "record", "a", "patient/Allergy.r", "user/Allergy.r")
	w.oauthRecord(rs, w.alice, "patient", "child", "patient/Allergy.r")
	w.oauthRecord(rs, w.alice, "user", "", "user/Allergy.r", "patient/Allergy.r")
	app := w.register(appMetadata())
	own, err := w.s.Token(t.Context(), rs.ask("grant_type", "client_credentials"))
	w.must(err)
	pat, err := w.s.AuthenticatePAT(t.Context(), own.AccessToken)
	w.must(err)
	for scope, want := range map[string]int{"patient/Allergy.r": 2, "user/Allergy.r": 1, "patient/Allergy.r user/Allergy.r": 3} {
		r := w.tokens(app, w.alice, "scope", scope, "resource", rsURL)
		got, err := w.s.Introspect(t.Context(), pat, r.AccessToken)
		w.must(err)
		if len(got.Permissions) != want || r.Patient != "" {
			t.Errorf("%s: %d permissions, want %d; patient %q", scope, len(got.Permissions), want, r.Patient)
		}
	}
}

// TestJWTAccessTokens: the signed form is chosen per resource server, says nothing of its permissions to the client, and ends
// with its grant like the opaque one.
func TestJWTAccessTokens(t *testing.T) {
	w := oauthInMemory(t)
	m := rsMetadata()
	m.RPTFormat = umaas.RPTJWT
	rs := w.register(m)
	w.oauthRecord(rs, w.alice, "record", "a", "patient/Allergy.r")
	app := w.register(appMetadata())
	r := w.tokens(app, w.alice, "scope", "openid offline_access patient/Allergy.r", "aud", rsURL)
	if _, err := w.ring.Verify(r.AccessToken, keys.ES256, "at+jwt"); err != nil {
		t.Fatalf("%s: %v", r.AccessToken, err)
	}
	c := claimsOf(t, r.AccessToken)
	if aud, _ := c["aud"].([]any); c["iss"] != oauthIssuer || c["sub"] != string(w.alice.ID) || c["client_id"] != string(app.ClientID) || len(aud) != 1 || aud[0] != rsURL ||
		c["exp"] != float64(w.now().Unix()+3600) || c["jti"] == "" || c["urn:umaas:kind"] != "oauth" {
		t.Errorf("claims %v", c)
	}
	if sealed, _ := c["urn:umaas:permissions"].(string); strings.Count(sealed, ".") != 4 || c["permissions"] != nil {
		t.Errorf("permissions are to be a JWE: %v", c)
	}
	if len(r.AccessToken) > 4096 {
		t.Errorf("SEC-36: %d bytes", len(r.AccessToken))
	}
	pat, err := w.s.AuthenticatePAT(t.Context(), w.pat(rs, w.alice).AccessToken)
	w.must(err)
	got, err := w.s.Introspect(t.Context(), pat, r.AccessToken)
	if err != nil || !got.Active || got.JTI != c["jti"] || len(got.Permissions) != 1 {
		t.Errorf("introspection %+v, %v", got, err)
	}
	if got, _ := w.s.Introspect(t.Context(), pat, r.AccessToken[:len(r.AccessToken)-4]+"AAAA"); got.Active {
		t.Error("a forged signature is active")
	}
	if got, _ := w.s.Introspect(t.Context(), pat, r.IDToken); got.Active {
		t.Error("an ID token is active as access token")
	}
	w.must(w.s.Revoke(t.Context(), app.ask("token", r.AccessToken)))
	if got, _ := w.s.Introspect(t.Context(), pat, r.AccessToken); got.Active {
		t.Error("revoked, and active")
	}
}

// TestIDTokenES256 is the client's own choice of algorithm (decisions 1).
func TestIDTokenES256(t *testing.T) {
	w := oauthInMemory(t)
	m := appMetadata()
	m.IDTokenAlg = "ES256"
	r := w.tokens(w.register(m), w.alice, "scope", "openid profile")
	if _, err := w.ring.Verify(r.IDToken, keys.ES256, "JWT"); err != nil {
		t.Error(err)
	}
	if c := claimsOf(t, r.IDToken); c["name"] != "Name of alice" || c["fhirUser"] != nil {
		t.Errorf("claims %v", c)
	}
	if r.RefreshToken != "" {
		t.Error("a refresh token without offline_access")
	}
}
