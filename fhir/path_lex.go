package fhir

import (
	"fmt"
	"strings"
)

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenNumber
	tokenSymbol
)

type pathToken struct {
	kind tokenKind
	text string
	at   int // byte offset, for errors
}

// lexPath splits a FHIRPath expression. Only what the subset has: names, 'strings', numbers, and . ( ) [ ] | , = != $this.
func lexPath(in string) ([]pathToken, error) {
	var list []pathToken
	for i := 0; i < len(in); {
		c := in[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case isNameByte(c, true) || c == '$':
			for i++; i < len(in) && isNameByte(in[i], false); i++ {
			}
			list = append(list, pathToken{tokenName, in[start:i], start})
		case c >= '0' && c <= '9':
			for i++; i < len(in) && (in[i] >= '0' && in[i] <= '9' || in[i] == '.' && i+1 < len(in) && in[i+1] >= '0' && in[i+1] <= '9'); i++ {
			}
			list = append(list, pathToken{tokenNumber, in[start:i], start})
		case c == '\'' || c == '`':
			text, end, err := lexQuoted(in, i)
			if err != nil {
				return nil, err
			}
			if c == '`' && text == "" {
				return nil, fmt.Errorf("FHIRPath, byte %d: a name must not be empty", i)
			}
			kind := tokenString
			if c == '`' {
				kind = tokenName
			}
			list = append(list, pathToken{kind, text, start})
			i = end
		case c == '!' && strings.HasPrefix(in[i:], "!="):
			list = append(list, pathToken{tokenSymbol, "!=", start})
			i += 2
		case strings.IndexByte(".()[]|,=", c) >= 0:
			list = append(list, pathToken{tokenSymbol, in[i : i+1], start})
			i++
		default:
			return nil, fmt.Errorf("FHIRPath, byte %d: %q is not part of the supported subset", i, c)
		}
	}
	return append(list, pathToken{tokenEnd, "", len(in)}), nil
}

func isNameByte(c byte, first bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || !first && c >= '0' && c <= '9'
}

func lexQuoted(in string, start int) (text string, end int, err error) {
	var b strings.Builder
	for i := start + 1; i < len(in); i++ {
		switch c := in[i]; {
		case c == in[start]:
			return b.String(), i + 1, nil
		case c == '\\':
			i++
			if i >= len(in) || strings.IndexByte(`\'"`+"`/", in[i]) < 0 {
				return "", 0, fmt.Errorf("FHIRPath, byte %d: unknown escape", i)
			}
			b.WriteByte(in[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("FHIRPath, byte %d: a quoted text has no end", start)
}
