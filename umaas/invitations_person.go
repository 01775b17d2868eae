package umaas

// signedIn is a person as an assessment would know her from this sign-in: by her account, and by what the issuer she signed in at
// stated then, as far as it counts now (SEC-17, SEC-20). Who rests on an issuer that counts no more is nobody.
func (s *Service) signedIn(r IssuerReader, account Account, sess Session) (requester, error) {
	stated, err := counting(r, sess.Claims)
	if err != nil || stated.broken {
		return requester{}, err
	}
	return requester{account: s.ownWord(account), claims: stated.claims, emails: stated.emails}, nil
}

// invitedAs reports whether an invitation means this person. No app is invited.
func (p requester) invitedAs(w Who) bool { return w.Kind != WhoClient && p.is(w) }
