package httpapi_test

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// needInfo wants need_info that goes on with a new ticket and names what would do; it returns that ticket.
func (a *claimsAS) needInfo(status int, got map[string]any, sent string) string {
	a.t.Helper()
	next, _ := got["ticket"].(string)
	if status != 403 || got["error"] != "need_info" || next == "" || next == sent || got["redirect_user"] != a.url+"/claims" || got["access_token"] != nil {
		a.t.Errorf("got %d %v, want need_info with a new ticket", status, got)
		return next
	}
	required, _ := json.Marshal(got["required_claims"])
	want := fmt.Sprintf(`[{"claim_token_format":[%q],"issuer":[%q,%q]},{"claim_token_format":[%q],"issuer":[%q]},{"claim_token_format":[%q],"issuer":[%q]}]`,
		idToken, a.url, a.iss, jwtToken, a.iss, permTicket, a.iss)
	if string(required) != want {
		a.t.Errorf("required_claims %s, want %s", required, want)
	}
	return next
}

// TestPushedTokensThatCountForNothing is the negative matrix: each ends in need_info with a new ticket, and the next
// presentation, with a good token, gets its RPT.
func TestPushedTokensThatCountForNothing(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	foreign, other := newEC(t), newHospital(t)
	head := func(more members) members {
		h := members{"alg": "ES256", "typ": "JWT", "kid": "e1"}
		for k, v := range more {
			h[k] = v
		}
		return h
	}
	flip := func(s string, part int) string {
		parts := strings.Split(s, ".")
		b := []byte(parts[part])
		if b[len(b)/2]++; b[len(b)/2] == 'Z'+1 || b[len(b)/2] == 'z'+1 || b[len(b)/2] == '9'+1 {
			b[len(b)/2] = 'A'
		}
		parts[part] = string(b)
		return strings.Join(parts, ".")
	}
	now := time.Now()
	public, err := json.Marshal(ecJWK(t, a.ec, "e1"))
	must(t, err)
	good := a.signed()
	for _, c := range []struct{ id, format, token string }{
		{"SEC-12 flipped byte of the payload", idToken, flip(good, 1)},
		{"SEC-12 flipped byte of the signature", idToken, flip(good, 2)},
		{"SEC-12 flipped byte of the header", idToken, flip(good, 0)},
		{"SEC-12 alg none, empty signature", idToken, encode(t, head(members{"alg": "none"}), a.nora()) + "."},
		{"SEC-12 alg none, some signature", idToken, encode(t, head(members{"alg": "none"}), a.nora()) + ".AAAA"},
		{"SEC-12 no alg", idToken, es256(t, a.ec, members{"kid": "e1"}, a.nora())},
		{"SEC-12 empty signature", idToken, encode(t, esHead, a.nora()) + "."},
		{"SEC-12 two parts", idToken, encode(t, esHead, a.nora())},
		{"SEC-12 foreign key under a known kid", idToken, es256(t, foreign, esHead, a.nora())},
		{"SEC-12 foreign key under its own kid", idToken, es256(t, foreign, head(members{"kid": "mine"}), a.nora())},
		{"SEC-12 nested token", idToken, es256(t, a.ec, esHead, `"`+good+`"`)},
		{"SEC-12 nested token, announced", idToken, es256(t, a.ec, head(members{"cty": "JWT"}), good)},
		{"SEC-12 JSON serialization", idToken, `{"payload":"e30","signatures":[]}`},
		{"SEC-12 encrypted", idToken, "a.b.c.d.e"},
		{"SEC-13 plain JSON", idToken, b64([]byte(`{"sub":"nora","org":["` + clinic + `"]}`))},
		{"SEC-13 unknown format", "urn:ietf:params:oauth:token-type:saml2", good},
		{"SEC-13 unsigned format by name", "none", good},
		{"SEC-13 format in other letters", strings.ToUpper(jwtToken), good},
		{"SEC-15 HS256 with the client's secret", idToken, hs256(t, []byte(a.key), head(members{"alg": "HS256"}), a.nora())},
		{"SEC-15 HS256 with the public key", idToken, hs256(t, public, head(members{"alg": "HS256"}), a.nora())},
		{"SEC-15 HS256 with the public coordinate", idToken, hs256(t, a.ec.X.Bytes(), head(members{"alg": "HS256"}), a.nora())}, //nolint:staticcheck // what an attacker has
		{"SEC-15 RS256 said, ES256 signed", idToken, es256(t, a.ec, head(members{"alg": "RS256"}), a.nora())},
		{"SEC-15 ES256 said with the kid of an RSA key", idToken, rs256(t, a.rsa, head(members{"kid": "r1"}), a.nora())},
		{"SEC-15 an algorithm the issuer does not use", idToken, rs256(t, a.rsa, head(members{"alg": "PS256", "kid": "r1"}), a.nora())},
		{"SEC-15 embedded jwk", idToken, es256(t, foreign, head(members{"jwk": ecJWK(t, foreign, "e1")}), a.nora())},
		{"SEC-15 embedded jwk, though rightly signed", idToken, es256(t, a.ec, head(members{"jwk": ecJWK(t, a.ec, "e1")}), a.nora())},
		{"SEC-15 jku", idToken, es256(t, foreign, head(members{"jku": other.iss + "/jwks"}), a.nora())},
		{"SEC-15 x5u", idToken, es256(t, foreign, head(members{"x5u": other.iss + "/cert"}), a.nora())},
		{"SEC-15 crit", idToken, es256(t, a.ec, head(members{"crit": []string{"exp"}, "exp": 1}), a.nora())},
		{"SEC-15 alg twice", idToken, es256(t, a.ec, `{"alg":"none","alg":"ES256","kid":"e1"}`, a.nora())},
		{"SEC-16 unknown issuer", idToken, es256(t, other.ec, esHead, a.nora(members{"iss": other.iss}))},
		{"SEC-16 issuer with a slash", idToken, a.signed(members{"iss": a.iss + "/"})},
		{"SEC-16 no issuer", idToken, a.signed(members{"iss": nil})},
		{"SEC-16 issuer is a list", idToken, a.signed(members{"iss": []string{a.iss}})},
		{"SEC-16 issuer in other letters of the name", idToken, es256(t, a.ec, esHead, strings.Replace(asJSON(t, a.nora()), `"iss"`, `"ISS"`, 1))},
		{"SEC-12 a claim twice", idToken, es256(t, a.ec, esHead, strings.Replace(asJSON(t, a.nora()), `"sub"`, `"sub":"alice","sub"`, 1))},
		{"SEC-14 expired", idToken, a.signed(members{"exp": now.Add(-time.Second).Unix()})},
		{"SEC-14 no exp", idToken, a.signed(members{"exp": nil})},
		{"SEC-14 exp is text", idToken, a.signed(members{"exp": "9999999999"})},
		{"SEC-14 exp beyond sense", idToken, a.signed(members{"exp": 1e30})},
		{"SEC-14 good for ever", idToken, a.signed(members{"exp": now.AddDate(1, 0, 0).Unix()})},
		{"SEC-14 issued in the future", idToken, a.signed(members{"iat": now.Add(2 * time.Minute).Unix()})},
		{"SEC-14 issued too long ago", idToken, a.signed(members{"iat": now.Add(-11 * time.Minute).Unix()})},
		{"SEC-14 no iat", idToken, a.signed(members{"iat": nil})},
		{"SEC-14 not yet valid", idToken, a.signed(members{"nbf": now.Add(2 * time.Minute).Unix()})},
		{"SEC-14 signed in in the future", idToken, a.signed(members{"auth_time": now.Add(2 * time.Minute).Unix()})},
		{"SEC-14 for another server", idToken, a.signed(members{"aud": "https://as.other.example"})},
		{"SEC-14 for another client", idToken, a.signed(members{"aud": "c_other"})},
		{"SEC-14 for this client, at an issuer that does not share clients", idToken, a.signed(members{"aud": string(a.app.ID)})},
		{"SEC-14 no aud", idToken, a.signed(members{"aud": nil})},
		{"SEC-14 empty aud", idToken, a.signed(members{"aud": []string{}})},
		{"SEC-14 aud with a slash", idToken, a.signed(members{"aud": a.url + "/"})},
		{"SEC-14 two audiences without azp", idToken, a.signed(members{"aud": []string{a.url, "https://as.other.example"}})},
		{"SEC-14 two audiences, azp somebody else", idToken, a.signed(members{"aud": []string{a.url, "c_other"}, "azp": "c_other"})},
		{"SEC-14 azp somebody else", idToken, a.signed(members{"azp": "c_other"})},
		{"SEC-14 azp is no text", idToken, a.signed(members{"azp": 1})},
		{"no sub", idToken, a.signed(members{"sub": nil})},
		{"sub too long", idToken, a.signed(members{"sub": strings.Repeat("n", 256)})},
		{"oversized", idToken, a.signed(members{"x": strings.Repeat("x", 16<<10)})},
		{"typ of an access token", idToken, es256(t, a.ec, head(members{"typ": "at+jwt"}), a.nora())},
		{"typ of a DPoP proof", jwtToken, es256(t, a.ec, head(members{"typ": "dpop+jwt"}), a.nora())},
		{"a JWT without jti", jwtToken, a.signed(members{"jti": nil})},
		{"a JWT for the client", jwtToken, a.signed(members{"aud": string(a.app.ID)})},
		{"an ID token as permission ticket", permTicket, a.signed()},
		{"claims without a value", idToken, a.signed(members{"org": slices.Repeat([]string{""}, 3)})},
		{"G-028 not base64url", jwtToken, "~~~~"},
		{"empty parts", jwtToken, ".."},
	} {
		t.Run(c.id, func(t *testing.T) {
			sub := *a
			sub.as = &as{t: t, url: a.url, store: a.store, core: a.core, rs: a.rs, key: a.as.key}
			ticket := a.ticket("patient/Observation.r")
			status, got := sub.push(ticket, c.format, c.token)
			next := sub.needInfo(status, got, ticket)
			if status, got := sub.push(ticket, "", ""); status != 400 || got["error"] != "invalid_grant" {
				t.Errorf("the ticket lives on: %d %v", status, got)
			}
			if status, got := sub.push(next, idToken, a.signed()); status != 200 || got["access_token"] == nil {
				t.Errorf("a good token afterwards: %d %v", status, got)
			}
		})
	}
	if n := other.fetched.Load(); n != 0 {
		t.Errorf("%d requests to somebody nobody trusts", n) // SEC-15, SEC-16
	}
	if n := a.fetched.Load(); n > 2 {
		t.Errorf("%d requests for keys in this minute", n)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return string(raw)
}

// TestG_025_PushedClaimsCount: each format, at the first and at a later presentation (G-029), in both key kinds.
func TestG_025_PushedClaimsCount(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.s")
	late := a.ticket("patient/Observation.r")
	_, got := a.push(late, "", "")
	late = got["ticket"].(string)
	for _, c := range []struct{ name, ticket, format, token string }{
		{"ID token", "", idToken, a.signed()},
		{"ID token with RS256", "", idToken, rs256(t, a.rsa, members{"alg": "RS256", "kid": "r1"}, a.nora())},
		{"ID token, kid unsaid", "", idToken, es256(t, a.ec, members{"alg": "ES256"}, a.nora())},
		{"ID token after need_info", late, idToken, a.signed()},
		{"ID token with azp", "", idToken, a.signed(members{"azp": string(a.app.ID), "aud": []string{a.url, "https://other.example"}})},
		{"JWT", "", jwtToken, a.signed()},
		{"JWT typ application/jwt", "", jwtToken, es256(t, a.ec, members{"alg": "ES256", "kid": "e1", "typ": "application/jwt"}, a.nora())},
	} {
		ticket := c.ticket
		if ticket == "" {
			ticket = a.ticket("patient/Observation.r")
		}
		status, got := a.push(ticket, c.format, c.token)
		if status != 200 {
			t.Errorf("%s: %d %v", c.name, status, got)
			continue
		}
		if i := a.inspect(got["access_token"]); i["active"] != true || i["sub"] == "" {
			t.Errorf("%s: %v", c.name, i)
		}
	}
	if status, got := a.asSigner(a.ticket("patient/Observation.s"), permTicket, a.referred()); status != 200 || got["refresh_token"] != nil {
		t.Errorf("permission ticket: %d %v", status, got)
	}
	var accounts []umaas.Account
	must(t, a.store.View(t.Context(), func(r umaas.Reader) (err error) {
		accounts, err = r.Accounts("", 100)
		return err
	}))
	names := map[string]int{}
	for _, acc := range accounts {
		names[acc.Name]++
		if acc.Login == "" && len(acc.Identities) != 1 {
			t.Errorf("%+v", acc)
		}
	}
	if names["Nora Lind"] != 1 || names["Referral Desk, with a permission ticket of Example Hospital"] != 1 {
		t.Errorf("accounts: %v", names)
	}
}

// TestSEC_22_PushingByAnyone: public, self-registered and unmarked clients are told to redirect the person, and nothing else.
func TestSEC_22_PushingByAnyone(t *testing.T) {
	for _, rule := range []umaas.PushRule{umaas.PushMarked, umaas.PushConfidential} {
		a := newClaimsAS(t, func(d *umaas.Deps) { d.Push = rule })
		a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
		ctx := t.Context()
		public, _, err := a.core.AddClient(ctx, umaas.Client{Name: "P1", AuthMethod: umaas.AuthNone, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://p.example/cb"}, PushClaims: true}, "")
		must(t, err)
		plain, secret, err := a.core.AddClient(ctx, umaas.Client{Name: "C1", AuthMethod: umaas.AuthSecretPost, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://c.example/cb"}}, "")
		must(t, err)
		wild, err := a.core.Register(ctx, umaas.ClientMetadata{Name: "W", AuthMethod: umaas.AuthSecretPost, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://w.example/cb"}}, "")
		must(t, err)
		for _, c := range []struct {
			name, id, secret string
			may              bool
		}{
			{"public, though marked", string(public.ID), "", false},
			{"registered itself", string(wild.ClientID), wild.ClientSecret, false},
			{"confidential, unmarked", string(plain.ID), secret, rule == umaas.PushConfidential},
		} {
			before := a.fetched.Load()
			status, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed(), "client_id", c.id, "client_secret", c.secret)
			if c.may {
				if status != 200 {
					t.Errorf("%q %s: %d %v", rule, c.name, status, got)
				}
				continue
			}
			if status != 403 || got["error"] != "need_info" || got["redirect_user"] == nil || got["required_claims"] != nil || a.fetched.Load() != before {
				t.Errorf("%q %s: %d %v", rule, c.name, status, got)
			}
		}
		if err := a.core.SetPushClaims(ctx, public.ID, true, ""); err == nil {
			t.Error("a public client was marked")
		}
		must(t, a.core.SetPushClaims(ctx, plain.ID, true, ""))
		if status, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed(), "client_id", string(plain.ID), "client_secret", secret); status != 200 {
			t.Errorf("marked: %d %v", status, got)
		}
	}
}

// TestSEC_10_ForgedTicketsCostNothing: a claim token beside a ticket that is no good is not looked at.
func TestSEC_10_ForgedTicketsCostNothing(t *testing.T) {
	a := newClaimsAS(t)
	token := a.signed()
	for _, ticket := range []string{"x", "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		if status, got := a.push(ticket, idToken, token); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("%d %v", status, got)
		}
	}
	if n := a.fetched.Load(); n != 0 {
		t.Errorf("%d fetches of keys", n)
	}
}

// TestReplayedClaimTokens: a JWT counts once over all clients; an ID token belongs to the first client that brought it; a
// permission ticket may come again.
func TestReplayedClaimTokens(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.r")
	once, id, referral := a.signed(), a.signed(), a.referred()
	for _, c := range []struct {
		name   string
		push   func(string, string, string, ...string) (int, map[string]any)
		format string
		token  string
		status int
	}{
		{"JWT", a.push, jwtToken, once, 200},
		{"JWT again", a.push, jwtToken, once, 403},
		{"JWT by another client", a.asSigner, jwtToken, once, 403},
		{"JWT with the same jti", a.push, jwtToken, a.signed(members{"jti": jti(t, once)}), 403},
		{"ID token", a.push, idToken, id, 200},
		{"ID token again", a.push, idToken, id, 200},
		{"ID token by another client", a.asSigner, idToken, id, 403},
		{"permission ticket", a.asSigner, permTicket, referral, 200},
		{"permission ticket again", a.asSigner, permTicket, referral, 200},
	} {
		if status, got := c.push(a.ticket("patient/Observation.r"), c.format, c.token); status != c.status || status == 403 && got["error"] != "need_info" {
			t.Errorf("%s: %d %v", c.name, status, got)
		}
	}
}

func jti(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var m struct{ JTI string }
	must(t, json.Unmarshal(raw, &m))
	return m.JTI
}

// TestSEC_17_DisabledIssuer: with warm caches the next use of everything that rests on the issuer fails: claim tokens, the
// process it named the party of, RPTs, refresh tokens. Enabled again, a new token counts.
func TestSEC_17_DisabledIssuer(t *testing.T) {
	for _, how := range []string{"disabled", "removed", "no longer for ID tokens"} {
		t.Run(how, func(t *testing.T) {
			a := newClaimsAS(t)
			a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
			status, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed())
			refresh, _ := got["refresh_token"].(string)
			if status != 200 || refresh == "" {
				t.Fatalf("%d %v", status, got)
			}
			_, waiting := a.push(a.ticket("patient/Condition.r"), idToken, a.signed())
			if waiting["error"] != "request_submitted" {
				t.Fatal(waiting)
			}
			record, err := a.core.TrustedIssuer(t.Context(), a.iss)
			must(t, err)
			switch how {
			case "disabled":
				must(t, a.core.SetIssuerDisabled(t.Context(), a.iss, true, ""))
			case "removed":
				must(t, a.core.RemoveTrustedIssuer(t.Context(), a.iss, ""))
			default:
				less := record
				less.Uses = []umaas.IssuerUse{"claims"}
				less.Claims, less.EmailDomains = []string{"pro"}, nil
				_, err = a.core.PutTrustedIssuer(t.Context(), less, "")
				must(t, err)
			}
			if i := a.inspect(got["access_token"]); i["active"] != false || len(i) != 1 {
				t.Errorf("RPT: %v", i)
			}
			f := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {string(a.app.ID)}, "client_secret": {a.key}}
			if status, _, answer := a.send("POST", "/token", formType, f.Encode(), ""); status != 400 || answer["error"] != "invalid_grant" {
				t.Errorf("refresh: %d %v", status, answer)
			}
			if status, answer := a.push(a.ticket("patient/Observation.r"), idToken, a.signed()); status != 403 || answer["error"] != "need_info" {
				t.Errorf("claim token: %d %v", status, answer)
			}
			status, answer := a.push(waiting["ticket"].(string), "", "")
			if want := map[bool]string{true: "request_submitted", false: "need_info"}[how == "no longer for ID tokens"]; status != 403 || answer["error"] != want {
				t.Errorf("poll: %d %v", status, answer)
			}
			record.Disabled = false
			_, err = a.core.PutTrustedIssuer(t.Context(), record, "")
			must(t, err)
			if status, answer := a.push(a.ticket("patient/Observation.r"), idToken, a.signed()); status != 200 {
				t.Errorf("enabled again: %d %v", status, answer)
			}
		})
	}
}

// TestSEC_18_ClaimsDoNotOverrideTheEnvironment: claims named like attributes of the request change nothing, and nobody can be
// configured to be believed on them.
func TestSEC_18_ClaimsDoNotOverrideTheEnvironment(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), func(p *umaas.Policy) { p.NotAfter = time.Now().Add(time.Hour); p.Purposes = []string{"TREAT"} }, "patient/Observation.r")
	a.allow(byClaim(a.iss, "org", clinic), func(p *umaas.Policy) { p.Client = a.signer.ID }, "patient/Observation.r")
	for _, name := range []string{"time", "now", "ip", "client_id", "resource_owner", "purpose", "permission_ticket", "scope"} {
		value := map[string]string{"client_id": string(a.signer.ID), "resource_owner": string(a.patient), "purpose": "TREAT", "permission_ticket": shareKind}[name]
		if value == "" {
			value = "2020-01-01T00:00:00Z"
		}
		id := a.allow(byClaim(a.iss, name, value), nil, "patient/Observation.r")
		if status, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed(members{name: value})); status != 403 {
			t.Errorf("%s: %d %v", name, status, got)
		}
		_, err := a.core.StopShare(t.Context(), a.patient, id, "")
		must(t, err)
		i, err := a.core.TrustedIssuer(t.Context(), a.iss)
		must(t, err)
		i.Claims = append(i.Claims, name)
		if _, err := a.core.PutTrustedIssuer(t.Context(), i, ""); err == nil {
			t.Errorf("an issuer is believed on %s", name)
		}
	}
}

// TestSEC_20_ClaimsCountWithTheirIssuer: values of HEART's claims in their one form, each with the issuer that is trusted for
// it; an address identifies a person only in the issuer's own domains.
func TestSEC_20_ClaimsCountWithTheirIssuer(t *testing.T) {
	a := newClaimsAS(t)
	other := newHospital(t)
	_, err := a.core.PutTrustedIssuer(t.Context(), umaas.TrustedIssuer{
		Issuer: other.iss, Uses: []umaas.IssuerUse{umaas.UseIDToken}, Claims: []string{"er"}, JWKSURI: other.iss + "/jwks",
	}, "")
	must(t, err)
	mail := func(address string) umaas.Who { return umaas.Who{Kind: umaas.WhoEmail, Email: address} }
	for _, c := range []struct {
		name  string
		who   umaas.Who
		also  []umaas.Claim
		said  members
		other bool
		want  bool
	}{
		{"org", byClaim(a.iss, "org", clinic), nil, members{}, false, true},
		{"org as text", byClaim(a.iss, "org", clinic), nil, members{"org": clinic}, false, true},
		{"org, another value", byClaim(a.iss, "org", clinic+"/x"), nil, members{}, false, false},
		{"SEC-41 org, a prefix", byClaim(a.iss, "org", "https://clinic"), nil, members{}, false, false},
		{"SEC-41 org with a suffix", byClaim(a.iss, "org", clinic), nil, members{"org": clinic + "/"}, false, false},
		{"SEC-41 org in other letters", byClaim(a.iss, "org", clinic), nil, members{"org": "https://Clinic.example"}, false, false},
		{"SEC-41 org that looks alike", byClaim(a.iss, "org", clinic), nil, members{"org": "https://сlinic.example"}, false, false},
		{"SEC-41 org, everything", byClaim(a.iss, "org", clinic), nil, members{"org": "*"}, false, false},
		{"org of another issuer", byClaim(other.iss, "org", clinic), nil, members{}, false, false},
		{"org of an issuer not believed on it", byClaim(other.iss, "org", clinic), nil, members{}, true, false},
		{"org without issuer", byClaim("", "org", clinic), nil, members{}, false, false},
		{"pro", byClaim(a.iss, "pro", "https://board.example|MD"), nil, members{"pro": []members{{"src": "https://board.example", "val": "MD"}}}, false, true},
		{"pro of another source", byClaim(a.iss, "pro", "https://board.example|MD"), nil, members{"pro": []members{{"src": "https://evil.example", "val": "MD"}}}, false, false},
		{"pro as text", byClaim(a.iss, "pro", "https://board.example|MD"), nil, members{"pro": "https://board.example|MD"}, false, false},
		{"pro with a pair inside", byClaim(a.iss, "pro", "https://board.example|MD|x"), nil, members{"pro": []members{{"src": "https://board.example|MD", "val": "x"}}}, false, false},
		{"er", byClaim(a.iss, "er", "true"), nil, members{"er": true}, false, true},
		{"er false", byClaim(a.iss, "er", "true"), nil, members{"er": false}, false, false},
		{"er of the other issuer", byClaim(other.iss, "er", "true"), nil, members{"er": true}, true, true},
		{"email in its domain", mail("nora@hospital.example"), nil, members{"email": "Nora@Hospital.example", "email_verified": true}, false, true},
		{"email as a claim", byClaim(a.iss, "email", "nora@elsewhere.example"), nil, members{"email": "nora@elsewhere.example", "email_verified": true}, false, true},
		{"email outside its domain", mail("nora@elsewhere.example"), nil, members{"email": "nora@elsewhere.example", "email_verified": true}, false, false},
		{"email of a subdomain", mail("nora@x.hospital.example"), nil, members{"email": "nora@x.hospital.example", "email_verified": true}, false, false},
		{"email not verified", mail("nora@hospital.example"), nil, members{"email": "nora@hospital.example"}, false, false},
		{"email verified in words", mail("nora@hospital.example"), nil, members{"email": "nora@hospital.example", "email_verified": "true"}, false, false},
		{"email of an issuer without domains", mail("nora@hospital.example"), nil, members{"email": "nora@hospital.example", "email_verified": true}, true, false},
		{"SEC-19 one of two", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}}, members{}, false, false},
		{"SEC-19 the other of two", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}}, members{"org": nil, "er": true}, false, false},
		{"SEC-19 both", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}}, members{"er": true}, false, true},
		{"SEC-19 both, one by another issuer", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: other.iss, Name: "er", Value: "true"}}, members{"er": true}, false, false},
		{"SEC-19 three of three", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}, {Issuer: a.iss, Name: "org", Value: "urn:x"}}, members{"er": true, "org": []string{"urn:x", clinic}}, false, true},
		{"SEC-19 an empty further claim", byClaim(a.iss, "org", clinic), []umaas.Claim{{}}, members{}, false, false},
		{"who she is there", byClaim(a.iss, "sub", "nora"), nil, members{}, false, true},
		{"who she is elsewhere", byClaim(a.iss, "sub", "nora"), nil, members{}, true, false},
	} {
		id := a.allow(c.who, func(p *umaas.Policy) { p.Also = c.also }, "patient/Observation.r")
		token := a.signed(c.said, members{"sub": "nora-" + rand.Text()})
		if strings.HasPrefix(c.name, "who she is") {
			token = a.signed()
		}
		if c.other {
			token = es256(t, other.ec, esHead, a.nora(c.said, members{"iss": other.iss}))
		}
		status, got := a.push(a.ticket("patient/Observation.r"), idToken, token)
		if (status == 200) != c.want || status != 200 && got["error"] != "request_submitted" {
			t.Errorf("%s: %d %v", c.name, status, got)
		}
		_, err := a.core.StopShare(t.Context(), a.patient, id, "")
		must(t, err)
		if c.want {
			if i := a.inspect(got["access_token"]); i["active"] != false {
				t.Errorf("%s: lives on without its policy", c.name)
			}
		}
	}
}

// TestSEC_24_OneProcessOneParty: after one person's token another's counts for nothing; her own adds up.
func TestSEC_24_OneProcessOneParty(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), func(p *umaas.Policy) { p.Also = []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}} }, "patient/Observation.r")
	_, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed())
	next := got["ticket"].(string)
	status, got := a.push(next, idToken, a.signed(members{"sub": "olaf", "er": true}))
	next = a.needInfo(status, got, next)
	if status, got := a.push(next, jwtToken, a.signed(members{"er": true})); status != 200 {
		t.Errorf("her own: %d %v", status, got)
	}
}

// TestOwnIDTokens: what this server signed for a client names its account when that client pushes it, and no other's does.
func TestOwnIDTokens(t *testing.T) {
	var ring *keys.Ring
	a := newClaimsAS(t, func(d *umaas.Deps) { ring = d.Keys })
	bob, err := a.core.PutAccount(t.Context(), umaas.Account{Login: "bob", Name: "Bob"}, "")
	must(t, err)
	a.allow(umaas.Who{Kind: umaas.WhoAccount, Account: bob.ID}, nil, "patient/Observation.r")
	now := time.Now()
	token := func(alg keys.Algorithm, typ string, change members) string {
		m := members{"iss": a.url, "sub": bob.ID, "aud": a.app.ID, "azp": a.app.ID, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
		for k, v := range change {
			m[k] = v
		}
		signed, err := ring.Sign(alg, typ, []byte(asJSON(t, m)))
		must(t, err)
		return signed
	}
	for _, c := range []struct {
		name, token string
		status      int
	}{
		{"hers", token(keys.ES256, "JWT", nil), 200},
		{"by the algorithm of other clients", token(keys.RS256, "JWT", nil), 403},
		{"an access token", token(keys.ES256, "at+jwt", nil), 403},
		{"of another client", token(keys.ES256, "JWT", members{"aud": a.signer.ID, "azp": a.signer.ID}), 403},
		{"for this server itself", token(keys.ES256, "JWT", members{"aud": a.url}), 403},
		{"of nobody", token(keys.ES256, "JWT", members{"sub": "u_nobody"}), 403},
		{"signed by somebody else", es256(t, a.ec, esHead, members{"iss": a.url, "sub": bob.ID, "aud": a.app.ID, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}), 403},
	} {
		status, got := a.push(a.ticket("patient/Observation.r"), idToken, c.token)
		if status != c.status || status == 403 && got["error"] != "need_info" {
			t.Errorf("%s: %d %v", c.name, status, got)
		}
	}
}

// TestPermissionTickets: what a ticket must be, and how it narrows.
func TestPermissionTickets(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.r", "patient/Observation.s", "patient/Condition.r", "conf/R")
	entry := func(more members) members {
		m := members{"kind": "data", "resource_type": "Observation", "interactions": []string{"read", "search"}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	access := func(more members, entries ...any) members {
		m := members{"permissions": entries}
		for k, v := range more {
			m[k] = v
		}
		return members{"access": m}
	}
	all := []string{"patient/Observation.r", "patient/Observation.s", "patient/Condition.r", "conf/R"}
	obs := `{"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`
	for _, c := range []struct {
		name   string
		change members
		want   string // permissions of the RPT; "need" need_info, "wait" request_submitted
	}{
		{"good", nil, obs},
		{"no binding", members{"presenter_binding": nil}, "need"},
		{"bound to another key", members{"presenter_binding": members{"method": "jkt", "jkt": thumb(t, a.ec)}}, "need"},
		{"bound to no key", members{"presenter_binding": members{"method": "jkt"}}, "need"},
		{"bound by framework", members{"presenter_binding": members{"method": "framework_client", "framework": "x", "framework_type": "udap", "entity_uri": "y"}}, "need"},
		{"expired", members{"exp": time.Now().Unix()}, "need"},
		{"no jti", members{"jti": nil}, "need"},
		{"no type", members{"ticket_type": nil}, "need"},
		{"another type", members{"ticket_type": "https://tickets.example/kinds/other"}, "wait"},
		{"for another server", members{"aud": "https://as.other.example"}, "need"},
		{"for us among others", members{"aud": []string{"https://as.other.example", a.url}, "azp": nil}, "need"},
		{"must understand what we do", members{"must_understand": []string{"subject", "access"}}, obs},
		{"must understand what we do not", members{"must_understand": []string{"context"}}, "need"},
		{"must understand, no list", members{"must_understand": "access"}, "need"},
		{"revocation in another form", members{"revocation": members{"url": a.iss + "/status", "rid": "x"}}, "need"},
		{"no subject", members{"subject": nil}, "need"},
		{"about another patient", members{"subject": members{"recipient_record": members{"reference": "Patient/p2"}}}, "wait"},
		{"about a patient elsewhere", members{"subject": members{"recipient_record": members{"reference": "https://other.example/fhir/Patient/p1"}}}, "wait"},
		{"about the patient by address", members{"subject": members{"recipient_record": members{"reference": "https://hospital.example/fhir/Patient/p1"}}}, obs},
		{"about somebody by name", members{"subject": members{"patient": members{"name": []any{members{"family": "Alvarez"}}}}}, "wait"},
		{"subject with more", members{"subject": members{"group": 1}}, "need"},
		{"no access", members{"access": nil}, "need"},
		{"access to nothing", access(nil), "need"},
		{"unknown narrowing", access(members{"data_holder_filter": []any{1}}, entry(nil)), "need"},
		{"unknown narrowing of an entry", access(nil, entry(members{"security_label": "x"})), "need"},
		{"unknown kind", access(nil, members{"kind": "magic"}), "need"},
		{"type with a scope inside", access(nil, entry(members{"resource_type": "Observation.rs patient/Condition"})), "need"},
		{"operations grant nothing", access(nil, members{"kind": "operation", "name": "$everything"}), "need"},
		{"history grants nothing", access(nil, entry(members{"interactions": []string{"history"}})), "need"},
		{"another type of data alone", access(nil, entry(members{"resource_type": "Immunization"})), "need"},
		{"read alone", access(nil, entry(members{"interactions": []string{"read"}})), `{"resource_scopes":["patient/Observation.r"]}`},
		{"two entries", access(nil, entry(members{"interactions": []string{"search"}}), entry(members{"resource_type": "Condition"})), `{"resource_scopes":["patient/Observation.s","patient/Condition.r"]}`},
		{"every type", access(nil, entry(members{"resource_type": "*"})), `{"resource_scopes":["patient/Observation.r","patient/Observation.s","patient/Condition.r"]}`},
		{"category", access(nil, entry(members{"category_any_of": []any{members{"system": "http://x.example/c", "code": "laboratory"}, members{"code": "vital-signs"}}})),
			`{"constraints":[{"type":"query","value":"category=http://x.example/c|laboratory,vital-signs"}],"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`},
		{"empty category", access(nil, entry(members{"category_any_of": []any{}})), "need"},
		{"period", access(members{"data_period": members{"start": "2024", "end": "2025-06"}}, entry(nil)),
			`{"constraints":[{"type":"period","value":"2024-01-01/2025-06-30"}],"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`},
		{"period within days", access(members{"data_period": members{"start": "2024-01-01T12:00:00Z", "end": "2025-06-30T12:00:00+02:00"}}, entry(nil)),
			`{"constraints":[{"type":"period","value":"2024-01-02/2025-06-29"}],"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`},
		{"period of nonsense", access(members{"data_period": members{"start": "yesterday"}}, entry(nil)), "need"},
		{"sensitive data", access(members{"sensitive_data": "include"}, entry(nil)), `{"resource_scopes":["patient/Observation.r","patient/Observation.s","conf/R"]}`},
		{"sensitive data, excluded", access(members{"sensitive_data": "exclude"}, entry(nil)), obs},
		{"sensitive data, what?", access(members{"sensitive_data": "maybe"}, entry(nil)), "need"},
	} {
		ticket := a.ticket(all...)
		status, got := a.asSigner(ticket, permTicket, a.referred(c.change))
		switch c.want {
		case "need":
			if status != 403 || got["error"] != "need_info" || got["ticket"] == nil {
				t.Errorf("%s: %d %v", c.name, status, got)
			}
		case "wait":
			if status != 403 || got["error"] != "request_submitted" {
				t.Errorf("%s: %d %v", c.name, status, got)
			}
		default:
			if status != 200 || got["refresh_token"] != nil {
				t.Errorf("%s: %d %v", c.name, status, got)
				continue
			}
			if told := permissionsOf(t, a.inspect(got["access_token"])); told != c.want {
				t.Errorf("%s: %s, want %s", c.name, told, c.want)
			}
		}
	}
}

// permissionsOf prints what an RPT is good for, without ids and times, elements of one set of constraints joined.
func permissionsOf(t *testing.T, i map[string]any) string {
	t.Helper()
	list, _ := i["permissions"].([]any)
	var out []string
	for _, p := range list {
		m := p.(map[string]any)
		out = append(out, asJSON(t, pick(m, "constraints", "resource_scopes")))
	}
	return strings.Join(out, ",")
}

func pick(m map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, n := range names {
		if v, ok := m[n]; ok {
			out[n] = v
		}
	}
	return out
}

// TestPermissionTicketEnds: the RPT ends with the ticket; a revocation list that says so, or is silent, refuses; a wider scope
// needs the ticket again; an upgrade carries nothing of it.
func TestPermissionTicketEnds(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.r", "patient/Condition.r")
	end := time.Now().Add(40 * time.Second).Unix()
	status, got := a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(members{"exp": end}))
	if i := a.inspect(got["access_token"]); status != 200 || int64(i["exp"].(float64)) != end {
		t.Errorf("%d %v, end %d", status, i, end)
	}
	old, _ := got["access_token"].(string)
	status, got = a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(), "rpt", old)
	if status != 200 || got["upgraded"] != nil {
		t.Errorf("upgrade: %d %v", status, got)
	}
	for _, c := range []struct {
		status string
		index  any
		want   int
	}{{list(t, 0b100), 0, 200}, {list(t, 0b100), 2, 403}, {list(t, 0b100), 99, 403}, {list(t, 0b100), -1, 403}, {"", 0, 403}, {"[]", 0, 403}} {
		a.mu.Lock()
		a.status = c.status
		a.mu.Unlock()
		// A list of its own each time: a list is good for a minute.
		status, got := a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(members{"revocation": members{"url": a.iss + "/status?" + rand.Text(), "index": c.index}}))
		if status != c.want || status == 403 && got["error"] != "need_info" {
			t.Errorf("%+v: %d %v", c, status, got)
		}
	}
	_, got = a.asSigner(a.ticket("patient/Observation.s"), permTicket, a.referred(members{"ticket_type": "other"}))
	next, _ := got["ticket"].(string)
	if status, got := a.asSigner(next, "", "", "scope", "patient/Condition.r"); status != 400 || got["error"] != "invalid_scope" {
		t.Errorf("wider scope: %d %v", status, got)
	}
}

func list(t *testing.T, bits byte) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, err := z.Write([]byte{bits})
	must(t, err)
	must(t, z.Close())
	return `{"status_list":{"bits":1,"lst":"` + b64(b.Bytes()) + `"}}`
}

// TestDecisions06_ClaimsTellNothing: need_info and request_submitted after pushing are equal, byte for byte but for the ticket,
// for a record that is there and for a decoy.
func TestDecisions06_ClaimsTellNothing(t *testing.T) {
	a := newClaimsAS(t)
	status, _, made := a.send("POST", "/resource_set/", jsonType, `{"type":"urn:umaas:resource:decoy","context":{"level":"decoy"},"resource_scopes":["patient/Observation.r"]}`, a.protect)
	if status != 201 {
		t.Fatal(status, made)
	}
	there, decoy := a.resource, made["_id"].(string)
	for _, c := range []struct{ name, format, token string }{
		{"nothing", "", ""}, {"ID token", idToken, a.signed()}, {"bad", idToken, a.signed(members{"aud": "x"})}, {"unknown format", "x", "y"},
		{"permission ticket", permTicket, a.referred()}, {"permission ticket about another", permTicket, a.referred(members{"subject": members{"recipient_record": members{"reference": "Patient/p2"}}})},
		{"permission ticket for nothing", permTicket, a.referred(members{"access": members{"permissions": []any{members{"kind": "data", "resource_type": "Immunization", "interactions": []string{"read"}}}}})},
	} {
		var answers []string
		for _, id := range []string{there, decoy} {
			a.resource = id
			status, got := a.asSigner(a.ticket("patient/Observation.r"), c.format, c.token)
			got["ticket"] = ""
			answers = append(answers, fmt.Sprint(status, asJSON(t, got)))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s: %s differs from %s", c.name, answers[0], answers[1])
		}
	}
}

// TestG_038_FormatsAreAdvertised and ones that others add work like the server's own.
func TestG_038_FormatsAreAdvertised(t *testing.T) {
	a := newClaimsAS(t, func(d *umaas.Deps) { d.Formats = []umaas.Format{boxed{}} })
	_, _, meta := a.send("GET", "/.well-known/uma2-configuration", "", "", "")
	if got := asJSON(t, meta["uma_profiles_supported"]); got != asJSON(t, []string{idToken, jwtToken, permTicket, "urn:x:boxed"}) {
		t.Errorf("uma_profiles_supported %s", got)
	}
	i, err := a.core.TrustedIssuer(t.Context(), a.iss)
	must(t, err)
	i.Uses = append(i.Uses, "boxed")
	_, err = a.core.PutTrustedIssuer(t.Context(), i, "")
	must(t, err)
	a.allow(byClaim(a.iss, "badge", "7"), nil, "patient/Observation.r")
	a.allow(byClaim(a.iss, "sub", "boxed"), nil, "patient/Observation.r")
	good := b64([]byte("box:" + a.signed()))
	for _, c := range []struct {
		token  string
		status int
	}{
		{good, 200}, {good, 200}, {a.signed(), 403}, {b64([]byte(a.signed())), 403},
		{b64([]byte("box:" + es256(t, newEC(t), esHead, a.nora()))), 403}, {"~" + good, 403},
	} {
		status, got := a.push(a.ticket("patient/Observation.r"), "urn:x:boxed", c.token)
		if status != c.status {
			t.Errorf("%.30s: %d %v", c.token, status, got)
		}
	}
}

// boxed is a format of somebody else's: a JWS in an envelope.
type boxed struct{}

func (boxed) URI() string          { return "urn:x:boxed" }
func (boxed) Use() umaas.IssuerUse { return "boxed" }
func (boxed) Types() []string      { return []string{"JWT"} }
func (boxed) Open(raw []byte) (string, error) {
	rest, ok := strings.CutPrefix(string(raw), "box:")
	if !ok {
		return "", fmt.Errorf("no box")
	}
	return rest, nil
}

func (boxed) Read(_ umaas.Members, to umaas.Recipient) (umaas.Statement, error) {
	return umaas.Statement{Subject: "boxed", Claims: []umaas.Claim{{Name: "badge", Value: "7"}}, Until: to.Now.Add(time.Minute)}, nil
}
