package umaas

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"
)

// What a party says about herself while she is asked, beside her own words, is kept in Ticket.Answers under these names.
// They have no issuer and count as nobody's claim.
const (
	answerAsked    = "asked"            // she was asked for this and may have left it out
	answerTerms    = "terms"            // digest of the terms she agreed to
	answerNoTerms  = "terms-declined"   // digest of terms she did not agree to
	answerNoStepUp = "step-up-declined" // the acr she did not sign in with
	answerRole     = "role"             // her own words: what she is to the person
	answerOrg      = "org"              // her own words: where she works
	askedPurpose   = "purpose"          // value of answerAsked
	stepUpMaxAge   = 5 * time.Minute    // a step-up takes a sign-in from at most so long before the flow began (max_age)
)

// said applies the conditions of a policy that the party fulfils herself: the purpose she states, the terms she agrees to,
// the way she signs in. What was judged when a grant was made is not judged again, except the class of its sign-in.
func (q Question) said(p Policy) bool {
	switch {
	case q.supposed:
		return true
	case !reachesACR(q.ACR, p.MinACR):
		return false
	case q.purposeKept:
		return true
	default:
		return q.hasPurpose(p) && q.agreed(p) && q.fresh(p)
	}
}

func (q Question) hasPurpose(p Policy) bool {
	return len(p.Purposes) == 0 || q.Purpose != "" && contains(p.Purposes, q.Purpose)
}

func (q Question) agreed(p Policy) bool {
	return p.Terms == "" || q.answered(answerTerms, termsID(p.Terms))
}

// fresh: a policy that asks for a class of sign-in asks for one of now. A sign-in that a PCT remembers is too old (Grant
// §3.3.4: staleness of persisted claims).
func (q Question) fresh(p Policy) bool {
	if p.MinACR == "" {
		return true
	}
	return !q.answered(answerNoStepUp, p.MinACR) && q.Party != nil && !q.Party.AuthTime.IsZero() && q.StepUpAge > 0 && q.Now.Sub(q.Party.AuthTime) <= q.StepUpAge
}

func (q Question) answered(name, value string) bool {
	return slices.Contains(q.Said, Claim{Name: name, Value: value})
}

// termsID names a text by what it says: an agreement is to just these words.
func termsID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// lacking is what the party could still say so that policies which name her count (Grant §3.3.4, §3.3.6). What she left out
// when she was asked is not asked again in this process. An app that cannot bring a person to a page is asked nothing.
func (q Question) lacking() (NeedInfo, bool) {
	var need NeedInfo
	if len(q.Client.ClaimsRedirectURIs) == 0 || q.Decoy || q.Party == nil {
		return need, false
	}
	any := false
	for _, a := range q.Asked {
		for _, p := range a.Policies {
			any = q.needOf(a, p, &need) || any
		}
	}
	slices.Sort(need.Terms)
	slices.Sort(need.Purposes)
	need.Terms, need.Purposes = slices.Compact(need.Terms), slices.Compact(need.Purposes)
	return need, any
}

// needOf adds what one policy asks of her, if it names her, would give something of what is asked, and can still come to count.
func (q Question) needOf(a AskedPermission, p Policy, need *NeedInfo) bool {
	supposed := q
	supposed.supposed = true
	if q.said(p) || !supposed.counts(p) || !supposed.gives(a, p) {
		return false
	}
	noPurpose, noTerms, noStepUp := !q.hasPurpose(p), !q.agreed(p), !reachesACR(q.ACR, p.MinACR) || !q.fresh(p)
	switch {
	case noPurpose && (q.Purpose != "" || q.answered(answerAsked, askedPurpose)),
		noTerms && q.answered(answerNoTerms, termsID(p.Terms)),
		noStepUp && q.answered(answerNoStepUp, p.MinACR):
		return false
	}
	if noPurpose {
		need.Purposes = append(need.Purposes, p.Purposes...)
	}
	if noTerms {
		need.Terms = append(need.Terms, p.Terms)
	}
	if noStepUp {
		need.StepUp = strongerACR(need.StepUp, p.MinACR)
	}
	return true
}

// gives reports whether a policy has rules that reach into what is asked.
func (q Question) gives(a AskedPermission, p Policy) bool {
	asked, ok := oneClient(a.Constraints, q.Client.ID)
	if !ok || a.Resource.Owner != q.Owner {
		return false
	}
	if _, ok := q.baseRules(a); !ok {
		return false
	}
	s := speech{policy: p, rules: rulesOn(p, a.Resource)}
	return len(s.rules) > 0 && len(s.rights(q.Language, Right{Scopes: a.Scopes, Constraints: asked}, q.Client.ID)) > 0
}
