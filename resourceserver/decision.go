package resourceserver

import (
	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// Decision is what the judge says about one access. It is a closed sum: Permit, Deny, NeedTicket or NeedOverride. A nil
// Decision denies.
type Decision interface{ decision() }

// Permit lets the access go on to the upstream. Whatever comes back still passes Filter.
type Permit struct {
	Filter Filter
	// Spend says that the permit rests on a single-use grant, which must be consumed at its authorization server before the
	// upstream is touched (decisions 8).
	Spend bool
}

// Deny refuses; Row says how the refusal looks (GW-37).
type Deny struct {
	Row    Row
	Reason string // for the log and the owner's history, from the fixed list of audit.md AU-06; never for the client
	Asked  []scopes.Scope
}

// NeedTicket refuses in a way another grant could cure. Row says how the refusal looks where a ticket is not this token's
// currency (decisions 5).
type NeedTicket struct {
	Row     Row
	Reason  string
	Patient string // whose authorization server is asked; "" with no Set: the decoy (decisions 6)
	Set     *Set   // a set of the token that only lacks scopes
	Asked   []scopes.Scope
}

// NeedOverride refuses until the user has authorized this very call (flows.md B).
type NeedOverride struct {
	Rules  []string // URIs of the rules that fired
	Degree string
}

func (Permit) decision()       {}
func (Deny) decision()         {}
func (NeedTicket) decision()   {}
func (NeedOverride) decision() {}

// Row is a row of the response table (GW-37).
type Row int

// The rows. The zero value is answered like RowScope: a refusal without detail.
const (
	RowUnset       Row = iota
	RowToken           // R1: token missing or not active
	RowScope           // R2: no entry covers interaction × type
	RowHidden          // R3: instance hidden, or absent
	RowNone            // R4: none of the named patient is covered
	RowContext         // R5: the written body leaves the context
	RowReference       // R6: a reference in the body is hidden or unknown
	RowPrecond         // R6: a condition has none or several visible matches, or the version differs
	RowUnreachable     // R8: the authorization server does not answer
)

// Filter says which rows of an answer may be shown. It is a sum of none, all and an expression; the zero value is none, and
// an empty expression is none (GW-36).
type Filter struct {
	kind    filterKind
	entries []*Entry
	letters scopes.Letters
}

type filterKind uint8

const (
	filterNone filterKind = iota
	filterAll
	filterExpr
)

// FilterAll shows every row. It is for APIs whose decision is complete before the upstream is asked; the judge of FHIR never
// gives it.
func FilterAll() Filter { return Filter{kind: filterAll} }

// filterOf shows what one of the entries permits with one of the letters.
func filterOf(letters scopes.Letters, entries []*Entry) Filter {
	if len(entries) == 0 || letters == 0 {
		return Filter{}
	}
	return Filter{kind: filterExpr, entries: entries, letters: letters}
}

// None reports whether nothing can pass.
func (f Filter) None() bool { return f.kind == filterNone }

// All reports whether everything passes unseen.
func (f Filter) All() bool { return f.kind == filterAll }

// Shown is a version of a resource that may be shown.
type Shown struct {
	Resource *fhir.Resource // redacted where a part of it may not be shown (GW-25, LB-14)
	By       *Entry         // what permitted it
	Patients []string       // whose record it is
}
