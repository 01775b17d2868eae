package fhir

import (
	"fmt"
	"strings"
	"unicode"
)

// stringTest matches the start of a text, case and accents aside; :contains anywhere in it; :exact all of it, byte by byte
// (R4 §3.1.1.4.9).
func stringTest(modifier, value string) (test, string) {
	var compare func(text string) bool
	folded := fold(value)
	switch modifier {
	case "":
		compare = func(text string) bool { return strings.HasPrefix(fold(text), folded) }
	case "contains":
		compare = func(text string) bool { return strings.Contains(fold(text), folded) }
	case "exact":
		compare = func(text string) bool { return text == value }
	default:
		return nil, fmt.Sprintf("modifier :%s is not supported here", modifier)
	}
	if folded == "" {
		return nil, "the value holds nothing to compare"
	}
	return func(n node) bool { return anyText(n, compare) }, ""
}

// stringParts are the elements of HumanName, Address and CodeableConcept that a string search looks at.
var stringParts = [...]string{"text", "family", "given", "prefix", "suffix", "line", "city", "district", "state", "postalCode", "country"}

func anyText(n node, compare func(string) bool) bool {
	switch v := n.value.(type) {
	case string:
		return compare(v)
	case map[string]any:
		if n.typ == "Extension" {
			for _, inner := range appendMember(nil, node{name: "extension"}, v, "value") {
				if anyText(inner, compare) {
					return true
				}
			}
			return false
		}
		for _, part := range stringParts {
			for _, inner := range appendValues(nil, v[part], "", part) {
				if text, ok := inner.value.(string); ok && compare(text) {
					return true
				}
			}
		}
	}
	return false
}

// fold brings texts into a comparable form: lower case, without accents, blanks run together.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	blank := false
	for _, c := range s {
		if c < unicode.MaxASCII {
			if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
				blank = b.Len() > 0
				continue
			}
			if blank {
				b.WriteByte(' ')
				blank = false
			}
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			b.WriteByte(byte(c)) //nolint:gosec // below 0x80
			continue
		}
		if unicode.Is(unicode.Mn, c) {
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		c = unicode.ToLower(c)
		if plain := unaccent(c); plain != "" {
			b.WriteString(plain)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// accents maps small Latin letters with marks to what they are compared as: "plain:marked…".
const accents = "a:àáâãäåāăąǎ c:çćĉċč d:ďđð e:èéêëēĕėęě g:ĝğġģ h:ĥħ i:ìíîïĩīĭįıǐ j:ĵ k:ķ l:ĺļľŀł n:ñńņňŉ o:òóôõöøōŏőǒ r:ŕŗř s:śŝşšș t:ţťŧț" +
	" u:ùúûüũūŭůűųǔ w:ŵ y:ýÿŷ z:źżž ae:æ oe:œ ss:ß th:þ"

func unaccent(c rune) string {
	at := strings.IndexRune(accents, c)
	if at < 0 || c < 0x80 {
		return ""
	}
	colon := strings.LastIndexByte(accents[:at], ':')
	start := strings.LastIndexByte(accents[:colon], ' ') + 1
	return accents[start:colon]
}
