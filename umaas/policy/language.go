package policy

import (
	"slices"
	"sort"
	"strings"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// SMART is the SMART App Launch scope language over registered one-letter scopes. The zero value is ready to use.
type SMART struct{}

var _ umaas.ScopeLanguage = SMART{}

// Intersect keeps the asked scopes that are given too, under the constraints of both sides.
func (SMART) Intersect(asked, given umaas.Right) []umaas.Right {
	var common []string
	for _, s := range asked.Scopes {
		if slices.Contains(given.Scopes, s) && !slices.Contains(common, s) {
			common = append(common, s)
		}
	}
	if len(common) == 0 {
		return nil
	}
	return []umaas.Right{{Scopes: common, Constraints: join(asked.Constraints, given.Constraints)}}
}

// Covers reports whether every asked scope is given without a constraint that the asker did not accept himself.
func (SMART) Covers(given []umaas.Right, asked umaas.Right) bool {
	for _, s := range asked.Scopes {
		if !slices.ContainsFunc(given, func(g umaas.Right) bool {
			return slices.Contains(g.Scopes, s) && within(g.Constraints, asked.Constraints)
		}) {
			return false
		}
	}
	return true
}

// Translate maps `patient/…` onto record sets and `user/…` onto user-level sets, restricted to what is registered there.
// `system/` has no person behind it and is not a scope of this door.
func (SMART) Translate(scope string, registered []string) (level string, right umaas.Right, ok bool) {
	parsed, err := scopes.Parse(scope)
	if err != nil {
		return "", umaas.Right{}, false
	}
	switch parsed.Context {
	case "patient":
		level = "record"
	case "user":
		level = "user"
	default:
		return "", umaas.Right{}, false
	}
	letters, query := parsed.UMA(typesOf(registered))
	for _, l := range letters {
		if slices.Contains(registered, l) {
			right.Scopes = append(right.Scopes, l)
		}
	}
	if query != "" {
		right.Constraints = []uma.Constraint{{Type: uma.ConstraintQuery, Value: query}}
	}
	return level, right, true
}

// Print joins one-letter scopes to the shortest SMART v2 form. Constraints other than one query have no scope syntax: such
// a right prints as the scopes it is at most.
func (SMART) Print(rights []umaas.Right) []string {
	var set scopes.Set
	for _, r := range rights {
		for _, s := range r.Scopes {
			parsed, err := scopes.FromUMA(s, query(r.Constraints))
			if err != nil {
				continue // a scope of another language; it has no SMART form
			}
			set = append(set, parsed)
		}
	}
	return strings.Fields(set.Union(nil).String())
}

func query(constraints []uma.Constraint) string {
	for _, c := range constraints {
		if c.Type == uma.ConstraintQuery {
			return c.Value
		}
	}
	return ""
}

// join is the conjunction of two constraint lists, in a stable order.
func join(a, b []uma.Constraint) []uma.Constraint {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.Clone(a)
	for _, c := range b {
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Type != all[j].Type {
			return all[i].Type < all[j].Type
		}
		return all[i].Value < all[j].Value
	})
	return all
}

// within reports whether every constraint of the given side is already accepted by the asking side.
func within(given, asked []uma.Constraint) bool {
	for _, c := range given {
		if !slices.Contains(asked, c) {
			return false
		}
	}
	return true
}

// typesOf lists the resource types a set's registered scopes name, in order, once each.
func typesOf(registered []string) []string {
	var types []string
	last := ""
	for _, s := range registered {
		_, rest, ok := strings.Cut(s, "/")
		if !ok {
			continue
		}
		name, _, ok := strings.Cut(rest, ".")
		if ok && name != last && !slices.Contains(types, name) {
			types = append(types, name)
		}
		last = name
	}
	return types
}
