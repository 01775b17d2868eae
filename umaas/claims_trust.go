package umaas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas/uma"
)

// said is what counts of what trusted issuers stated about a party, now.
type said struct {
	claims []Claim
	emails []string // addresses stated by an issuer that is canonical for their domain
	broken bool     // the issuer that identified the party is trusted no more
}

// counting looks up, for each claim, whether its issuer is still trusted for it (SEC-17, SEC-20). It costs one read for each
// issuer that was heard.
func counting(r IssuerReader, list []Claim) (said, error) {
	var out said
	known := map[string]TrustedIssuer{}
	for _, c := range list {
		if c.Issuer == "" {
			continue // this server's own word is read from the account
		}
		i, looked := known[c.Issuer]
		if !looked {
			var err error
			i, err = r.TrustedIssuer(c.Issuer)
			if _, err := absent(err); err != nil {
				return said{}, fmt.Errorf("read issuer: %w", err)
			}
			known[c.Issuer] = i // absent: the zero issuer, trusted for nothing
		}
		switch {
		case !i.believed(c):
			out.broken = out.broken || restsOn(c.Name)
		case c.Name == "email" && i.standsFor(c.Value):
			out.emails = append(out.emails, c.Value)
			fallthrough
		default:
			out.claims = append(out.claims, c)
		}
	}
	return out, nil
}

// believed reports whether an issuer in force is trusted for a claim.
func (i TrustedIssuer) believed(c Claim) bool {
	if i.Disabled || i.Issuer == "" {
		return false
	}
	switch c.Name {
	case claimSubject:
		return len(i.Uses) > 0
	case claimSignIn:
		return i.Trusts(UseSignIn)
	case claimPushedAs:
		return i.Trusts(IssuerUse(c.Value))
	case claimTicket:
		return i.Trusts(UsePermissionTicket)
	}
	return contains(i.Claims, c.Name) && !slices.Contains(reserved, c.Name)
}

// standsFor reports whether an address identifies a person by this issuer's word: only in the domains it is configured for
// (SEC-20, HEART FHIR-UMA2 §3.3).
func (i TrustedIssuer) standsFor(email string) bool {
	_, domain, ok := strings.Cut(email, "@")
	return ok && slices.ContainsFunc(i.EmailDomains, func(d string) bool { return strings.EqualFold(d, domain) })
}

// algorithms are the JWS algorithms of the issuer: configured ones, else the two that everybody has.
func (i TrustedIssuer) algorithms() []string {
	if len(i.Algorithms) > 0 {
		return i.Algorithms
	}
	return []string{"ES256", "RS256"}
}

// ownWord gives the claims on an account their issuer: this server (SEC-20).
func (s *Service) ownWord(a Account) *Account {
	a.Claims = slices.Clone(a.Claims)
	for i := range a.Claims {
		if a.Claims[i].Issuer == "" {
			a.Claims[i].Issuer = s.Issuer
		}
	}
	return &a
}

// maxIssuersTold bounds what need_info lists.
const maxIssuersTold = 100

// requiredClaims tells a client that may push what would be accepted (Grant §3.3.6, G-088, G-090): one element per format, with
// the issuers trusted for it. It follows from the server's list of trust alone, so it is the same for every ticket and tells
// nothing of an owner's policies or of what is hidden (decisions 6). A client that may not push is told nothing (SEC-22).
func (s *Service) requiredClaims(r IssuerReader, c Client) ([]uma.RequiredClaim, error) {
	if !s.mayPush(c) {
		return nil, nil
	}
	issuers, err := r.TrustedIssuers("", maxIssuersTold)
	if err != nil {
		return nil, fmt.Errorf("list issuers: %w", err)
	}
	var out []uma.RequiredClaim
	for _, f := range s.formats() {
		told := uma.RequiredClaim{ClaimTokenFormat: []string{f.URI()}}
		if f.Use() == UseIDToken {
			told.Issuer = []string{s.Issuer}
		}
		for _, i := range issuers {
			if i.Trusts(f.Use()) {
				told.Issuer = append(told.Issuer, i.Issuer)
			}
		}
		if len(told.Issuer) > 0 {
			out = append(out, told)
		}
	}
	return out, nil
}
