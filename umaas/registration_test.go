package umaas_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func TestRegister(t *testing.T) {
	w := oauthInMemory(t)
	got := w.resourceServer()
	if !strings.HasPrefix(string(got.ClientID), "c_") || len(got.ClientSecret) != 43 || got.IssuedAt != w.now().Unix() || got.SecretEnds == nil || *got.SecretEnds != 0 {
		t.Errorf("%+v", got.ClientInformation)
	}
	if got.AuthMethod != umaas.AuthSecretBasic || got.RPTFormat != umaas.RPTOpaque || got.IDTokenAlg != "RS256" || strings.Join(got.ResponseTypes, " ") != "code" {
		t.Errorf("defaults: %+v", got.ClientMetadata)
	}
	c, err := w.s.Client(t.Context(), got.ClientID)
	w.must(err)
	if !c.Dynamic || c.SecretHash == (umaas.SecretHash{}) || c.Account == "" || strings.HasPrefix(string(c.Account), "c_") {
		t.Errorf("stored %+v", c)
	}
	public := w.register(umaas.ClientMetadata{Name: "Phone", AuthMethod: umaas.AuthNone, RedirectURIs: []string{"org.example.app:/cb"}})
	raw, err := json.Marshal(public.ClientInformation)
	w.must(err)
	if want := fmt.Sprintf(`{"client_id":%q,"client_id_issued_at":%d,"redirect_uris":["org.example.app:/cb"],"token_endpoint_auth_method":"none",`+
		`"grant_types":["authorization_code"],"response_types":["code"],"client_name":"Phone","id_token_signed_response_alg":"RS256","rpt_format":"opaque"}`,
		public.ClientID, public.IssuedAt); string(raw) != want {
		t.Errorf("wire form\n got %s\nwant %s", raw, want)
	}
}

// TestSEC_112_ClientChoosesNoID: whatever a registration says of ids is not read.
func TestSEC_112_ClientChoosesNoID(t *testing.T) {
	w := oauthInMemory(t)
	var m umaas.ClientMetadata
	w.must(json.Unmarshal([]byte(`{"client_id":"`+string(w.alice.ID)+`","sub":"x","client_secret":"x","client_name":"App","redirect_uris":["https://a.example/"]}`), &m))
	i, err := w.s.Register(t.Context(), m, "")
	w.must(err)
	if i.ClientID == umaas.ClientID(w.alice.ID) || i.ClientSecret == "x" || !strings.HasPrefix(string(w.alice.ID), "u_") {
		t.Errorf("%+v", i)
	}
}

func TestRegisterRefuses(t *testing.T) {
	w := oauthInMemory(t)
	w.resourceServer()
	const redirect, metadata = "invalid_redirect_uri", "invalid_client_metadata"
	for name, tc := range map[string]struct {
		change            func(*umaas.ClientMetadata)
		code, description string
	}{
		"no name":            {func(m *umaas.ClientMetadata) { m.Name = " " }, metadata, "client_name: want 1 to 200 visible characters"},
		"bidi name":          {func(m *umaas.ClientMetadata) { m.Name = "App\u202eppA" }, metadata, "client_name: want 1 to 200 visible characters"},
		"method":             {func(m *umaas.ClientMetadata) { m.AuthMethod = "client_secret_jwt" }, metadata, "token_endpoint_auth_method: want none, client_secret_basic, client_secret_post or private_key_jwt"},
		"grant":              {func(m *umaas.ClientMetadata) { m.GrantTypes = append(m.GrantTypes, "password") }, metadata, "grant_types: holds one that this server does not offer"},
		"response type":      {func(m *umaas.ClientMetadata) { m.ResponseTypes = []string{"token"} }, metadata, "response_types: code is the only one offered"},
		"no redirect":        {func(m *umaas.ClientMetadata) { m.RedirectURIs = nil }, redirect, "redirect_uris: needed for authorization_code"},
		"http":               {func(m *umaas.ClientMetadata) { m.RedirectURIs = []string{"http://app.example/"} }, redirect, "redirect_uris[0]: want https (http is for the loopback interface alone)"},
		"second has problem": {func(m *umaas.ClientMetadata) { m.RedirectURIs = append(m.RedirectURIs, "x") }, redirect, "redirect_uris[1]: want an absolute URI without fragment, user information, wildcard, dot segments or unusual characters"},
		"twice":              {func(m *umaas.ClientMetadata) { m.RedirectURIs = append(m.RedirectURIs, m.RedirectURIs[0]) }, redirect, "redirect_uris[1]: is there twice"},
		"G-049 public ticket": {func(m *umaas.ClientMetadata) {
			m.AuthMethod, m.GrantTypes = umaas.AuthNone, []string{uma.GrantTypeTicket}
		}, metadata, "claims_redirect_uris: needed for a public client that uses uma-ticket"},
		"claims redirect": {func(m *umaas.ClientMetadata) { m.ClaimsRedirectURIs = []string{"https://a.example/#f"} }, metadata, "claims_redirect_uris[0]: want an absolute URI without fragment, user information, wildcard, dot segments or unusual characters"},
		"public credentials": {func(m *umaas.ClientMetadata) {
			m.AuthMethod = umaas.AuthNone
			m.GrantTypes = append(m.GrantTypes, "client_credentials")
		}, metadata, "grant_types: client_credentials need a client that can authenticate"},
		"refresh alone":      {func(m *umaas.ClientMetadata) { m.GrantTypes = []string{"refresh_token"} }, metadata, "grant_types: refresh_token comes only with authorization_code or uma-ticket"},
		"public RS":          {func(m *umaas.ClientMetadata) { m.AuthMethod = umaas.AuthNone; m.Scope = "uma_protection" }, metadata, "scope: uma_protection needs a client that can authenticate"},
		"scope":              {func(m *umaas.ClientMetadata) { m.Scope = `a"` }, metadata, "scope: want scope tokens separated by spaces"},
		"jwks_uri":           {func(m *umaas.ClientMetadata) { m.JWKSURI = "https://a.example/jwks" }, metadata, "jwks_uri: is not fetched; send the keys as jwks"},
		"no jwks":            {func(m *umaas.ClientMetadata) { m.AuthMethod = umaas.AuthPrivateKeyJWT }, metadata, "jwks: not a JSON Web Key Set"},
		"jwks for a secret":  {func(m *umaas.ClientMetadata) { m.JWKS = json.RawMessage(`{"keys":[]}`) }, metadata, "jwks: only for private_key_jwt and self_signed_tls_client_auth"},
		"client_uri":         {func(m *umaas.ClientMetadata) { m.ClientURI = "javascript:alert(1)" }, metadata, "client_uri: want an https URL"},
		"tos_uri":            {func(m *umaas.ClientMetadata) { m.TOSURI = "http://a.example" }, metadata, "tos_uri: want an https URL"},
		"rpt_format":         {func(m *umaas.ClientMetadata) { m.RPTFormat = "saml" }, metadata, "rpt_format: want opaque or jwt"},
		"id alg":             {func(m *umaas.ClientMetadata) { m.IDTokenAlg = "none" }, metadata, "id_token_signed_response_alg: want RS256 or ES256"},
		"resource of an app": {func(m *umaas.ClientMetadata) { m.Resource = []string{"https://a.example"} }, metadata, "resource: only a client with the scope uma_protection answers for resources"},
		"resource taken":     {func(m *umaas.ClientMetadata) { m.Scope = "uma_protection"; m.Resource = []string{rsURL} }, metadata, "resource: another client answers for that URL; an administrator can change that"},
		"all mistakes at once": {func(m *umaas.ClientMetadata) { m.Name = ""; m.RedirectURIs = []string{"x"}; m.RPTFormat = "y" }, metadata,
			"client_name: want 1 to 200 visible characters; redirect_uris[0]: want an absolute URI without fragment, user information, wildcard, dot segments or unusual characters; rpt_format: want opaque or jwt"},
	} {
		m := appMetadata()
		tc.change(&m)
		i, err := w.s.Register(t.Context(), m, "")
		wantOAuthError(t, name, err, 400, tc.code, tc.description)
		if i.ClientID != "" {
			t.Errorf("%s: answered with a client", name)
		}
	}
	clients, err := w.s.Clients(t.Context(), "", 10)
	w.must(err)
	if len(clients) != 1 {
		t.Errorf("%d clients stored, want the one good one", len(clients))
	}
}

// TestAudienceHasOneServer: a URL belongs to one resource server; an administered one takes it over from a self-registered.
func TestAudienceHasOneServer(t *testing.T) {
	w := oauthInMemory(t)
	dynamic := w.resourceServer()
	m := rsMetadata()
	administered := umaas.Client{Name: m.Name, RedirectURIs: m.RedirectURIs, GrantTypes: m.GrantTypes, Scopes: []string{"uma_protection"}, Audience: []string{rsURL}}
	c, secret, err := w.s.AddClient(t.Context(), administered, w.alice.ID)
	w.must(err)
	if secret == "" || c.Dynamic || c.Account == "" {
		t.Errorf("%+v", c)
	}
	if _, _, err := w.s.AddClient(t.Context(), administered, w.alice.ID); err == nil {
		t.Error("two administered servers for one URL")
	}
	_, err = w.s.Register(t.Context(), m, "")
	wantOAuthError(t, "dynamic over administered", err, 400, "invalid_client_metadata", "")
	app := w.register(appMetadata())
	started, err := w.s.StartAuthorization(t.Context(), app.query("scope", "openid patient/Allergy.r", "aud", rsURL), "", "")
	if err != nil || started.ID == "" {
		t.Fatalf("%+v, %v", started, err)
	}
	w.must(w.s.SetClientDisabled(t.Context(), c.ID, true, w.alice.ID))
	_, err = w.s.StartAuthorization(t.Context(), app.query("scope", "openid patient/Allergy.r", "aud", rsURL), "", "")
	wantOAuthError(t, "disabled server", err, 400, "invalid_target", "resource or aud: name one resource server that this server protects")
	loser, err := w.s.Client(t.Context(), dynamic.ClientID)
	w.must(err)
	if len(loser.Audience) != 0 {
		t.Errorf("the self-registered server still answers for %v", loser.Audience)
	}
}

// TestSEC_113_ClientAuthentication: each registered method against each way to present oneself; only its own works.
func TestSEC_113_ClientAuthentication(t *testing.T) {
	w := oauthInMemory(t)
	key, set := clientKey(t)
	apps := map[umaas.AuthMethod]oauthApp{}
	for _, method := range []umaas.AuthMethod{umaas.AuthNone, umaas.AuthSecretBasic, umaas.AuthSecretPost, umaas.AuthPrivateKeyJWT} {
		m := appMetadata()
		m.AuthMethod = method
		if method == umaas.AuthPrivateKeyJWT {
			m.JWKS = set
		}
		apps[method] = w.register(m)
	}
	present := map[umaas.AuthMethod]func(a oauthApp) umaas.TokenRequest{
		umaas.AuthNone: func(a oauthApp) umaas.TokenRequest {
			return umaas.TokenRequest{Form: url.Values{"client_id": {string(a.ClientID)}}}
		},
		umaas.AuthSecretBasic: func(a oauthApp) umaas.TokenRequest {
			return umaas.TokenRequest{Form: url.Values{}, HasBasic: true, BasicID: string(a.ClientID), BasicSecret: a.ClientSecret}
		},
		umaas.AuthSecretPost: func(a oauthApp) umaas.TokenRequest {
			return umaas.TokenRequest{Form: url.Values{"client_id": {string(a.ClientID)}, "client_secret": {a.ClientSecret + strings.Repeat("x", 1-min(1, len(a.ClientSecret)))}}}
		},
		umaas.AuthPrivateKeyJWT: func(a oauthApp) umaas.TokenRequest { return asserting(w.assertion(key, a, nil)) },
	}
	for registered, app := range apps {
		for presented, make := range present {
			r := make(app)
			r.Form.Set("grant_type", "refresh_token")
			r.Form.Set("refresh_token", "x.y")
			_, err := w.s.Token(t.Context(), r)
			name := fmt.Sprintf("%s presents %s", registered, presented)
			if registered == presented {
				wantOAuthError(t, name, err, 400, "invalid_grant", refreshBad) // came through to the grant
			} else {
				wantOAuthError(t, name, err, 401, "invalid_client", "client authentication failed")
			}
		}
	}
	basic := apps[umaas.AuthSecretBasic]
	for name, tc := range map[string]struct {
		change            func(*umaas.TokenRequest)
		status            int
		code, description string
	}{
		"wrong secret":    {func(r *umaas.TokenRequest) { r.BasicSecret += "x" }, 401, "invalid_client", "client authentication failed"},
		"empty secret":    {func(r *umaas.TokenRequest) { r.BasicSecret = "" }, 401, "invalid_client", "client authentication failed"},
		"unknown client":  {func(r *umaas.TokenRequest) { r.BasicID = "c_nobody" }, 401, "invalid_client", "client authentication failed"},
		"two ways":        {func(r *umaas.TokenRequest) { r.Form.Set("client_secret", basic.ClientSecret) }, 400, "invalid_request", "authenticate the client in one way only"},
		"two ids":         {func(r *umaas.TokenRequest) { r.Form.Set("client_id", "c_other") }, 400, "invalid_request", "client_id differs from the one in the Authorization header"},
		"same id twice":   {func(r *umaas.TokenRequest) { r.Form.Set("client_id", string(basic.ClientID)) }, 400, "invalid_grant", refreshBad},
		"SEC-21 a bearer": {func(r *umaas.TokenRequest) { r.HasBasic = false; r.Form.Set("access_token", "x") }, 401, "invalid_client", "client authentication failed"},
		"assertion type":  {func(r *umaas.TokenRequest) { r.HasBasic = false; r.Form.Set("client_assertion", "a.b.c") }, 400, "invalid_request", "client_assertion_type: want urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	} {
		r := basic.ask("grant_type", "refresh_token", "refresh_token", "x.y")
		tc.change(&r)
		_, err := w.s.Token(t.Context(), r)
		wantOAuthError(t, name, err, tc.status, tc.code, tc.description)
	}
	fresh, err := w.s.RenewClientSecret(t.Context(), basic.ClientID, "")
	w.must(err)
	_, err = w.s.Token(t.Context(), basic.ask("grant_type", "refresh_token", "refresh_token", "x.y"))
	wantOAuthError(t, "old secret after renewal", err, 401, "invalid_client", "")
	basic.ClientSecret = fresh
	_, err = w.s.Token(t.Context(), basic.ask("grant_type", "refresh_token", "refresh_token", "x.y"))
	wantOAuthError(t, "new secret", err, 400, "invalid_grant", refreshBad)
}

func clientKey(t *testing.T) (*ecdsa.PrivateKey, json.RawMessage) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jwk.FromRaw(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	set := jwk.NewSet()
	_ = set.AddKey(public)
	raw, _ := json.Marshal(set)
	return key, raw
}

var assertionNumber atomic.Int64

// assertion signs a good client assertion with changes to its claims.
func (w *oauthWorld) assertion(key *ecdsa.PrivateKey, a oauthApp, change map[string]any) string {
	w.t.Helper()
	claims := map[string]any{
		"iss": a.ClientID, "sub": a.ClientID, "aud": oauthIssuer + "/token", "exp": w.now().Add(time.Minute).Unix(), "jti": fmt.Sprint("j", assertionNumber.Add(1)),
	}
	for name, v := range change {
		claims[name] = v
	}
	payload, _ := json.Marshal(claims)
	raw, err := jws.Sign(payload, jws.WithKey(jwa.ES384, key))
	w.must(err)
	return string(raw)
}

func asserting(raw string) umaas.TokenRequest {
	return umaas.TokenRequest{Form: url.Values{
		"client_assertion": {raw}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}}
}

func TestSEC_61_Assertion(t *testing.T) {
	w := oauthInMemory(t)
	key, set := clientKey(t)
	stranger, otherSet := clientKey(t)
	m := appMetadata()
	m.AuthMethod, m.JWKS = umaas.AuthPrivateKeyJWT, set
	app := w.register(m)
	m.JWKS = otherSet
	other := w.register(m)
	now := w.now()
	try := func(raw string) error {
		r := asserting(raw)
		r.Form.Set("grant_type", "refresh_token")
		r.Form.Set("refresh_token", "x.y")
		_, err := w.s.Token(t.Context(), r)
		return err
	}
	for name, tc := range map[string]struct {
		raw string
		ok  bool
	}{
		"good":                 {w.assertion(key, app, nil), true},
		"issuer as audience":   {w.assertion(key, app, map[string]any{"aud": []string{oauthIssuer}}), true},
		"other audience":       {w.assertion(key, app, map[string]any{"aud": "https://evil.example/token"}), false},
		"two audiences":        {w.assertion(key, app, map[string]any{"aud": []string{oauthIssuer, "https://evil.example"}}), false},
		"no audience":          {w.assertion(key, app, map[string]any{"aud": nil}), false},
		"iss is another":       {w.assertion(key, app, map[string]any{"iss": "x"}), false},
		"sub is another":       {w.assertion(key, app, map[string]any{"sub": other.ClientID}), false},
		"another's key":        {w.assertion(stranger, app, nil), false},
		"expired":              {w.assertion(key, app, map[string]any{"exp": now.Unix()}), false},
		"no exp":               {w.assertion(key, app, map[string]any{"exp": 0}), false},
		"exp in 5 min":         {w.assertion(key, app, map[string]any{"exp": now.Add(5 * time.Minute).Unix()}), true},
		"exp too far":          {w.assertion(key, app, map[string]any{"exp": now.Add(6 * time.Minute).Unix()}), false},
		"SEC-53 nbf in future": {w.assertion(key, app, map[string]any{"nbf": now.Add(time.Minute).Unix()}), false},
		"iat in future":        {w.assertion(key, app, map[string]any{"iat": now.Add(time.Minute).Unix()}), false},
		"no jti":               {w.assertion(key, app, map[string]any{"jti": ""}), false},
		"long jti":             {w.assertion(key, app, map[string]any{"jti": strings.Repeat("j", 256)}), false},
		"garbage":              {"a.b.c", false},
	} {
		err := try(tc.raw)
		if tc.ok {
			wantOAuthError(t, name, err, 400, "invalid_grant", refreshBad)
		} else {
			wantOAuthError(t, name, err, 401, "invalid_client", "client authentication failed")
		}
	}
	once := map[string]any{"jti": "once"}
	wantOAuthError(t, "first", try(w.assertion(key, app, once)), 400, "invalid_grant", "")
	wantOAuthError(t, "replay", try(w.assertion(key, app, once)), 401, "invalid_client", "")
	wantOAuthError(t, "same jti of another client", try(w.assertion(stranger, other, once)), 400, "invalid_grant", "")
	w.pass(2 * time.Minute)
	wantOAuthError(t, "after it expired the id may come again", try(w.assertion(key, app, once)), 400, "invalid_grant", "")
}

func TestSEC_61_ParallelReplay(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		key, set := clientKey(t)
		m := appMetadata()
		m.AuthMethod, m.JWKS = umaas.AuthPrivateKeyJWT, set
		app := w.register(m)
		raw := w.assertion(key, app, nil)
		services := []*umaas.Service{w.s, w.service(), w.service()}
		var through atomic.Int32
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				r := asserting(raw)
				r.Form.Set("grant_type", "refresh_token")
				r.Form.Set("refresh_token", "x.y")
				if _, err := services[i%3].Token(t.Context(), r); errors.Is(err, uma.ErrInvalidGrant) {
					through.Add(1)
				}
			})
		}
		wg.Wait()
		if through.Load() != 1 {
			t.Errorf("%d of 32 got through with one assertion", through.Load())
		}
	})
}
