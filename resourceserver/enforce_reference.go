package resourceserver

import (
	"context"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// leaves is R5: the written body is outside of what the token covers. It is the client's own data, so the patient it names may
// be asked; where it names none, or several, no grant of one owner could cure it.
func (c *call) leaves(body *fhir.Resource) Decision {
	m := fhir.PatientMembership(body)
	patients := m.All()
	if m.Foreign || len(patients) != 1 {
		return Deny{Row: RowContext, Reason: "context"}
	}
	level := LevelRecord
	var set *Set
	for _, e := range c.rights.entries {
		if e.Set.Patient == patients[0] {
			s := e.Set
			set, level = &s, s.Level
			break
		}
	}
	return NeedTicket{Row: RowContext, Reason: "predicate", Patient: patients[0], Set: set, Asked: c.access.asked(level)}
}

// checkReferences is GW-46: a literal local reference to a compartment type must stay inside the context or be created in the
// same transaction; hidden and unknown give one answer. References that the stored body has already are left alone.
func (c *call) checkReferences(ctx context.Context, body, stored *fhir.Resource, created map[string]bool) (Decision, error) {
	refused := Deny{Row: RowReference, Reason: "context"}
	had := map[string]bool{}
	if stored != nil {
		for _, text := range referenceTexts(stored.Map(), nil) {
			had[text] = true
		}
	}
	for _, text := range referenceTexts(body.Map(), nil) {
		if had[text] {
			continue
		}
		ref, ok := fhir.ParseReference(text)
		switch {
		case !ok && strings.Contains(text, "?"): // a conditional reference would be resolved beyond the visible set (GW-28)
			return Deny{Row: RowPrecond, Reason: "context"}, nil
		case !ok:
			return refused, nil
		case ref.Contained:
			continue
		case strings.HasPrefix(ref.URL, "urn:uuid:"):
			if !created[ref.URL] {
				return refused, nil
			}
			continue
		case !ref.Local() || fhir.ClassOf(ref.Type) != fhir.ClassMember:
			continue
		}
		ok, err := c.referable(ctx, ref)
		if err != nil {
			return nil, err
		}
		if !ok {
			return refused, nil
		}
	}
	return nil, nil
}

func (c *call) referable(ctx context.Context, ref fhir.Reference) (bool, error) {
	if ref.Type == "Patient" {
		for _, e := range c.rights.entries {
			if ok, err := e.reaches(ctx, ref.ID, c); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	target, ok, err := c.Stored(ctx, ref.Type, ref.ID)
	if err != nil || !ok {
		return false, err
	}
	return c.rights.inContext(ctx, target, c)
}

func referenceTexts(v any, list []string) []string {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if text, ok := member.(string); ok && name == "reference" {
				list = append(list, text)
				continue
			}
			list = referenceTexts(member, list)
		}
	case []any:
		for _, member := range v {
			list = referenceTexts(member, list)
		}
	}
	return list
}
