package scopes

import (
	"cmp"
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
	var given [len(letterOrder)][]string
	for i, letter := range AllLetters.each() {
		if b.Letters&letter == 0 {
			continue
		}
		for _, entry := range a {
			if entry.on(b.Context, b.Type)&letter == 0 {
				continue
			}
			if queryWithin(b.Query, entry.Query) {
				given[i] = nil
				b.Letters &^= letter
				break
			}
			given[i] = append(given[i], entry.Query)
		}
	}
	for i, letter := range AllLetters.each() {
		if b.Letters&letter != 0 && !coveredByAny(b.Query, given[i]) {
			return false
		}
	}
	return true
}

// CoversSet reports whether the set grants all that b grants.
func (a Set) CoversSet(b Set) bool {
	return !slices.ContainsFunc(b, func(s Scope) bool { return !a.Covers(s) })
}

// Union gives the rights of both in shortest form.
func (a Set) Union(b Set) Set { return slices.Concat(a, b).shortest() }

// Intersect gives rights that both sides grant, in shortest form: never more than either. Queries that both hold are joined
// with AND.
func (a Set) Intersect(b Set) Set {
	var out Set
	for _, x := range a {
		for _, y := range b {
			if s, ok := meet(x, y); ok {
				out = append(out, s)
			}
		}
	}
	return out.shortest()
}

func meet(x, y Scope) (Scope, bool) {
	typ := x.Type
	if typ == AnyType {
		typ = y.Type
	}
	letters := x.on(x.Context, typ) & y.on(x.Context, typ)
	query, ok := bothQueries(x.Query, y.Query)
	return Scope{x.Context, typ, letters, query}, ok && letters != 0
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

// shortest gives an equal set in which no letter of an entry is granted by the others and entries that differ only in
// letters are one, sorted by their text.
func (a Set) shortest() Set {
	letters := map[Scope]Letters{}
	for _, s := range a {
		if s.Letters&AllLetters != 0 {
			letters[Scope{Context: s.Context, Type: s.Type, Query: s.Query}] |= s.Letters & AllLetters
		}
	}
	set := make(Set, 0, len(letters))
	for s, l := range letters {
		s.Letters = l
		set = append(set, s)
	}
	// The narrowest go first, so that the outcome depends on the rights alone: types before "*", long queries before short.
	slices.SortFunc(set, func(x, y Scope) int {
		return cmp.Or(
			cmp.Compare(wildcards(x), wildcards(y)),
			-cmp.Compare(strings.Count(x.Query, "&"), strings.Count(y.Query, "&")),
			cmp.Compare(strings.Count(x.Query, ","), strings.Count(y.Query, ",")),
			cmp.Compare(len(y.Query), len(x.Query)),
			strings.Compare(x.String(), y.String()),
		)
	})
	for i := range set {
		set.reduce(i)
	}
	set = slices.DeleteFunc(set, func(s Scope) bool { return s.Letters == 0 })
	slices.SortFunc(set, func(x, y Scope) int { return strings.Compare(x.String(), y.String()) })
	return set
}

func wildcards(s Scope) int {
	if s.Type == AnyType {
		return 1
	}
	return 0
}

// reduce takes those letters off entry i that the other entries cover.
func (a Set) reduce(i int) {
	entry := a[i]
	if !slices.ContainsFunc(a, func(s Scope) bool {
		return s.Context == entry.Context && (s.Type == entry.Type || s.Type == AnyType) && s != entry
	}) {
		return
	}
	a[i].Letters = 0
	keep := Letters(0)
	for _, letter := range entry.Letters.each() {
		if !a.Covers(Scope{entry.Context, entry.Type, letter, entry.Query}) {
			keep |= letter
		}
	}
	a[i].Letters = keep
}
