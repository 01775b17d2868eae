package scopes

import (
	"slices"
	"strings"
)

// Set is the union of its entries' rights. Order and repetition carry no meaning; nil grants nothing.
type Set []Scope

// ParseSet reads a space-separated scope list. The second result holds, in order, the strings that are no resource scopes:
// malformed ones and those of other kinds (see Kind).
func ParseSet(list string) (Set, []string) {
	var set Set
	var rest []string
	for text := range strings.SplitSeq(list, " ") {
		if text == "" {
			continue
		}
		if scope, err := Parse(text); err == nil {
			set = append(set, scope)
		} else {
			rest = append(rest, text)
		}
	}
	return set, rest
}

// mustBeNamed are the types "*" leaves out (GW-01).
const mustBeNamed = " AuditEvent Consent Provenance Subscription Basic "

// wildcardLetters gives the letters that "*" grants on a type.
func wildcardLetters(typ string) Letters {
	switch {
	case typ == AnyType:
		return AllLetters
	case strings.Contains(mustBeNamed, " "+typ+" "):
		return 0
	case typ == "Binary":
		return Read | Search
	}
	return AllLetters
}

// on gives the letters an entry grants on a type in a context, its query aside.
func (s Scope) on(context Context, typ string) Letters {
	switch {
	case s.Context != context:
		return 0
	case s.Type == typ:
		return s.Letters & AllLetters
	case s.Type == AnyType:
		return s.Letters & wildcardLetters(typ)
	}
	return 0
}

// Covers reports whether the set grants all that b says. A scope that says nothing is covered by any set.
func (a Set) Covers(b Scope) bool {
	asked, ok := newEntry(b)
	if !ok {
		return false
	}
	// Only entries on the type matter; queries are parsed only where an unconstrained entry does not settle the letter.
	missing := asked.Letters
	for _, s := range a {
		if s.Query == "" || s.Query == asked.Query {
			missing &^= s.on(asked.Context, asked.Type)
		}
	}
	if missing == 0 || asked.Query == "" {
		return missing == 0
	}
	var relevant []entry
	for _, s := range a {
		if s.on(asked.Context, asked.Type)&missing == 0 {
			continue
		}
		if e, ok := newEntry(s); ok {
			relevant = append(relevant, e)
		}
	}
	asked.Letters = missing
	return uncovered(relevant, asked) == 0
}

// uncovered gives the letters of b that the entries together do not grant.
func uncovered(entries []entry, b entry) Letters {
	missing := b.Letters
	var partial []entry
	for _, e := range entries {
		letters := e.on(b.Context, b.Type) & missing
		switch {
		case letters == 0:
		case b.within(e):
			missing &^= letters
		case len(b.query) > 0 && b.touches(e):
			partial = append(partial, e)
		}
	}
	if len(partial) < 2 {
		return missing
	}
	budget := maxSplit
	for _, letter := range missing.each() {
		var covers []entry
		for _, e := range partial {
			if e.on(b.Context, b.Type)&letter != 0 {
				covers = append(covers, e)
			}
		}
		if len(covers) > 1 && splitCovered(b.query, 0, covers, &budget) {
			missing &^= letter
		}
	}
	return missing
}

// CoversSet reports whether the set grants all that b grants.
func (a Set) CoversSet(b Set) bool {
	return !slices.ContainsFunc(b, func(s Scope) bool { return !a.Covers(s) })
}

// Union gives the rights of both in shortest form.
func (a Set) Union(b Set) Set { return slices.Concat(a, b).shortest() }

// maxConstrained bounds the entries with queries on one type in a calculated set, far above any real one: a hostile scope
// list must not buy quadratic time. What would go beyond it is left out, which denies.
const maxConstrained = 128

// Intersect gives rights that both sides grant, in shortest form: never more than either. Queries that both hold are joined
// with AND.
func (a Set) Intersect(b Set) Set {
	x, y := a.compile(), b.compile()
	var out pool
	for _, s := range x {
		for _, t := range y {
			if e, ok := meet(s, t); ok {
				out.add(e)
			}
		}
	}
	return shorten(out.entries())
}

func meet(x, y entry) (entry, bool) {
	typ := x.Type
	if typ == AnyType {
		typ = y.Type
	}
	letters := x.on(x.Context, typ) & y.on(x.Context, typ)
	if letters == 0 {
		return entry{}, false
	}
	both, ok := bothQueries(x, y)
	both.Context, both.Type, both.Letters = x.Context, typ, letters
	return both, ok
}

// String gives the shortest form, canonical entries sorted bytewise and separated by single spaces.
func (a Set) String() string {
	short := a.shortest()
	texts := make([]string, len(short))
	for i, s := range short {
		texts[i] = s.String()
	}
	return strings.Join(texts, " ")
}
