package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// Count tells an owner what permissions on one of her sets would show today, rows per type, by the very judge that will
// enforce them. Types with nothing to show are left out. It shows no data and is not an access.
func (e *Enforcer) Count(ctx context.Context, set Set, permissions []uma.Permission) (map[string]int, error) {
	g := Grant{Issuer: set.Issuer, JTI: "", Kind: KindRPT}
	for _, p := range permissions {
		kept := slices.DeleteFunc(slices.Clone(p.Constraints), func(c uma.Constraint) bool {
			return c.Type == uma.ConstraintClient || c.Type == uma.ConstraintOnce // who and how often do not change what is shown
		})
		g.Permissions = append(g.Permissions, Permitted{Set: set, Scopes: p.Scopes, Constraints: kept})
	}
	rights := NewRights(g)
	counts := map[string]int{}
	for _, t := range rights.readable() {
		n, err := e.countType(ctx, rights, t)
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", t, err)
		}
		if n > 0 {
			counts[t] = n
		}
	}
	return counts, nil
}

// readable lists the types that some entry lets be read or searched.
func (r *Rights) readable() []string {
	var types []string
	for _, e := range r.entries {
		for t, right := range e.types {
			if right.letters&(scopes.Read|scopes.Search) != 0 && !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	slices.Sort(types)
	return types
}

func (e *Enforcer) countType(ctx context.Context, rights *Rights, resourceType string) (int, error) {
	const letters = scopes.Read | scopes.Search
	c := &call{Enforcer: e, rights: rights, requestID: requestID("")}
	c.access = &Access{Type: resourceType, Search: Search{Count: e.classifier.maxCount()}}
	f := filterOf(letters, rights.granting(resourceType, letters, c.Now()))
	first, ok, err := c.searchRequest(ctx, f)
	if err != nil || !ok {
		return 0, err
	}
	total := 0
	for at, pulls := &first, 0; at != nil; pulls++ {
		if pulls*e.classifier.maxCount() >= maxCounted {
			return total, nil // more than anybody reads as a number
		}
		page, err := c.pull(ctx, f, *at, e.classifier.maxCount())
		if refused := (*Refusal)(nil); errors.As(err, &refused) {
			return 0, nil // the upstream does not serve this type
		}
		if err != nil {
			return 0, err
		}
		total += len(page.matches)
		at = page.next
	}
	return total, nil
}
