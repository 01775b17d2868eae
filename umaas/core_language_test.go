package umaas_test

import (
	"slices"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// bytesLanguage is the plainest scope language: equal bytes, all constraints of both sides.
type bytesLanguage struct{}

func (bytesLanguage) Intersect(asked, given umaas.Right) []umaas.Right {
	var scopes []string
	for _, s := range asked.Scopes {
		if slices.Contains(given.Scopes, s) {
			scopes = append(scopes, s)
		}
	}
	if len(scopes) == 0 {
		return nil
	}
	return []umaas.Right{{Scopes: scopes, Constraints: slices.Concat(asked.Constraints, given.Constraints)}}
}

func (bytesLanguage) Covers(given []umaas.Right, asked umaas.Right) bool {
	for _, s := range asked.Scopes {
		if !slices.ContainsFunc(given, func(g umaas.Right) bool {
			return slices.Contains(g.Scopes, s) && !slices.ContainsFunc(g.Constraints, func(c uma.Constraint) bool {
				return !slices.Contains(asked.Constraints, c)
			})
		}) {
			return false
		}
	}
	return true
}

func (bytesLanguage) Describe(rights []umaas.Right, _ string) []umaas.Item {
	var out []umaas.Item
	for _, r := range rights {
		for _, s := range r.Scopes {
			id := s
			for _, c := range r.Constraints {
				id += "(" + c.Type + c.Value + ")"
			}
			if !slices.ContainsFunc(out, func(i umaas.Item) bool { return i.ID == id }) {
				out = append(out, umaas.Item{ID: id, Words: "Use " + id, Technical: id, Rights: []umaas.Right{{Scopes: []string{s}, Constraints: r.Constraints}}})
			}
		}
	}
	return out
}

func (bytesLanguage) Translate(string, []string) (string, umaas.Right, bool) {
	return "", umaas.Right{}, false
}

func (bytesLanguage) Print(rights []umaas.Right) []string {
	var out []string
	for _, r := range rights {
		out = append(out, r.Scopes...)
	}
	return out
}
