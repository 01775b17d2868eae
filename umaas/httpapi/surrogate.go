package httpapi

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// loneSurrogate finds \uD800…\uDFFF without its partner in well-formed JSON. encoding/json would put another character in
// its place, and two names that differ would become one (SEC-59).
func loneSurrogate(raw []byte) bool {
	for i := bytes.IndexByte(raw, '\\'); i >= 0 && i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		first := escaped(raw[i:])
		switch {
		case first < 0:
			i++ // another escape: its second byte is no backslash that begins one
		case utf16.IsSurrogate(first):
			if utf16.DecodeRune(first, escaped(raw[min(i+6, len(raw)):])) == utf8.RuneError {
				return true
			}
			i += 11
		default:
			i += 5
		}
	}
	return false
}

// escaped reads a leading \uXXXX, -1 for anything else.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
