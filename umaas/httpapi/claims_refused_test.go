package httpapi_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPushedTokensThatCountForNothing is the negative matrix: each ends in need_info with a new ticket, and the next
// presentation, with a good token, gets its RPT.
func TestPushedTokensThatCountForNothing(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	foreign, other := newEC(t), newHospital(t)
	now := time.Now()
	public, err := json.Marshal(ecJWK(t, a.ec, "e1"))
	must(t, err)
	good := a.signed()
	a.countForNothing(t, []worthless{
		{"SEC-13 plain JSON", idToken, b64([]byte(`{"sub":"nora","org":["` + clinic + `"]}`))},
		{"SEC-13 unknown format", "urn:ietf:params:oauth:token-type:saml2", good},
		{"SEC-13 unsigned format by name", "none", good},
		{"SEC-13 format in other letters", strings.ToUpper(jwtToken), good},
		{"SEC-15 HS256 with the client's secret", idToken, hs256(t, []byte(a.key), headWith(members{"alg": "HS256"}), a.nora())},
		{"SEC-15 HS256 with the public key", idToken, hs256(t, public, headWith(members{"alg": "HS256"}), a.nora())},
		{"SEC-15 HS256 with the public coordinate", idToken, hs256(t, a.ec.X.Bytes(), headWith(members{"alg": "HS256"}), a.nora())},
		{"SEC-15 RS256 said, ES256 signed", idToken, es256(t, a.ec, headWith(members{"alg": "RS256"}), a.nora())},
		{"SEC-15 ES256 said with the kid of an RSA key", idToken, rs256(t, a.rsa, headWith(members{"kid": "r1"}), a.nora())},
		{"SEC-15 an algorithm the issuer does not use", idToken, rs256(t, a.rsa, headWith(members{"alg": "PS256", "kid": "r1"}), a.nora())},
		{"SEC-15 embedded jwk", idToken, es256(t, foreign, headWith(members{"jwk": ecJWK(t, foreign, "e1")}), a.nora())},
		{"SEC-15 embedded jwk, though rightly signed", idToken, es256(t, a.ec, headWith(members{"jwk": ecJWK(t, a.ec, "e1")}), a.nora())},
		{"SEC-15 jku", idToken, es256(t, foreign, headWith(members{"jku": other.iss + "/jwks"}), a.nora())},
		{"SEC-15 x5u", idToken, es256(t, foreign, headWith(members{"x5u": other.iss + "/cert"}), a.nora())},
		{"SEC-15 crit", idToken, es256(t, a.ec, headWith(members{"crit": []string{"exp"}, "exp": 1}), a.nora())},
		{"SEC-15 alg twice", idToken, es256(t, a.ec, `{"alg":"none","alg":"ES256","kid":"e1"}`, a.nora())},
		{"SEC-16 unknown issuer", idToken, es256(t, other.ec, esHead, a.nora(members{"iss": other.iss}))},
		{"SEC-16 issuer with a slash", idToken, a.signed(members{"iss": a.iss + "/"})},
		{"SEC-16 no issuer", idToken, a.signed(members{"iss": nil})},
		{"SEC-16 issuer is a list", idToken, a.signed(members{"iss": []string{a.iss}})},
		{"SEC-16 issuer in other letters of the name", idToken, es256(t, a.ec, esHead, strings.Replace(asJSON(t, a.nora()), `"iss"`, `"ISS"`, 1))},
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
		{"typ of an access token", idToken, es256(t, a.ec, headWith(members{"typ": "at+jwt"}), a.nora())},
		{"typ of a DPoP proof", jwtToken, es256(t, a.ec, headWith(members{"typ": "dpop+jwt"}), a.nora())},
		{"a JWT without jti", jwtToken, a.signed(members{"jti": nil})},
		{"a JWT for the client", jwtToken, a.signed(members{"aud": string(a.app.ID)})},
		{"an ID token as permission ticket", permTicket, a.signed()},
		{"claims without a value", idToken, a.signed(members{"org": slices.Repeat([]string{""}, 3)})},
		{"G-028 not base64url", jwtToken, "~~~~"},
		{"empty parts", jwtToken, ".."},
	})
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
		{"ID token with its other signature", a.asSigner, idToken, mirrored(t, id), 403},
		{"ID token with its other signature, by its client", a.push, idToken, mirrored(t, id), 200},
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

// mirrored replaces an ES256 signature (r, s) by (r, n-s), which holds too.
func mirrored(t *testing.T, token string) string {
	t.Helper()
	i := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	must(t, err)
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	return token[:i+1] + b64(sig)
}
