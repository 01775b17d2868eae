// Package rstest helps to test APIs behind package resourceserver: a fake authorization server in memory that verifies tokens it
// has given out, hands out tickets, and remembers accesses. It is for tests alone and decides nothing like a real one.
package rstest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/scopes"
)

// AS is the fake. It implements TokenVerifier, Ticketer, Relations, Recorder, Spender and Handles of package resourceserver.
// It is safe for concurrent use; the zero value is not usable, call New.
type AS struct {
	Issuer string

	mu        sync.Mutex
	down      bool
	grants    map[string]resourceserver.Grant
	spent     map[string]bool
	relations map[string]map[string]scopes.Set
	tickets   []Ticket
	events    []resourceserver.Event
	handles   map[string]handle
	next      int
}

// Ticket is one ticket that was asked for.
type Ticket struct {
	Ticket  string
	Patient string              // "" the decoy
	Set     *resourceserver.Set // where it was asked about a set of a token
	Asked   []scopes.Scope
}

type handle struct {
	value   []byte
	expires time.Time
}

var (
	_ resourceserver.TokenVerifier = (*AS)(nil)
	_ resourceserver.Ticketer      = (*AS)(nil)
	_ resourceserver.Relations     = (*AS)(nil)
	_ resourceserver.Recorder      = (*AS)(nil)
	_ resourceserver.Spender       = (*AS)(nil)
	_ resourceserver.Handles       = (*AS)(nil)
)

// New returns a fake authorization server without grants.
func New() *AS {
	return &AS{
		Issuer: "https://as.example", grants: map[string]resourceserver.Grant{}, spent: map[string]bool{},
		relations: map[string]map[string]scopes.Set{}, handles: map[string]handle{},
	}
}

// Give makes a token for a grant; empty Issuer, JTI and Kind are filled in. The owner of a record set in it holds all of that record,
// as a patient does of her own, until Relate says otherwise.
func (a *AS) Give(g resourceserver.Grant) (token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	token = "token-" + strconv.Itoa(a.next)
	if g.Issuer == "" {
		g.Issuer = a.Issuer
	}
	if g.JTI == "" {
		g.JTI = "jti-" + strconv.Itoa(a.next)
	}
	if g.Kind == "" {
		g.Kind = resourceserver.KindRPT
	}
	for _, p := range g.Permissions {
		if p.Set.Level == resourceserver.LevelRecord && p.Set.User != "" {
			a.relate(p.Set.User, p.Set.Patient, everything())
		}
	}
	a.grants[token] = g
	return token
}

// RecordOf returns a permission on a patient's own record, SMART v2 scopes expanded over all types they name.
func (a *AS) RecordOf(patient string, smart ...string) resourceserver.Permitted {
	return a.Permission(resourceserver.Set{Issuer: a.Issuer, ResourceID: "record-" + patient, Level: resourceserver.LevelRecord, User: "user-" + patient, Patient: patient}, smart...)
}

// Permission returns a permission on any set. It panics on a scope that does not parse: a fault of the test.
func (a *AS) Permission(set resourceserver.Set, smart ...string) resourceserver.Permitted {
	p := resourceserver.Permitted{Set: set}
	for _, text := range smart {
		s, err := scopes.Parse(text)
		if err != nil {
			panic(fmt.Sprintf("rstest: %v", err))
		}
		letters, _ := s.UMA(types(s))
		p.Scopes = append(p.Scopes, letters...)
	}
	return p
}

// Revoke ends a token.
func (a *AS) Revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.grants, token)
}

// Relate lets a user see a patient with SMART scopes; none ends the relation.
func (a *AS) Relate(user, patient, smart string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set, _ := scopes.ParseSet(smart)
	a.relate(user, patient, set)
}

// relate needs a.mu.
func (a *AS) relate(user, patient string, set scopes.Set) {
	if a.relations[user] == nil {
		a.relations[user] = map[string]scopes.Set{}
	}
	if a.relations[user][patient] = set; len(set) == 0 {
		delete(a.relations[user], patient)
	}
}

// everything is what a person holds over her own record, the types that "*" leaves out among it (GW-01).
func everything() scopes.Set {
	all := scopes.Set{{Context: scopes.Patient, Type: "*", Letters: scopes.Create | scopes.Read | scopes.Update | scopes.Delete | scopes.Search}}
	for _, t := range []string{"AuditEvent", "Basic", "Binary", "Consent", "Provenance", "Subscription"} {
		all = append(all, scopes.Scope{Context: scopes.Patient, Type: t, Letters: all[0].Letters})
	}
	return all
}

// SetDown makes the server unreachable, or reachable again.
func (a *AS) SetDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// Tickets lists the tickets asked for, in order.
func (a *AS) Tickets() []Ticket {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.tickets)
}

// Events lists the accesses recorded, in order.
func (a *AS) Events() []resourceserver.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events)
}

// Verify implements resourceserver.TokenVerifier.
func (a *AS) Verify(_ context.Context, token string) (resourceserver.Grant, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return resourceserver.Grant{}, resourceserver.ErrUnreachable
	}
	g, ok := a.grants[token]
	if !ok || a.spent[token] {
		return resourceserver.Grant{}, resourceserver.ErrInactive
	}
	return g, nil
}

// Ticket implements resourceserver.Ticketer.
func (a *AS) Ticket(_ context.Context, patient string, asked []scopes.Scope) (resourceserver.Challenge, error) {
	return a.issue(Ticket{Patient: patient, Asked: asked})
}

// TicketFor implements resourceserver.Ticketer.
func (a *AS) TicketFor(_ context.Context, set resourceserver.Set, asked []scopes.Scope) (resourceserver.Challenge, error) {
	return a.issue(Ticket{Patient: set.Patient, Set: &set, Asked: asked})
}

func (a *AS) issue(t Ticket) (resourceserver.Challenge, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return resourceserver.Challenge{}, resourceserver.ErrUnreachable
	}
	a.next++
	t.Ticket = fmt.Sprintf("ticket-%06d", a.next)
	a.tickets = append(a.tickets, t)
	return resourceserver.Challenge{Realm: "fhir", ASURI: a.Issuer, Ticket: t.Ticket}, nil
}

// MaySee implements resourceserver.Relations.
func (a *AS) MaySee(_ context.Context, user, patient string) (scopes.Set, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set, ok := a.relations[user][patient]
	return set, ok, nil
}

// Patients implements resourceserver.Relations.
func (a *AS) Patients(_ context.Context, user string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id := range a.relations[user] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// Record implements resourceserver.Recorder.
func (a *AS) Record(_ context.Context, events []resourceserver.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, events...)
	return nil
}

// Spend implements resourceserver.Spender.
func (a *AS) Spend(_ context.Context, _, token string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.grants[token]; !ok || a.spent[token] {
		return resourceserver.ErrInactive
	}
	a.spent[token] = true
	return nil
}

// Keep implements resourceserver.Handles.
func (a *AS) Keep(_ context.Context, kind string, value any, expires time.Time) (string, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	name := "handle" + strconv.Itoa(a.next)
	a.handles[kind+" "+name] = handle{raw, expires}
	return name, nil
}

// Look implements resourceserver.Handles.
func (a *AS) Look(_ context.Context, kind, name string, into any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	h, ok := a.handles[kind+" "+name]
	if !ok {
		return resourceserver.ErrNotKept
	}
	return json.Unmarshal(h.value, into)
}

// Take implements resourceserver.Handles.
func (a *AS) Take(ctx context.Context, kind, name string, into any) error {
	if err := a.Look(ctx, kind, name, into); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.handles, kind+" "+name)
	return nil
}

// Change implements resourceserver.Handles.
func (a *AS) Change(_ context.Context, kind, name string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h, ok := a.handles[kind+" "+name]
	if !ok {
		return resourceserver.ErrNotKept
	}
	h.value = raw
	a.handles[kind+" "+name] = h
	return nil
}

// Expire ends all handles, as time would.
func (a *AS) Expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.handles)
}

// types are what a scope is expanded over.
func types(s scopes.Scope) []string {
	if s.Type != scopes.AnyType {
		return []string{s.Type}
	}
	return []string{
		"AllergyIntolerance", "Appointment", "Condition", "Device", "DocumentReference", "Encounter", "Group", "Immunization", "List", "Location",
		"Medication", "MedicationRequest", "Observation", "Organization", "Patient", "Person", "Practitioner", "Procedure", "RelatedPerson", "Schedule", "Slot",
	}
}
