package umaas

import "github.com/umaas/umaas/umaas/uma"

// ScopeLanguage is all that the core needs to know of scope strings. The SMART one is injected; the plain one compares
// bytes. Implementations are pure.
type ScopeLanguage interface {
	// Intersect gives what both sides allow, as permissions on the asked scopes: never wider than either side. A zero
	// result means nothing in common.
	Intersect(asked, given Right) []Right
	// Covers reports whether given allows all of asked.
	Covers(given []Right, asked Right) bool
	// Describe puts a right into plain words, grouped for a page.
	Describe(rights []Right, language string) []Item
	// Translate turns a scope string of the OAuth door into (level, rights) of registered sets; ok is false for strings
	// that are no resource scopes.
	Translate(scope string, registered []string) (level string, right Right, ok bool)
	// Print is the reverse: rights on sets of a level as scope strings in their shortest form.
	Print(rights []Right) []string
}

// Right is a set of scopes under one set of constraints.
type Right struct {
	Scopes      []string
	Constraints []uma.Constraint
}

// Item is one line a person can tick: a known set of rights behind plain words. Forms post Item.ID, never scopes (TX-05).
type Item struct {
	ID        string // stable for the same rights
	Block     string // "see", "add", "change", "delete"
	Group     string // "medicines", "results", …
	Words     string // "See your allergies"
	Long      string
	Remark    string
	Technical string // the scopes, for the third layer
	Sensitive bool
	Fallback  bool // no better words exist
	Rights    []Right
}
