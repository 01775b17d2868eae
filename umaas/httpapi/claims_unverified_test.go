package httpapi_test

import (
	"strings"
	"testing"
)

// worthless is a pushed token that must count for nothing.
type worthless struct{ id, format, token string }

// countForNothing wants each token to end in need_info with a new ticket, and a good one to be taken with that ticket afterwards.
func (a *claimsAS) countForNothing(t *testing.T, list []worthless) {
	t.Helper()
	for _, c := range list {
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
}

// headWith is a good JOSE header with members changed or added.
func headWith(more members) members {
	h := members{"alg": "ES256", "typ": "JWT", "kid": "e1"}
	for k, v := range more {
		h[k] = v
	}
	return h
}

// flipped changes one character in the middle of a part of a JWS.
func flipped(s string, part int) string {
	parts := strings.Split(s, ".")
	b := []byte(parts[part])
	if b[len(b)/2]++; b[len(b)/2] == 'Z'+1 || b[len(b)/2] == 'z'+1 || b[len(b)/2] == '9'+1 {
		b[len(b)/2] = 'A'
	}
	parts[part] = string(b)
	return strings.Join(parts, ".")
}

// TestSEC_12_UnverifiedClaimToken: no claim is read of a token that no trusted issuer's key signed.
func TestSEC_12_UnverifiedClaimToken(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	foreign, good := newEC(t), a.signed()
	a.countForNothing(t, []worthless{
		{"SEC-12 flipped byte of the payload", idToken, flipped(good, 1)},
		{"SEC-12 flipped byte of the signature", idToken, flipped(good, 2)},
		{"SEC-12 flipped byte of the header", idToken, flipped(good, 0)},
		{"SEC-12 alg none, empty signature", idToken, encode(t, headWith(members{"alg": "none"}), a.nora()) + "."},
		{"SEC-12 alg none, some signature", idToken, encode(t, headWith(members{"alg": "none"}), a.nora()) + ".AAAA"},
		{"SEC-12 no alg", idToken, es256(t, a.ec, members{"kid": "e1"}, a.nora())},
		{"SEC-12 empty signature", idToken, encode(t, esHead, a.nora()) + "."},
		{"SEC-12 two parts", idToken, encode(t, esHead, a.nora())},
		{"SEC-12 foreign key under a known kid", idToken, es256(t, foreign, esHead, a.nora())},
		{"SEC-12 foreign key under its own kid", idToken, es256(t, foreign, headWith(members{"kid": "mine"}), a.nora())},
		{"SEC-12 nested token", idToken, es256(t, a.ec, esHead, `"`+good+`"`)},
		{"SEC-12 nested token, announced", idToken, es256(t, a.ec, headWith(members{"cty": "JWT"}), good)},
		{"SEC-12 JSON serialization", idToken, `{"payload":"e30","signatures":[]}`},
		{"SEC-12 encrypted", idToken, "a.b.c.d.e"},
		{"SEC-12 a claim twice", idToken, es256(t, a.ec, esHead, strings.Replace(asJSON(t, a.nora()), `"sub"`, `"sub":"alice","sub"`, 1))},
	})
}

// TestSEC_21_PartysTokenIsNoClient: the access token of a requesting party in Authorization authenticates no client, whatever else
// is sent, and spends no ticket; nor do other schemes.
func TestSEC_21_PartysTokenIsNoClient(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	_, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed())
	rpt, ok := got["access_token"].(string)
	if !ok {
		t.Fatal(got)
	}
	ticket := a.ticket("patient/Observation.r")
	grant := "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Auma-ticket&ticket=" + ticket
	for name, body := range map[string]string{
		"alone": grant, "with a client id": grant + "&client_id=" + string(a.app.ID), "with client id and secret": grant + "&client_id=" + string(a.app.ID) + "&client_secret=" + a.key,
		"to refresh": "grant_type=refresh_token&refresh_token=x&client_id=" + string(a.app.ID), "to revoke": "token=" + rpt + "&client_id=" + string(a.app.ID),
	} {
		path := "/token"
		if name == "to revoke" {
			path = "/revoke"
		}
		status, _, answer := a.send("POST", path, formType, body, "Bearer "+rpt)
		if status != 401 || answer["error"] != "invalid_client" || answer["ticket"] != nil || answer["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	if active := a.inspect(rpt)["active"]; active != true {
		t.Errorf("the RPT is active: %v", active)
	}
	if status, got := a.push(ticket, idToken, a.signed()); status != 200 {
		t.Errorf("the ticket is spent: %d %v", status, got)
	}
}
