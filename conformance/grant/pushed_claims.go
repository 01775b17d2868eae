package grant

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// pushedClaims checks ID Tokens of the suite's own OpenID provider as pushed claims, Grant §3.3.1, §3.3.6 and §5.7.
func pushedClaims() []check {
	push := []need{conformance.NeedClaimPush}
	needs := []need{conformance.NeedClaimPush, conformance.NeedPolicy}
	return []check{
		{
			ID: "grant.claims.first-request", Level: must, Covers: []string{"G-025", "G-029", "G-137"}, Needs: needs, Run: pushedAtFirst,
			Title: "A good ID Token pushed with the first request counts in the assessment",
		},
		{
			ID: "grant.claims.later-request", Level: must, Covers: []string{"G-025", "G-029"}, Needs: needs, Run: pushedLater,
			Title: "A good ID Token pushed after need_info counts in the assessment",
		},
		{
			ID: "grant.claims.no-policy", Level: must, Covers: []string{"G-062", "G-128"}, Needs: push, Run: pushedWithoutPolicy,
			Title: "A good ID Token gives nothing that no policy gives",
		},
		{
			ID: "grant.claims.other-person", Level: must, Covers: []string{"G-062"}, Needs: needs, Run: pushedOtherPerson,
			Title: "An ID Token of one person does not stand for another",
		},
		{
			ID: "grant.claims.foreign-key", Level: must, Covers: []string{"G-086", "G-131", "G-202"}, Needs: needs, Run: forged(conformance.ForgeKey),
			Title: "An ID Token signed with a key the provider does not publish is not accepted",
		},
		{
			ID: "grant.claims.changed", Level: must, Covers: []string{"G-086", "G-131", "G-202"}, Needs: needs, Run: forged(conformance.ForgeBody),
			Title: "An ID Token with the signature of other claims is not accepted",
		},
		{
			ID: "grant.claims.unsigned", Level: must, Covers: []string{"G-086", "G-131", "G-202"}, Needs: needs, Run: forged(conformance.ForgeNone),
			Title: "An ID Token without signature is not accepted",
		},
		{
			ID: "grant.claims.symmetric", Level: must, Covers: []string{"G-086", "G-131", "G-202"}, Needs: needs, Run: forged(conformance.ForgeHMAC),
			Title: "An ID Token signed with the provider's public key as a shared secret is not accepted",
		},
		{
			ID: "grant.claims.expired", Level: must, Covers: []string{"G-086", "G-131", "G-202"}, Needs: needs, Run: expiredClaims,
			Title: "An expired ID Token is not accepted",
		},
		{
			ID: "grant.claims.audience", Level: should, Covers: []string{"G-131"}, Needs: needs, Run: foreignAudience,
			Title: "An ID Token for somebody else is not accepted",
		},
		{
			ID: "grant.claims.issuer", Level: must, Covers: []string{"G-086", "G-131", "G-202"}, Needs: needs, Run: foreignIssuer,
			Title: "An ID Token of an issuer nobody trusts is not accepted",
		},
		{
			ID: "grant.claims.public-client", Level: should, Covers: []string{"G-130"}, Run: untrustedPusher,
			Needs: append([]need{conformance.NeedPublicClient}, needs...),
			Title: "Claims pushed by a client that cannot authenticate are not accepted",
		},
		{
			ID: "grant.claims.need-info", Level: must, Covers: []string{"G-086", "G-087", "G-202"}, Needs: push, Run: badClaimsNeedInfo,
			Title: "A bad claim token is answered with need_info and a way to go on",
		},
		{
			ID: "grant.claims.accepted-formats", Level: should, Covers: []string{"G-090"}, Needs: push, Run: acceptedFormats,
			Title: "need_info names a format and an issuer that the server accepts claims of",
		},
	}
}

// format is the claim_token_format of the suite's provider.
func format(t *conformance.T) string {
	if f := t.Env().Profile.Push.Format; f != "" {
		return f
	}
	return formatOpenID
}

// audience is what the server under test wants to see in aud.
func audience(t *conformance.T, c conformance.Client) string {
	if t.Env().Profile.Push.Audience == "" {
		return t.Env().Issuer
	}
	return strings.NewReplacer("{{issuer}}", t.Env().Issuer, "{{client}}", c.ID).Replace(t.Env().Profile.Push.Audience)
}

// pushes presents a ticket with a claim token.
func pushes(t *conformance.T, c conformance.Client, ticket, claims string) *exchange {
	return t.Redeem(c, ticket, url.Values{"claim_token": {claims}, "claim_token_format": {format(t)}})
}

// idToken is a good one about a person.
func idToken(t *conformance.T, c conformance.Client, person string, members map[string]any) string {
	return t.Provider().IDToken(t, t.Party(person), audience(t, c), members)
}

func pushedAtFirst(t *conformance.T) {
	_, ticket := shared(t)
	if x := pushes(t, c1(t), ticket, idToken(t, c1(t), conformance.Bob, nil)); x.Text("access_token") == "" {
		t.Errorf("want an RPT, got %d (%s)", x.Status, told(x))
	}
}

func pushedLater(t *conformance.T) {
	_, ticket := shared(t)
	x := t.Redeem(c1(t), ticket, nil)
	next := x.Text("ticket")
	if x.OAuthError() != uma.ErrNeedInfo.Code || next == "" {
		t.Blockf("the first request was not answered with need_info and a ticket (%s)", told(x))
	}
	x = pushes(t, c1(t), next, idToken(t, c1(t), conformance.Bob, nil))
	if x.OAuthError() == uma.ErrInvalidGrant.Code {
		t.Blockf("the ticket of need_info was not accepted")
	}
	if x.Text("access_token") == "" {
		t.Errorf("want an RPT, got %d (%s)", x.Status, told(x))
	}
}

func pushedWithoutPolicy(t *conformance.T) {
	wantNoRPT(t, pushes(t, c1(t), closed(t), idToken(t, c1(t), conformance.Bob, nil)), "a resource without any policy")
}

// closed is a ticket for a resource with three scopes that nobody may see.
func closed(t *conformance.T) string {
	return asked(t, t.Resource(conformance.Alice, conformance.RS1, t.Env().Scopes(3)...))
}

func wantNoRPT(t *conformance.T, x *exchange, what string) {
	if x.Text("access_token") != "" {
		t.Errorf("%s: an RPT was issued", what)
	}
	if x.Status >= 500 {
		t.Errorf("%s made the server fail: %d", what, x.Status)
	}
}

func pushedOtherPerson(t *conformance.T) {
	_, ticket := shared(t)
	wantNoRPT(t, pushes(t, c1(t), ticket, idToken(t, c1(t), conformance.Dave, nil)), "a policy for Bob and an ID Token of Dave")
}

// forged pushes a token that is good but for how it is signed.
func forged(how string) func(t *conformance.T) {
	return func(t *conformance.T) {
		_, ticket := shared(t)
		claims := t.Provider().Claims(t.Party(conformance.Bob), audience(t, c1(t)), nil)
		wantNoRPT(t, pushes(t, c1(t), ticket, t.Provider().Sign(t, how, claims)), "a forged ID Token")
	}
}

func expiredClaims(t *conformance.T) {
	_, ticket := shared(t)
	now := time.Now()
	old := map[string]any{"iat": now.Add(-2 * time.Hour).Unix(), "auth_time": now.Add(-2 * time.Hour).Unix(), "exp": now.Add(-time.Hour).Unix()}
	wantNoRPT(t, pushes(t, c1(t), ticket, idToken(t, c1(t), conformance.Bob, old)), "an expired ID Token")
}

func foreignAudience(t *conformance.T) {
	for what, aud := range map[string]any{
		"an ID Token for another client": "https://somebody-else.example", "an ID Token without audience": nil,
		"an ID Token for two others": []string{"https://one.example", "https://two.example"},
	} {
		_, ticket := shared(t)
		wantNoRPT(t, pushes(t, c1(t), ticket, idToken(t, c1(t), conformance.Bob, map[string]any{"aud": aud})), what)
	}
}

func foreignIssuer(t *conformance.T) {
	_, ticket := shared(t)
	wantNoRPT(t, pushes(t, c1(t), ticket, idToken(t, c1(t), conformance.Bob, map[string]any{"iss": "https://op.nobody.example"})), "an ID Token of an unknown issuer")
}

func untrustedPusher(t *conformance.T) {
	_, ticket := shared(t)
	c := t.Client(conformance.P1)
	wantNoRPT(t, pushes(t, c, ticket, idToken(t, c, conformance.Bob, nil)), "claims pushed by a public client")
}

func badClaimsNeedInfo(t *conformance.T) {
	ticket := closed(t)
	claims := t.Provider().Claims(t.Party(conformance.Bob), audience(t, c1(t)), nil)
	x := pushes(t, c1(t), ticket, t.Provider().Sign(t, conformance.ForgeKey, claims))
	if x.OAuthError() != uma.ErrNeedInfo.Code {
		t.Errorf("want need_info, got %d (%s)", x.Status, told(x))
	}
}

func acceptedFormats(t *conformance.T) {
	_, x := firstNeedInfo(t, c1(t))
	list, present := x.JSON(t)["required_claims"].([]any)
	if !present {
		t.Blockf("need_info came without required_claims")
	}
	for _, e := range list {
		claim, _ := e.(map[string]any)
		formats, _ := texts(claim["claim_token_format"])
		issuers, named := texts(claim["issuer"])
		if slices.Contains(formats, format(t)) && (!named || slices.Contains(issuers, t.Provider().Issuer)) {
			return
		}
	}
	t.Errorf("the server accepts %s of %s; required_claims does not say so", format(t), t.Provider().Issuer)
}
