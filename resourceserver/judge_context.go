package resourceserver

import (
	"context"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// reach is one entry asked about one resource: which patients' data the entry may touch with a letter, by the set's owner and,
// for sets of users, by the user's own right (GW-50).
type reach struct {
	rights *Rights
	entry  *Entry
	letter scopes.Letters
	facts  Facts
	depth  int // of containers looked into
}

// maxDepth bounds containers in containers.
const maxContainerDepth = 2

// may reports whether the entry reaches a patient's data of the resource's type with the letter. Whoever owns the set, its patient
// or a representative among them, shares no more than she holds now; the custodian alone needs no relation (GW-50).
func (c *reach) may(ctx context.Context, patient string, r *fhir.Resource) (bool, error) {
	set := c.entry.Set
	if set.Level != LevelUser && set.Patient != patient {
		return false, nil
	}
	if set.custodial() {
		return true, nil
	}
	held, err := c.facts.MaySee(ctx, set.User, patient)
	if err != nil {
		return false, err
	}
	for _, s := range held {
		if s.Context != scopes.Patient && s.Context != scopes.User {
			continue
		}
		bare := s
		bare.Query = ""
		if !(scopes.Set{bare}).Covers(scopes.Scope{Context: s.Context, Type: r.Type(), Letters: c.letter}) {
			continue
		}
		if s.Query == "" {
			return true, nil
		}
		if q, err := s.Filter(r.Type()); err == nil && q.Match(r) {
			return true, nil
		}
	}
	return false, nil
}

// all reports whether every one of the patients is reached, and there is one.
func (c *reach) all(ctx context.Context, patients []string, r *fhir.Resource) (bool, error) {
	for _, p := range patients {
		if ok, err := c.may(ctx, p, r); !ok || err != nil {
			return false, err
		}
	}
	return len(patients) > 0, nil
}

// some reports whether one of the patients is reached.
func (c *reach) some(ctx context.Context, patients []string, r *fhir.Resource) (bool, error) {
	for _, p := range patients {
		if ok, err := c.may(ctx, p, r); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// reads reports whether a stored version lies in the entry's context for the letter, with the patients whose record it is. To be
// changed or deleted it must be theirs alone: what others take part in, or nobody owns, is readable at most (GW-06, GW-20).
func (c *reach) reads(ctx context.Context, r *fhir.Resource) (bool, []string, error) {
	// What belongs to no patient, a directory's entry for example, is shown with a record, and no longer than the record is.
	if set := c.entry.Set; set.Level != LevelUser {
		if ok, err := c.entry.reaches(ctx, set.Patient, c.facts); !ok || err != nil {
			return false, nil, err
		}
	}
	ok, patients, err := c.sees(ctx, r)
	if !ok || err != nil || c.letter&(scopes.Update|scopes.Delete) == 0 {
		return ok, patients, err
	}
	if fhir.ClassOf(r.Type()) != fhir.ClassMember {
		return c.writes(ctx, r)
	}
	m := fhir.PatientMembership(r)
	if ok, err = c.all(ctx, m.Members(), r); m.Foreign {
		ok = false
	}
	return ok, patients, err
}

func (c *reach) sees(ctx context.Context, r *fhir.Resource) (bool, []string, error) {
	switch r.Type() {
	case "AuditEvent", "Subscription", "Task": // GW-23, GW-42; a Task has no patient in R4's table
		return false, nil, nil
	case "Person": // GW-21
		patients, only := localPatients(r, "link")
		ok, err := c.all(ctx, patients, r)
		return ok && only, patients, err
	case "Group": // LB-15
		patients, only := localPatients(r, "member")
		ok, err := c.all(ctx, patients, r)
		return ok && only, patients, err
	case "List":
		return c.readsList(ctx, r)
	case "Provenance":
		return c.readsProvenance(ctx, r)
	case "Bundle":
		return c.readsBundle(ctx, r)
	case "Device", "DeviceMetric", "Slot", "Binary":
		return c.readsByRule(ctx, r)
	}
	switch fhir.ClassOf(r.Type()) {
	case fhir.ClassMember: // GW-19, GW-20
		patients := fhir.PatientMembership(r).Members()
		ok, err := c.some(ctx, patients, r)
		return ok, patients, err
	case fhir.ClassDirectory, fhir.ClassDefinitional:
		return true, nil, nil
	case fhir.ClassOwnerless:
		if c.entry.Set.Level != LevelUser {
			return false, nil, nil
		}
		// These types have no owner by the table, yet some name a patient: then the user needs her right to that patient.
		patients := patientsNamed(r)
		if len(patients) == 0 {
			return true, nil, nil
		}
		ok, err := c.all(ctx, patients, r)
		return ok, patients, err
	default:
		return false, nil, nil
	}
}

// writes reports whether a body, old or new, lies in the entry's context for writing: every patient it names, in whatever
// role, must be reached (GW-20, write).
func (c *reach) writes(ctx context.Context, r *fhir.Resource) (bool, []string, error) {
	switch fhir.ClassOf(r.Type()) {
	case fhir.ClassMember:
		m := fhir.PatientMembership(r)
		if m.Foreign {
			return false, nil, nil
		}
		ok, err := c.all(ctx, m.All(), r)
		return ok, m.All(), err
	case fhir.ClassByRule: // Device: assigned to nobody else, and to somebody
		patients, only := localPatients(r, "patient")
		ok, err := c.all(ctx, patients, r)
		return ok && only, patients, err
	case fhir.ClassDirectory, fhir.ClassDefinitional:
		return c.entry.Set.Level == LevelUser, nil, nil
	default:
		return false, nil, nil
	}
}

// readsByRule are the types whose owner is found by a rule of their own (GW-22, GW-24, class C4).
func (c *reach) readsByRule(ctx context.Context, r *fhir.Resource) (bool, []string, error) {
	switch r.Type() {
	case "Device":
		if _, assigned := r.Map()["patient"]; !assigned {
			return true, nil, nil
		}
		patients, only := localPatients(r, "patient")
		ok, err := c.all(ctx, patients, r)
		return ok && only, patients, err
	case "DeviceMetric":
		return c.readsAs(ctx, r, "source", "Device")
	case "Slot":
		return c.readsAs(ctx, r, "schedule", "Schedule")
	case "Binary":
		ref, ok := referenceAt(r, "securityContext")
		if !ok || !ref.Local() {
			return false, nil, nil
		}
		if ref.Type == "Patient" {
			ok, err := c.may(ctx, ref.ID, r)
			return ok, []string{ref.ID}, err
		}
		return c.visibleTarget(ctx, ref)
	}
	return false, nil, nil
}

// readsAs judges a resource as the one it belongs to, context only: its own type's letter was granted already.
func (c *reach) readsAs(ctx context.Context, r *fhir.Resource, element, target string) (bool, []string, error) {
	ref, ok := referenceAt(r, element)
	if !ok || !ref.Local() || ref.Type != target || c.depth >= maxContainerDepth {
		return false, nil, nil
	}
	owner, ok, err := c.facts.Stored(ctx, ref.Type, ref.ID)
	if err != nil || !ok {
		return false, nil, err
	}
	deeper := *c
	deeper.depth++
	return deeper.reads(ctx, owner)
}

// visibleTarget reports whether the rights as a whole show a resource that a container names.
func (c *reach) visibleTarget(ctx context.Context, ref fhir.Reference) (bool, []string, error) {
	if c.depth >= maxContainerDepth {
		return false, nil, nil
	}
	stored, ok, err := c.facts.Stored(ctx, ref.Type, ref.ID)
	if err != nil || !ok {
		return false, nil, err
	}
	shown, err := c.rights.visible(ctx, scopes.Read|scopes.Search, stored, c.facts, c.depth+1)
	if err != nil || shown == nil {
		return false, nil, err
	}
	return true, shown.Patients, nil
}

// readsList is LB-15: the subject is reached and every entry that can be resolved is visible.
func (c *reach) readsList(ctx context.Context, r *fhir.Resource) (bool, []string, error) {
	subject, ok := referenceAt(r, "subject")
	if !ok || !subject.Local() || subject.Type != "Patient" {
		return false, nil, nil
	}
	if ok, err := c.may(ctx, subject.ID, r); !ok || err != nil {
		return false, nil, err
	}
	entries, _ := r.Map()["entry"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		item, _ := entry["item"].(map[string]any)
		text, _ := item["reference"].(string)
		ref, ok := fhir.ParseReference(text)
		if text == "" || ok && ref.Contained {
			continue // nothing stored is named; contained resources are judged with their container
		}
		if !ok || !ref.Local() {
			return false, nil, nil
		}
		if ok, _, err := c.visibleTarget(ctx, ref); !ok || err != nil {
			return false, nil, err
		}
	}
	return true, []string{subject.ID}, nil
}

// readsProvenance is LB-14: some local target is visible. Hidden targets are taken out by redaction.
func (c *reach) readsProvenance(ctx context.Context, r *fhir.Resource) (bool, []string, error) {
	targets, _ := r.Map()["target"].([]any)
	var patients []string
	seen := false
	for _, t := range targets {
		ref, ok := parseReferenceOf(t)
		if !ok || !ref.Local() {
			continue
		}
		ok, whose, err := c.visibleTarget(ctx, ref)
		if err != nil {
			return false, nil, err
		}
		if ok {
			seen, patients = true, append(patients, whose...)
		}
	}
	return seen, patients, nil
}

// readsBundle is LB-17: a document is shown when every entry in it would be.
func (c *reach) readsBundle(ctx context.Context, r *fhir.Resource) (bool, []string, error) {
	if kind, _ := r.Map()["type"].(string); kind != "document" || c.depth >= maxContainerDepth {
		return false, nil, nil
	}
	entries, _ := r.Map()["entry"].([]any)
	var patients []string
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		inner, err := resourceOf(entry["resource"])
		if err != nil {
			return false, nil, nil //nolint:nilerr // what cannot be read cannot be judged, and is not shown
		}
		shown, err := c.rights.visible(ctx, scopes.Read|scopes.Search, inner, c.facts, c.depth+1)
		if err != nil || shown == nil {
			return false, nil, err
		}
		patients = append(patients, shown.Patients...)
	}
	return len(entries) > 0, patients, nil
}
