package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas"
)

// recordVersion is the first byte of every record. A new version adds fields under `if c.version >= 2` in record*.go, so
// that old records stay readable without an upgrade run.
const recordVersion = 1

var errDamaged = errors.New("store: damaged record")

// codec turns records into bytes and back. A record has one function that names its fields in order; each primitive below
// writes its field when encoding and reads it when decoding, so that the two directions cannot drift apart.
type codec struct {
	version  byte
	decoding bool
	out      []byte
	in       string // what is left to decode; decoded strings share its memory
	err      error  // the first; everything after it yields zero values
	lists    [][]string
	referred int // strings reached through references
}

// Bounds of what a short record may expand to: bytes a string shares with the one before, strings behind references.
const (
	maxShared   = 255
	maxReferred = 1 << 17
)

func encode[T any](v *T, fields func(*codec, *T)) []byte {
	c := codec{version: recordVersion, out: make([]byte, 1, 256)}
	c.out[0] = recordVersion
	fields(&c, v)
	return c.out
}

func decode[T any](raw []byte, fields func(*codec, *T)) (T, error) {
	var v, zero T
	if len(raw) == 0 {
		return zero, errDamaged
	}
	if raw[0] == 0 || raw[0] > recordVersion {
		return zero, fmt.Errorf("store: record of version %d, this program reads up to %d", raw[0], recordVersion)
	}
	c := codec{version: raw[0], decoding: true, in: string(raw[1:])}
	fields(&c, &v)
	if c.err == nil && c.in != "" {
		c.err = errDamaged
	}
	if c.err != nil {
		return zero, c.err
	}
	return v, nil
}

func (c *codec) fail() {
	if c.err == nil {
		c.err = errDamaged
	}
	c.in = ""
}

func (c *codec) uvarint(p *uint64) {
	if !c.decoding {
		c.out = binary.AppendUvarint(c.out, *p)
		return
	}
	*p = 0
	for shift := 0; shift < 64; shift += 7 {
		if c.in == "" {
			break
		}
		b := c.in[0]
		c.in = c.in[1:]
		if b == 0 && shift > 0 || shift == 63 && b > 1 {
			break // one number, one form
		}
		*p |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return
		}
	}
	*p = 0
	c.fail()
}

// count is a length of a list that may be absent: 0 is nil, n+1 is n elements. Each element has a byte at least, so a
// damaged length cannot ask for more memory than the record itself has.
func (c *codec) count(n int, isNil bool) (int, bool) {
	var u uint64
	if !c.decoding && !isNil {
		u = uint64(n) + 1 //nolint:gosec // a length
	}
	if c.uvarint(&u); u == 0 {
		return 0, false
	}
	if c.decoding && u-1 > uint64(len(c.in)) {
		c.fail()
		return 0, false
	}
	return int(u - 1), true //nolint:gosec // bounded above
}

func (c *codec) take(n int) string {
	if n > len(c.in) {
		c.fail()
		return ""
	}
	s := c.in[:n]
	c.in = c.in[n:]
	return s
}

func text[T ~string](c *codec, p *T) {
	n := uint64(len(*p))
	c.uvarint(&n)
	if !c.decoding {
		c.out = append(c.out, *p...)
		return
	}
	if n > uint64(len(c.in)) {
		c.fail()
	}
	*p = T(c.take(int(min(n, uint64(len(c.in)))))) //nolint:gosec // bounded
}

func number[T ~int | ~int64](c *codec, p *T) {
	u := uint64(*p)<<1 ^ uint64(*p>>63) //nolint:gosec // zigzag, wraps on purpose
	c.uvarint(&u)
	if c.decoding {
		*p = T(u>>1) ^ -T(u&1) //nolint:gosec // zigzag
	}
}

func (c *codec) flag(p *bool) {
	var u uint64
	if *p {
		u = 1
	}
	c.uvarint(&u)
	if c.decoding {
		if *p = u == 1; u > 1 {
			c.fail()
		}
	}
}

func (c *codec) blob(p *[]byte) {
	n, present := c.count(len(*p), *p == nil)
	switch {
	case !c.decoding:
		c.out = append(c.out, *p...)
	case !present:
		*p = nil
	default:
		*p = append(make([]byte, 0, n), c.take(n)...)
	}
}

// raw is a fixed array that is often zero: one byte then.
func (c *codec) raw(p []byte) {
	zero := true
	for _, b := range p {
		zero = zero && b == 0
	}
	present := !zero
	c.flag(&present)
	switch {
	case !present:
		clear(p)
	case c.decoding:
		copy(p, c.take(len(p)))
	default:
		c.out = append(c.out, p...)
	}
}

func (c *codec) key(p *umaas.Key)         { c.raw(p[:]) }
func (c *codec) hash(p *umaas.SecretHash) { c.raw(p[:]) }

// when keeps a moment to the nanosecond, without its zone: 0 is the zero time, else nanoseconds + 1 and seconds.
func (c *codec) when(p *time.Time) {
	var nano uint64
	if !p.IsZero() {
		nano = uint64(p.Nanosecond()) + 1 //nolint:gosec // 0 … 999,999,999
	}
	if c.uvarint(&nano); nano == 0 {
		*p = time.Time{}
		return
	}
	if nano > 1e9 {
		c.fail()
	}
	sec := p.Unix()
	number(c, &sec)
	if c.decoding && c.err == nil {
		*p = time.Unix(sec, int64(nano-1)).UTC() //nolint:gosec // below 1e9
	}
}

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
	u := uint64(shared) //nolint:gosec // a length
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
