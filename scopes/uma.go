package scopes

import (
	"fmt"
	"slices"
)

// UMA gives the registered scopes a SMART scope stands for, one letter each in the order of types and "cruds", and its
// query, which becomes a constraint of the permission. "*" expands over types, without the ones it leaves out (GW-01); a
// named type must be among types, else there is no registered scope for it and the list is empty.
func (s Scope) UMA(types []string) (letters []string, query string) {
	names := []string{s.Type}
	if s.Type == AnyType {
		names = types
	} else if !slices.Contains(types, s.Type) {
		return nil, s.Query
	}
	for _, typ := range names {
		if typ == AnyType {
			continue
		}
		for _, letter := range s.on(s.Context, typ).each() {
			letters = append(letters, Scope{Context: s.Context, Type: typ, Letters: letter}.String())
		}
	}
	return letters, s.Query
}

// FromUMA gives the scope of one registered letter under a query constraint ("" for none). Anything but exactly
// context/Type.letter is an error.
func FromUMA(scope string, query string) (Scope, error) {
	s, err := Parse(scope)
	if err != nil {
		return Scope{}, err
	}
	if s.String() != scope || s.Query != "" || s.Type == AnyType || len(s.Letters.each()) != 1 || s.Context == System {
		return Scope{}, fmt.Errorf("scope %q: a registered scope is patient/Type or user/Type, a dot and one letter of cruds", scope)
	}
	if query == "" {
		return s, nil
	}
	if s.Query, err = canonicalQuery(s.Type, query); err != nil {
		return Scope{}, fmt.Errorf("scope %q, query %q: %w", scope, query, err)
	}
	return s, nil
}

// Registered gives the finite list of scopes that a resource set of a level registers: every type with every letter. Other
// levels than patient and user register none.
func Registered(level Context, types []string) []string {
	if level != Patient && level != User {
		return nil
	}
	list := make([]string, 0, len(types)*len(letterOrder))
	for _, typ := range types {
		for _, letter := range AllLetters.each() {
			list = append(list, Scope{Context: level, Type: typ, Letters: letter}.String())
		}
	}
	return list
}
