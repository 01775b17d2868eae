package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas"
)

// recordVersion is the first byte of every record. A new version adds fields under `if c.version >= 2` in record*.go, so
// that old records stay readable without an upgrade run.
const recordVersion = 3

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
	maxReferred = 1 << 19
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
	u := uint64(*p)<<1 ^ uint64(*p>>63) // zigzag, wraps on purpose
	c.uvarint(&u)
	if c.decoding {
		*p = T(u>>1) ^ -T(u&1)
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
