package scopes

import (
	"errors"
	"fmt"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// Context is whose rights a scope speaks of.
type Context string

// The three contexts.
const (
	Patient Context = "patient" // the one patient of the token or resource set
	User    Context = "user"    // what the user may do
	System  Context = "system"  // what the client's own policy allows
)

// Letters is a set of interactions.
type Letters uint8

// The five letters of SMART version 2.
const (
	Create Letters = 1 << iota
	Read
	Update
	Delete
	Search
)

const letterOrder = "cruds"

// AllLetters is every interaction.
const AllLetters = Create | Read | Update | Delete | Search

// String gives the letters in the order "cruds".
func (l Letters) String() string {
	var b strings.Builder
	for i := range len(letterOrder) {
		if l&(1<<i) != 0 {
			b.WriteByte(letterOrder[i])
		}
	}
	return b.String()
}

// each gives the single letters in order.
func (l Letters) each() []Letters {
	var list []Letters
	for i := range len(letterOrder) {
		if l&(1<<i) != 0 {
			list = append(list, 1<<i)
		}
	}
	return list
}

// AnyType is the type of a scope on all types.
const AnyType = "*"

// Scope is one resource scope. Query is the canonical constraint part without "?", "" for none. The zero value grants
// nothing.
type Scope struct {
	Context Context
	Type    string
	Letters Letters
	Query   string
}

// uriPrefix may stand before a SMART scope (SMART App Launch, "Scopes for requesting identity data": URI form).
const uriPrefix = "http://smarthealthit.org/fhir/scopes/"

// maxScope bounds one scope string (GW-03: 8 kB is malformed).
const maxScope = 4096

// Parse reads one resource-scope, version 1 or 2, by the whole-token grammar of gateway_rules (a). The error says which
// part is wrong; the Scope is then zero.
func Parse(s string) (Scope, error) {
	if len(s) > maxScope {
		return Scope{}, fmt.Errorf("scope: longer than %d bytes", maxScope)
	}
	body := strings.TrimPrefix(s, uriPrefix)
	context, rest, ok := strings.Cut(body, "/")
	if !ok || !validContext(Context(context)) {
		return Scope{}, fmt.Errorf("scope %q: must start with patient/, user/ or system/", s)
	}
	scope, err := parseRights(Context(context), rest)
	if err != nil {
		return Scope{}, fmt.Errorf("scope %q: %w", s, err)
	}
	return scope, nil
}

// ParseShort reads a scope where the resource set already tells the context: the short form without "patient/" or
// "user/", or the full form with the level's own prefix. Only the context URL's authorize request takes it.
func ParseShort(s string, level Context) (Scope, error) {
	if level != Patient && level != User {
		return Scope{}, fmt.Errorf("scope %q: no short form on level %q", s, level)
	}
	if len(s) > maxScope {
		return Scope{}, fmt.Errorf("scope: longer than %d bytes", maxScope)
	}
	path, _, _ := strings.Cut(s, "?")
	if !strings.Contains(path, "/") {
		scope, err := parseRights(level, s)
		if err != nil {
			return Scope{}, fmt.Errorf("scope %q: %w", s, err)
		}
		return scope, nil
	}
	scope, err := Parse(s)
	if err != nil {
		return Scope{}, err
	}
	if scope.Context != level {
		return Scope{}, fmt.Errorf("scope %q: this context takes %s/ scopes only", s, level)
	}
	return scope, nil
}

func validContext(c Context) bool { return c == Patient || c == User || c == System }

// parseRights reads rtype "." access [ "?" constraints ].
func parseRights(context Context, s string) (Scope, error) {
	rights, query, constrained := strings.Cut(s, "?")
	typ, access, ok := strings.Cut(rights, ".")
	if !ok {
		return Scope{}, errors.New("a type, a dot and the interactions are expected")
	}
	if typ != AnyType && !fhir.IsType(typ) {
		return Scope{}, fmt.Errorf("%q is not a resource type of FHIR R4", typ)
	}
	letters, version1, err := parseAccess(access)
	if err != nil {
		return Scope{}, err
	}
	scope := Scope{Context: context, Type: typ, Letters: letters}
	if !constrained {
		return scope, nil
	}
	if version1 {
		return Scope{}, errors.New("constraints need the letters of version 2")
	}
	if scope.Query, err = canonicalQuery(typ, query); err != nil {
		return Scope{}, err
	}
	return scope, nil
}

// parseAccess reads v1-access or v2-access. HEART's reading of .write as including read is not followed.
func parseAccess(s string) (letters Letters, version1 bool, err error) {
	switch s {
	case "read":
		return Read | Search, true, nil
	case "write":
		return Create | Update | Delete, true, nil
	case "*":
		return AllLetters, true, nil
	case "":
		return 0, false, errors.New("the interactions are missing")
	}
	next := 0
	for i := range len(s) {
		at := strings.IndexByte(letterOrder[next:], s[i])
		if at < 0 {
			return 0, false, fmt.Errorf("%q is not read, write, * or letters of cruds in this order", s)
		}
		letters |= 1 << (next + at)
		next += at + 1
	}
	return letters, false, nil
}

// String gives the canonical version 2 text, "" for a scope that grants nothing.
func (s Scope) String() string {
	if s.Letters&AllLetters == 0 {
		return ""
	}
	text := string(s.Context) + "/" + s.Type + "." + s.Letters.String()
	if s.Query != "" {
		text += "?" + s.Query
	}
	return text
}

// Version1 gives the version 1 text where the scope has one: read, write or * without constraints.
func (s Scope) Version1() (string, bool) {
	if s.Query != "" {
		return "", false
	}
	names := map[Letters]string{Read | Search: "read", Create | Update | Delete: "write", AllLetters: "*"}
	name, ok := names[s.Letters]
	return string(s.Context) + "/" + s.Type + "." + name, ok
}

// Pairs gives the constraints as search parameters for fhir.ParseQuery.
func (s Scope) Pairs() []fhir.Pair {
	if s.Query == "" {
		return nil
	}
	pairs, err := queryPairs(s.Query)
	if err != nil {
		return nil
	}
	return pairs
}

// Filter compiles the constraints; the zero Query of an unconstrained scope matches every resource of the type. The error
// means that the entry grants nothing (GW-04).
func (s Scope) Filter(resourceType string) (fhir.Query, error) {
	if s.Query == "" {
		return fhir.ParseQuery(resourceType, nil)
	}
	pairs, err := queryPairs(s.Query)
	if err != nil {
		return fhir.Query{}, err
	}
	return fhir.ParseQuery(resourceType, pairs)
}
