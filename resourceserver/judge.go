package resourceserver

import (
	"context"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// Judge decides before the upstream is touched, from rights, access and the server's own relations alone. Permit means that
// the access may be tried under the filter it carries; what comes back is judged again row by row.
func Judge(ctx context.Context, r *Rights, a *Access, f Facts) (Decision, error) {
	if r == nil || a == nil {
		return Deny{Row: RowToken, Reason: "no_token"}, nil
	}
	now := f.Now()
	if !r.Grant.Expires.IsZero() && !now.Before(r.Grant.Expires) {
		return Deny{Row: RowToken, Reason: "expired"}, nil
	}
	var first []*Entry
	for i, n := range a.Needs {
		entries := r.forNeed(n, now)
		if entries = writable(a, n, entries); len(entries) == 0 {
			return r.lacks(a), nil
		}
		if i == 0 {
			first = entries
		}
	}
	if len(a.Needs) == 0 {
		return nil, nil // nothing was asked for that can be permitted
	}
	return r.judgeNamed(ctx, a, first, f)
}

func (r *Rights) forNeed(n Need, now time.Time) []*Entry {
	if n.Type == "" {
		return r.any(n.Letters, now)
	}
	return r.granting(n.Type, n.Letters, now)
}

// writable leaves out entries that can never write: shared and ownerless types under patient/ ((d), last line), and the
// creation of patients (GW-26). Types by rule are written by nobody through the gateway today but Device.
func writable(a *Access, n Need, entries []*Entry) []*Entry {
	if n.Letters&(scopes.Create|scopes.Update|scopes.Delete) == 0 {
		return entries
	}
	var kept []*Entry
	for _, e := range entries {
		if canWrite(e.Set.Level, n.Type, a.Interaction) {
			kept = append(kept, e)
		}
	}
	return kept
}

func canWrite(level Level, resourceType string, interaction fhir.Interaction) bool {
	switch fhir.ClassOf(resourceType) {
	case fhir.ClassMember:
		switch resourceType {
		case "AuditEvent", "Provenance", "Group", "Person": // LB-14, LB-16; groups and persons gather many people
			return false
		case "Patient":
			return interaction != fhir.Create
		}
		return true
	case fhir.ClassByRule:
		return resourceType == "Device"
	case fhir.ClassDirectory, fhir.ClassDefinitional:
		return level == LevelUser
	default:
		return false
	}
}

// lacks is R2: another grant could cure it.
func (r *Rights) lacks(a *Access) Decision {
	named := a.namedPatient()
	for _, e := range r.entries {
		if named == "" || e.Set.Patient == named || e.Set.Level == LevelUser {
			set := e.Set
			return NeedTicket{Row: RowScope, Reason: "scope", Patient: named, Set: &set, Asked: a.asked(set.Level)}
		}
	}
	return NeedTicket{Row: RowScope, Reason: "scope", Patient: named, Asked: a.asked(LevelRecord)}
}

// judgeNamed narrows the entries to the patient that the request line names. Where none of them reaches her, the answer is
// known without the upstream.
func (r *Rights) judgeNamed(ctx context.Context, a *Access, entries []*Entry, f Facts) (Decision, error) {
	named := a.namedPatient()
	reach := entries
	if named != "" && fhir.ClassOf(a.Type) == fhir.ClassMember {
		reach = nil
		for _, e := range entries {
			ok, err := e.reaches(ctx, named, f)
			if err != nil {
				return nil, err
			}
			if ok {
				reach = append(reach, e)
			}
		}
	}
	if len(reach) > 0 {
		return Permit{Filter: filterOf(a.Needs[0].Letters, reach), Spend: anyOnce(reach)}, nil
	}
	row := RowNone
	if a.ID != "" && a.Operation == "" {
		row = RowHidden
	}
	if a.Operation != "" {
		row = RowHidden // another patient's $everything is the absent answer (GW-16)
	}
	return NeedTicket{Row: row, Reason: "context", Patient: named, Asked: a.asked(LevelRecord)}, nil
}

func anyOnce(entries []*Entry) bool {
	for _, e := range entries {
		if e.once {
			return true
		}
	}
	return false
}

// reaches reports whether an entry is about a patient at all.
func (e *Entry) reaches(ctx context.Context, patient string, f Facts) (bool, error) {
	switch e.Set.Level {
	case LevelRecord, LevelPatient:
		if e.Set.Patient != patient {
			return false, nil
		}
	case LevelUser:
	default:
		return false, nil
	}
	if e.Set.custodial() {
		return true, nil
	}
	held, err := f.MaySee(ctx, e.Set.User, patient)
	return len(held) > 0, err
}

// Facts are what the judge may ask beside the request: the server's relations and the stored resources. One value serves one
// request, remembers its answers, and so lets the judge see one state of the world.
type Facts interface {
	Now() time.Time
	// MaySee gives the scopes a user holds on a patient's record by her own right; none refuses (GW-50).
	MaySee(ctx context.Context, user, patient string) (scopes.Set, error)
	// Stored gives the current version of a resource, false where there is none. Counted and bounded.
	Stored(ctx context.Context, resourceType, id string) (*fhir.Resource, bool, error)
}

// Guardable reports what the judge can follow on a type: reading and searching it, and writing it at all. A capability
// statement promises no more (GW-41).
func Guardable(resourceType string) (read, write bool) {
	switch {
	case resourceType == "AuditEvent" || resourceType == "Subscription" || resourceType == "Task":
		return false, false
	case fhir.ClassOf(resourceType) == fhir.ClassUnknown || fhir.ClassOf(resourceType) == fhir.ClassNotStored:
		return false, false
	}
	return true, canWrite(LevelUser, resourceType, fhir.Update)
}
