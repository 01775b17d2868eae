package fhirview

import (
	"strings"

	"github.com/umaas/umaas/umaas/uma"
)

// limits reads what narrows a permit as constraints.
func (r reader) limits(n node) ([]uma.Constraint, error) {
	var out []uma.Constraint
	if n.has("dataPeriod") {
		p, err := n.child("dataPeriod")
		if err != nil {
			return nil, err
		}
		if err := p.only("start", "end"); err != nil {
			return nil, err
		}
		start, err := p.text("start")
		if err != nil {
			return nil, err
		}
		end, err := p.text("end")
		if err != nil {
			return nil, err
		}
		if start+end == "" || start != "" && !isDate(start) || end != "" && !isDate(end) {
			return nil, refuse(p.path, "want dates without time")
		}
		out = append(out, uma.Constraint{Type: uma.ConstraintPeriod, Value: start + "/" + end})
	}
	narrowed, err := r.queries(n)
	if err != nil {
		return nil, err
	}
	out = append(out, narrowed...)
	extensions, err := n.list("modifierExtension")
	if err != nil {
		return nil, err
	}
	for _, e := range extensions {
		if err := e.only("url", "valueString"); err != nil {
			return nil, err
		}
		text, err := e.text("valueString")
		if err != nil {
			return nil, err
		}
		typ, value, ok := strings.Cut(text, "=")
		if e.m["url"] != extensionConstraint || !ok || typ != uma.ConstraintOnce && typ != uma.ConstraintPeriod && typ != uma.ConstraintQuery {
			return nil, refuse(e.path, "is a limit this server does not know")
		}
		out = append(out, uma.Constraint{Type: typ, Value: value})
	}
	return out, nil
}

// queries reads code and securityLabel as search expressions; the values of one list are alternatives.
func (r reader) queries(n node) ([]uma.Constraint, error) {
	var out []uma.Constraint
	codes, err := n.concepts("code")
	if err != nil {
		return nil, err
	}
	labels, err := n.codings("securityLabel")
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		name, param string
		list        tokens
	}{{"code", paramCode, codes}, {"securityLabel", paramSecurity, labels}} {
		if l.list == nil {
			continue
		}
		c, ok := writeQuery(l.param, l.list)
		if !ok {
			return nil, refuse(n.at(l.name), "a system or code holds characters this server cannot search for")
		}
		out = append(out, c)
	}
	return out, nil
}
