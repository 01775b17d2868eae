package umaas_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// TestSEC_45_InvitedByAnIssuersWord: a newcomer whom only an issuer knows takes up an invitation to the address, or the claim, that
// this issuer states of her; in another's domain, without the issuer's standing, or from a sign-in that stated nothing, the link
// is one that never was.
func TestSEC_45_InvitedByAnIssuersWord(t *testing.T) {
	const nora = umaas.AccountID("a-nora")
	id := umaas.Identity{Issuer: hospitalIssuer, Subject: "nora"}
	stated := func(name, value string) umaas.Claim {
		return umaas.Claim{Issuer: hospitalIssuer, Name: name, Value: value}
	}
	address := umaas.Who{Kind: umaas.WhoEmail, Email: "nora@hospital.example"}
	nurse := umaas.Who{Kind: umaas.WhoClaim, Claim: stated("role", "nurse")}
	says := []umaas.Claim{stated("email", "nora@hospital.example"), stated("role", "nurse"), stated("urn:umaas:sign-in", "nora")}
	for name, c := range map[string]struct {
		who    umaas.Who
		claims []umaas.Claim
		change func(*umaas.TrustedIssuer)
		good   bool
	}{
		"her address":              {who: address, claims: says, good: true},
		"her role":                 {who: nurse, claims: says, good: true},
		"nothing stated":           {who: address},
		"another's address":        {who: address, claims: []umaas.Claim{stated("email", "eve@hospital.example"), stated("urn:umaas:sign-in", "nora")}},
		"not canonical":            {who: address, claims: says, change: func(i *umaas.TrustedIssuer) { i.EmailDomains = []string{"other.example"} }},
		"not trusted for it":       {who: nurse, claims: says, change: func(i *umaas.TrustedIssuer) { i.Claims = []string{"email"} }},
		"issuer off":               {who: address, claims: says, change: func(i *umaas.TrustedIssuer) { i.Disabled = true }},
		"no longer for sign-in":    {who: address, claims: says, change: func(i *umaas.TrustedIssuer) { i.Uses = []umaas.IssuerUse{umaas.UseIDToken} }},
		"stated by another server": {who: nurse, claims: []umaas.Claim{{Issuer: "https://idp.example", Name: "role", Value: "nurse"}}},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(w *world) {
				w.trust()
				ti, err := w.TrustedIssuer(t.Context(), hospitalIssuer)
				w.must(err)
				ti.Uses, ti.Claims, ti.EmailDomains = append(ti.Uses, umaas.UseSignIn), []string{"email", "role"}, []string{"hospital.example"}
				if c.change != nil {
					c.change(&ti)
				}
				_, err = w.PutTrustedIssuer(t.Context(), ti, "")
				w.must(err)
				w.put(func(tx umaas.Tx) error {
					return tx.PutAccount(umaas.Account{ID: nora, Kind: umaas.KindPerson, Name: "Nora", Identities: []umaas.Identity{id}, Created: w.now()})
				})
				_, sess, err := w.CreateSession(t.Context(), nora, nil)
				w.must(err)
				sess.Upstream, sess.Claims = id, c.claims
				w.sessions[nora] = sess
				r := w.set(w.alice, rs1, "view")
				inv, err := w.herself(w.alice).Invite(t.Context(), give(c.who, rule("", r, "view")), "")
				w.must(err)
				handle := inv.Link[strings.LastIndex(inv.Link, "/")+1:]
				v, err := w.OpenInvitation(t.Context(), handle, &sess)
				if !c.good {
					if !errors.Is(err, umaas.ErrNotFound) {
						t.Fatalf("opened: %+v %v", v, err)
					}
					if err := w.AcceptInvitation(t.Context(), handle, sess, "x", ""); !errors.Is(err, umaas.ErrNotFound) {
						t.Fatalf("accepted: %v", err)
					}
					return
				}
				w.must(err)
				w.must(w.AcceptInvitation(t.Context(), handle, sess, v.Digest, ""))
				w.wantRights(w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), nora)).AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})
				// what was proved by a claim goes on needing it; an address was proved once
				sess.Claims = nil
				w.sessions[nora] = sess
				_, err = w.redeem(c1, w.gather(c1, w.ticket(perm(r, "view")), nora))
				if (err == nil) != (c.who.Kind == umaas.WhoEmail) {
					t.Fatalf("without the claim: %v", err)
				}
			})
		})
	}
}
