package umaas

import (
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Question is everything an assessment may look at. It is a value: whoever builds it has read it in one transaction.
type Question struct {
	Now          time.Time
	Owner        AccountID
	Client       Client
	Party        *Party   // nil: nobody known yet
	PartyAccount *Account // the account of Party
	Claims       []Claim  // what trusted issuers say of Party, each trusted for it now
	Emails       []string // her addresses by the word of issuers that are canonical for them
	Purpose      string   // purpose of use the party stated
	Asked        []AskedPermission
	Answered     *Request // the owner's inbox entry of this process, nil: not asked yet
	Decoy        bool     // never leads anywhere (decisions 6)
	Language     ScopeLanguage
	ACR          string        // class of the party's sign-in; of a grant: the one it was made with
	StepUpAge    time.Duration // how old a sign-in may be where a policy asks for a class of it; zero: none is young enough
	Said         []Claim       // what the party answered while she was asked (Ticket.Answers)
	BreakGlass   bool          // the party declared an emergency, with a reason, in this process
	Emergency    time.Duration // how long access by a break-the-glass policy lasts; zero: it gives nothing

	// purposeKept: the purpose was judged when the grant was made and cannot change afterwards.
	purposeKept bool
	// supposed: as if the party had said all that policies ask of her.
	supposed bool
}

// AskedPermission is RequestedScopes(r) of Grant §3.3.4 for one resource under one set of constraints, with the owner's
// policies that could speak to it.
type AskedPermission struct {
	Resource    Resource
	Scopes      []string // all registered for Resource; none asks for the resource as such (FedAuthz §4.1)
	Constraints []uma.Constraint
	Policies    []Policy
	Base        *AskedBase // nil: the set stands on its own

	registered bool // Scopes were cut to what is registered already
}

// AskedBase is the record set a derived set rests on, with the record owner's policies for the derived set's owner. The
// zero value is a base that is gone: it carries nothing.
type AskedBase struct {
	Resource Resource
	Account  *Account // the derived set's owner, as party at the base
	Policies []Policy
}

// Assess answers the one question behind all doors: may this client, for this party, have these scopes on these resources
// now (Grant §3.3.4)? It is pure; what no policy in force gives is not given (Grant §5.6, SEC-39).
func Assess(q Question) Decision {
	if len(q.Asked) == 0 || q.Language == nil || q.Client.ID == "" || q.Owner == "" {
		return Denied{Reason: ReasonNothingAsked}
	}
	if q.Decoy {
		return assessDecoy(q)
	}
	granted, full := candidates(q)
	switch {
	case q.Party == nil && full:
		return Permit{Granted: granted} // an app acting for itself
	case q.Party == nil:
		return NeedInfo{}
	case q.PartyAccount == nil || q.PartyAccount.ID != q.Party.Account || q.PartyAccount.Disabled:
		return Denied{Reason: ReasonParty}
	case full:
		return Permit{Granted: granted}
	case q.Party.Account == q.Owner:
		// The owner answered on the consent page of this very process; what she left out she left out.
		return final(granted, ReasonPolicyNone)
	}
	if need, more := q.lacking(); more && (q.Answered == nil || q.Answered.State != RequestDenied) {
		return need
	}
	switch {
	case q.Answered == nil:
		return Submitted{}
	case q.Answered.State == RequestWaiting && q.Now.Before(q.Answered.Expires):
		return Submitted{}
	case q.Answered.State == RequestWaiting:
		return final(granted, ReasonUnanswered)
	default:
		return final(granted, ReasonOwner)
	}
}

// final is the rule for partial results: once the owner has answered, the part she permits is the result of the process
// (Grant §3.3.4 leaves the choice to the server).
func final(granted []Granted, reason string) Decision {
	if len(granted) == 0 {
		return Denied{Reason: reason}
	}
	return Permit{Granted: granted, Partial: true}
}

// assessDecoy looks like an owner who never answers.
func assessDecoy(q Question) Decision {
	switch {
	case q.Party == nil:
		return NeedInfo{}
	case q.Answered != nil && (q.Answered.State == RequestDenied || !q.Now.Before(q.Answered.Expires)): // taken back, or its time is over
		return Denied{Reason: ReasonUnanswered}
	default:
		return Submitted{}
	}
}

// candidates is CandidateGrantedScopes(r) for every asked permission, and whether that is all that was asked.
func candidates(q Question) (granted []Granted, full bool) {
	c := collector{at: map[string]int{}}
	full = true
	for _, a := range q.Asked {
		rights, ok := q.candidate(a, &c)
		if !ok || !satisfied(q.Language, rights, a) {
			full = false
		}
	}
	for i, g := range c.list {
		c.list[i].Scopes = keep(q.order(g.Resource), g.Scopes)
	}
	return c.list, full && len(c.list) > 0
}

// order is the order in which scopes of a resource were asked for: equal questions get equal answers, in whatever order the
// policies came.
func (q Question) order(id ResourceID) []string {
	var asked []string
	for _, a := range q.Asked {
		if a.Resource.ID == id {
			if asked == nil {
				asked = a.Scopes
				continue
			}
			asked = union(asked, a.Scopes)
		}
	}
	return asked
}

// candidate adds what the policies give of one asked permission and returns it as rights.
func (q Question) candidate(a AskedPermission, c *collector) (rights []Right, ok bool) {
	asked, ok := oneClient(a.Constraints, q.Client.ID)
	if !ok || a.Resource.Owner != q.Owner {
		return nil, false
	}
	scopes := a.Scopes
	if !a.registered {
		scopes = keep(scopes, a.Resource.Description.Scopes)
	}
	bases, ok := q.baseRules(a)
	if !ok {
		return nil, false
	}
	for _, s := range q.speaking(a) {
		part := Right{Scopes: scopes, Constraints: asked}
		if s.some {
			part.Scopes = keep(scopes, s.scopes)
		}
		if len(part.Scopes) == 0 && len(a.Scopes) > 0 {
			continue // nothing is left to ask, which is not the same as asking without scopes
		}
		for _, given := range s.rights(q.Language, part, q.Client.ID) {
			for _, b := range bases {
				for _, r := range b.rights(q.Language, given) {
					c.add(a, s.policy, b, r)
					rights = append(rights, r)
				}
			}
		}
	}
	return rights, len(rights) > 0
}

// satisfied reports whether rights are all of what was asked.
func satisfied(l ScopeLanguage, rights []Right, a AskedPermission) bool {
	if len(a.Scopes) == 0 {
		return len(rights) > 0
	}
	rest, _ := splitClient(a.Constraints)
	return l.Covers(rights, Right{Scopes: a.Scopes, Constraints: rest})
}

// speech is one policy with the rules it has on a resource.
type speech struct {
	policy Policy
	rules  []Rule
	some   bool     // not to all scopes
	scopes []string // if some: to these
}

// speaking lists the policies in force for this party, client and purpose on one resource. Of the owner's consents for
// the same app the newest one that names a scope decides on it: her last word counts.
func (q Question) speaking(a AskedPermission) []speech {
	policies := slices.Clone(a.Policies)
	slices.SortFunc(policies, newestFirst)
	consented := map[string]bool{}
	var out []speech
	for _, p := range policies {
		if !q.counts(p) {
			continue
		}
		if p.BreakGlass {
			p.NotAfter = earlier(p.NotAfter, q.Now.Add(q.Emergency)) // emergencies are short
		}
		s := speech{policy: p, rules: rulesOn(p, a.Resource)}
		if len(s.rules) == 0 {
			continue
		}
		if p.Origin == OriginConsent {
			if s.some = len(consented) > 0; s.some {
				s.scopes = slices.DeleteFunc(slices.Clone(a.Scopes), func(x string) bool { return consented[x] })
			}
			for _, r := range s.rules {
				for _, x := range r.Scopes {
					consented[x] = true
				}
			}
		}
		out = append(out, s)
	}
	return out
}

// newestFirst orders policies; ids of one moment decide between equal times.
func newestFirst(x, y Policy) int {
	if c := y.Created.Compare(x.Created); c != 0 {
		return c
	}
	return strings.Compare(string(y.ID), string(x.ID))
}

// counts applies every condition of a policy; all must hold (SEC-19). An empty policy names nobody and gives nothing.
func (q Question) counts(p Policy) bool {
	return p.Owner == q.Owner && p.ID != "" && p.InForce(q.Now) &&
		(!p.BreakGlass || q.BreakGlass && q.Emergency > 0) && // HEART FHIR-UMA2 §4.1, H-20
		(p.By == "" || q.PartyAccount == nil || p.By != q.PartyAccount.ID) && // a delegate gives herself nothing
		q.requester().is(p.Who) && q.requester().holdsAll(p.Also) &&
		(p.Client == "" || p.Client == q.Client.ID) &&
		q.said(p)
}

// rights of one speech on what was asked: never outside of it, whatever the language says (SEC-28).
func (s speech) rights(l ScopeLanguage, asked Right, client ClientID) []Right {
	var out []Right
	for _, rule := range s.rules {
		constraints, ok := oneClient(rule.Constraints, client)
		if !ok {
			continue
		}
		out = append(out, common(l, asked, Right{Scopes: rule.Scopes, Constraints: constraints})...)
	}
	return out
}

// common is Intersect, clipped to what was asked. A resource asked for without scopes is given by any rule that names it.
func common(l ScopeLanguage, asked, given Right) []Right {
	if len(asked.Scopes) == 0 {
		return []Right{{Constraints: asked.Constraints}}
	}
	var out []Right
	for _, r := range l.Intersect(asked, given) {
		if r.Scopes = keep(r.Scopes, asked.Scopes); len(r.Scopes) > 0 {
			r.Constraints = canonical(r.Constraints)
			out = append(out, r)
		}
	}
	return out
}

// rulesOn are the rules of a policy on exactly this resource (SEC-41, SEC-42).
func rulesOn(p Policy, r Resource) []Rule {
	var out []Rule
	for _, rule := range p.Rules {
		if rule.Resource == r.ID && rule.RS == r.RS && p.Owner == r.Owner {
			out = append(out, rule)
		}
	}
	if !p.BreakGlass {
		return withoutBreakGlass(out)
	}
	return out
}
