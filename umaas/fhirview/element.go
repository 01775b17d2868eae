package fhirview

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas"
)

// Bounds of what is read.
const (
	maxBytes = 1 << 20
	maxDepth = 32
	maxList  = 1000
)

// node is one object of a resource with its path. Every member it has must be asked for.
type node struct {
	path string
	m    map[string]any
}

// refuse names the element that is not understood.
func refuse(path, text string) error { return fmt.Errorf("%w: %s: %s", umaas.ErrBadAnswer, path, text) }

// parse reads one JSON object strictly: UTF-8, no member twice, nothing after it.
func parse(raw []byte) (node, error) {
	if len(raw) > maxBytes || !utf8.Valid(raw) {
		return node{}, refuse("the body", "want one JSON object in UTF-8 of at most 1 MiB")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return node{}, refuse("the body", err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, refuse("the body", "more than one JSON value")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return node{}, refuse("the body", "want a JSON object")
	}
	name, _ := m["resourceType"].(string)
	if name != "Consent" && name != "Bundle" {
		return node{}, refuse("resourceType", "want Consent or Bundle")
	}
	return node{name, m}, nil
}

var errJSON = errors.New("is not well-formed JSON")

func value(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("is nested too deep")
	}
	t, err := d.Token()
	if err != nil {
		return nil, errJSON
	}
	switch t {
	case json.Delim('{'):
		out := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, errJSON
			}
			key, _ := name.(string)
			if _, twice := out[key]; twice {
				return nil, errors.New("has a member twice")
			}
			if out[key], err = value(d, depth+1); err != nil {
				return nil, err
			}
		}
		if _, err := d.Token(); err != nil {
			return nil, errJSON
		}
		return out, nil
	case json.Delim('['):
		out := []any{}
		for d.More() {
			v, err := value(d, depth+1)
			if err != nil {
				return nil, err
			}
			if out = append(out, v); len(out) > maxList {
				return nil, errors.New("has a list that is too long")
			}
		}
		if _, err := d.Token(); err != nil {
			return nil, errJSON
		}
		return out, nil
	}
	return t, nil
}

// only refuses members other than these.
func (n node) only(names ...string) error {
	var unknown []string
	for name := range n.m {
		if !slices.Contains(names, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return refuse(n.path+"."+readable(unknown[0]), "is not understood here")
}

// readable keeps foreign text out of messages.
func readable(name string) string {
	if len(name) > 40 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	}) {
		return "…"
	}
	return name
}

func (n node) has(name string) bool { _, ok := n.m[name]; return ok }

func (n node) at(name string) string { return n.path + "." + name }

// text is a string member; "" if absent. FHIR has no empty strings.
func (n node) text(name string) (string, error) {
	v, there := n.m[name]
	if !there {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || s == "" {
		return "", refuse(n.at(name), "want text")
	}
	return s, nil
}

// child is an object member.
func (n node) child(name string) (node, error) {
	m, ok := n.m[name].(map[string]any)
	if !ok {
		return node{}, refuse(n.at(name), "want an object")
	}
	return node{n.at(name), m}, nil
}

// list is an array of objects; nil if absent. FHIR has no empty lists.
func (n node) list(name string) ([]node, error) {
	v, there := n.m[name]
	if !there {
		return nil, nil
	}
	all, ok := v.([]any)
	if !ok || len(all) == 0 {
		return nil, refuse(n.at(name), "want a list of objects")
	}
	out := make([]node, 0, len(all))
	for i, e := range all {
		path := fmt.Sprintf("%s[%d]", n.at(name), i)
		m, ok := e.(map[string]any)
		if !ok {
			return nil, refuse(path, "want an object")
		}
		out = append(out, node{path, m})
	}
	return out, nil
}

// coding reads a Coding: both halves must be there.
func (n node) coding() (token, error) {
	if err := n.only("system", "code", "display"); err != nil {
		return token{}, err
	}
	system, err := n.text("system")
	if err != nil {
		return token{}, err
	}
	code, err := n.text("code")
	if err != nil {
		return token{}, err
	}
	if system == "" || code == "" {
		return token{}, refuse(n.path, "want system and code")
	}
	return token{system, code}, nil
}

// codings reads a list of Coding.
func (n node) codings(name string) (tokens, error) {
	all, err := n.list(name)
	if err != nil {
		return nil, err
	}
	var out tokens
	for _, c := range all {
		t, err := c.coding()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// concept reads a CodeableConcept with exactly one coding: several are several words for one thing, and which of them was
// meant would be a guess.
func (n node) concept() (token, error) {
	if err := n.only("coding", "text"); err != nil {
		return token{}, err
	}
	all, err := n.codings("coding")
	if err != nil {
		return token{}, err
	}
	if len(all) != 1 {
		return token{}, refuse(n.path, "want exactly one coding")
	}
	return all[0], nil
}

func (n node) concepts(name string) (tokens, error) {
	all, err := n.list(name)
	if err != nil {
		return nil, err
	}
	var out tokens
	for _, c := range all {
		t, err := c.concept()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// identified reads an Identifier: what it is of by system, and for claims by its type.
func (n node) identified() (system, claim, value string, err error) {
	if err = n.only("system", "value", "type", "use"); err != nil {
		return "", "", "", err
	}
	if n.has("use") {
		return "", "", "", refuse(n.at("use"), "is not understood here")
	}
	if system, err = n.text("system"); err != nil {
		return "", "", "", err
	}
	if value, err = n.text("value"); err != nil {
		return "", "", "", err
	}
	if system == "" || value == "" {
		return "", "", "", refuse(n.path, "want system and value")
	}
	if !n.has("type") {
		return system, "", value, nil
	}
	typ, err := n.child("type")
	if err != nil {
		return "", "", "", err
	}
	t, err := typ.concept()
	if err != nil {
		return "", "", "", err
	}
	if t.system != systemClaim {
		return "", "", "", refuse(typ.path, "is not understood here")
	}
	return system, t.code, value, nil
}
