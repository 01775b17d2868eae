package resourceserver

import (
	"strings"

	"github.com/umaas/umaas/scopes"
)

// UMAChallenge writes the WWW-Authenticate value of Grant §3.2.1.
func UMAChallenge(c Challenge) string {
	return "UMA realm=" + quoted(c.Realm) + ", as_uri=" + quoted(c.ASURI) + ", ticket=" + quoted(c.Ticket)
}

// bearerChallenge writes the value of RFC 6750 §3 with the resource metadata of RFC 9728 §5.1. Empty parts are left out.
func bearerChallenge(realm, code string, asked []scopes.Scope, metadata string) string {
	var b strings.Builder
	b.WriteString("Bearer realm=" + quoted(realm))
	if code != "" {
		b.WriteString(", error=" + quoted(code))
	}
	if len(asked) > 0 {
		b.WriteString(", scope=" + quoted(scopes.Set(asked).Union(nil).String()))
	}
	if metadata != "" {
		b.WriteString(", resource_metadata=" + quoted(metadata))
	}
	return b.String()
}

// quoted writes a quoted-string (RFC 9110 §5.6.4). What may not stand in one is left out.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
