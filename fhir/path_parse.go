package fhir

import (
	"fmt"
	"strconv"
)

// Limits of one expression: longest text and deepest nesting.
const (
	maxExpression      = 16 << 10
	maxExpressionDepth = 40
)

// expr is one node of a compiled expression. eval gets the focus ($this) and yields a collection; it never changes
// shared state.
type expr interface {
	eval(c *evalContext, focus []node) []node
}

type pathParser struct {
	tokens []pathToken
	pos    int
	depth  int
}

// compilePath parses the FHIRPath subset: everything R4's search parameters use, and for override rules empty(), not(),
// and, or, = (precedence as in FHIRPath N1 §8).
func compilePath(expression string) (expr, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("FHIRPath: longer than %d bytes", maxExpression)
	}
	tokens, err := lexPath(expression)
	if err != nil {
		return nil, err
	}
	p := &pathParser{tokens: tokens}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, fmt.Errorf("FHIRPath, byte %d: unexpected %q", t.at, t.text)
	}
	return e, nil
}

func (p *pathParser) peek() pathToken { return p.tokens[p.pos] }

func (p *pathParser) next() pathToken {
	t := p.tokens[p.pos]
	if t.kind != tokenEnd {
		p.pos++
	}
	return t
}

func (p *pathParser) symbol(s string) bool {
	if t := p.peek(); t.kind == tokenSymbol && t.text == s {
		p.pos++
		return true
	}
	return false
}

func (p *pathParser) keyword(s string) bool {
	if t := p.peek(); t.kind == tokenName && t.text == s {
		p.pos++
		return true
	}
	return false
}

func (p *pathParser) expect(s string) error {
	if !p.symbol(s) {
		t := p.peek()
		return fmt.Errorf("FHIRPath, byte %d: %q is expected, not %q", t.at, s, t.text)
	}
	return nil
}

func (p *pathParser) or() (expr, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxExpressionDepth {
		return nil, fmt.Errorf("FHIRPath: nested deeper than %d levels", maxExpressionDepth)
	}
	left, err := p.and()
	for err == nil && p.keyword("or") {
		var right expr
		right, err = p.and()
		left = logicExpr{left, right, true}
	}
	return left, err
}

func (p *pathParser) and() (expr, error) {
	left, err := p.equality()
	for err == nil && p.keyword("and") {
		var right expr
		right, err = p.equality()
		left = logicExpr{left, right, false}
	}
	return left, err
}

func (p *pathParser) equality() (expr, error) {
	left, err := p.union()
	for err == nil {
		negated := p.symbol("!=")
		if !negated && !p.symbol("=") {
			break
		}
		var right expr
		right, err = p.union()
		left = equalExpr{left, right, negated}
	}
	return left, err
}

func (p *pathParser) union() (expr, error) {
	left, err := p.typed()
	for err == nil && p.symbol("|") {
		var right expr
		right, err = p.typed()
		left = unionExpr{left, right}
	}
	return left, err
}

func (p *pathParser) typed() (expr, error) {
	left, err := p.path()
	for err == nil {
		is := p.keyword("is")
		if !is && !p.keyword("as") {
			break
		}
		var name string
		name, err = p.typeName()
		left = typeExpr{left, name, is}
	}
	return left, err
}

// typeName reads T, FHIR.T or System.T.
func (p *pathParser) typeName() (string, error) {
	t := p.next()
	if t.kind == tokenName && (t.text == "FHIR" || t.text == "System") && p.symbol(".") {
		t = p.next()
	}
	if t.kind != tokenName {
		return "", fmt.Errorf("FHIRPath, byte %d: a type name is expected", t.at)
	}
	return t.text, nil
}

func (p *pathParser) path() (expr, error) {
	e, err := p.term()
	for err == nil {
		switch {
		case p.symbol("."):
			e, err = p.step(e, false)
		case p.symbol("["):
			t := p.next()
			n, bad := strconv.Atoi(t.text)
			if t.kind != tokenNumber || bad != nil {
				return nil, fmt.Errorf("FHIRPath, byte %d: an index must be a whole number", t.at)
			}
			e, err = indexExpr{e, n}, p.expect("]")
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *pathParser) term() (expr, error) {
	switch t := p.peek(); {
	case p.symbol("("):
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case t.kind == tokenString:
		p.pos++
		return literalExpr{node{value: t.text, typ: "string"}}, nil
	case t.kind == tokenNumber:
		p.pos++
		return literalExpr{node{value: jsonNumber(t.text), typ: "decimal"}}, nil
	case t.kind == tokenName && (t.text == "true" || t.text == "false"):
		p.pos++
		return literalExpr{node{value: t.text == "true", typ: "boolean"}}, nil
	case t.kind == tokenName && t.text == "$this":
		p.pos++
		return focusExpr{}, nil
	case t.kind == tokenName:
		return p.step(focusExpr{}, true)
	default:
		return nil, fmt.Errorf("FHIRPath, byte %d: unexpected %q", t.at, t.text)
	}
}

// step reads one name after "." (or at the start of a path): a function call or a member.
func (p *pathParser) step(on expr, first bool) (expr, error) {
	t := p.next()
	if t.kind != tokenName || t.text[:1] == "$" {
		return nil, fmt.Errorf("FHIRPath, byte %d: a name is expected", t.at)
	}
	if !p.symbol("(") {
		return memberExpr{on: on, name: t.text, first: first}, nil
	}
	return p.call(on, t)
}

func (p *pathParser) call(on expr, name pathToken) (expr, error) {
	var result expr
	var err error
	switch name.text {
	case "as", "is", "ofType":
		var typ string
		typ, err = p.typeName()
		result = typeExpr{on, typ, name.text == "is"}
	case "where":
		var criteria expr
		criteria, err = p.or()
		result = whereExpr{on, criteria}
	case "exists":
		result = existsExpr{on, false}
		if t := p.peek(); !(t.kind == tokenSymbol && t.text == ")") {
			var criteria expr
			criteria, err = p.or()
			result = existsExpr{whereExpr{on, criteria}, false}
		}
	case "empty":
		result = existsExpr{on, true}
	case "not":
		result = notExpr{on}
	case "first":
		result = indexExpr{on, 0}
	case "resolve":
		result = resolveExpr{on}
	case "extension", "hasExtension":
		t := p.next()
		if t.kind != tokenString {
			return nil, fmt.Errorf("FHIRPath, byte %d: %s() needs a quoted URL", t.at, name.text)
		}
		result = extensionExpr{on, t.text}
		if name.text == "hasExtension" {
			result = existsExpr{result, false}
		}
	default:
		return nil, fmt.Errorf("FHIRPath, byte %d: function %s() is not part of the supported subset", name.at, name.text)
	}
	if err != nil {
		return nil, err
	}
	return result, p.expect(")")
}
