package umaas

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// baseRule is one way the standing right under a derived set carries a permission (decisions 2): a rule of the record
// owner, or the whole right where derived set and record have one owner, or nothing to rest on at all.
type baseRule struct {
	base  *Base
	rule  Rule
	whole bool
	until time.Time
}

// baseRules lists them; ok is false where a base is needed and gone.
func (q Question) baseRules(a AskedPermission) ([]baseRule, bool) {
	if a.Base == nil {
		return []baseRule{{whole: true}}, !needsBase(a.Resource)
	}
	record := a.Base.Resource
	if record.ID == "" || needsBase(record) {
		return nil, false
	}
	ref := Base{Owner: record.Owner, RS: record.RS, Resource: record.ID}
	if record.Owner == a.Resource.Owner {
		return []baseRule{{base: &ref, whole: true}}, true
	}
	at := Question{Now: q.Now, Owner: record.Owner, Client: q.Client, PartyAccount: a.Base.Account, Purpose: q.Purpose, purposeKept: q.purposeKept}
	if q.PartyAccount != nil && a.Base.Account != nil && q.PartyAccount.ID == a.Base.Account.ID {
		at.Party, at.ACR, at.StepUpAge, at.Said = q.Party, q.ACR, q.StepUpAge, q.Said
	}
	var out []baseRule
	for _, p := range a.Base.Policies {
		if !at.counts(p) || p.Who.Kind == WhoClient {
			continue // a standing right is a person's, not an app's
		}
		carried := ref
		carried.Policies = []PolicyID{p.ID}
		for _, rule := range rulesOn(p, record) {
			out = append(out, baseRule{base: &carried, rule: rule, until: p.NotAfter})
		}
	}
	return out, len(out) > 0
}

// needsBase reports a set that says it rests on another one. A set derived from the custodian's relation does not: the
// resource server enforces that by itself.
func needsBase(r Resource) bool {
	d := r.Description.DerivedFrom
	return d != nil && !d.Custodian
}

func (b baseRule) rights(l ScopeLanguage, given Right) []Right {
	if b.whole {
		return []Right{given}
	}
	constraints, clients := splitClient(b.rule.Constraints)
	if len(clients) > 0 {
		return nil
	}
	return common(l, given, Right{Scopes: b.rule.Scopes, Constraints: constraints})
}

// collector joins what belongs together: one Granted per resource, constraints and end. Scopes with different ends stay
// apart, so that none is told to last as long as another one's policy (F-070, SEC-37).
type collector struct {
	list []Granted
	at   map[string]int
}

func (c *collector) add(a AskedPermission, p Policy, b baseRule, r Right) {
	constraints := canonical(r.Constraints)
	ends := earlier(p.NotAfter, b.until)
	at := strconv.FormatInt(ends.Unix(), 36) + "." + strconv.Itoa(ends.Nanosecond())
	key := strings.Join([]string{string(a.Resource.RS), string(a.Resource.ID), at, constraintKey(constraints)}, "\x00")
	i, ok := c.at[key]
	if !ok {
		i = len(c.list)
		c.at[key] = i
		c.list = append(c.list, Granted{Resource: a.Resource.ID, Constraints: constraints, Expires: ends})
	}
	g := &c.list[i]
	g.Scopes = union(g.Scopes, r.Scopes)
	g.Policies = addPolicy(g.Policies, p.ID)
	if b.base != nil {
		if g.Base == nil {
			g.Base = &Base{Owner: b.base.Owner, RS: b.base.RS, Resource: b.base.Resource}
		}
		for _, id := range b.base.Policies {
			g.Base.Policies = addPolicy(g.Base.Policies, id)
		}
	}
}

func addPolicy(list []PolicyID, id PolicyID) []PolicyID {
	if slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}

// earlier reads a zero time as "no end".
func earlier(a, b time.Time) time.Time {
	switch {
	case a.IsZero():
		return b
	case b.IsZero() || a.Before(b):
		return a
	default:
		return b
	}
}
