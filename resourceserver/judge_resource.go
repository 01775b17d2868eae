package resourceserver

import (
	"context"
	"strings"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// Show judges one version of a resource: nil means hidden. The result may be redacted (GW-05, GW-25).
func (f Filter) Show(ctx context.Context, r *Rights, res *fhir.Resource, facts Facts) (*Shown, error) {
	switch f.kind {
	case filterAll:
		return &Shown{Resource: res}, nil
	case filterExpr:
		return r.visibleBy(ctx, f.entries, f.letters, res, facts, 0)
	case filterNone:
	}
	return nil, nil
}

// visible judges a version against every entry: a disjunction, in which letter and conditions hold in one entry (GW-07).
func (r *Rights) visible(ctx context.Context, letters scopes.Letters, res *fhir.Resource, f Facts, depth int) (*Shown, error) {
	return r.visibleBy(ctx, r.entries, letters, res, f, depth)
}

func (r *Rights) visibleBy(ctx context.Context, entries []*Entry, letters scopes.Letters, res *fhir.Resource, f Facts, depth int) (*Shown, error) {
	now := f.Now()
	for _, e := range entries {
		granted := e.letters(res.Type(), now) & letters
		if granted == 0 || !e.types[res.Type()].conditions(res) || !e.labels.admits(res) {
			continue
		}
		for _, letter := range eachLetter(granted) {
			c := &reach{rights: r, entry: e, letter: letter, facts: f, depth: depth}
			ok, patients, err := c.reads(ctx, res)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			shown, err := c.redact(ctx, res)
			if err != nil {
				return nil, err
			}
			if shown == nil {
				continue
			}
			return &Shown{Resource: shown, By: e, Patients: patients}, nil
		}
	}
	return nil, nil
}

func eachLetter(l scopes.Letters) []scopes.Letters {
	switch l { // the usual cases, without an allocation per row
	case scopes.Read:
		return readOnly
	case scopes.Search:
		return searchOnly
	default:
	}
	var list []scopes.Letters
	for _, one := range []scopes.Letters{scopes.Create, scopes.Read, scopes.Update, scopes.Delete, scopes.Search} {
		if l&one != 0 {
			list = append(list, one)
		}
	}
	return list
}

var (
	readOnly   = []scopes.Letters{scopes.Read}
	searchOnly = []scopes.Letters{scopes.Search}
)

// mayWrite judges a body for writing with one letter; nil means no entry permits it (GW-06).
func (r *Rights) mayWrite(ctx context.Context, letter scopes.Letters, res *fhir.Resource, f Facts) (*Shown, error) {
	now := f.Now()
	for _, e := range r.entries {
		if e.letters(res.Type(), now)&letter == 0 || !e.types[res.Type()].conditions(res) || !e.labels.admits(res) {
			continue
		}
		c := &reach{rights: r, entry: e, letter: letter, facts: f}
		ok, patients, err := c.writes(ctx, res)
		if err != nil {
			return nil, err
		}
		if ok && c.ownContained(res) {
			return &Shown{Resource: res, By: e, Patients: patients}, nil
		}
	}
	return nil, nil
}

// inContext reports whether some entry reaches a resource, whatever its type (GW-46: the type's scope is not needed).
func (r *Rights) inContext(ctx context.Context, res *fhir.Resource, f Facts) (bool, error) {
	for _, e := range r.entries {
		c := &reach{rights: r, entry: e, letter: scopes.Read, facts: f}
		if e.Set.Level != LevelRecord {
			// A user's right is by type: reading or searching the type named is what attaching to it takes.
			if ok, _, err := c.reads(ctx, res); ok || err != nil {
				return ok, err
			}
			continue
		}
		if ok, err := c.some(ctx, fhir.PatientMembership(res).Members(), res); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// redact takes out of a visible resource what may not be shown with it: contained resources of types outside the scopes
// (GW-25) and hidden targets of a Provenance (LB-14). nil hides the whole: it contains another patient's data.
func (c *reach) redact(ctx context.Context, r *fhir.Resource) (*fhir.Resource, error) {
	contained, _ := r.Map()["contained"].([]any)
	if len(contained) == 0 && r.Type() != "Provenance" {
		return r, nil
	}
	if !c.ownContained(r) {
		return nil, nil
	}
	now := c.facts.Now()
	removed := map[string]bool{}
	for _, entry := range contained {
		m, _ := entry.(map[string]any)
		typ, _ := m["resourceType"].(string)
		id, _ := m["id"].(string)
		if c.entry.letters(typ, now)&(scopes.Read|scopes.Search) == 0 {
			removed["#"+strings.TrimPrefix(id, "#")] = true
		}
	}
	hidden := map[string]bool{}
	if r.Type() == "Provenance" {
		for _, ref := range fhir.References(r) {
			if !ref.Local() || fhir.ClassOf(ref.Type) != fhir.ClassMember && fhir.ClassOf(ref.Type) != fhir.ClassByRule {
				continue
			}
			ok, _, err := c.visibleTarget(ctx, ref)
			if err != nil {
				return nil, err
			}
			if !ok {
				hidden[ref.String()] = true
			}
		}
	}
	if len(removed)+len(hidden) == 0 {
		return r, nil
	}
	return resourceOf(subset(r.Map(), removed, hidden))
}

// ownContained reports whether no contained resource speaks of a patient other than the container's own (GW-25).
func (c *reach) ownContained(r *fhir.Resource) bool {
	contained, _ := r.Map()["contained"].([]any)
	if len(contained) == 0 {
		return true
	}
	own := map[string]bool{}
	for _, p := range fhir.PatientMembership(r).All() {
		own[p] = true
	}
	for _, entry := range contained {
		inner, err := resourceOf(entry)
		if err != nil {
			return false
		}
		if inner.Type() == "Patient" {
			continue // it has no record of its own; showing it needs the letter on Patient
		}
		for _, p := range fhir.PatientMembership(inner).All() {
			if !own[p] {
				return false
			}
		}
	}
	return true
}

const (
	systemObservationValue = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	codeSubsetted          = "SUBSETTED"
)

// subset copies a resource without the contained ones removed, without references to hidden ones, and without the narrative,
// which may tell of both; SUBSETTED says so.
func subset(tree map[string]any, removed, hidden map[string]bool) map[string]any {
	out, _ := without(tree, removed, hidden).(map[string]any)
	delete(out, "text")
	if list, ok := out["contained"].([]any); ok {
		var kept []any
		for _, entry := range list {
			m, _ := entry.(map[string]any)
			id, _ := m["id"].(string)
			if !removed["#"+strings.TrimPrefix(id, "#")] {
				kept = append(kept, entry)
			}
		}
		if out["contained"] = kept; len(kept) == 0 {
			delete(out, "contained")
		}
	}
	return tagSubsetted(out)
}

func tagSubsetted(out map[string]any) map[string]any {
	meta := map[string]any{}
	if m, ok := out["meta"].(map[string]any); ok {
		for k, v := range m {
			meta[k] = v
		}
	}
	tags, _ := meta["tag"].([]any)
	meta["tag"] = append(append([]any{}, tags...), map[string]any{"system": systemObservationValue, "code": codeSubsetted})
	out["meta"] = meta
	return out
}

// subsetted reports whether a body carries the mark: writing it back would lose what was left out (GW-25).
func subsetted(r *fhir.Resource) bool {
	for _, t := range tagsOf(r) {
		if t.code == codeSubsetted {
			return true
		}
	}
	return false
}

// without copies a tree; a reference to something removed or hidden keeps its display alone.
func without(v any, removed, hidden map[string]bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		text, isRef := v["reference"].(string)
		cut := false
		if isRef {
			if ref, ok := fhir.ParseReference(text); ok {
				cut = removed[text] || hidden[ref.String()]
			}
		}
		for name, member := range v {
			if cut && name != "display" {
				continue
			}
			out[name] = without(member, removed, hidden)
		}
		if cut && len(out) == 0 {
			out["display"] = "not shown"
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, member := range v {
			out = append(out, without(member, removed, hidden))
		}
		return out
	}
	return v
}
