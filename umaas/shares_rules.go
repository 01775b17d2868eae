package umaas

import (
	"fmt"
	"slices"
	"strings"
)

// ScopeBreakGlass is the scope of emergency access (HEART FHIR-OAuth2 §3.2). No other policy gives it (FHIR-UMA2 §4.1).
const ScopeBreakGlass = "btg"

// shareRules turns what was chosen into rules on the owner's own sets: identity is (resource server, id), never a name or a
// type (SEC-40, SEC-41, SEC-42).
func (s *Service) shareRules(r Reader, owner AccountID, n NewShare) ([]Rule, error) {
	sets, err := s.shareable(r, owner)
	if err != nil {
		return nil, err
	}
	rules, err := n.fromItems(sets)
	if err == nil && len(n.Rules) > 0 {
		rules, err = s.fromRules(sets, n.Rules)
	}
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, ErrNothingChosen
	}
	size := 0
	for i := range rules {
		rules[i].Constraints = both(rules[i].Constraints, n.Constraints)
		if err := checkConstraints(rules[i].Constraints); err != nil {
			return nil, fmt.Errorf("%w: %s", ErrBadAnswer, err.Error())
		}
		size += weightOf(rules[i].Scopes, rules[i].Constraints)
	}
	if size > maxAsked {
		return nil, fmt.Errorf("%w: more than one share can hold; make several", ErrBadAnswer)
	}
	if n.BreakGlass {
		rules = withBreakGlass(sets, rules)
	}
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(ruleKey(a), ruleKey(b)) })
	return rules, nil
}

func ruleKey(r Rule) string {
	return string(r.RS) + "\x00" + string(r.Resource) + constraintKey(r.Constraints)
}

func (n NewShare) fromItems(sets []RecordView) ([]Rule, error) {
	var rules []Rule
	for id, items := range n.Items {
		if len(items) == 0 {
			continue
		}
		i := slices.IndexFunc(sets, func(v RecordView) bool { return v.Resource.ID == id })
		if i < 0 {
			return nil, ErrNotFound
		}
		more, err := chosen(sets[i:i+1], items)
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	return rules, nil
}

// fromRules takes rules as programs give them; what they name must be the owner's to share.
func (s *Service) fromRules(sets []RecordView, given []Rule) ([]Rule, error) {
	var rules []Rule
	for _, g := range given {
		i := slices.IndexFunc(sets, func(v RecordView) bool {
			return v.Resource.ID == g.Resource && (g.RS == "" || v.Resource.RS == g.RS)
		})
		if i < 0 || g.Resource == "" {
			return nil, ErrNotFound
		}
		set := sets[i]
		g.RS, g.Scopes, g.Constraints = set.Resource.RS, union(nil, g.Scopes), canonical(g.Constraints)
		if len(g.Scopes) == 0 {
			return nil, fmt.Errorf("%w: a rule needs scopes", ErrBadAnswer)
		}
		var may []Right
		for _, item := range set.Items {
			may = append(may, item.Rights...)
		}
		if !s.Scopes.Covers(may, Right{Scopes: g.Scopes, Constraints: g.Constraints}) {
			return nil, fmt.Errorf("%w: a scope is not one of this record's that can be shared", ErrBadAnswer)
		}
		if j := slices.IndexFunc(rules, func(r Rule) bool { return ruleKey(r) == ruleKey(g) }); j >= 0 {
			rules[j].Scopes = union(rules[j].Scopes, g.Scopes)
			continue
		}
		rules = append(rules, g)
	}
	return rules, nil
}

// withBreakGlass adds the scope btg where the set has it: an emergency policy must cover it (HEART FHIR-UMA2 §4.1, H-20).
func withBreakGlass(sets []RecordView, rules []Rule) []Rule {
	for i, rule := range rules {
		j := slices.IndexFunc(sets, func(v RecordView) bool { return v.Resource.ID == rule.Resource && v.Resource.RS == rule.RS })
		if j >= 0 && contains(sets[j].Resource.Description.Scopes, ScopeBreakGlass) {
			rules[i].Scopes = union(rule.Scopes, []string{ScopeBreakGlass})
		}
	}
	return rules
}

// withoutBreakGlass is what any other policy can give: a rule that would be left without scopes is none (G-128).
func withoutBreakGlass(rules []Rule) []Rule {
	if !slices.ContainsFunc(rules, func(r Rule) bool { return contains(r.Scopes, ScopeBreakGlass) }) {
		return rules
	}
	out := make([]Rule, 0, len(rules))
	for _, r := range rules {
		if len(r.Scopes) > 0 {
			if r.Scopes = withoutScope(r.Scopes, ScopeBreakGlass); len(r.Scopes) == 0 {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func withoutScope(list []string, scope string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == scope })
}

// narrowedTo is the part of a policy's rules that new rules leave; ok is false where they say more than the old ones.
func narrowedTo(l ScopeLanguage, old, fresh []Rule) (rules []Rule, ok bool) {
	for _, f := range fresh {
		f.Scopes, f.Constraints = union(nil, f.Scopes), canonical(f.Constraints)
		var may []Right
		for _, o := range old {
			if o.Resource == f.Resource && (f.RS == "" || o.RS == f.RS) {
				f.RS = o.RS
				may = append(may, Right{Scopes: o.Scopes, Constraints: o.Constraints})
			}
		}
		if len(f.Scopes) == 0 || len(may) == 0 || !l.Covers(may, Right{Scopes: f.Scopes, Constraints: f.Constraints}) {
			return nil, false
		}
		rules = append(rules, f)
	}
	return rules, len(rules) > 0
}
