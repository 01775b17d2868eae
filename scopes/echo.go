package scopes

import "strings"

// Answer prints granted for a client that asked with the list asked: the version 1 strings it used are returned where they
// are granted in full, the rest in shortest version 2 form (permission-v1). Strings of other kinds are left out.
func (a Set) Answer(asked string) string {
	var texts []string
	var told Set
	for text := range strings.SplitSeq(asked, " ") {
		scope, err := Parse(text)
		if err != nil {
			continue
		}
		name, ok := scope.Version1()
		if ok && text == name && a.Covers(scope) && !told.Covers(scope) {
			texts = append(texts, text)
			told = append(told, scope)
		}
	}
	var rest Set
	for _, s := range a.shortest() {
		missing := Letters(0)
		for _, letter := range s.Letters.each() {
			if !told.Covers(Scope{s.Context, s.Type, letter, s.Query}) {
				missing |= letter
			}
		}
		if missing != 0 {
			rest = append(rest, Scope{s.Context, s.Type, missing, s.Query})
		}
	}
	if text := rest.String(); text != "" {
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}
