package fhirview

import (
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas"
)

// denied is what a deny takes out of a permit: kinds of information, with these actions or, without any, with all.
type denied struct {
	types   []string
	letters string
}

// denies reads the exceptions within a permit: kinds of information, which are left out of it. Exceptions by label or code refuse:
// no resource server of ours could keep them out of an answer.
func (r reader) denies(n node) ([]denied, error) {
	all, err := n.list("provision")
	if err != nil {
		return nil, err
	}
	var out []denied
	for _, d := range all {
		if d.m["type"] != "deny" {
			return nil, refuse(d.at("type"), "want deny within a permit")
		}
		if err := d.only("type", "class", "action"); err != nil {
			return nil, err
		}
		classes, err := d.codings("class")
		if err != nil {
			return nil, err
		}
		if classes == nil {
			return nil, refuse(d.at("class"), "say which kinds of information are left out")
		}
		taken := denied{}
		for _, c := range classes {
			if c.system != systemTypes {
				return nil, refuse(d.at("class"), "want codes of "+systemTypes)
			}
			taken.types = append(taken.types, c.code)
		}
		if taken.letters, _, err = letters(d); err != nil {
			return nil, err
		}
		out = append(out, taken)
	}
	return out, nil
}

// letters reads actions. exact is false for FHIR's own words, which mean those of several interactions that a record has.
func letters(n node) (out string, exact bool, err error) {
	all, err := n.concepts("action")
	if err != nil {
		return "", false, err
	}
	exact = true
	for _, t := range all {
		switch {
		case t.system == systemRESTful && letterOf(t.code) != "":
			out += letterOf(t.code)
		case t == token{systemAction, "access"}:
			out, exact = out+"rs", false
		case t == token{systemAction, "correct"}:
			out += "u"
		default:
			return "", false, refuse(n.at("action"), "want read, search-type, create, update or delete of "+systemRESTful)
		}
	}
	return out, exact, nil
}

// scopes are the registered scopes of one record that a permit means.
func (r reader) scopes(n node, set umaas.Resource, taken []denied) ([]string, error) {
	classes, err := n.codings("class")
	if err != nil {
		return nil, err
	}
	actions, exact, err := letters(n)
	if err != nil {
		return nil, err
	}
	registered := set.Description.Scopes
	var types, out []string
	for _, c := range classes {
		switch {
		case c.system == systemTypes:
			types = append(types, c.code)
		case c.system == systemOwnScope && slices.Contains(registered, c.code):
			out = append(out, c.code)
		default:
			return nil, refuse(n.at("class"), "want kinds of information of "+systemTypes+" that this record has")
		}
	}
	if classes == nil { // FHIR: without class every kind
		for _, s := range registered {
			if t, _, ok := kind(s); ok && !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
		exact = false
	}
	if (len(types) > 0) != (actions != "") {
		return nil, refuse(n.at("action"), "say what may be done with which kinds of information")
	}
	for _, t := range types {
		found, err := typed(n, registered, t, actions, exact)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if !takes(taken, s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		if classes != nil && len(found) == 0 {
			return nil, refuse(n.at("class"), "this record has nothing to share of that kind")
		}
	}
	return out, nil
}

func typed(n node, registered []string, typ, actions string, exact bool) ([]string, error) {
	var out []string
	for _, l := range strings.Split(actions, "") {
		found := registeredFor(registered, typ, l)
		switch {
		case len(found) > 1:
			return nil, refuse(n.at("class"), "is ambiguous on this record")
		case len(found) == 0 && exact:
			return nil, refuse(n.at("action"), "this record has no such action for that kind")
		}
		out = append(out, found...)
	}
	return out, nil
}

func takes(list []denied, scope string) bool {
	typ, letter, _ := kind(scope)
	return slices.ContainsFunc(list, func(d denied) bool {
		return slices.Contains(d.types, typ) && (d.letters == "" || strings.Contains(d.letters, letter))
	})
}
