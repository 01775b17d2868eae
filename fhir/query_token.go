package fhir

import (
	"encoding/json"
	"strings"
)

// tokenTest matches [code], [system]|[code], |[code] and [system]| (R4 §3.1.1.4.10).
func tokenTest(value string) (test, string) {
	parts := splitValue(value, '|')
	want := tokenValue{}
	switch len(parts) {
	case 1:
		want.code = unescape(parts[0])
	case 2:
		want.hasSystem = true
		want.system, want.code = unescape(parts[0]), unescape(parts[1])
		if want.system == "" && want.code == "" {
			return nil, "system and code are both empty"
		}
	default:
		return nil, "a token has at most one '|'"
	}
	return want.match, ""
}

type tokenValue struct {
	system, code string
	hasSystem    bool
}

func (t tokenValue) match(n node) bool {
	switch v := n.value.(type) {
	case string:
		return t.matchCode(v)
	case bool:
		return t.matchCode(map[bool]string{true: "true", false: "false"}[v])
	case json.Number:
		return t.matchCode(string(v))
	case map[string]any:
		return t.matchObject(n, v)
	}
	return false
}

// matchCode matches a primitive. Its system is implied by the binding: a system can only be one of HL7's or the language,
// MIME and unit registries, and is not compared further.
func (t tokenValue) matchCode(code string) bool {
	if t.hasSystem && t.system != "" && !strings.HasPrefix(t.system, "http://hl7.org/fhir/") && !strings.HasPrefix(t.system, "urn:ietf:bcp:") {
		return false
	}
	return t.code == "" || t.code == code
}

func (t tokenValue) matchObject(n node, m map[string]any) bool {
	if n.typ == "Extension" {
		for _, inner := range appendMember(nil, node{name: "extension"}, m, "value") {
			if t.match(inner) {
				return true
			}
		}
		return false
	}
	if list, ok := m["coding"].([]any); ok {
		for _, entry := range list {
			if coding, ok := entry.(map[string]any); ok && t.matchPair(coding, "system", "code") {
				return true
			}
		}
		return false
	}
	_, isIdentifierOrContact := m["value"].(string)
	switch {
	case !isIdentifierOrContact:
		return t.matchPair(m, "system", "code")
	case isContactPoint(m):
		return t.matchPair(m, "use", "value")
	default:
		return t.matchPair(m, "system", "value")
	}
}

// isContactPoint tells a ContactPoint from an Identifier: its system is a word, not a URI. R4 compares the token's system
// with ContactPoint.use.
func isContactPoint(m map[string]any) bool {
	switch m["system"] {
	case "phone", "fax", "email", "pager", "url", "sms", "other":
		return true
	}
	return false
}

func (t tokenValue) matchPair(m map[string]any, systemName, codeName string) bool {
	code, _ := m[codeName].(string)
	system, _ := m[systemName].(string)
	if t.hasSystem && t.system != system {
		return false
	}
	if t.code == "" {
		return t.hasSystem
	}
	return t.code == code
}
