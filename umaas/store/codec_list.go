package store

import (
	"maps"
	"slices"
)

// list is a list of strings. Each is written as what it shares with the one before and the rest, because scope lists are
// long and alike; a list equal to one written before in the record is a reference to that one.
func (c *codec) list(p *[]string) {
	var same uint64
	if !c.decoding && len(*p) > 0 {
		same = uint64(slices.IndexFunc(c.lists, func(l []string) bool { return slices.Equal(l, *p) }) + 1) //nolint:gosec // ≥ 0
	}
	if same > 0 && c.referred+len(*p) > maxReferred {
		same = 0
	}
	if c.uvarint(&same); same > uint64(len(c.lists)) {
		c.fail()
		return
	}
	if same > 0 {
		if c.referred += len(c.lists[same-1]); c.referred > maxReferred {
			c.fail()
			return
		}
		if c.decoding {
			*p = slices.Clone(c.lists[same-1])
		}
		return
	}
	n, present := c.count(len(*p), *p == nil)
	if !present {
		*p = nil
		return
	}
	if c.decoding {
		*p = make([]string, 0, n)
	}
	previous := ""
	for i := range n {
		var s string
		if !c.decoding {
			s = (*p)[i]
		}
		s = c.follow(previous, s)
		if c.err != nil {
			*p = nil
			return
		}
		if c.decoding {
			*p = append(*p, s)
		}
		previous = s
	}
	if n > 0 {
		c.lists = append(c.lists, *p)
	}
}

// follow writes or reads one string after another.
func (c *codec) follow(previous, s string) string {
	shared := 0
	for shared < min(len(previous), len(s), maxShared) && previous[shared] == s[shared] {
		shared++
	}
	u := uint64(shared)
	c.uvarint(&u)
	if u > uint64(min(len(previous), maxShared)) {
		c.fail()
		return ""
	}
	rest := ""
	if !c.decoding {
		rest = s[shared:]
	}
	text(c, &rest)
	if !c.decoding {
		return s
	}
	return previous[:u] + rest
}

// slice is a list of records.
func slice[T any](c *codec, p *[]T, fields func(*codec, *T)) {
	n, present := c.count(len(*p), *p == nil)
	if !present {
		*p = nil
		return
	}
	if c.decoding {
		*p = make([]T, 0, min(n, 64))
	}
	for i := range n {
		if c.decoding {
			var v T
			fields(c, &v)
			if c.err != nil {
				*p = nil
				return
			}
			*p = append(*p, v)
			continue
		}
		fields(c, &(*p)[i])
	}
}

// optional is a record that may be absent.
func optional[T any](c *codec, p **T, fields func(*codec, *T)) {
	present := *p != nil
	if c.flag(&present); !present {
		*p = nil
		return
	}
	if c.decoding {
		*p = new(T)
	}
	fields(c, *p)
}

// table is a map, written in the order of its keys.
func table[V ~[]byte](c *codec, p *map[string]V) {
	n, present := c.count(len(*p), *p == nil)
	if !present {
		*p = nil
		return
	}
	if !c.decoding {
		for _, k := range slices.Sorted(maps.Keys(*p)) {
			v := []byte((*p)[k])
			text(c, &k)
			c.blob(&v)
		}
		return
	}
	*p = make(map[string]V, n)
	last := ""
	for i := range n {
		var k string
		var v []byte
		text(c, &k)
		c.blob(&v)
		if i > 0 && k <= last {
			c.fail() // twice, or out of order
		}
		if c.err != nil {
			*p = nil
			return
		}
		(*p)[k], last = v, k
	}
}
