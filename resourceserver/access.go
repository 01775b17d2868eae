package resourceserver

import (
	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// Access is one FHIR request in the judge's words. The classifier makes it from the request alone; nothing deeper sees an
// HTTP request again.
type Access struct {
	Interaction fhir.Interaction
	Head        bool   // HEAD: as a read, without a body
	Type        string // "" for system-level interactions
	ID          string
	Version     string
	Compartment string // patient of a compartment search, Patient/{id}/Type
	Operation   string // "everything"
	Page        string // handle of a continuation (GW-11)

	Search  Search         // searches, and the criteria of conditional interactions
	History HistoryParams  // histories
	Body    *fhir.Resource // create, update
	Patch   []byte         // JSON Patch document
	Bundle  *BundleRequest // batch, transaction

	Conditional bool // update, patch, delete by criteria (GW-28); create with If-None-Exist (GW-27)
	IfMatch     string
	IfNoneMatch string
	Prefer      Prefer

	// Needs are the rights without which the access cannot succeed, all of them (gateway_rules (a), table).
	Needs []Need
}

// Need is one right: a type and letters. With Any one of the letters suffices.
type Need struct {
	Type    string
	Letters scopes.Letters
	Any     bool
}

// Prefer is what is honoured of the header (GW-48).
type Prefer struct {
	Return string // "minimal", "representation", "OperationOutcome", ""
	Strict bool   // handling=strict
}

// Search is a search with its parameters sorted by what they do.
type Search struct {
	Filters    []fhir.Pair // parameters of the own type, in order: judged and sent upstream
	Includes   []Include
	Sort       string
	Count      int // rows per page
	CountOnly  bool
	Elements   []string    // projection, applied after judging (GW-43)
	DropText   bool        // _summary=data
	Everything []fhir.Pair // parameters of $everything
	Dropped    []string    // unknown parameters, left out of a lenient search (GW-12)
}

// Include is one _include or _revinclude. Targets are the types that may arrive by it.
type Include struct {
	Reverse bool
	Iterate bool
	Source  string
	Param   string
	Target  string // "" any
	Targets []string
}

// HistoryParams are the parameters a history takes (GW-14), nothing else.
type HistoryParams struct {
	Since, At string
	Count     int
}

// BundleRequest is a batch or a transaction, each entry classified like a request of its own (GW-26).
type BundleRequest struct {
	Atomic  bool
	Entries []BundleEntry
}

// BundleEntry is one entry. Err is set where it cannot be served; in a transaction that refuses the whole.
type BundleEntry struct {
	FullURL string
	Access  *Access
	Err     *Refusal
}

// Refusal is an answer the classifier gives by itself: the request is malformed or nothing this server offers. It is the
// same for every caller (R7 of GW-37).
type Refusal struct {
	Status int
	Code   string // issue type
	Text   string
	Allow  string // with 405
}

func (r *Refusal) Error() string { return r.Text }

// asked are the scopes a client would need for the access, in the words of a resource set's level.
func (a *Access) asked(level Level) []scopes.Scope {
	context := scopes.Context("patient")
	if level == LevelUser {
		context = "user"
	}
	var list []scopes.Scope
	for _, n := range a.Needs {
		if n.Type == "" {
			continue
		}
		letters := n.Letters
		if n.Any {
			letters &= scopes.Read | scopes.Search
		}
		list = append(list, scopes.Scope{Context: context, Type: n.Type, Letters: letters})
	}
	return list
}

// namedPatient is the patient that follows from the request line itself, "" where none does: the instance, the compartment,
// or a single value of a parameter that names whose record it is. It chooses whom a ticket is asked of; it never grants
// anything (GW-13).
func (a *Access) namedPatient() string {
	switch {
	case a.Compartment != "":
		return a.Compartment
	case a.Type == "Patient" && a.ID != "":
		return a.ID
	}
	for _, p := range a.Search.Filters {
		if id := patientOfParam(a.Type, p); id != "" {
			return id
		}
	}
	return ""
}

func patientOfParam(resourceType string, p fhir.Pair) string {
	switch p.Name {
	case "_id":
		if resourceType == "Patient" && fhir.ValidID(p.Value) {
			return p.Value
		}
		return ""
	case "patient", "patient:Patient", "subject:Patient", "beneficiary", "individual", "subject", "subscriber":
	default:
		return ""
	}
	ref, ok := fhir.ParseReference(p.Value)
	if ok && ref.Local() && ref.Type == "Patient" {
		return ref.ID
	}
	if (p.Name == "patient" || p.Name == "patient:Patient" || p.Name == "subject:Patient") && fhir.ValidID(p.Value) {
		return p.Value
	}
	return ""
}
