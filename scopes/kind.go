package scopes

import (
	"strings"
	"sync"

	"github.com/umaas/umaas/fhir"
)

// ScopeKind is the production of the scope grammar that a string belongs to.
type ScopeKind string

// The kinds. Invalid strings grant nothing.
const (
	KindInvalid  ScopeKind = ""
	KindResource ScopeKind = "resource"
	KindLabel    ScopeKind = "label"    // conf/R, sens/HIV, btg
	KindLaunch   ScopeKind = "launch"   // launch, launch/patient, launch/questionnaire?role=…
	KindIdentity ScopeKind = "identity" // openid, fhirUser, profile
	KindRefresh  ScopeKind = "refresh"  // offline_access, online_access
	KindUMA      ScopeKind = "uma"      // uma_protection, launch-token
	KindExt      ScopeKind = "ext"      // an absolute URI or __name
)

// openIDPrefix may stand before an identity scope.
const openIDPrefix = "http://openid.net/specs/openid-connect-core-1_0#"

// Kind tells which kind of scope s is, by the whole string. A string that carries one of the two known URI prefixes is
// judged by what follows, and is never an ext-scope.
func Kind(s string) ScopeKind {
	if len(s) > maxScope {
		return KindInvalid
	}
	if rest, ok := strings.CutPrefix(s, openIDPrefix); ok {
		return only(wordKind(rest), KindIdentity)
	}
	if rest, ok := strings.CutPrefix(s, uriPrefix); ok {
		if kind := wordKind(rest); kind == KindIdentity || kind == KindRefresh || kind == KindLaunch {
			return kind
		}
		if _, err := Parse(s); err == nil {
			return KindResource
		}
		return KindInvalid
	}
	if kind := wordKind(s); kind != KindInvalid {
		return kind
	}
	if _, err := Parse(s); err == nil {
		return KindResource
	}
	if rest, ok := strings.CutPrefix(s, "__"); ok && scopeChars(rest) || absoluteURI(s) {
		return KindExt
	}
	return KindInvalid
}

func only(got, want ScopeKind) ScopeKind {
	if got == want {
		return got
	}
	return KindInvalid
}

func wordKind(s string) ScopeKind {
	switch s {
	case "openid", "fhirUser", "profile":
		return KindIdentity
	case "offline_access", "online_access":
		return KindRefresh
	case "uma_protection", "launch-token":
		return KindUMA
	case "launch":
		return KindLaunch
	case "conf/N", "conf/R", "conf/V", "btg":
		return KindLabel
	}
	if code, ok := strings.CutPrefix(s, "sens/"); ok && alphanumeric(code) {
		return KindLabel
	}
	if context, ok := strings.CutPrefix(s, "launch/"); ok && launchContext(context) {
		return KindLaunch
	}
	return KindInvalid
}

// launchTypes are the resource types in lower case, as SMART writes launch contexts.
var launchTypes = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for _, typ := range fhir.Types() {
		m[strings.ToLower(typ)] = true
	}
	return m
})

// launchContext reads lc-type [ "?role=" 1*scope-char ]; a second role is unsupported.
func launchContext(s string) bool {
	typ, query, constrained := strings.Cut(s, "?")
	if !launchTypes()[typ] {
		return false
	}
	if !constrained {
		return true
	}
	role, ok := strings.CutPrefix(query, "role=")
	return ok && scopeChars(role) && !strings.Contains(role, "&")
}

func alphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// scopeChars: 1*( %x21 / %x23-5B / %x5D-7E ), RFC 6749 §3.3.
func scopeChars(s string) bool {
	for _, c := range []byte(s) {
		if c != 0x21 && (c < 0x23 || c > 0x7e || c == 0x5c) {
			return false
		}
	}
	return s != ""
}

// absoluteURI: scheme ":" hier-part [ "?" query ], no fragment (RFC 3986 §4.3).
func absoluteURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || scheme == "" || !(scheme[0]|0x20 >= 'a' && scheme[0]|0x20 <= 'z') {
		return false
	}
	for _, c := range []byte(scheme) {
		if !alphanumeric(string(c)) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		if c == '%' {
			if i+2 >= len(rest) || unhex(rest[i+1]) < 0 || unhex(rest[i+2]) < 0 {
				return false
			}
			i += 2
			continue
		}
		if !alphanumeric(string(c)) && strings.IndexByte("-._~:/?[]@!$&'()*+,;=", c) < 0 {
			return false
		}
	}
	return true
}
