package umaas

import "slices"

// What says who a party is. A grant or a PCT rests on it, and ends with the issuer's trust in that use and with the link between
// identity and account (SEC-17, SEC-38).

// claimPushedAs tells beside claimSubject by which use of its issuer a pushed token counted. No policy can name it.
const claimPushedAs = "urn:umaas:pushed-as"

// restsOn reports a claim that says who the party is or how that is known, and nothing about her.
func restsOn(name string) bool {
	return name == claimSubject || name == claimPushedAs || name == claimTicket || name == claimSignIn
}

// identityGone reports claims about somebody by an identity that her account has no more, or by the word of an issuer that is
// trusted no more for what it said.
func identityGone(r IssuerReader, a *Account, claims []Claim) (bool, error) {
	if unlinked(a, claims) {
		return true, nil
	}
	said, err := counting(r, claims)
	return said.broken, err
}

// unlinked reports a word about an identity that is not, or no longer, the account's.
func unlinked(a *Account, claims []Claim) bool {
	return slices.ContainsFunc(claims, func(c Claim) bool {
		if c.Issuer == "" || c.Name != claimSubject && c.Name != claimSignIn {
			return false
		}
		return a == nil || !slices.Contains(a.Identities, Identity{Issuer: c.Issuer, Subject: c.Value})
	})
}
