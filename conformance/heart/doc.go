// Package heart holds the checks of the OpenID HEART profile of UMA 2 (implementer's draft, July 2018), for authorization
// servers that claim it: the profile says so with offers: [heart]. What HEART asks of resource servers is in package
// rsduty; what it leaves to an owner's pages no check can see.
package heart

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

type (
	check  = conformance.Check
	object = map[string]any
)

const (
	must   = conformance.LevelMust
	should = conformance.LevelShould

	formatIDToken = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken" //nolint:gosec // a format, no token
)

// Checks are all checks of the suite "heart".
func Checks() []check {
	grant := []conformance.Need{conformance.NeedPolicy, conformance.NeedParty}
	all := []check{
		{
			ID: "heart.discovery.documents", Level: must, Covers: []string{"H-02"}, Run: documents,
			Title: "Beside UMA's there is the discovery document of OpenID Connect, and the two agree",
		},
		{
			ID: "heart.discovery.claims", Level: must, Covers: []string{"H-03"}, Run: bothWays,
			Title: "Claims can be gathered by redirect and pushed as ID tokens",
		},
		{
			ID: "heart.discovery.services", Level: must, Covers: []string{"H-05"}, Run: services,
			Title: "Dynamic registration, introspection and the protection API are declared",
		},
		{
			ID: "heart.claims.id-token", Level: must, Covers: []string{"H-04"}, Needs: append([]conformance.Need{conformance.NeedClaimPush}, grant...), Run: forgedIDTokens,
			Title: "An ID token for somebody else, or with a signature of nobody, is no claim",
		},
		{
			ID: "heart.pat.signed", Level: must, Covers: []string{"H-06"}, Run: func(t *conformance.T) { verified(t, t.PAT(conformance.Alice, conformance.RS1), "the PAT") },
			Title: "A PAT is a JWT signed with a key the server publishes",
		},
		{
			ID: "heart.pat.claims", Level: must, Covers: []string{"H-07"}, Run: patClaims,
			Title: "A PAT has iss, sub, azp of the resource server, and aud with the introspection and the registration endpoint",
		},
		{
			ID: "heart.rpt.signed", Level: must, Covers: []string{"H-06"}, Needs: grant, Run: func(t *conformance.T) { verified(t, granted(t).RPT, "the RPT") },
			Title: "An RPT is a JWT signed with a key the server publishes",
		},
		{
			ID: "heart.rpt.claims", Level: must, Covers: []string{"H-08"}, Needs: grant, Run: rptClaims,
			Title: "An RPT has iss, sub, azp of the client, and aud with the identifiers of its resources",
		},
		{
			ID: "heart.rpt.introspection", Level: must, Covers: []string{"H-08"}, Needs: grant, Run: rptIntrospected,
			Title: "Introspection of an RPT tells the same iss, sub, azp and aud",
		},
		{
			ID: "heart.pct.opaque", Level: must, Covers: []string{"H-09"}, Needs: append([]conformance.Need{conformance.NeedPCT, conformance.NeedGather}, grant...), Run: opaquePCT,
			Title: "A PCT is long and tells nothing of the requesting party",
		},
		{
			ID: "heart.pat.lifetime", Level: should, Covers: []string{"H-10"}, Run: lifetimes,
			Title: "A PAT lives an hour at most, and comes with a refresh token",
		},
	}
	for i := range all {
		all[i].Needs = append([]conformance.Need{conformance.NeedHEART}, all[i].Needs...)
	}
	return all
}

func granted(t *conformance.T) conformance.Granted {
	return t.Grant(t.Client(conformance.C1), conformance.Alice, conformance.RS1, conformance.Bob)
}

func documents(t *conformance.T) {
	x := t.Get(strings.TrimSuffix(t.Env().Issuer, "/")+uma.WellKnownOpenID, "")
	var other object
	if x.Status != http.StatusOK || json.Unmarshal(x.Body, &other) != nil {
		t.Fatalf("%s answers %d", uma.WellKnownOpenID, x.Status)
	}
	for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri"} {
		if text, _ := other[name].(string); text == "" {
			t.Errorf("%s has no %s", uma.WellKnownOpenID, name)
		}
	}
	for _, name := range []string{"issuer", "token_endpoint"} {
		if other[name] != t.Env().Raw[name] {
			t.Errorf("%s is %v in one document and %v in the other", name, other[name], t.Env().Raw[name])
		}
	}
}

func bothWays(t *conformance.T) {
	if t.Env().Metadata.ClaimsInteractionEndpoint == "" {
		t.Errorf("there is no claims_interaction_endpoint")
	}
	if !slices.Contains(t.Env().Metadata.UMAProfilesSupported, formatIDToken) {
		t.Errorf("uma_profiles_supported has no %s", formatIDToken)
	}
}

func services(t *conformance.T) {
	for _, name := range []string{"registration_endpoint", "introspection_endpoint", "permission_endpoint", "resource_registration_endpoint"} {
		if text, _ := t.Env().Raw[name].(string); text == "" {
			t.Errorf("the discovery document has no %s", name)
		}
	}
}

// forgedIDTokens shows first that a good ID token gives access, so that a refusal means something.
func forgedIDTokens(t *conformance.T) {
	c, p, bob := t.Client(conformance.C1), t.Provider(), t.Party(conformance.Bob)
	r := t.Resource(conformance.Alice, conformance.RS1)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	push := func(token string) string {
		ticket := t.Ticket(conformance.Alice, conformance.RS1, r.Permission())
		return t.Redeem(c, ticket, url.Values{"claim_token": {token}, "claim_token_format": {formatIDToken}}).Text("access_token")
	}
	audience := t.Env().Profile.Push.Audience
	if audience == "" {
		audience = t.Env().Issuer
	}
	if push(p.IDToken(t, bob, audience, nil)) == "" {
		t.Blockf("a good ID token gives no access")
	}
	if push(p.IDToken(t, bob, "https://conformance.invalid/somebody-else", nil)) != "" {
		t.Errorf("an ID token for another audience gave access")
	}
	if push(p.Sign(t, conformance.ForgeKey, p.Claims(bob, audience, nil))) != "" {
		t.Errorf("an ID token with the signature of an unknown key gave access")
	}
}

// verified gives the claims of a signed token; a token of another form fails the check.
func verified(t *conformance.T, token, what string) object {
	claims, err := signed(t, token)
	if err != "" {
		t.Fatalf("%s %s", what, err)
	}
	return claims
}

// read is verified where the form is not what the check is about.
func read(t *conformance.T, token, what string) object {
	claims, err := signed(t, token)
	if err != "" {
		t.Blockf("%s %s", what, err)
	}
	return claims
}

func signed(t *conformance.T, token string) (object, string) {
	if strings.Count(token, ".") != 2 {
		return nil, "is no JWT"
	}
	x := t.Get(t.Env().Metadata.JWKSURI, "")
	keys, err := jwk.Parse(x.Body)
	if err != nil {
		return nil, "cannot be verified: jwks_uri gives no keys"
	}
	payload, err := jws.Verify([]byte(token), jws.WithKeySet(keys, jws.WithInferAlgorithmFromKey(true), jws.WithRequireKid(false)))
	if err != nil {
		return nil, "is not signed with a published key"
	}
	var claims object
	if json.Unmarshal(payload, &claims) != nil {
		return nil, "has no JSON object as its claims"
	}
	return claims, ""
}

func list(v any) []string {
	raw, _ := v.([]any)
	var out []string
	for _, one := range raw {
		if s, ok := one.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// owner is the resource owner as a PAT of hers names her, HEART UMA2 §3.3.1.
func owner(t *conformance.T) string {
	sub, _ := read(t, t.PAT(conformance.Alice, conformance.RS1), "the PAT")["sub"].(string)
	if sub == "" {
		t.Blockf("the PAT has no sub to compare with")
	}
	return sub
}

// parties judges iss, sub (whom it has to name, "" anybody), azp and aud.
func parties(t *conformance.T, claims object, whose, azp string, audience ...string) {
	if claims["iss"] != t.Env().Issuer {
		t.Errorf("iss is %v, the issuer is %s", claims["iss"], t.Env().Issuer)
	}
	if sub, _ := claims["sub"].(string); sub == "" {
		t.Errorf("there is no sub")
	} else if whose != "" && sub != whose {
		t.Errorf("sub is %s, want the resource owner, %s", sub, whose)
	}
	if claims["azp"] != azp {
		t.Errorf("azp is %v, want %s", claims["azp"], azp)
	}
	for _, one := range audience {
		if !slices.Contains(list(claims["aud"]), one) {
			t.Errorf("aud is %v, want an array with %s", claims["aud"], one)
		}
	}
}

func patClaims(t *conformance.T) {
	m := t.Env().Metadata
	claims := read(t, t.PAT(conformance.Alice, conformance.RS1), "the PAT")
	parties(t, claims, t.Owner(conformance.Alice).Sub, t.RS(conformance.RS1).Client.ID, m.IntrospectionEndpoint, m.ResourceRegistrationEndpoint)
}

func rptClaims(t *conformance.T) {
	g := granted(t)
	parties(t, read(t, g.RPT, "the RPT"), owner(t), t.Client(conformance.C1).ID, g.Resource.ID)
}

func rptIntrospected(t *conformance.T) {
	g := granted(t)
	parties(t, t.Introspect(g.PAT, g.RPT), owner(t), t.Client(conformance.C1).ID, g.Resource.ID)
}

func opaquePCT(t *conformance.T) {
	c, bob := t.Client(conformance.C1), t.Party(conformance.Bob)
	r := t.Resource(conformance.Alice, conformance.RS1)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	x := t.Redeem(c, t.Ticket(conformance.Alice, conformance.RS1, r.Permission()), nil)
	g := t.Gather(c, x.Text("ticket"), conformance.Bob, conformance.GatherOptions{Start: x.Text("redirect_user"), PCT: true, Browser: t.NewBrowser()})
	if g.Ticket == "" {
		t.Blockf("claims interaction gave no ticket: %s", g.Told())
	}
	pct := t.Redeem(c, g.Ticket, nil).Text("pct")
	if pct == "" {
		t.Blockf("no PCT came")
	}
	if len(pct) < 22 { // 128 bits in base64url
		t.Errorf("a PCT of %d characters can be guessed", len(pct))
	}
	for _, secret := range []string{bob.Login, bob.Sub, bob.Email} {
		if len(secret) > 5 && strings.Contains(pct, secret) {
			t.Errorf("the PCT can be read")
		}
	}
	if claims, err := signed(t, pct); err == "" && len(claims) > 0 {
		t.Errorf("the PCT is a JWT that anybody can read")
	}
}

func lifetimes(t *conformance.T) {
	x := t.PATAnswer(conformance.Alice, conformance.RS1)
	claims := read(t, x.Text("access_token"), "the PAT")
	if x.Text("refresh_token") == "" {
		t.Errorf("the PAT comes without a refresh token (HEART UMA2 §3.3.4)")
	}
	exp, ok := claims["exp"].(float64)
	if left := time.Until(time.Unix(int64(exp), 0)); !ok || left > time.Hour+time.Minute {
		t.Errorf("exp is %v, want at most an hour from now (HEART OAuth 2.0 §3.3)", claims["exp"])
	}
}
