package fhir

import (
	"fmt"
	"strings"
)

// Pair is one query parameter, percent-decoded, in the order sent.
type Pair struct{ Name, Value string }

// UnsupportedParam says that the in-memory predicate cannot evaluate a parameter, and why. Nothing may be granted or
// filtered by it then (GW-04).
type UnsupportedParam struct {
	Name   string // as written, modifier included
	Reason string
}

func (e *UnsupportedParam) Error() string {
	return fmt.Sprintf("search parameter %q: %s", e.Name, e.Reason)
}

// Query is the filter part of a search, compiled: a conjunction of parameters, each a disjunction of values. The zero value
// matches every resource of its type. It is immutable.
type Query struct {
	resourceType string
	filters      []filter
}

// filter is one parameter. missing is set for :missing only.
type filter struct {
	expression expr
	missing    answer
	negated    bool // :not
	tests      []test
}

// test decides on one element selected by the parameter's expression, for one of the comma-separated values.
type test func(n node) bool

// resultParams shape the answer and select nothing (R4 §3.1.1.5).
const resultParams = " _sort _count _include _revinclude _summary _total _elements _contained _containedType _format _pretty "

// ResultParam reports whether the parameter, modifier aside, shapes the answer rather than filtering; ParseQuery refuses
// these, so callers take them out before.
func ResultParam(name string) bool {
	code, _, _ := strings.Cut(name, ":")
	return code != "" && !strings.Contains(code, " ") && strings.Contains(resultParams, " "+code+" ")
}

// ParseQuery compiles the filters of a search on a type ("*": any type, common parameters only). Repeated names are AND,
// commas are OR, backslash escapes as in R4 §3.1.1.4.4.1. The error is *UnsupportedParam for anything that cannot be
// evaluated exactly: unknown parameters, chains, other modifiers, composite and special parameters, malformed values.
func ParseQuery(resourceType string, pairs []Pair) (Query, error) {
	q := Query{resourceType: resourceType}
	if !IsType(resourceType) && resourceType != "*" {
		return Query{}, &UnsupportedParam{Name: "_type", Reason: fmt.Sprintf("%q is not a resource type of FHIR R4", resourceType)}
	}
	for _, pair := range pairs {
		f, reason := parseFilter(resourceType, pair)
		if reason != "" {
			return Query{}, &UnsupportedParam{Name: pair.Name, Reason: reason}
		}
		q.filters = append(q.filters, f)
	}
	return q, nil
}

// Match reports whether the resource is one this search finds.
func (q Query) Match(r *Resource) bool {
	if q.resourceType != "*" && q.resourceType != r.typ {
		return false
	}
	for _, f := range q.filters {
		if !f.match(r) {
			return false
		}
	}
	return true
}

func (f filter) match(r *Resource) bool {
	nodes, ok := evalNodes(r, f.expression)
	if !ok {
		return false // also under :not and :missing
	}
	if f.missing != unknown {
		return len(nodes) == 0 == (f.missing == yes)
	}
	for _, n := range nodes {
		for _, t := range f.tests {
			if t(n) {
				return !f.negated
			}
		}
	}
	return f.negated
}

func parseFilter(resourceType string, pair Pair) (filter, string) {
	code, modifier, hasModifier := strings.Cut(pair.Name, ":")
	switch {
	case strings.Contains(pair.Name, "."):
		return filter{}, "chained parameters cannot be evaluated on one resource"
	case ResultParam(code):
		return filter{}, "it shapes the answer and filters nothing"
	case hasModifier && modifier == "":
		return filter{}, "the modifier is empty"
	}
	p, ok := Param(resourceType, code)
	if !ok {
		return filter{}, fmt.Sprintf("%s has no such search parameter in FHIR R4", resourceType)
	}
	if p.Expression == "" || p.Kind == KindComposite || p.Kind == KindSpecial {
		return filter{}, "it has no expression that could be evaluated on one resource"
	}
	e, err := compiled(p.Expression)
	if err != nil {
		return filter{}, err.Error()
	}
	f := filter{expression: e}
	if modifier == "missing" {
		switch pair.Value {
		case "true":
			f.missing = yes
		case "false":
			f.missing = no
		default:
			return filter{}, ":missing takes true or false"
		}
		return f, ""
	}
	if f.negated = modifier == "not" && p.Kind == KindToken; f.negated {
		modifier = ""
	}
	for _, value := range splitValue(pair.Value, ',') {
		t, reason := newTest(p, modifier, value)
		if reason != "" {
			return filter{}, reason
		}
		f.tests = append(f.tests, t)
	}
	return f, ""
}

// newTest builds the test of one value; value still holds its escapes.
func newTest(p SearchParam, modifier, value string) (test, string) {
	if value == "" {
		return nil, "a value is empty"
	}
	if !validEscapes(value) {
		return nil, `a backslash may only stand before , | $ or \`
	}
	switch p.Kind {
	case KindString:
		return stringTest(modifier, unescape(value))
	case KindReference:
		return referenceTest(p, modifier, unescape(value))
	}
	if modifier != "" {
		return nil, fmt.Sprintf("modifier :%s is not supported here", modifier)
	}
	switch p.Kind {
	case KindToken:
		return tokenTest(value)
	case KindDate:
		return dateTest(unescape(value))
	case KindNumber:
		return numberTest(unescape(value))
	case KindQuantity:
		return quantityTest(value)
	case KindURI:
		return uriTest(unescape(value))
	}
	return nil, "its kind cannot be evaluated"
}

// splitValue splits at separators that are not escaped; the parts keep their escapes.
func splitValue(s string, separator byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

func validEscapes(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			if i++; i >= len(s) || strings.IndexByte(`,|$\`, s[i]) < 0 {
				return false
			}
		}
	}
	return true
}

func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
