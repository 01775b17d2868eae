package fhirview

import (
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// Code systems of FHIR R4 and HL7 that stand in a Consent.
const (
	systemScope       = "http://terminology.hl7.org/CodeSystem/consentscope"
	systemLOINC       = "http://loinc.org"
	systemActCode     = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	systemActReason   = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	systemParticipate = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemRESTful     = "http://hl7.org/fhir/restful-interaction"
	systemAction      = "http://terminology.hl7.org/CodeSystem/consentaction"
	systemTypes       = "http://hl7.org/fhir/resource-types"
	systemURI         = "urn:ietf:rfc:3986"
)

// Names of this project: scopes that are no kind of information, claims, and what FHIR has no element for.
const (
	systemOwnScope = "urn:umaas:scope"
	systemClaim    = "urn:umaas:claim"

	extensionConstraint = "urn:umaas:consent:constraint"  // valueString "type=value"; on a permit
	extensionApp        = "urn:umaas:consent:app"         // valueIdentifier
	extensionAlso       = "urn:umaas:consent:also"        // valueIdentifier of a claim
	extensionACR        = "urn:umaas:consent:min-acr"     // valueString
	extensionTerms      = "urn:umaas:consent:terms"       // valueString
	extensionBreakGlass = "urn:umaas:consent:break-glass" // valueBoolean
	extensionLabel      = "urn:umaas:consent:label"       // valueString; says nothing of what is permitted
)

// interactions maps the letters of a scope to FHIR's RESTful interactions.
var interactions = []struct{ letter, code string }{
	{"c", "create"}, {"r", "read"}, {"u", "update"}, {"d", "delete"}, {"s", "search-type"},
}

func letterOf(code string) string {
	for _, i := range interactions {
		if i.code == code {
			return i.letter
		}
	}
	return ""
}

func codeOf(letter string) string {
	for _, i := range interactions {
		if i.letter == letter {
			return i.code
		}
	}
	return ""
}

// kind splits a scope into type and letter; ok is false for scopes of another form (sens/ETH, btg).
func kind(scope string) (typ, letter string, ok bool) {
	context, rest, ok := strings.Cut(scope, "/")
	if !ok || context != "patient" && context != "user" {
		return "", "", false
	}
	typ, letter, ok = strings.Cut(rest, ".")
	return typ, letter, ok && typ != "" && codeOf(letter) != ""
}

// registeredFor lists the registered scopes of one type and letter: one, unless a set mixes contexts.
func registeredFor(registered []string, typ, letter string) []string {
	var out []string
	for _, s := range registered {
		if t, l, ok := kind(s); ok && t == typ && l == letter && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// group is kinds of information with one set of actions.
type group struct {
	letters string // in the order of interactions
	types   []string
}

// groups splits scopes into products of types and letters, and what is no such scope or is ambiguous on its record.
func groups(scopes, registered []string) (out []group, others []string) {
	letters := map[string]string{}
	var types []string
	for _, s := range scopes {
		typ, letter, ok := kind(s)
		if found := registeredFor(registered, typ, letter); !ok || len(found) != 1 || found[0] != s {
			others = append(others, s)
			continue
		}
		if _, known := letters[typ]; !known {
			types = append(types, typ)
		}
		letters[typ] += letter
	}
	for _, typ := range types {
		ordered := ""
		for _, i := range interactions {
			if strings.Contains(letters[typ], i.letter) {
				ordered += i.letter
			}
		}
		at := slices.IndexFunc(out, func(g group) bool { return g.letters == ordered })
		if at < 0 {
			at = len(out)
			out = append(out, group{letters: ordered})
		}
		out[at].types = append(out[at].types, typ)
	}
	return out, others
}

// tokens are the values of one search parameter, system|code each, any of which fits.
type tokens []token

type token struct{ system, code string }

// Search parameters of a query constraint that FHIR has elements for.
const (
	paramCode     = "code"
	paramSecurity = "_security"
)

// readQuery reads a query constraint that is one token parameter and no more; ok is false for every other one.
func readQuery(value string) (param string, list tokens, ok bool) {
	param, values, ok := strings.Cut(value, "=")
	if !ok || param != paramCode && param != paramSecurity || strings.ContainsAny(values, `&=\%+ `) {
		return "", nil, false
	}
	for _, v := range strings.Split(values, ",") {
		system, code, ok := strings.Cut(v, "|")
		if !ok || system == "" || code == "" || strings.Contains(code, "|") {
			return "", nil, false
		}
		list = append(list, token{system, code})
	}
	return param, list, true
}

// writeQuery is the reverse; ok is false where a token has characters that mean something in a query.
func writeQuery(param string, list tokens) (uma.Constraint, bool) {
	values := make([]string, 0, len(list))
	for _, t := range list {
		if t.system == "" || t.code == "" || strings.ContainsAny(t.system+t.code, `|&=\%+, `) {
			return uma.Constraint{}, false
		}
		values = append(values, t.system+"|"+t.code)
	}
	return uma.Constraint{Type: uma.ConstraintQuery, Value: param + "=" + strings.Join(values, ",")}, len(list) > 0
}

// isDate holds for a FHIR date: YYYY, YYYY-MM or YYYY-MM-DD.
func isDate(s string) bool {
	if len(s) != 4 && len(s) != 7 && len(s) != 10 {
		return false
	}
	for i, r := range s {
		if i == 4 || i == 7 {
			if r != '-' {
				return false
			}
		} else if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// Identifier systems of things of one authorization server.
func accountSystem(issuer string) string { return issuer + "/account" }
func clientSystem(issuer string) string  { return issuer + "/client" }
func resourceSystem(issuer string, rs umaas.ClientID) string {
	return issuer + "/resource/" + string(rs)
}
