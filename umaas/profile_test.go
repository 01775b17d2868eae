package umaas_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// heart is a world under the HEART profile: every client has a key and no secret.
type heart struct {
	*world
	keys map[umaas.ClientID]*ecdsa.PrivateKey
	n    int
}

const keyClient, keyRS = umaas.ClientID("h-app"), umaas.ClientID("h-rs")

func newHeart(t *testing.T) *heart {
	t.Helper()
	h := &heart{world: newWorld(t, memkv.New(memkv.Options{})), keys: map[umaas.ClientID]*ecdsa.PrivateKey{}}
	ring, err := coreRing()
	h.must(err)
	h.Service, err = umaas.New(t.Context(), umaas.Deps{
		Issuer: issuer, Store: h.store, Keys: ring, Scopes: bytesLanguage{}, Now: h.now, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Limits: umaas.DefaultLimits(), Profile: umaas.ProfileHEART,
	})
	h.must(err)
	for _, c := range []umaas.Client{
		{ID: keyClient, Name: "App", GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken}, ClaimsRedirectURIs: []string{"https://h.example/cb"}},
		{ID: keyRS, Name: "Hospital", GrantTypes: []string{uma.GrantTypeClientCredentials}, Scopes: []string{uma.ScopeProtection}, Account: h.org, Audience: []string{"https://h-rs.example/fhir"}},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		h.must(err)
		point, err := key.PublicKey.Bytes()
		h.must(err)
		c.AuthMethod, c.Created, h.keys[c.ID] = umaas.AuthPrivateKeyJWT, h.now(), key
		c.JWKS = []byte(fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`,
			base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])))
		h.put(func(tx umaas.Tx) error { return tx.PutClient(c) })
	}
	return h
}

// ask makes a token request that authenticates by an assertion (HEART OAuth2 §2.2.2).
func (h *heart) ask(id umaas.ClientID, pairs ...string) (uma.TokenResponse, error) {
	h.t.Helper()
	h.n++
	payload, err := json.Marshal(map[string]any{
		"iss": id, "sub": id, "aud": issuer + "/token", "jti": fmt.Sprint("jti-", h.n), "iat": h.now().Unix(), "exp": h.now().Add(time.Minute).Unix(),
	})
	h.must(err)
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, h.keys[id], sum[:])
	h.must(err)
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	f := form(append([]string{
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", input + "." + base64.RawURLEncoding.EncodeToString(sig),
	}, pairs...)...)
	return h.Token(context.Background(), umaas.TokenRequest{Form: f, RequestID: "req"})
}

func (h *heart) pat() (string, umaas.PAT) {
	h.t.Helper()
	r, err := h.ask(keyRS, "grant_type", uma.GrantTypeClientCredentials, "scope", uma.ScopeProtection)
	h.must(err)
	p, err := h.AuthenticatePAT(h.t.Context(), r.AccessToken)
	h.must(err)
	return r.AccessToken, p
}

// given registers resources of alice, shares them with bob, and returns his RPT.
func (h *heart) given(scopes ...string) (rpt uma.TokenResponse, ids []string) {
	h.t.Helper()
	var perms []uma.Permission
	for range 2 {
		id := h.set(h.alice, keyRS, scopes...)
		h.policy(h.alice, account(h.bob), []umaas.Rule{rule(keyRS, id, scopes...)})
		perms, ids = append(perms, perm(id, scopes...)), append(ids, string(id))
	}
	slices.Sort(ids)
	ticket := h.ticketOf(umaas.PAT{Owner: h.alice, RS: keyRS}, perms...)
	rpt, err := h.ask(keyClient, "grant_type", uma.GrantTypeTicket, "ticket", h.gather(keyClient, ticket, h.bob))
	h.must(err)
	return rpt, ids
}

// header is the protected header of a JWS.
func header(t testing.TB, jwt string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		s, _ := e.(string)
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// TestHEART has a check for every rule of the profile's table; one that is missing fails.
func TestHEART(t *testing.T) {
	checks := map[string]func(t *testing.T, h *heart){
		"H-01": func(t *testing.T, h *heart) {
			for _, c := range []umaas.ClientID{c1, p1, robot} { // a secret, none at all, an organization's secret
				r, err := h.redeem(c, "x")
				h.wantError(r, err, 401, "invalid_client", "client authentication failed")
			}
			_, err := h.ask(keyClient, "grant_type", uma.GrantTypeTicket, "ticket", "x")
			h.wantError(nil, err, 400, "invalid_grant", deadTicket) // past the authentication
			for _, m := range []umaas.AuthMethod{umaas.AuthNone, umaas.AuthSecretBasic, umaas.AuthSecretPost, ""} {
				_, err := h.Register(t.Context(), umaas.ClientMetadata{Name: "x", AuthMethod: m, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://x.example/cb"}}, "")
				h.wantError(nil, err, 400, "invalid_client_metadata", "token_endpoint_auth_method: this server follows the HEART profile: private_key_jwt, with the public keys as jwks")
			}
		},
		"H-02": func(t *testing.T, h *heart) {
			m := h.Metadata()
			if !slices.Equal(m.TokenEndpointAuthMethodsSupported, []string{"private_key_jwt"}) || !slices.Contains(m.TokenEndpointAuthSigningAlgValuesSupported, "RS256") ||
				m.RegistrationEndpoint == "" || m.IntrospectionEndpoint == "" || m.RevocationEndpoint == "" || m.JWKSURI == "" || m.ResourceRegistrationEndpoint == "" || m.PermissionEndpoint == "" {
				t.Errorf("%+v", m)
			}
		},
		"H-05": func(t *testing.T, h *heart) {
			c := umaas.Client{}
			h.put(func(tx umaas.Tx) error { var err error; c, err = tx.Client(keyRS); return err })
			i, err := h.Register(t.Context(), umaas.ClientMetadata{
				Name: "Another hospital", AuthMethod: umaas.AuthPrivateKeyJWT, JWKS: c.JWKS, Scope: "uma_protection", RedirectURIs: []string{"https://other.example/cb"},
				GrantTypes: []string{uma.GrantTypeAuthorizationCode, uma.GrantTypeRefreshToken}, Resource: []string{"https://other.example/fhir"},
			}, "")
			if err != nil || i.ClientSecret != "" {
				t.Errorf("%+v, %v", i, err)
			}
			rpt, _ := h.given("view")
			_, pat := h.pat()
			got, err := h.Introspect(t.Context(), pat, rpt.AccessToken)
			if err != nil || !got.Active {
				t.Errorf("%+v, %v", got, err)
			}
		},
		"H-06": func(t *testing.T, h *heart) {
			ring, err := coreRing()
			h.must(err)
			rpt, _ := h.given("view")
			pat, _ := h.pat()
			for _, token := range []string{rpt.AccessToken, pat} {
				v, err := ring.Verify(token, keys.RS256, "at+jwt")
				if head := header(t, token); err != nil || head["alg"] != "RS256" || head["kid"] == "" || v.KeyID != head["kid"] {
					t.Errorf("%v, %v", head, err)
				}
			}
			// Far more resources than fit into 4 kB: issued opaque, which DIVERGENCES.md says (SEC-36).
			var perms []uma.Permission
			for range 200 {
				id := h.set(h.alice, keyRS, "view")
				h.policy(h.alice, account(h.bob), []umaas.Rule{rule(keyRS, id, "view")})
				perms = append(perms, perm(id, "view"))
			}
			ticket := h.ticketOf(umaas.PAT{Owner: h.alice, RS: keyRS}, perms...)
			many, err := h.ask(keyClient, "grant_type", uma.GrantTypeTicket, "ticket", h.gather(keyClient, ticket, h.bob))
			if err != nil || strings.Count(many.AccessToken, ".") != 1 {
				t.Errorf("200 resources: %d bytes, %v", len(many.AccessToken), err)
			}
		},
		"H-07": func(t *testing.T, h *heart) {
			token, pat := h.pat()
			c := claimsOf(t, token)
			want := []string{issuer + "/introspect", issuer + "/resource_set/"}
			if c["iss"] != issuer || c["sub"] != string(h.org) || c["azp"] != string(keyRS) || !slices.Equal(texts(c["aud"]), want) || c["jti"] == "" {
				t.Errorf("%v", c)
			}
			i, err := h.Introspect(t.Context(), pat, token)
			if err != nil || !i.Active || i.Iss != issuer || i.Sub != string(h.org) || i.Azp != string(keyRS) || !slices.Equal(i.Aud, want) || i.Scope != uma.ScopeProtection {
				t.Errorf("%+v, %v", i, err)
			}
			// another resource server learns nothing of it
			other, err := h.Introspect(t.Context(), umaas.PAT{Owner: h.org, RS: rs1}, token)
			if err != nil || other.Active {
				t.Errorf("told to another: %+v, %v", other, err)
			}
		},
		"H-08": func(t *testing.T, h *heart) {
			rpt, ids := h.given("view", "edit")
			c := claimsOf(t, rpt.AccessToken)
			if c["iss"] != issuer || c["sub"] != string(h.alice) || c["azp"] != string(keyClient) || !slices.Equal(texts(c["aud"]), ids) || c["urn:umaas:party"] != string(h.bob) {
				t.Errorf("%v, want aud %v", c, ids)
			}
			_, pat := h.pat()
			i, err := h.Introspect(t.Context(), pat, rpt.AccessToken)
			slices.Sort(i.Aud)
			if err != nil || i.Iss != issuer || i.Sub != string(h.alice) || i.Azp != string(keyClient) || !slices.Equal(i.Aud, ids) || i.Party != string(h.bob) || len(i.Permissions) != 2 {
				t.Errorf("%+v, %v", i, err)
			}
			refreshed, err := h.ask(keyClient, "grant_type", uma.GrantTypeRefreshToken, "refresh_token", rpt.RefreshToken)
			if err != nil || claimsOf(t, refreshed.AccessToken)["sub"] != string(h.alice) {
				t.Errorf("refreshed: %v", err)
			}
		},
		"H-09": func(t *testing.T, h *heart) {
			// A PCT is a handle of this server like every other: what stands for it says nothing. One that is not known here is
			// as if none had been sent.
			id := h.set(h.alice, keyRS, "view")
			_, err := h.ask(keyClient, "grant_type", uma.GrantTypeTicket, "ticket", h.ticketOf(umaas.PAT{Owner: h.alice, RS: keyRS}, perm(id, "view")), "pct", "a.b")
			h.wantError(nil, err, 403, "need_info", "")
		},
		"H-10": func(t *testing.T, h *heart) {
			rpt, _ := h.given("view")
			if rpt.ExpiresIn <= 0 || rpt.ExpiresIn > 3600 {
				t.Errorf("RPT of %d s", rpt.ExpiresIn)
			}
			h.sleep(24*time.Hour - time.Second)
			rpt, err := h.ask(keyClient, "grant_type", uma.GrantTypeRefreshToken, "refresh_token", rpt.RefreshToken)
			h.must(err)
			h.sleep(24 * time.Hour)
			_, err = h.ask(keyClient, "grant_type", uma.GrantTypeRefreshToken, "refresh_token", rpt.RefreshToken)
			h.wantError(nil, err, 400, "invalid_grant", "")
			ring, err := coreRing()
			h.must(err)
			long := umaas.DefaultLimits()
			long.RPT = 2 * time.Hour
			_, err = umaas.New(t.Context(), umaas.Deps{
				Issuer: issuer, Store: h.store, Keys: ring, Scopes: bytesLanguage{}, Now: h.now, Random: rand.Reader,
				Logger: slog.New(slog.DiscardHandler), Limits: long, Profile: umaas.ProfileHEART,
			})
			if err == nil || !strings.Contains(err.Error(), "an hour at most") {
				t.Errorf("two hours: %v", err)
			}
		},
		"H-11": func(t *testing.T, h *heart) {
			c := umaas.Client{}
			h.put(func(tx umaas.Tx) error { var err error; c, err = tx.Client(keyClient); return err })
			i, err := h.Register(t.Context(), umaas.ClientMetadata{Name: "x", AuthMethod: umaas.AuthPrivateKeyJWT, JWKS: c.JWKS, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://x.example/cb"}}, "")
			h.must(err)
			stored, err := h.Client(t.Context(), i.ClientID)
			if err != nil || !stored.Dynamic {
				t.Errorf("%+v, %v", stored, err)
			}
		},
		"H-14": func(t *testing.T, h *heart) {
			for _, kind := range []string{"http://www.hl7.org/fhir/compartmentdefinition-patient.html", "http://www.hl7.org/fhir/observation.html"} {
				id, err := h.CreateResource(t.Context(), umaas.PAT{Owner: h.alice, RS: keyRS}, uma.ResourceDescription{Type: kind, Scopes: []string{"patient/*.read"}}, "")
				h.must(err)
				d, err := h.ReadResource(t.Context(), umaas.PAT{Owner: h.alice, RS: keyRS}, id)
				if err != nil || d.Type != kind {
					t.Errorf("%+v, %v", d, err)
				}
			}
		},
		"H-15": func(t *testing.T, h *heart) {
			scopes := []string{"patient/Observation.read", "conf/N", "conf/R", "conf/V", "sens/ETH", "sens/PSY", "btg"}
			rpt, _ := h.given(scopes...)
			_, pat := h.pat()
			i, err := h.Introspect(t.Context(), pat, rpt.AccessToken)
			// btg is registered like the others, and given in a declared emergency alone (FHIR-UMA2 §4.1).
			if err != nil || len(i.Permissions) != 2 || !slices.Equal(i.Permissions[0].Scopes, scopes[:6]) {
				t.Errorf("%+v, %v", i, err)
			}
		},
	}
	for _, r := range umaas.ProfileHEART.Requirements() {
		t.Run(r.ID, func(t *testing.T) {
			check, ok := checks[r.ID]
			if !ok || r.Section == "" || r.Says == "" {
				t.Fatalf("%s has no check, or says nothing", r.ID)
			}
			check(t, newHeart(t))
		})
	}
}

// TestProfileOff: without the profile nothing of it shows.
func TestProfileOff(t *testing.T) {
	w := inMemory(t)
	r, s, names, _ := w.shared()
	_ = s
	got := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
	i := w.inspect(w.alice, rs1, got.AccessToken)
	if strings.Count(got.AccessToken, ".") != 1 || i.Azp != "" || i.Party != "" || i.Sub != string(w.bob) || !slices.Equal(i.Aud, []string{"https://rs1.example/fhir"}) {
		t.Errorf("%+v %v", i, names)
	}
	if umaas.ProfileNone.Requirements() != nil {
		t.Error("no profile has rules")
	}
	ring, err := coreRing()
	w.must(err)
	_, err = umaas.New(t.Context(), umaas.Deps{
		Issuer: issuer, Store: w.store, Keys: ring, Scopes: bytesLanguage{}, Now: w.now, Random: rand.Reader,
		Logger: slog.New(slog.DiscardHandler), Limits: umaas.DefaultLimits(), Profile: "hart",
	})
	if err == nil || errors.Is(err, umaas.ErrNotFound) {
		t.Error("an unknown profile was taken")
	}
}
