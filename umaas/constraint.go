package umaas

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas/uma"
)

// Bounds of what a resource server may attach to a permission.
const (
	maxConstraints     = 16
	maxConstraintValue = 2048
)

// checkConstraints refuses what could not be stored or compared. Types are open: an unknown one refuses at the resource
// server, not here (decisions 3).
func checkConstraints(list []uma.Constraint) error {
	if len(list) > maxConstraints {
		return fmt.Errorf("a permission takes at most %d constraints", maxConstraints)
	}
	for _, c := range list {
		switch {
		case c.Type == "" || len(c.Type) > 64:
			return errors.New("a constraint needs a type of 1 to 64 characters")
		case len(c.Value) > maxConstraintValue:
			return fmt.Errorf("a constraint value has at most %d characters", maxConstraintValue)
		case c.Type == uma.ConstraintClient && c.Value == "":
			return errors.New("a client constraint names a client_id")
		case c.Type == uma.ConstraintOnce && c.Value != "":
			return errors.New("a once constraint has no value")
		}
	}
	return nil
}

// maxAsked bounds what one process asks for, in bytes of scopes and constraints: a ticket, a request and a grant are one
// record each, and a page has to show them (SEC-48). The whole of a record is about 20 kB.
const maxAsked = 128 << 10

// weight is the size of permissions by that measure.
func weight(perms []uma.Permission) (n int) {
	for _, p := range perms {
		n += weightOf(p.Scopes, p.Constraints)
	}
	return n
}

func weightOf(scopes []string, constraints []uma.Constraint) (n int) {
	for _, s := range scopes {
		n += len(s)
	}
	for _, c := range constraints {
		n += len(c.Type) + len(c.Value)
	}
	return n
}

// canonical sorts constraints and drops repeats, so that equal conjunctions are equal values.
func canonical(list []uma.Constraint) []uma.Constraint {
	if len(list) == 0 {
		return nil
	}
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b uma.Constraint) int {
		if c := strings.Compare(a.Type, b.Type); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	return slices.Compact(out)
}

// both is the conjunction of two lists.
func both(a, b []uma.Constraint) []uma.Constraint {
	return canonical(slices.Concat(a, b))
}

// constraintKey names a canonical list in maps. Lengths keep two lists from reading alike.
func constraintKey(list []uma.Constraint) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%d:%s%d:%s", len(c.Type), c.Type, len(c.Value), c.Value)
	}
	return b.String()
}

// splitClient takes the client constraint out of a list: the core enforces it by binding the ticket (decisions 9).
func splitClient(list []uma.Constraint) (rest []uma.Constraint, clients []ClientID) {
	for _, c := range list {
		if c.Type == uma.ConstraintClient {
			clients = append(clients, ClientID(c.Value))
			continue
		}
		rest = append(rest, c)
	}
	return canonical(rest), clients
}

func hasOnce(list []uma.Constraint) bool {
	return slices.ContainsFunc(list, func(c uma.Constraint) bool { return c.Type == uma.ConstraintOnce })
}

// oneClient drops client constraints that name c; ok is false if one names somebody else.
func oneClient(list []uma.Constraint, c ClientID) (rest []uma.Constraint, ok bool) {
	rest, clients := splitClient(list)
	for _, other := range clients {
		if other != c {
			return nil, false
		}
	}
	return rest, true
}

// mergePermissions joins elements that name the same resource under the same constraints (SEC-06); scopes never travel
// from one to another otherwise (SEC-28).
func mergePermissions(list []uma.Permission) []uma.Permission {
	out := make([]uma.Permission, 0, len(list))
	at := map[string]int{}
	for _, p := range list {
		p = uma.Permission{ResourceID: p.ResourceID, Scopes: p.Scopes, Constraints: canonical(p.Constraints)}
		key := p.ResourceID + "\x00" + constraintKey(p.Constraints)
		if i, ok := at[key]; ok {
			out[i].Scopes = union(out[i].Scopes, p.Scopes)
			continue
		}
		at[key] = len(out)
		p.Scopes = union(nil, p.Scopes)
		out = append(out, p)
	}
	return out
}

// union appends to a those of b it lacks, in order; a is not shared with the result.
func union(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	if cap(out) <= 32 {
		for _, list := range [][]string{a, b} {
			for _, s := range list {
				if !contains(out, s) {
					out = append(out, s)
				}
			}
		}
		return out
	}
	seen := make(map[string]bool, cap(out))
	for _, list := range [][]string{a, b} {
		for _, s := range list {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// keep is the part of list that stands in allowed, in order.
func keep(list, allowed []string) []string {
	if len(list) == 0 || len(allowed) == 0 {
		return nil
	}
	has := contains
	if len(list)*len(allowed) > 1<<14 { // where a set is cheaper than looking
		set := make(map[string]bool, len(allowed))
		for _, s := range allowed {
			set[s] = true
		}
		has = func(_ []string, s string) bool { return set[s] }
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		if has(allowed, s) {
			out = append(out, s)
		}
	}
	return out
}
