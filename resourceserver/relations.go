package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/scopes"
)

// AdministeredRelations answers who may see whom from the administered table and from who a user is: the patient herself
// sees her own record wholly. It never reads clinical data (decisions 2).
type AdministeredRelations struct {
	state relationState
	now   func() time.Time
	own   scopes.Set
	// changed is told which owner's resource sets a change concerns.
	changed func(ctx context.Context, users []string) error
}

type relationState interface {
	RelationTable
	Users
}

// NewAdministeredRelations returns relations over state. changed may be nil.
func NewAdministeredRelations(state relationState, now func() time.Time, changed func(ctx context.Context, users []string) error) *AdministeredRelations {
	return &AdministeredRelations{state: state, now: now, own: ownRecord(), changed: changed}
}

var _ Relations = (*AdministeredRelations)(nil)

// MaySee implements Relations. An unknown user, an ended or empty relation, and scopes that cannot be read all refuse.
func (a *AdministeredRelations) MaySee(ctx context.Context, user, patient string) (scopes.Set, bool, error) {
	if user == "" || !validLogicalID(patient) {
		return nil, false, nil
	}
	u, err := a.state.User(ctx, user)
	if errors.Is(err, ErrNotKept) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read user: %w", err)
	}
	if u.Patient() == patient {
		return a.own, true, nil
	}
	var held scopes.Set
	for _, subject := range subjects(u) {
		r, err := a.state.Relation(ctx, subject, patient)
		if errors.Is(err, ErrNotKept) {
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("read relation: %w", err)
		}
		if a.ended(r) {
			continue
		}
		set, _ := scopes.ParseSet(r.Scopes)
		held = held.Union(set)
	}
	return held, len(held) > 0, nil
}

// ownRecord is what a person holds over her own record: everything, the types that "*" leaves out by name (GW-01).
func ownRecord() scopes.Set {
	set, _ := scopes.ParseSet("patient/*.cruds patient/AuditEvent.rs patient/Basic.cruds patient/Binary.cruds patient/Consent.cruds " +
		"patient/Provenance.cruds patient/Subscription.cruds")
	return set
}

// subjects are the names under which the table may know a user.
func subjects(u User) []string {
	if u.FHIRUser == "" {
		return []string{u.Key}
	}
	return []string{u.Key, u.FHIRUser}
}

func (a *AdministeredRelations) ended(r Relation) bool {
	return !r.Until.IsZero() && !a.now().Before(r.Until)
}

// Seen is a patient a user may see, with what the table says of the relation.
type Seen struct {
	Patient string
	Self    bool
	Relation
}

// relationPage is how many rows are read at once.
const relationPage = 200

// Patients implements Relations.
func (a *AdministeredRelations) Patients(ctx context.Context, user string) ([]string, error) {
	seen, err := a.Seen(ctx, user)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(seen))
	for i, s := range seen {
		ids[i] = s.Patient
	}
	return ids, nil
}

// Seen lists the patients a user may see, herself first, the others in order of id.
func (a *AdministeredRelations) Seen(ctx context.Context, user string) ([]Seen, error) {
	u, err := a.state.User(ctx, user)
	if errors.Is(err, ErrNotKept) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	var list []Seen
	for _, subject := range subjects(u) {
		for after := ""; ; {
			page, err := a.state.RelationsBySubject(ctx, subject, after, relationPage)
			if err != nil {
				return nil, fmt.Errorf("read relations: %w", err)
			}
			for _, r := range page {
				set, _ := scopes.ParseSet(r.Scopes)
				if !a.ended(r) && len(set) > 0 && r.Patient != u.Patient() {
					list = append(list, Seen{Patient: r.Patient, Relation: r})
				}
			}
			if len(page) < relationPage {
				break
			}
			after = page[len(page)-1].Patient
		}
	}
	slices.SortStableFunc(list, func(x, y Seen) int { return strings.Compare(x.Patient, y.Patient) })
	list = merged(list)
	if own := u.Patient(); own != "" {
		list = slices.Insert(list, 0, Seen{Patient: own, Self: true})
	}
	return list, nil
}

// merged makes one of the rows about one patient, under the user's key and under the resource she is: together they are what she has.
// The label is the first one's; Until is when something of it ends first.
func merged(list []Seen) []Seen {
	var out []Seen
	for _, s := range list {
		if len(out) == 0 || out[len(out)-1].Patient != s.Patient {
			out = append(out, s)
			continue
		}
		have := &out[len(out)-1]
		have.Holder = have.Holder || s.Holder
		have.Scopes += " " + s.Scopes
		if have.Until.IsZero() || !s.Until.IsZero() && s.Until.Before(have.Until) {
			have.Until = s.Until
		}
	}
	return out
}

// Put checks and stores a relation and has the concerned sets reconciled.
func (a *AdministeredRelations) Put(ctx context.Context, r Relation) error {
	if err := checkRelation(r); err != nil {
		return err
	}
	if err := a.state.PutRelation(ctx, r); err != nil {
		return fmt.Errorf("store relation: %w", err)
	}
	return a.tell(ctx, r.Subject)
}

// Drop ends a relation. MaySee refuses from now on, whatever tokens are about.
func (a *AdministeredRelations) Drop(ctx context.Context, subject, patient string) error {
	if err := a.state.DropRelation(ctx, subject, patient); err != nil {
		return fmt.Errorf("drop relation: %w", err)
	}
	return a.tell(ctx, subject)
}

// UsersRelatedTo lists the keys of users with a relation to a patient, for reconciliation.
func (a *AdministeredRelations) UsersRelatedTo(ctx context.Context, patient string) ([]string, error) {
	var keys []string
	for after := ""; ; {
		page, err := a.state.RelationsByPatient(ctx, patient, after, relationPage)
		if err != nil {
			return nil, fmt.Errorf("read relations: %w", err)
		}
		for _, r := range page {
			users, err := a.users(ctx, r.Subject)
			if err != nil {
				return nil, err
			}
			keys = append(keys, users...)
		}
		if len(page) < relationPage {
			slices.Sort(keys)
			return slices.Compact(keys), nil
		}
		after = page[len(page)-1].Subject
	}
}

// HolderOf names the user who holds record(p) in the patient's place, "" where nobody does.
func (a *AdministeredRelations) HolderOf(ctx context.Context, patient string) (string, error) {
	for after := ""; ; {
		page, err := a.state.RelationsByPatient(ctx, patient, after, relationPage)
		if err != nil {
			return "", fmt.Errorf("read relations: %w", err)
		}
		for _, r := range page {
			if !r.Holder || a.ended(r) {
				continue
			}
			users, err := a.users(ctx, r.Subject)
			if err != nil {
				return "", err
			}
			if len(users) > 0 {
				return users[0], nil
			}
		}
		if len(page) < relationPage {
			return "", nil
		}
		after = page[len(page)-1].Subject
	}
}

// users are the people a subject of the table stands for.
func (a *AdministeredRelations) users(ctx context.Context, subject string) ([]string, error) {
	if strings.Contains(subject, "/") {
		keys, err := a.state.UsersByFHIRUser(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("find users: %w", err)
		}
		return keys, nil
	}
	return []string{subject}, nil
}

func (a *AdministeredRelations) tell(ctx context.Context, subject string) error {
	if a.changed == nil {
		return nil
	}
	users, err := a.users(ctx, subject)
	if err != nil || len(users) == 0 {
		return err
	}
	return a.changed(ctx, users)
}

func checkRelation(r Relation) error {
	subjectType, id, isReference := strings.Cut(r.Subject, "/")
	switch {
	case r.Subject == "":
		return errors.New("relation: subject is required: a user's key, or Practitioner/id, PractitionerRole/id, RelatedPerson/id, Patient/id, Person/id")
	case isReference && (!fhirUserTypes[subjectType] || !validLogicalID(id)):
		return fmt.Errorf("relation: subject %q is not a user's key nor Practitioner/id, PractitionerRole/id, RelatedPerson/id, Patient/id or Person/id", r.Subject)
	case !validLogicalID(r.Patient):
		return fmt.Errorf("relation: patient %q is not a logical id", r.Patient)
	}
	set, bad := scopes.ParseSet(r.Scopes)
	if len(bad) > 0 || len(set) == 0 {
		return fmt.Errorf("relation: scopes %q: want SMART resource scopes such as patient/*.rs (not understood: %q)", r.Scopes, bad)
	}
	for _, s := range set {
		if s.Context != "patient" {
			return fmt.Errorf("relation: scope %s: a relation to one patient holds patient/ scopes", s)
		}
	}
	return nil
}

// fhirUserTypes are the resources a user can be (SMART App Launch, fhirUser).
var fhirUserTypes = map[string]bool{"Practitioner": true, "PractitionerRole": true, "RelatedPerson": true, "Patient": true, "Person": true}
