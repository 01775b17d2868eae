package scopes

import (
	"cmp"
	"slices"
	"strings"
)

// place is what entries are compared within.
type place struct {
	context Context
	typ     string
}

// pool collects entries by place and query, without those that one other entry already says, up to maxConstrained.
type pool map[place][]entry

func (p *pool) add(e entry) {
	if *p == nil {
		*p = pool{}
	}
	at := place{e.Context, e.Type}
	list := (*p)[at]
	constrained := 0
	for i := range list {
		if list[i].Query == e.Query {
			list[i].Letters |= e.Letters
			return
		}
		if e.within(list[i]) {
			e.Letters &^= list[i].Letters
		}
		if list[i].Query != "" {
			constrained++
		}
	}
	if e.Letters != 0 && (e.Query == "" || constrained < maxConstrained) {
		(*p)[at] = append(list, e)
	}
}

func (p pool) entries() []entry {
	var list []entry
	for _, at := range p {
		list = append(list, at...)
	}
	return list
}

// compile parses the entries and joins those that differ in letters only. Unconstrained entries go first, so that a set
// beyond maxConstrained loses as little as possible.
func (a Set) compile() []entry {
	var p pool
	for _, constrained := range []bool{false, true} {
		for _, s := range a {
			if (s.Query != "") != constrained {
				continue
			}
			if e, ok := newEntry(s); ok && e.Letters != 0 {
				p.add(e)
			}
		}
	}
	return p.entries()
}

// shortest gives an equal set in which no letter of an entry is granted by the others and entries that differ only in
// letters are one, sorted by their text.
func (a Set) shortest() Set { return shorten(a.compile()) }

func shorten(list []entry) Set {
	// The narrowest go first, so that the outcome depends on the rights alone: types before "*", long queries before short.
	slices.SortFunc(list, func(x, y entry) int {
		return cmp.Or(
			cmp.Compare(wildcards(x.Scope), wildcards(y.Scope)),
			-cmp.Compare(len(x.query), len(y.query)),
			cmp.Compare(alternatives(x.query), alternatives(y.query)),
			strings.Compare(string(x.Context), string(y.Context)),
			strings.Compare(x.Type, y.Type),
			strings.Compare(x.Query, y.Query),
		)
	})
	byPlace := map[place][]int{}
	for i, e := range list {
		at := place{e.Context, e.Type}
		byPlace[at] = append(byPlace[at], i)
	}
	for i, e := range list {
		var others []entry
		for _, at := range []place{{e.Context, e.Type}, {e.Context, AnyType}} {
			for _, j := range byPlace[at] {
				if j != i {
					others = append(others, list[j])
				}
			}
			if e.Type == AnyType {
				break
			}
		}
		if len(others) > 0 {
			list[i].Letters = uncovered(others, e)
		}
	}
	set := make(Set, 0, len(list))
	for _, e := range list {
		if e.Letters != 0 {
			set = append(set, e.Scope)
		}
	}
	slices.SortFunc(set, func(x, y Scope) int { return strings.Compare(x.String(), y.String()) })
	return set
}

func wildcards(s Scope) int {
	if s.Type == AnyType {
		return 1
	}
	return 0
}

func alternatives(query []constraint) int {
	n := 0
	for _, c := range query {
		n += len(c.values)
	}
	return n
}
