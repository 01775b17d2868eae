package fhir

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
)

// node is one item of a collection. typ is the FHIR type where the document tells it (resource, choice element, literal);
// name is the element it came from, which decides whether a member may be a choice element.
type node struct {
	value any
	typ   string
	name  string
}

// maxNodes bounds what one evaluation may select. Expressions of R4's search parameters stay far below it on any body;
// resolve().x on many references to one resource would multiply.
const maxNodes = 1 << 20

// evalContext belongs to one evaluation.
type evalContext struct {
	resource  *Resource
	contained map[string]map[string]any // by id, built at the first resolve()
	spent     int
}

// spend counts selected nodes; false stops the evaluation, whose result is then no result.
func (c *evalContext) spend(n int) bool {
	c.spent += n
	return !c.exceeded()
}

func (c *evalContext) exceeded() bool { return c.spent > maxNodes }

func (c *evalContext) containedByID(id string) map[string]any {
	if c.contained == nil {
		c.contained = map[string]map[string]any{}
		list, _ := c.resource.tree["contained"].([]any)
		for _, entry := range list {
			m, _ := entry.(map[string]any)
			if id, _ := m["id"].(string); id != "" && c.contained[id] == nil {
				c.contained[id] = m
			}
		}
	}
	return c.contained[id]
}

func jsonNumber(s string) json.Number { return json.Number(s) }

// Eval evaluates an expression of the FHIRPath subset on a resource and gives the selected values as decoded JSON.
// resolve() never leaves the resource: it finds contained resources, and of other references it knows the type only, given
// as map{"reference": …}. The error is about the expression, or says that it selects too much here.
func Eval(r *Resource, expression string) ([]any, error) {
	e, err := compiled(expression)
	if err != nil {
		return nil, fmt.Errorf("expression %.80q: %w", expression, err)
	}
	nodes, ok := evalNodes(r, e)
	if !ok {
		return nil, fmt.Errorf("expression %.80q selects more than %d nodes", expression, maxNodes)
	}
	values := make([]any, 0, len(nodes))
	for _, n := range nodes {
		values = append(values, n.value)
	}
	return values, nil
}

// evalNodes evaluates from the resource; false when the evaluation was stopped, and nothing may be concluded.
func evalNodes(r *Resource, e expr) ([]node, bool) {
	c := &evalContext{resource: r}
	list := e.eval(c, []node{{value: r.tree, typ: r.typ, name: r.typ}})
	if c.exceeded() {
		return nil, false
	}
	return list, true
}

// expressions caches compiled expressions; entries are immutable. It stops growing at maxCompiled, so that expressions from
// outside cannot fill the memory.
var expressions struct {
	sync.Map
	count atomic.Int64
}

const maxCompiled = 4096

func compiled(expression string) (expr, error) {
	if e, ok := expressions.Load(expression); ok {
		return e.(expr), nil
	}
	e, err := compilePath(expression)
	if err != nil {
		return nil, err
	}
	if expressions.count.Load() < maxCompiled {
		if _, had := expressions.LoadOrStore(expression, e); !had {
			expressions.count.Add(1)
		}
	}
	return e, nil
}

type focusExpr struct{}

func (focusExpr) eval(_ *evalContext, focus []node) []node { return focus }

type literalExpr struct{ value node }

func (e literalExpr) eval(*evalContext, []node) []node { return []node{e.value} }

type memberExpr struct {
	on    expr
	name  string
	first bool
}

func (e memberExpr) eval(c *evalContext, focus []node) []node {
	var out []node
	for _, n := range e.on.eval(c, focus) {
		m, ok := n.value.(map[string]any)
		if !ok {
			continue
		}
		// A path may start with the type of the focus (FHIRPath §3.2); with any other type it selects nothing.
		if e.first && e.name[0] >= 'A' && e.name[0] <= 'Z' {
			if n.typ == e.name || (e.name == "Resource" || e.name == "DomainResource") && IsType(n.typ) {
				out = append(out, n)
			}
			continue
		}
		before := len(out)
		out = appendMember(out, n, m, e.name)
		if !c.spend(len(out) - before) {
			return nil
		}
	}
	return out
}

func appendMember(out []node, parent node, m map[string]any, name string) []node {
	if v, ok := m[name]; ok {
		return appendValues(out, v, "", name)
	}
	for _, typ := range choiceTypes(parent.name, name, m) {
		out = appendValues(out, m[name+upperFirst(typ)], typ, name)
	}
	return out
}

func appendValues(out []node, v any, typ, name string) []node {
	switch v := v.(type) {
	case nil:
		return out
	case []any:
		for _, entry := range v {
			if entry != nil {
				out = append(out, newNode(entry, typ, name))
			}
		}
		return out
	default:
		return append(out, newNode(v, typ, name))
	}
}

func newNode(v any, typ, name string) node {
	if m, ok := v.(map[string]any); ok && typ == "" {
		if t, _ := m["resourceType"].(string); IsType(t) {
			return node{v, t, t}
		}
	}
	return node{v, typ, name}
}

type indexExpr struct {
	on expr
	n  int
}

func (e indexExpr) eval(c *evalContext, focus []node) []node {
	if list := e.on.eval(c, focus); e.n < len(list) {
		return list[e.n : e.n+1]
	}
	return nil
}

type unionExpr struct{ left, right expr }

// eval joins both sides, each value once (FHIRPath §6.5.1). Keys make it linear: a body must not buy quadratic time.
func (e unionExpr) eval(c *evalContext, focus []node) []node {
	left, right := e.left.eval(c, focus), e.right.eval(c, focus)
	if len(left) == 0 {
		return right
	}
	if len(right) == 0 {
		return left
	}
	seen := make(map[string]bool, len(left)+len(right))
	out := make([]node, 0, len(left)+len(right))
	for _, list := range [][]node{left, right} {
		for _, n := range list {
			if key := nodeKey(n.value); !seen[key] {
				seen[key] = true
				out = append(out, n)
			}
		}
	}
	return out
}

// nodeKey is a text that equal values share: JSON has no other form of a decoded value, as Marshal sorts the members.
func nodeKey(v any) string {
	if text, ok := v.(string); ok {
		return "\"" + text
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}
