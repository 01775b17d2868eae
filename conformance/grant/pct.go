package grant

import (
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// pct checks how persisted claims tokens come about and what they are good for, Grant §3.3.1, §3.3.3 and §3.3.5.
func pct() []check {
	needs := []need{conformance.NeedPCT, conformance.NeedGather, conformance.NeedPolicy}
	return []check{
		{
			ID: "grant.pct.with-consent", Level: may, Covers: []string{"G-057", "G-069", "G-137"}, Serial: true, Needs: needs, Run: pctWithConsent,
			Title: "A requesting party who lets her claims be kept gets the client a PCT",
		},
		{
			ID: "grant.pct.not-without-consent", Level: should, Covers: []string{"G-057", "G-135"}, Serial: true, Needs: needs, Run: noPCTWithoutConsent,
			Title: "Without her consent no PCT is issued",
		},
		{
			ID: "grant.pct.honoured", Level: should, Covers: []string{"G-031"}, Serial: true, Needs: needs, Run: pctHonoured,
			Title: "A PCT stands for the claims: no further interaction is needed",
		},
		{
			ID: "grant.pct.other-resource-server", Level: should, Covers: []string{"G-033"}, Serial: true, Run: pctOtherRS,
			Needs: append([]need{conformance.NeedSecondRS}, needs...),
			Title: "A PCT is good for resources of another resource server, too",
		},
		{
			ID: "grant.pct.no-policy", Level: must, Covers: []string{"G-062", "G-128"}, Serial: true, Needs: needs, Run: pctWithoutPolicy,
			Title: "A PCT gives nothing that no policy gives",
		},
		{
			ID: "grant.pct.garbage", Level: must, Covers: []string{"G-031", "G-121"}, Serial: true, Needs: needs[2:], Run: garbagePCT,
			Title: "Garbage sent as a PCT counts for nothing, and the server does not fail",
		},
	}
}

// pctProtection checks what keeps a PCT from being misused, Grant §3.3.5, §3.7, §5.2 and §5.4.
func pctProtection() []check {
	needs := []need{conformance.NeedPCT, conformance.NeedGather, conformance.NeedPolicy}
	return []check{
		{
			ID: "grant.pct.foreign-client", Level: must, Covers: []string{"G-119"}, Serial: true, Run: pctForeignClient,
			Needs: append([]need{conformance.NeedSecondClient}, needs...),
			Title: "A PCT is bound to the client it was issued to",
		},
		{
			ID: "grant.pct.unguessable", Level: must, Covers: []string{"G-070", "G-121"}, Serial: true, Needs: needs, Run: pctUnguessable,
			Title: "PCTs do not repeat, and have room for 128 unpredictable bits",
		},
		{
			ID: "grant.pct.opaque", Level: must, Covers: []string{"G-007", "G-071", "G-072"}, Serial: true, Needs: needs, Run: pctOpaque,
			Title: "A PCT does not disclose claims to its holder",
		},
		{
			ID: "grant.pct.not-for-resource-servers", Level: must, Covers: []string{"G-117", "G-118"}, Serial: true, Run: pctNotIntrospected,
			Needs: append([]need{conformance.NeedIntrospection}, needs...),
			Title: "A resource server that introspects a PCT learns nothing",
		},
		{
			ID: "grant.pct.revoked", Level: must, Covers: []string{"G-103", "G-104", "G-120"}, Serial: true, Run: pctRevoked,
			Needs: append([]need{conformance.NeedRevocation}, needs...),
			Title: "A client can revoke its PCT: it counts for nothing any more",
		},
		{
			ID: "grant.pct.revoked-without-hint", Level: must, Covers: []string{"G-103", "G-104"}, Serial: true, Run: pctRevokedWithoutHint,
			Needs: append([]need{conformance.NeedRevocation}, needs...),
			Title: "A PCT can be revoked without a hint, or with a wrong one",
		},
		{
			ID: "grant.pct.revoked-by-others", Level: must, Covers: []string{"G-103", "G-119"}, Serial: true, Run: pctRevokedByOthers,
			Needs: append([]need{conformance.NeedRevocation, conformance.NeedSecondClient}, needs...),
			Title: "No client can revoke another one's PCT",
		},
	}
}

// The checks of PCTs run one by one: a server may let a new consent of the same person to the same client take the place of
// the one before.

// persisted lets Bob go through an interaction, with his consent to keep his claims or without, to the token response.
func persisted(t *conformance.T, consent bool) *exchange {
	_, ticket := shared(t)
	g := t.Gather(c1(t), ticket, conformance.Bob, conformance.GatherOptions{PCT: consent})
	if g.Ticket == "" {
		t.Blockf("the interaction gave no ticket (%s)", g.Told())
	}
	x := t.Redeem(c1(t), g.Ticket, nil)
	token(t, x)
	return x
}

// issuedPCT is a PCT of Bob's for C1.
func issuedPCT(t *conformance.T) string {
	value := persisted(t, true).Text("pct")
	if value == "" {
		t.Blockf("no PCT was issued")
	}
	return value
}

// presents presents a ticket with a PCT.
func presents(t *conformance.T, c conformance.Client, ticket, value string) *exchange {
	return t.Redeem(c, ticket, url.Values{"pct": {value}})
}

func pctWithConsent(t *conformance.T) {
	if persisted(t, true).Text("pct") == "" {
		t.Errorf("she agreed, and the success has no pct")
	}
}

func noPCTWithoutConsent(t *conformance.T) {
	if _, present := persisted(t, false).JSON(t)["pct"]; present {
		t.Errorf("she did not agree, and the success has a pct")
	}
}

func pctHonoured(t *conformance.T) {
	value := issuedPCT(t)
	_, ticket := shared(t)
	if x := presents(t, c1(t), ticket, value); x.Text("access_token") == "" {
		t.Errorf("want an RPT, got %d (%s)", x.Status, told(x))
	}
}

func pctOtherRS(t *conformance.T) {
	value := issuedPCT(t)
	r := t.Resource(conformance.Alice, conformance.RS2)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	ticket := t.Ticket(conformance.Alice, conformance.RS2, r.Permission(r.Scopes[0]))
	if x := presents(t, c1(t), ticket, value); x.Text("access_token") == "" {
		t.Errorf("want an RPT, got %d (%s)", x.Status, told(x))
	}
}

func pctWithoutPolicy(t *conformance.T) {
	value := issuedPCT(t)
	_, ticket := fresh(t)
	wantNoRPT(t, presents(t, c1(t), ticket, value), "a resource without any policy")
}

func garbagePCT(t *conformance.T) {
	for _, garbage := range []string{"garbage", "a.b.c", "ä ö ü", "%00", strings.Repeat("A", 5000)} {
		_, ticket := shared(t)
		x := presents(t, c1(t), ticket, garbage)
		wantNoRPT(t, x, "garbage sent as a PCT")
		if !assessed(x) && x.OAuthError() != uma.ErrInvalidRequest.Code && x.OAuthError() != uma.ErrInvalidGrant.Code {
			t.Errorf("garbage sent as a PCT: want an answer of the Recommendation, got %d (%s)", x.Status, told(x))
		}
	}
}

// honouredPCT is a PCT of Bob's for C1 that was presented once and counted: that it counts no more can be told only of such
// a one.
func honouredPCT(t *conformance.T) string {
	value := issuedPCT(t)
	_, ticket := shared(t)
	x := presents(t, c1(t), ticket, value)
	if x.Text("access_token") == "" {
		t.Blockf("a new PCT is not honoured (%s)", told(x))
	}
	if newer := x.Text("pct"); newer != "" {
		return newer // Grant §3.3.5: the one that stands now
	}
	return value
}

func pctForeignClient(t *conformance.T) {
	value := honouredPCT(t)
	_, ticket := shared(t)
	wantNotHonoured(t, presents(t, t.Client(conformance.C2), ticket, value), "a PCT of C1 presented by C2")
}

// wantNotHonoured: as if it was not sent, or an error.
func wantNotHonoured(t *conformance.T, x *exchange, what string) {
	wantNoRPT(t, x, what)
	if x.OAuthError() == uma.ErrRequestSubmitted.Code {
		t.Errorf("%s counted: the server knows who asks (%s)", what, told(x))
	}
}

// pctUnguessable looks at few values: each costs an interaction. What can be seen of so few is the alphabet and how many
// positions vary.
func pctUnguessable(t *conformance.T) {
	values := make([]string, 0, 5)
	for range cap(values) {
		values = append(values, issuedPCT(t))
	}
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			t.Fatalf("a PCT was issued twice")
		}
		seen[v] = true
	}
	if bits := room(values); bits < 128-tolerance {
		t.Errorf("the positions that vary among %d PCTs have room for %d bits: want 128", len(values), bits)
	}
}

// room is the number of positions that vary, times the bits a character of the alphabet can hold.
func room(values []string) int {
	bits := 4
	if strings.Trim(strings.ToLower(strings.Join(values, "")), "0123456789abcdef-") != "" {
		bits = 6
	}
	varying := 0
	for at := range values[0] {
		for _, v := range values[1:] {
			if at >= len(v) || v[at] != values[0][at] {
				varying++
				break
			}
		}
	}
	return varying * bits
}

func pctOpaque(t *conformance.T) {
	bob := t.Party(conformance.Bob)
	wantOpaque(t, "the PCT", issuedPCT(t), bob.Login, bob.Email, bob.Sub)
}

func pctNotIntrospected(t *conformance.T) {
	answer := t.Introspect(alicePAT(t), issuedPCT(t))
	if active, _ := answer["active"].(bool); active || len(answer) > 1 {
		t.Errorf("a PCT is introspected as %v", answer)
	}
}

func pctRevoked(t *conformance.T) {
	value := honouredPCT(t)
	revoke(t, c1(t), value, uma.HintPCT)
	_, ticket := shared(t)
	wantNotHonoured(t, presents(t, c1(t), ticket, value), "a PCT that was revoked")
}

func pctRevokedWithoutHint(t *conformance.T) {
	for _, hint := range []string{"", "refresh_token"} {
		value := honouredPCT(t)
		revoke(t, c1(t), value, hint)
		_, ticket := shared(t)
		wantNotHonoured(t, presents(t, c1(t), ticket, value), "a PCT that was revoked with the hint "+hint)
	}
}

func pctRevokedByOthers(t *conformance.T) {
	value := honouredPCT(t)
	revoke(t, t.Client(conformance.C2), value, uma.HintPCT)
	_, ticket := shared(t)
	if x := presents(t, c1(t), ticket, value); x.Text("access_token") == "" {
		t.Errorf("another client revoked the PCT (%s)", told(x))
	}
}
