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

// queryWithin compares two canonical queries; "" is everything.
func queryWithin(a, b string) bool {
	if b == "" || a == b {
		return true
	}
	if a == "" {
		return false
	}
	x, errA := parseConstraints(a)
	y, errB := parseConstraints(b)
	return errA == nil && errB == nil && narrower(x, y)
}

// bothQueries is the conjunction of two canonical queries without what the other part already says; false when it would
// pass the limits, which drops the right.
func bothQueries(a, b string) (string, bool) {
	if queryWithin(a, b) {
		return a, true
	}
	if queryWithin(b, a) {
		return b, true
	}
	list, err := parseConstraints(a + "&" + b)
	if err != nil {
		return "", false
	}
	var keep []constraint
	for i, c := range list {
		redundant := slices.ContainsFunc(list, func(other constraint) bool {
			return compareConstraints(other, c) != 0 && implies(other, c)
		})
		if !redundant {
			keep = append(keep, list[i])
		}
	}
	return printConstraints(keep), true
}

// maxSplit bounds the alternatives that coveredByAll tries one by one.
const maxSplit = 256

// coveredByAny reports whether the resources of query a lie within the union of the given ones. A disjunction may be
// covered piecewise: "x=1,2" by "x=1" and "x=2" together.
func coveredByAny(a string, given []string) bool {
	if slices.ContainsFunc(given, func(b string) bool { return queryWithin(a, b) }) {
		return true
	}
	if a == "" || len(given) < 2 {
		return false
	}
	list, err := parseConstraints(a)
	if err != nil {
		return false
	}
	var covers [][]constraint
	for _, b := range given {
		if c, err := parseConstraints(b); err == nil {
			covers = append(covers, c)
		}
	}
	budget := maxSplit
	return splitCovered(list, 0, covers, &budget)
}

func splitCovered(list []constraint, at int, covers [][]constraint, budget *int) bool {
	if *budget--; *budget < 0 {
		return false
	}
	if slices.ContainsFunc(covers, func(b []constraint) bool { return narrower(list, b) }) {
		return true
	}
	if at == len(list) {
		return false
	}
	if len(list[at].values) == 1 {
		return splitCovered(list, at+1, covers, budget)
	}
	for _, v := range list[at].values {
		one := slices.Clone(list)
		one[at] = constraint{list[at].name, []string{v}}
		if !splitCovered(one, at+1, covers, budget) {
			return false
		}
	}
	return true
}
