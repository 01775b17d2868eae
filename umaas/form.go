package umaas

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas/uma"
)

// form is a parsed set of OAuth or UMA parameters: each known once, in valid text, empty ones left out.
type form struct{ values url.Values }

const maxParameters = 64

// mayRepeat are the parameters whose repetition is defined (RFC 8707 §2, RFC 8693 §2.1).
func mayRepeat(name string) bool { return name == "resource" || name == "audience" }

// parseForm refuses a parameter given twice (RFC 6749 §3.1, §3.2; SEC-63) and drops those without a value, which count as
// omitted (ibid.). Unknown ones stay and are never read.
func parseForm(values url.Values) (form, error) {
	if len(values) > maxParameters {
		return form{}, uma.ErrInvalidRequest.With("too many parameters")
	}
	out := make(url.Values, len(values))
	for name, given := range values {
		if len(given) > 1 && !mayRepeat(name) {
			return form{}, uma.ErrInvalidRequest.With("a parameter is given more than once" + named(name))
		}
		for _, v := range given {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return form{}, uma.ErrInvalidRequest.With("a parameter is not valid UTF-8 text" + named(name))
			}
			if v != "" {
				out[name] = append(out[name], v)
			}
		}
	}
	return form{values: out}, nil
}

// named repeats a parameter's name in a message only when it looks like one: an error text is no place for foreign bytes.
func named(name string) string {
	if name == "" || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return ": " + name
}

// get is a parameter's value, "" when absent.
func (f form) get(name string) string { return f.values.Get(name) }

// has reports a parameter with a value.
func (f form) has(name string) bool { return f.values.Get(name) != "" }

// all is every value of a parameter that may repeat.
func (f form) all(name string) []string { return f.values[name] }

// need is a required parameter.
func (f form) need(name string) (string, error) {
	if v := f.get(name); v != "" {
		return v, nil
	}
	return "", uma.ErrInvalidRequest.With("parameter missing: " + name)
}

const maxScopes = 500

// scopes splits a scope parameter (RFC 6749 §3.3), each once, in order.
func (f form) scopes() ([]string, error) { return splitScope(f.get("scope")) }

func splitScope(text string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for _, s := range strings.Split(text, " ") {
		if s == "" || seen[s] {
			continue
		}
		if !isScopeToken(s) {
			return nil, uma.ErrInvalidScope.With("a scope holds a character that RFC 6749 section 3.3 does not allow")
		}
		if len(out) == maxScopes {
			return nil, uma.ErrInvalidScope.With("more scopes than this server takes in one request")
		}
		seen[s] = true
		out = append(out, s)
	}
	return out, nil
}

// isScopeToken is scope-token of RFC 6749 §3.3: printable ASCII without space, double quote and backslash.
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != "" && len(s) <= 512
}
