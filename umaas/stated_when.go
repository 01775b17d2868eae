package umaas

import (
	"slices"
	"time"
)

// How long a word counts. What an issuer says now replaces what it said before, and what is remembered of it is as old as when it
// was said: neither a visit to our pages nor a PCT makes it younger.

// heard joins what a session holds of issuers with what the process knew of the party: of each issuer the newer word alone, and
// since when the oldest of it stands. That a permission ticket was shown stays, for its bounds stay.
func heard(known *Party, sess Session) ([]Claim, time.Time) {
	of := func(list []Claim, issuer string) bool {
		return slices.ContainsFunc(list, func(c Claim) bool { return c.Issuer == issuer })
	}
	claims, stated := slices.Clone(sess.Claims), time.Time{}
	var kept []Claim
	if known != nil {
		newer := known.Stated.After(sess.Created) // pushed in this process, after she signed in
		for _, c := range known.Claims {
			if again := of(sess.Claims, c.Issuer) || sess.Upstream.Issuer == c.Issuer; c.Name == claimTicket || newer || !again {
				kept = append(kept, c)
			}
		}
		if newer {
			claims = slices.DeleteFunc(claims, func(c Claim) bool { return c.Name != claimSignIn && of(known.Claims, c.Issuer) })
		}
	}
	if len(claims) > 0 {
		stated = sess.Created
	}
	if len(kept) > 0 {
		stated = earlier(stated, known.Stated)
	}
	return joinClaims(claims, kept), stated
}

// claimEmergency marks staff who may declare an emergency. It is a word of the hour: nothing keeps it.
const claimEmergency = "er"

// lasting is the party as a PCT may hold her: what a permission ticket allowed ended with its process, and that she works in an
// emergency department is for an issuer to say each time.
func (p *Party) lasting() Party {
	out := *p.withoutTickets()
	out.Claims = slices.DeleteFunc(out.Claims, func(c Claim) bool { return c.Name == claimEmergency })
	if len(out.Claims) == 0 {
		out.Stated = time.Time{}
	}
	return out
}
