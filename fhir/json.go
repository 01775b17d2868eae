package fhir

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds nesting so that a small body cannot exhaust the stack of anything that walks it.
const maxDepth = 64

// decoder reads one JSON text (RFC 8259) more strictly than encoding/json: UTF-8 must be valid, member names must not
// repeat, lone surrogates are refused. Two readers of one body can then never see two different resources.
type decoder struct {
	in  []byte
	pos int
}

func decodeObject(raw []byte) (map[string]any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	d := &decoder{in: raw}
	d.space()
	if d.peek() != '{' {
		return nil, errors.New("the body must be one JSON object")
	}
	v, err := d.object(1)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.pos < len(d.in) {
		return nil, d.fail("text after the end of the object")
	}
	return v, nil
}

func (d *decoder) fail(format string, a ...any) error {
	return fmt.Errorf("JSON, byte %d: %s", d.pos, fmt.Sprintf(format, a...))
}

// peek gives the next byte, 0 at the end (a raw NUL is no JSON either).
func (d *decoder) peek() byte {
	if d.pos < len(d.in) {
		return d.in[d.pos]
	}
	return 0
}

func (d *decoder) space() {
	for d.pos < len(d.in) {
		switch d.in[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

func (d *decoder) value(depth int) (any, error) {
	switch c := d.peek(); {
	case c == '{':
		return d.object(depth + 1)
	case c == '[':
		return d.array(depth + 1)
	case c == '"':
		return d.text()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	}
	return nil, d.fail("a value is expected here")
}

func (d *decoder) word(w string) error {
	if len(d.in)-d.pos < len(w) || string(d.in[d.pos:d.pos+len(w)]) != w {
		return d.fail("a value is expected here")
	}
	d.pos += len(w)
	return nil
}

func (d *decoder) object(depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, d.fail("nested deeper than %d levels", maxDepth)
	}
	m := make(map[string]any, 8)
	d.pos++
	d.space()
	if d.peek() == '}' {
		d.pos++
		return m, nil
	}
	for {
		d.space()
		if d.peek() != '"' {
			return nil, d.fail("a member name is expected here")
		}
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, seen := m[name]; seen {
			return nil, d.fail("member %q appears twice", name)
		}
		d.space()
		if d.peek() != ':' {
			return nil, d.fail("':' is expected here")
		}
		d.pos++
		d.space()
		if m[name], err = d.value(depth); err != nil {
			return nil, err
		}
		d.space()
		switch d.peek() {
		case ',':
			d.pos++
		case '}':
			d.pos++
			return m, nil
		default:
			return nil, d.fail("',' or '}' is expected here")
		}
	}
}

func (d *decoder) array(depth int) ([]any, error) {
	if depth > maxDepth {
		return nil, d.fail("nested deeper than %d levels", maxDepth)
	}
	list := []any{}
	d.pos++
	d.space()
	if d.peek() == ']' {
		d.pos++
		return list, nil
	}
	for {
		d.space()
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		d.space()
		switch d.peek() {
		case ',':
			d.pos++
		case ']':
			d.pos++
			return list, nil
		default:
			return nil, d.fail("',' or ']' is expected here")
		}
	}
}

func (d *decoder) digits() int {
	start := d.pos
	for c := d.peek(); c >= '0' && c <= '9'; c = d.peek() {
		d.pos++
	}
	return d.pos - start
}

// number keeps the text as json.Number: FHIR decimals carry their precision.
func (d *decoder) number() (json.Number, error) {
	start := d.pos
	if d.peek() == '-' {
		d.pos++
	}
	if d.peek() == '0' {
		d.pos++
	} else if d.digits() == 0 {
		return "", d.fail("not a number")
	}
	if d.peek() == '.' {
		d.pos++
		if d.digits() == 0 {
			return "", d.fail("not a number")
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.pos++
		if c := d.peek(); c == '+' || c == '-' {
			d.pos++
		}
		if d.digits() == 0 {
			return "", d.fail("not a number")
		}
	}
	return json.Number(d.in[start:d.pos]), nil
}

// text reads a string; the fast path copies it once when it holds no escape.
func (d *decoder) text() (string, error) {
	d.pos++
	start := d.pos
	for i := start; i < len(d.in); i++ {
		switch c := d.in[i]; {
		case c == '"':
			d.pos = i + 1
			return string(d.in[start:i]), nil
		case c == '\\':
			d.pos = i
			return d.escaped(append(make([]byte, 0, 2*(i-start)+32), d.in[start:i]...))
		case c < 0x20:
			d.pos = i
			return "", d.fail("control character in a string")
		}
	}
	return "", d.fail("a string has no end")
}

func (d *decoder) escaped(out []byte) (string, error) {
	for d.pos < len(d.in) {
		c := d.in[d.pos]
		d.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c < 0x20:
			return "", d.fail("control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		e := d.peek()
		d.pos++
		switch e {
		case '"', '\\', '/':
			out = append(out, e)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, err := d.codePoint()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		default:
			return "", d.fail("unknown escape")
		}
	}
	return "", d.fail("a string has no end")
}

// codePoint reads the digits of a \u escape and, for a high surrogate, the low one that must follow.
func (d *decoder) codePoint() (rune, error) {
	high, err := d.hex4()
	if err != nil || !utf16.IsSurrogate(high) {
		return high, err
	}
	if d.peek() != '\\' || d.pos+1 >= len(d.in) || d.in[d.pos+1] != 'u' {
		return 0, d.fail("half a surrogate pair")
	}
	d.pos += 2
	low, err := d.hex4()
	if err != nil {
		return 0, err
	}
	r := utf16.DecodeRune(high, low)
	if r == utf8.RuneError {
		return 0, d.fail("half a surrogate pair")
	}
	return r, nil
}

func (d *decoder) hex4() (rune, error) {
	if len(d.in)-d.pos < 4 {
		return 0, d.fail("\\u needs four hexadecimal digits")
	}
	n, err := strconv.ParseUint(string(d.in[d.pos:d.pos+4]), 16, 16)
	if err != nil {
		return 0, d.fail("\\u needs four hexadecimal digits")
	}
	d.pos += 4
	return rune(n), nil
}
