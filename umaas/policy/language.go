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
	common := shared(asked.Scopes, given.Scopes)
	if len(common) == 0 {
		return nil
	}
	return []umaas.Right{{Scopes: common, Constraints: join(asked.Constraints, given.Constraints)}}
}

// Covers reports whether every asked scope is given without a constraint that the asker did not accept himself.
func (SMART) Covers(given []umaas.Right, asked umaas.Right) bool {
	left := asked.Scopes
	for _, g := range given {
		if within(g.Constraints, asked.Constraints) {
			left = without(left, g.Scopes)
		}
	}
	return len(left) == 0
}

// lookup is a set of scopes: a map where lists are long (a whole record has 730 scopes), a scan where that is cheaper.
func lookup(list []string, asked int) func(string) bool {
	if len(list)*asked <= 1<<10 {
		return func(s string) bool { return slices.Contains(list, s) }
	}
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return func(s string) bool { return set[s] }
}

// shared lists the asked scopes that are given too, in the order asked, once each.
func shared(asked, given []string) []string {
	has := lookup(given, len(asked))
	out := make([]string, 0, min(len(asked), len(given)))
	var repeated func(string) bool
	if len(asked) > 32 {
		seen := make(map[string]bool, len(asked))
		repeated = func(s string) bool { was := seen[s]; seen[s] = true; return was }
	} else {
		repeated = func(s string) bool { return slices.Contains(out, s) }
	}
	for _, s := range asked {
		if has(s) && !repeated(s) {
			out = append(out, s)
		}
	}
	return out
}

// without lists the asked scopes that are not given. It does not write to either list.
func without(asked, given []string) []string {
	has := lookup(given, len(asked))
	var left []string
	for _, s := range asked {
		if !has(s) {
			left = append(left, s)
		}
	}
	return left
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
	has := lookup(registered, len(letters))
	for _, l := range letters {
		if has(l) {
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
