package scopes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/umaas/umaas/fhir"
)

// constraint is one "name=value,value": the alternatives are decoded once, keep their FHIR escapes, are sorted and distinct.
type constraint struct {
	name   string
	values []string
}

// maxConstraints bounds what a comparison of two queries can cost.
const maxConstraints = 16

// canonicalQuery reads the constraints of a scope and prints them canonically: constraints and alternatives sorted, each
// once, characters outside the grammar's value as upper-case percent escapes. A parameter that fhir.ParseQuery cannot
// evaluate is an error (GW-04); so are modifiers, chains and _filter.
func canonicalQuery(typ, query string) (string, error) {
	list, err := parseConstraints(query)
	if err != nil {
		return "", err
	}
	if _, err := fhir.ParseQuery(typ, pairsOf(list)); err != nil {
		return "", err
	}
	return printConstraints(list), nil
}

func queryPairs(query string) ([]fhir.Pair, error) {
	list, err := parseConstraints(query)
	return pairsOf(list), err
}

func pairsOf(list []constraint) []fhir.Pair {
	pairs := make([]fhir.Pair, len(list))
	for i, c := range list {
		pairs[i] = fhir.Pair{Name: c.name, Value: strings.Join(c.values, ",")}
	}
	return pairs
}

func parseConstraints(query string) ([]constraint, error) {
	var list []constraint
	for text := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("constraint %q: name=value is expected", text)
		}
		if !validCode(name) {
			return nil, fmt.Errorf("constraint %q: a search parameter without modifier or chain is expected", name)
		}
		decoded, err := decodeValue(value)
		if err != nil {
			return nil, fmt.Errorf("constraint %q: %w", name, err)
		}
		values := splitAlternatives(decoded)
		slices.Sort(values)
		list = append(list, constraint{name, slices.Compact(values)})
	}
	if len(list) > maxConstraints {
		return nil, fmt.Errorf("more than %d constraints", maxConstraints)
	}
	return irredundant(list), nil
}

// irredundant sorts the constraints and leaves out those that another one implies ("x=1,2" beside "x=1"): two canonical
// queries that imply each other are then the same text.
func irredundant(list []constraint) []constraint {
	slices.SortFunc(list, compareConstraints)
	list = slices.CompactFunc(list, func(a, b constraint) bool { return compareConstraints(a, b) == 0 })
	var keep []constraint
	for _, c := range list {
		if !slices.ContainsFunc(list, func(other constraint) bool { return compareConstraints(other, c) != 0 && implies(other, c) }) {
			keep = append(keep, c)
		}
	}
	return keep
}

func compareConstraints(a, b constraint) int {
	if c := strings.Compare(a.name, b.name); c != 0 {
		return c
	}
	return slices.Compare(a.values, b.values)
}

func printConstraints(list []constraint) string {
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(c.name)
		b.WriteByte('=')
		for j, v := range c.values {
			if j > 0 {
				b.WriteByte(',')
			}
			encodeValue(&b, v)
		}
	}
	return b.String()
}

// validCode accepts the letters of search parameter codes: no ':' (modifier) and no '.' (chain).
func validCode(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// plainValueByte is the grammar's value: %x21 / %x23-24 / %x27-5B / %x5D-7E.
func plainValueByte(c byte) bool {
	return c == 0x21 || c == 0x23 || c == 0x24 || c >= 0x27 && c <= 0x5b || c >= 0x5d && c <= 0x7e
}

func decodeValue(s string) (string, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plainValueByte(c):
			out = append(out, c)
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			out = append(out, byte(unhex(s[i+1])<<4|unhex(s[i+2]))) //nolint:gosec // two hexadecimal digits
			i += 2
		default:
			return "", fmt.Errorf("character %q must be percent-encoded", c)
		}
	}
	for _, c := range out {
		if c < 0x20 || c == 0x7f {
			return "", errors.New("control characters are not allowed")
		}
	}
	if !utf8.Valid(out) {
		return "", errors.New("not valid UTF-8")
	}
	return string(out), nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func encodeValue(b *strings.Builder, s string) {
	const digits = "0123456789ABCDEF"
	for _, c := range []byte(s) {
		if plainValueByte(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
}

// splitAlternatives splits at commas that no backslash escapes.
func splitAlternatives(s string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
