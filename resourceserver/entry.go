package resourceserver

import (
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// Rights are a Grant made ready for judging: one Entry per permission that means something here. Scopes only add; a letter and
// the conditions on it hold in the same entry or not at all (GW-02, GW-07). Immutable, shared between requests.
type Rights struct {
	Grant   Grant
	entries []*Entry
}

// Entry is one permission: whose data, which letters on which types, under which conditions.
type Entry struct {
	Set     Set
	once    bool
	expires time.Time
	types   map[string]*typeRight
	labels  labelRight
}

// typeRight is what an entry grants on one type. All conditions hold together.
type typeRight struct {
	letters scopes.Letters
	queries []fhir.Query
	pairs   []fhir.Pair // the queries, for pushing down to the upstream
	period  *periodRight
}

// NewRights compiles a grant. A permission with a constraint of unknown type, with a set of unknown meaning, or without the
// claims its level needs grants nothing (GW-35); so does each scope whose constraint cannot be evaluated (GW-04).
func NewRights(g Grant) *Rights {
	r := &Rights{Grant: g}
	for _, p := range g.Permissions {
		if e := newEntry(g, p); e != nil {
			r.entries = append(r.entries, e)
		}
	}
	return r
}

func newEntry(g Grant, p Permitted) *Entry {
	switch p.Set.Level {
	case LevelRecord:
		if !fhir.ValidID(p.Set.Patient) {
			return nil
		}
	case LevelPatient:
		if !fhir.ValidID(p.Set.Patient) || p.Set.User == "" {
			return nil
		}
	case LevelUser:
		if p.Set.User == "" || p.Set.Patient != "" {
			return nil
		}
	default:
		return nil
	}
	e := &Entry{Set: p.Set, expires: p.Expires, types: map[string]*typeRight{}, labels: newLabelRight()}
	var queries []string
	var periods []string
	for _, c := range p.Constraints {
		switch c.Type {
		case uma.ConstraintClient:
			if c.Value == "" || c.Value != g.ClientID {
				return nil
			}
		case uma.ConstraintOnce:
			e.once = true
		case uma.ConstraintQuery:
			queries = append(queries, c.Value)
		case uma.ConstraintPeriod:
			periods = append(periods, c.Value)
		default:
			return nil // an unknown restriction refuses the whole permission
		}
	}
	for _, s := range p.Scopes {
		e.addScope(s, queries, periods)
	}
	if len(e.types) == 0 {
		return nil
	}
	return e
}

// addScope takes one registered scope. Only the context of the set's own level counts.
func (e *Entry) addScope(text string, queries, periods []string) {
	if e.labels.add(text) {
		return
	}
	s, err := scopes.FromUMA(text, "")
	if err != nil || !e.fits(s.Context) {
		return
	}
	if known, ok := e.types[s.Type]; ok {
		known.letters |= s.Letters // the constraints are the permission's, so they are the same
		return
	}
	t := &typeRight{letters: s.Letters}
	for _, q := range queries {
		limited, err := scopes.FromUMA(text, q)
		if err != nil {
			return
		}
		compiled, err := limited.Filter(s.Type)
		if err != nil {
			return
		}
		t.queries = append(t.queries, compiled)
		t.pairs = append(t.pairs, limited.Pairs()...)
	}
	for _, value := range periods {
		p, ok := newPeriodRight(s.Type, value)
		if !ok {
			return
		}
		if p != nil {
			p.next, t.period = t.period, p
		}
	}
	e.types[s.Type] = t
}

func (e *Entry) fits(c scopes.Context) bool {
	if e.Set.Level == LevelUser {
		return c == scopes.User
	}
	return c == scopes.Patient
}

// letters are what the entry grants on a type, its conditions aside. Zero after its end.
func (e *Entry) letters(resourceType string, now time.Time) scopes.Letters {
	t := e.types[resourceType]
	if t == nil || !e.expires.IsZero() && !now.Before(e.expires) {
		return 0
	}
	return t.letters
}

// conditions reports whether the entry's own narrowing admits the resource.
func (t *typeRight) conditions(r *fhir.Resource) bool {
	for _, q := range t.queries {
		if !q.Match(r) {
			return false
		}
	}
	for p := t.period; p != nil; p = p.next {
		if !p.match(r) {
			return false
		}
	}
	return true
}

// granting lists the entries that grant one of the letters on a type.
func (r *Rights) granting(resourceType string, letters scopes.Letters, now time.Time) []*Entry {
	if !r.Grant.Expires.IsZero() && !now.Before(r.Grant.Expires) {
		return nil
	}
	var list []*Entry
	for _, e := range r.entries {
		if e.letters(resourceType, now)&letters != 0 {
			list = append(list, e)
		}
	}
	return list
}

// any lists the entries that grant one of the letters on some type.
func (r *Rights) any(letters scopes.Letters, now time.Time) []*Entry {
	var list []*Entry
	for _, e := range r.entries {
		for t := range e.types {
			if e.letters(t, now)&letters != 0 {
				list = append(list, e)
				break
			}
		}
	}
	return list
}

// periodRight is a clinical period on the dates of one type. next is a further one, which must hold too.
type periodRight struct {
	dates []datedQuery
	next  *periodRight
}

type datedQuery struct{ present, within fhir.Query }

// clinicalDates are the search parameters that say when something happened, the most telling first. The first one present on
// a resource decides.
func clinicalDates(resourceType string) []string {
	switch resourceType {
	case "Condition":
		return []string{"onset-date", "recorded-date"}
	case "MedicationRequest":
		return []string{"authoredon"}
	case "MedicationStatement":
		return []string{"effective"}
	case "MedicationAdministration":
		return []string{"effective-time"}
	case "MedicationDispense":
		return []string{"whenhandedover", "whenprepared"}
	case "ServiceRequest":
		return []string{"occurrence", "authored"}
	case "Goal":
		return []string{"start-date"}
	case "Claim", "ExplanationOfBenefit", "Media", "ClaimResponse", "CoverageEligibilityRequest":
		return []string{"created"}
	case "ImagingStudy":
		return []string{"started"}
	case "Specimen":
		return []string{"collected"}
	case "QuestionnaireResponse", "SupplyRequest":
		return []string{"authored"}
	}
	return []string{"date"}
}

// newPeriodRight reads START/END. Types in which nothing happens at a time (who somebody is, directories, definitions) are
// not narrowed by a period: nil. A type with events but without a date to judge by grants nothing: false.
func newPeriodRight(resourceType, value string) (*periodRight, bool) {
	start, end, ok := strings.Cut(value, "/")
	if !ok || start == "" && end == "" || !dateText(start) || !dateText(end) {
		return nil, false
	}
	switch class := fhir.ClassOf(resourceType); {
	case resourceType == "Patient" || class == fhir.ClassDirectory || class == fhir.ClassDefinitional:
		return nil, true
	}
	p := &periodRight{}
	for _, code := range clinicalDates(resourceType) {
		present, err := fhir.ParseQuery(resourceType, []fhir.Pair{{Name: code + ":missing", Value: "false"}})
		if err != nil {
			continue
		}
		var limits []fhir.Pair
		if start != "" {
			limits = append(limits, fhir.Pair{Name: code, Value: "ge" + start})
		}
		if end != "" {
			limits = append(limits, fhir.Pair{Name: code, Value: "le" + end})
		}
		within, err := fhir.ParseQuery(resourceType, limits)
		if err != nil {
			return nil, false
		}
		p.dates = append(p.dates, datedQuery{present, within})
	}
	return p, len(p.dates) > 0
}

func dateText(s string) bool {
	if s == "" {
		return true
	}
	_, err := time.Parse("2006-01-02", s)
	return err == nil
}

func (p *periodRight) match(r *fhir.Resource) bool {
	for _, d := range p.dates {
		if d.present.Match(r) {
			return d.within.Match(r)
		}
	}
	return false
}
