package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
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
			if status != 403 || answer["error"] != "need_info" { // who she is was said by a token that counts no more
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
