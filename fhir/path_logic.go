package fhir

import (
	"encoding/json"
	"maps"
	"slices"
)

// answer is FHIRPath's three-valued truth; the zero value is "empty", which never grants.
type answer int

const (
	unknown answer = iota
	yes
	no
)

func boolean(b bool) []node { return []node{{value: b, typ: "boolean"}} }

// truth reads a collection as a condition: a single boolean is itself, a single other item is true (FHIRPath §5.5
// singleton evaluation), anything else is unknown.
func truth(list []node) answer {
	if len(list) != 1 {
		return unknown
	}
	if b, ok := list[0].value.(bool); ok && !b {
		return no
	}
	return yes
}

func (a answer) nodes() []node {
	switch a {
	case yes:
		return boolean(true)
	case no:
		return boolean(false)
	default:
		return nil
	}
}

type logicExpr struct {
	left, right expr
	or          bool
}

func (e logicExpr) eval(c *evalContext, focus []node) []node {
	decisive, other := no, yes
	if e.or {
		decisive, other = yes, no
	}
	a, b := truth(e.left.eval(c, focus)), truth(e.right.eval(c, focus))
	switch {
	case a == decisive || b == decisive:
		return decisive.nodes()
	case a == other && b == other:
		return other.nodes()
	}
	return nil
}

type notExpr struct{ on expr }

func (e notExpr) eval(c *evalContext, focus []node) []node {
	switch truth(e.on.eval(c, focus)) {
	case yes:
		return boolean(false)
	case no:
		return boolean(true)
	}
	return nil
}

type equalExpr struct {
	left, right expr
	negated     bool
}

func (e equalExpr) eval(c *evalContext, focus []node) []node {
	left, right := e.left.eval(c, focus), e.right.eval(c, focus)
	if len(left) == 0 || len(right) == 0 {
		return nil
	}
	same := slices.EqualFunc(left, right, func(a, b node) bool { return equalValues(a.value, b.value) })
	return boolean(same != e.negated)
}

func equalValues(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, okX := parseDecimal(string(a))
		y, okY := parseDecimal(string(b))
		return a == b || okX && okY && x.value.Cmp(y.value) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalValues)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalValues)
	default:
		switch b.(type) {
		case []any, map[string]any:
			return false
		}
		return a == b
	}
}

// hasType answers is, as and ofType. Where the document names the type (a resource, value[x]) that name decides; a bare
// element of unknown type is matched by the shape that T has in JSON.
func hasType(n node, typ string) bool {
	if n.typ == typ {
		return true
	}
	if n.typ != "" {
		return (typ == "Resource" || typ == "DomainResource") && IsType(n.typ)
	}
	if IsType(typ) || typ == "Resource" || typ == "DomainResource" {
		return false
	}
	switch v := n.value.(type) {
	case bool:
		return typ == "boolean"
	case json.Number:
		return typ == "decimal" || typ == "integer" || typ == "positiveInt" || typ == "unsignedInt"
	case string:
		return typ[0] >= 'a' && typ != "boolean" && typ != "decimal" && typ != "integer"
	case map[string]any:
		if typ == "Reference" {
			_, literal := v["reference"]
			_, logical := v["identifier"]
			return literal || logical
		}
		return typ[0] >= 'A' && typ[0] <= 'Z'
	}
	return false
}
