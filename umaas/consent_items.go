package umaas

import (
	"fmt"
	"slices"

	"github.com/umaas/umaas/umaas/uma"
)

// records shows permissions as lines to tick, one record per resource. Of a derived set only what the standing right under
// it carries is shown: nothing else could be given.
func (s *Service) records(r Reader, perms []uma.Permission, resources map[ResourceID]Resource) ([]RecordView, error) {
	var out []RecordView
	for _, id := range orderedIDs(perms) {
		res := resources[id]
		base, err := s.askedBase(r, res)
		if err != nil {
			return nil, err
		}
		var rights []Right
		for _, p := range perms {
			if ResourceID(p.ResourceID) == id {
				rest, _ := splitClient(p.Constraints)
				rights = append(rights, s.grantable(res, base, Right{Scopes: p.Scopes, Constraints: rest})...)
			}
		}
		out = append(out, RecordView{Resource: res, Label: labelOf(res), Items: s.describeRights(rights)})
	}
	return out, nil
}

// grantable is the part of a right that its owner may give: all of it, or what the base carries.
func (s *Service) grantable(res Resource, base *AskedBase, asked Right) []Right {
	if contains(asked.Scopes, ScopeBreakGlass) { // not the owner's to tick: emergency policies alone give it
		if asked.Scopes = withoutScope(asked.Scopes, ScopeBreakGlass); len(asked.Scopes) == 0 {
			return nil
		}
	}
	q := Question{Now: s.Now(), Owner: res.Owner, purposeKept: true}
	bases, ok := q.baseRules(AskedPermission{Resource: res, Base: base})
	if !ok {
		return nil
	}
	var out []Right
	for _, b := range bases {
		for _, r := range b.rights(s.Scopes, asked) {
			if !slices.ContainsFunc(out, func(o Right) bool { return s.Scopes.Covers([]Right{o}, r) && len(r.Scopes) > 0 }) {
				out = append(out, r)
			}
		}
	}
	return out
}

func orderedIDs(perms []uma.Permission) []ResourceID {
	var ids []ResourceID
	for _, p := range perms {
		if id := ResourceID(p.ResourceID); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// chosen turns ticked items into rules, one per resource and constraints. An id that was not shown is ErrBadAnswer; no id,
// where there was something to tick, ErrNothingChosen.
func chosen(records []RecordView, ids []string) ([]Rule, error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	var rules []Rule
	at := map[string]int{}
	found := 0
	for _, r := range records {
		for _, item := range r.Items {
			if !wanted[item.ID] {
				continue
			}
			found++
			for _, right := range item.Rights {
				constraints := canonical(right.Constraints)
				key := string(r.Resource.RS) + "\x00" + string(r.Resource.ID) + "\x00" + constraintKey(constraints)
				if i, ok := at[key]; ok {
					rules[i].Scopes = union(rules[i].Scopes, right.Scopes)
					continue
				}
				at[key] = len(rules)
				rules = append(rules, Rule{
					Resource: r.Resource.ID, RS: r.Resource.RS, Scopes: union(nil, right.Scopes), Constraints: constraints,
				})
			}
		}
	}
	switch {
	case found < len(wanted):
		return nil, fmt.Errorf("%w: unknown item", ErrBadAnswer)
	case found == 0 && len(records) > 0:
		return nil, ErrNothingChosen
	}
	return rules, nil
}
