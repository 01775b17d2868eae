package store

import (
	"bytes"
	"slices"
)

// source proposes documents in rising order. The caller confirms each with the predicate.
type source struct {
	t     *txn
	spans []span
	docs  []uint64 // collected, when there is more than one term
	ready bool
}

// span is one range of posting keys: all of one term (exact), or from lo up to but not including hi.
type span struct {
	lo, hi []byte
	exact  bool
}

func exactSpan(posting []byte) span { return span{lo: posting, hi: successor(posting), exact: true} }

func prefixSpan(prefix []byte) span { return span{lo: prefix, hi: successor(prefix)} }

// successor is the smallest key greater than every key with this prefix; nil means there is no end.
func successor(prefix []byte) []byte {
	out := bytes.Clone(prefix)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i]++; out[i] != 0 {
			return out[:i+1]
		}
	}
	return nil
}

// each calls f with the document of every posting of the source until f says stop.
func (s *source) each(f func(doc uint64) bool) {
	for _, sp := range s.spans {
		c := s.t.idx().Cursor()
		for k, _ := c.Seek(sp.lo); k != nil && (sp.hi == nil || bytes.Compare(k, sp.hi) < 0); k, _ = c.Next() {
			if len(k) < 8 || sp.exact && len(k) != len(sp.lo)+8 {
				continue
			}
			if !f(decodeUint64(k[len(k)-8:])) {
				return
			}
		}
	}
}

// size counts postings up to limit.
func (s *source) size(limit int) int {
	if s.ready {
		return min(len(s.docs), limit)
	}
	n := 0
	s.each(func(uint64) bool { n++; return n < limit })
	return n
}

// next gives the first document above after.
func (s *source) next(after uint64) (uint64, bool) {
	if !s.ready && len(s.spans) == 1 && s.spans[0].exact {
		sp := s.spans[0]
		c := s.t.idx().Cursor()
		for k, _ := c.Seek(append(bytes.Clone(sp.lo), key64(after+1)...)); k != nil && bytes.HasPrefix(k, sp.lo); k, _ = c.Next() {
			if len(k) == len(sp.lo)+8 {
				return decodeUint64(k[len(k)-8:]), true
			}
		}
		return 0, false
	}
	if !s.ready {
		s.each(func(doc uint64) bool { s.docs = append(s.docs, doc); return true })
		slices.Sort(s.docs)
		s.docs = slices.Compact(s.docs)
		s.ready = true
	}
	i, found := slices.BinarySearch(s.docs, after+1)
	if !found && i >= len(s.docs) {
		return 0, false
	}
	return s.docs[i], true
}

// canExclude tells that has is cheap and certain: all spans are exact terms.
func (s *source) canExclude() bool {
	return !s.ready && len(s.spans) <= 8 && !slices.ContainsFunc(s.spans, func(sp span) bool { return !sp.exact })
}

func (s *source) has(doc uint64) bool {
	suffix := key64(doc)
	return slices.ContainsFunc(s.spans, func(sp span) bool {
		return s.t.idx().Get(append(bytes.Clone(sp.lo), suffix...)) != nil
	})
}
