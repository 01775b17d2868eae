package resourceserver

import (
	"context"
	"fmt"

	"github.com/umaas/umaas/scopes"
)

// GuardedRelations are relations as they count for permissions on registered sets. A set belongs to an account at an
// authorization server; what its owner may see is the relation of the person whose account it is, and only
//
//   - while that account guards what is hers: permissions given at a server she has left end with the switch;
//   - of patients whose records are decided on at the same authorization server, are her own, or are the custodian's; of
//     others, whose authorization server hers cannot ask, only where the record's owner has said so here.
//
// Both are looked up at each use. What is absent refuses.
type GuardedRelations struct {
	relations Relations
	guards    Guards
}

// NewGuardedRelations returns what an Enforcer judges by where people may have different authorization servers.
func NewGuardedRelations(relations Relations, guards Guards) *GuardedRelations {
	return &GuardedRelations{relations: relations, guards: guards}
}

var _ Relations = (*GuardedRelations)(nil)

// MaySee implements Relations for an account.
func (g *GuardedRelations) MaySee(ctx context.Context, account, patient string) (scopes.Set, bool, error) {
	st, err := g.guards.Standing(ctx, account, patient)
	if err != nil {
		return nil, false, fmt.Errorf("read standing: %w", err)
	}
	if !st.May() {
		return nil, false, nil
	}
	return g.relations.MaySee(ctx, st.Person, patient)
}

// Patients implements Relations for an account: what MaySee would refuse is not listed.
func (g *GuardedRelations) Patients(ctx context.Context, account string) ([]string, error) {
	st, err := g.guards.Standing(ctx, account, "-")
	if err != nil {
		return nil, fmt.Errorf("read standing: %w", err)
	}
	if st.Person == "" || !st.Guards {
		return nil, nil
	}
	all, err := g.relations.Patients(ctx, st.Person)
	if err != nil {
		return nil, err
	}
	list := make([]string, 0, len(all))
	for _, p := range all {
		st, err := g.guards.Standing(ctx, account, p)
		if err != nil {
			return nil, fmt.Errorf("read standing: %w", err)
		}
		if st.May() {
			list = append(list, p)
		}
	}
	return list, nil
}
