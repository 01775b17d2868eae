package umaas

import "slices"

// requester is whom policies can name: the account, what counts of what is said about it, and the app.
type requester struct {
	account *Account
	claims  []Claim
	emails  []string
	client  Client
}

func (q Question) requester() requester {
	return requester{account: q.PartyAccount, claims: q.Claims, emails: q.Emails, client: q.Client}
}

// is reports whether the party of a policy is this person or, without one, this app. The account, its verified address and
// its claims are this server's word; claims and addresses of trusted issuers count with their issuer (SEC-20).
func (p requester) is(w Who) bool {
	switch w.Kind {
	case WhoAccount:
		return p.account != nil && w.Account != "" && w.Account == p.account.ID
	case WhoEmail:
		return p.account != nil && w.Email != "" && (p.account.EmailVerified && w.Email == p.account.Email || slices.Contains(p.emails, w.Email))
	case WhoClaim:
		return p.holds(w.Claim)
	case WhoClient:
		// A public client proves nothing about itself, so nobody can share with it as such.
		return w.Client != "" && w.Client == p.client.ID && !p.client.Public()
	default:
		return false
	}
}

// holds reports a claim of exactly this issuer, name and value.
func (p requester) holds(c Claim) bool {
	return p.account != nil && c.Issuer != "" && c.Name != "" && c.Value != "" &&
		(slices.Contains(p.account.Claims, c) || slices.Contains(p.claims, c))
}

// holdsAll reports every one of some further claims (SEC-19).
func (p requester) holdsAll(list []Claim) bool {
	return !slices.ContainsFunc(list, func(c Claim) bool { return !p.holds(c) })
}

// names are all parties a policy could name this requester by.
func (p requester) names() []Who {
	var out []Who
	if p.account != nil {
		out = append(out, Who{Kind: WhoAccount, Account: p.account.ID})
		if p.account.EmailVerified && p.account.Email != "" {
			out = append(out, Who{Kind: WhoEmail, Email: p.account.Email})
		}
		for _, e := range p.emails {
			out = append(out, Who{Kind: WhoEmail, Email: e})
		}
		for _, list := range [][]Claim{p.account.Claims, p.claims} {
			for _, c := range list {
				out = append(out, Who{Kind: WhoClaim, Claim: c})
			}
		}
	}
	if p.client.ID != "" && !p.client.Public() {
		out = append(out, Who{Kind: WhoClient, Client: p.client.ID})
	}
	return out
}

// whoKeys are the names of an account by this server's word alone.
func whoKeys(account *Account, client Client) []Who {
	return requester{account: account, client: client}.names()
}
