package fhir

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Membership says whose record a resource belongs to, by HL7's CompartmentDefinition/patient and the reference classes of
// GW-20. Ids are of local Patient resources, sorted, each once.
type Membership struct {
	// Subject: patients named by subject-class references. The record is theirs alone.
	Subject []string
	// Participant: patients named by participant-class references; they count only by Members.
	Participant []string
	// Foreign: a subject-class reference exists that is no local Patient literal (a Group, a contained or logical
	// reference, another server's Patient). A local Practitioner, Location… as one of several actors is not foreign.
	Foreign bool
}

// Members gives the patients in whose compartment the resource is for reading (GW-20): the subjects, and the participants
// only when no subject-class reference exists at all.
func (m Membership) Members() []string {
	if len(m.Subject) > 0 || m.Foreign {
		return m.Subject
	}
	return m.Participant
}

// All gives every patient named, for the check of a body to be written (GW-20, write).
func (m Membership) All() []string {
	return sorted(slices.Concat(m.Subject, m.Participant))
}

// The reference classes of gateway_rules (d), by search parameter.
const (
	subjectParams     = " patient subject beneficiary individual member subscriber policy-holder actor "
	participantParams = " performer author recorder asserter source sender recipient requester attester participant payee payor receiver "
)

// memberRule is one compartment parameter of a type, compiled.
type memberRule struct {
	code       string
	expression expr
	subject    bool
}

// onlyPatients is the restriction R4 puts on the shared "patient" parameter. Membership looks at the whole element, because
// a subject that is not a Patient is still a subject (GW-20).
const onlyPatients = ".where(resolve() is Patient)"

var memberRules = sync.OnceValues(func() (map[string][]memberRule, error) {
	rules := map[string][]memberRule{}
	for typ, codes := range compartment() {
		for _, code := range codes {
			subject := strings.Contains(subjectParams, " "+code+" ")
			if !subject && !strings.Contains(participantParams, " "+code+" ") {
				if typ == "Patient" && code == "link" {
					continue // GW-21: links never grant
				}
				return nil, fmt.Errorf("compartment parameter %s.%s has no reference class", typ, code)
			}
			p, ok := Param(typ, code)
			if !ok {
				return nil, fmt.Errorf("compartment parameter %s.%s is no search parameter", typ, code)
			}
			e, err := compiled(strings.ReplaceAll(p.Expression, onlyPatients, ""))
			if err != nil {
				return nil, fmt.Errorf("compartment parameter %s.%s: %w", typ, code, err)
			}
			rules[typ] = append(rules[typ], memberRule{code, e, subject})
		}
	}
	return rules, nil
})

// SelfTest proves at start-up that the tables hold together: all 66 compartment types resolve (GW-19) and the classes
// partition the 146 types (66 + 80).
func SelfTest() error {
	if _, err := memberRules(); err != nil {
		return fmt.Errorf("fhir tables: %w", err)
	}
	if n := len(compartment()); n != 66 {
		return fmt.Errorf("fhir tables: %d types in the Patient compartment, 66 expected", n)
	}
	if listed, all := len(classes()), len(Types()); listed != 146 || all != 146 {
		return fmt.Errorf("fhir tables: %d of %d types have a class, 146 expected", listed, all)
	}
	for _, typ := range Types() {
		class := ClassOf(typ)
		if class == ClassUnknown || (class == ClassMember) != InPatientCompartment(typ) {
			return fmt.Errorf("fhir tables: %s has the wrong class (%s)", typ, class)
		}
	}
	return nil
}

// PatientMembership finds the patients a resource belongs to (GW-19…GW-21). Types outside the compartment belong to nobody.
// A Patient belongs to itself by id. Person, Group, Provenance and AuditEvent have further rules of their own at the judge;
// here Subject lists every Patient they name.
func PatientMembership(r *Resource) Membership {
	if r.typ == "Patient" {
		if !ValidID(r.id) {
			return Membership{}
		}
		return Membership{Subject: []string{r.id}}
	}
	rules, err := memberRules()
	if err != nil {
		return Membership{}
	}
	var m Membership
	for _, rule := range rules[r.typ] {
		nodes, ok := evalNodes(r, rule.expression)
		if !ok {
			return Membership{Foreign: true} // belongs to nobody we could name
		}
		for _, n := range nodes {
			text, _ := referenceText(n.value)
			f, ok := ParseReference(text)
			local := ok && f.Local()
			switch {
			case local && f.Type == "Patient" && rule.subject:
				m.Subject = append(m.Subject, f.ID)
			case local && f.Type == "Patient":
				m.Participant = append(m.Participant, f.ID)
			case rule.subject && !tolerated(r.typ, rule.code, f, local):
				m.Foreign = true
			}
		}
	}
	m.Subject, m.Participant = sorted(m.Subject), sorted(m.Participant)
	return m
}

// tolerated reports whether a subject-class reference that names no patient is ordinary for its element: one of several
// actors, an agent or entity of an audit record, a target of a Provenance or of a Person.
func tolerated(typ, code string, f Reference, local bool) bool {
	several := code == "actor" || typ == "AuditEvent" || typ == "Provenance" || typ == "Person"
	return several && local && f.Type != "Group"
}

func sorted(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}
