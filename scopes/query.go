package scopes

import "slices"

// A query is a set of resources: the conjunction of its constraints, each a disjunction of values. Everything below is
// sound (it never calls a query wider than it is) and looks at texts only: "gt2024" and "gt2025" are unrelated.

// narrower reports whether every resource matching a also matches b: each constraint of b is implied by one of a.
func narrower(a, b []constraint) bool {
	for _, want := range b {
		if !slices.ContainsFunc(a, func(have constraint) bool { return implies(have, want) }) {
			return false
		}
	}
	return true
}

// implies: the same parameter with a subset of the alternatives.
func implies(have, want constraint) bool {
	if have.name != want.name {
		return false
	}
	for _, v := range have.values {
		if !slices.Contains(want.values, v) {
			return false
		}
	}
	return true
}

// entry is a scope with its query parsed once.
type entry struct {
	Scope
	query []constraint
}

// newEntry parses the query; false for a Scope built by hand whose query is none, which grants nothing.
func newEntry(s Scope) (entry, bool) {
	s.Letters &= AllLetters
	if s.Query == "" {
		return entry{Scope: s}, true
	}
	query, err := parseConstraints(s.Query)
	return entry{s, query}, err == nil
}

// within reports whether e's query alone takes in all of b's.
func (b entry) within(e entry) bool {
	return len(e.query) == 0 || b.Query == e.Query || narrower(b.query, e.query)
}

// touches reports whether e could cover a part of b: each of e's constraints shares an alternative with one of b.
func (b entry) touches(e entry) bool {
	for _, c := range e.query {
		if !slices.ContainsFunc(b.query, func(have constraint) bool {
			return have.name == c.name && slices.ContainsFunc(have.values, func(v string) bool { return slices.Contains(c.values, v) })
		}) {
			return false
		}
	}
	return true
}

// bothQueries is the conjunction of two queries without what another part already says; false when it would pass the
// limits, which drops the right.
func bothQueries(a, b entry) (entry, bool) {
	switch {
	case a.within(b):
		return a, true
	case b.within(a):
		return b, true
	}
	keep := irredundant(slices.Concat(a.query, b.query))
	return entry{Scope{Query: printConstraints(keep)}, keep}, len(keep) <= maxConstraints
}

// maxSplit bounds the comparisons of one piecewise cover; beyond it the answer is no, which denies.
const maxSplit = 1024

// splitCovered reports whether the union of covers takes in all of the query. A disjunction may be covered piecewise:
// "x=1,2" by "x=1" and "x=2" together.
func splitCovered(query []constraint, at int, covers []entry, budget *int) bool {
	for _, e := range covers {
		if *budget--; *budget < 0 {
			return false
		}
		if narrower(query, e.query) {
			return true
		}
	}
	if at == len(query) {
		return false
	}
	if len(query[at].values) == 1 {
		return splitCovered(query, at+1, covers, budget)
	}
	for _, v := range query[at].values {
		one := slices.Clone(query)
		one[at] = constraint{query[at].name, []string{v}}
		if !splitCovered(one, at+1, covers, budget) {
			return false
		}
	}
	return true
}
