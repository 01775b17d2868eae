package demo

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Epoch is the fixed "today" of the generated records: the same input gives the same bytes on every machine.
var Epoch = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

type object = map[string]any

// Records makes the demo's FHIR resources in an order in which every reference points backwards.
func Records() ([]json.RawMessage, error) {
	var out []json.RawMessage
	add := func(o object) error {
		raw, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("encode %v/%v: %w", o["resourceType"], o["id"], err)
		}
		out = append(out, raw)
		return nil
	}
	for _, o := range Organizations {
		if err := add(object{"resourceType": "Organization", "id": o.ID, "active": true, "name": o.Name}); err != nil {
			return nil, err
		}
	}
	for _, doctors := range []bool{true, false} {
		for _, p := range People {
			if p.Doctor != doctors {
				continue
			}
			for _, o := range person(p) {
				if err := add(o); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

func person(p Person) []object {
	if p.Doctor {
		return []object{
			{"resourceType": "Practitioner", "id": p.ID, "active": true, "name": names(p), "gender": p.Sex},
			{"resourceType": "PractitionerRole", "id": p.ID + "-role", "active": true, "practitioner": ref("Practitioner", p.ID), "organization": ref("Organization", p.Org)},
		}
	}
	r := record{p: p, random: seeded(p.ID)}
	r.patient()
	r.family()
	for _, about := range p.About {
		profiles[about](&r)
	}
	r.vitals()
	r.laboratory()
	return r.out
}

// seeded gives each person a stream of her own, so that adding somebody changes nobody else's record.
func seeded(id string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))                 // hash.Hash never fails
	return rand.New(rand.NewPCG(h.Sum64(), 1)) //nolint:gosec // sample data that is the same everywhere
}

// record collects one patient's resources.
type record struct {
	p      Person
	random *rand.Rand
	out    []object
	count  map[string]int
}

// add completes a resource with an id that tells what it is, and keeps it.
func (r *record) add(resourceType, what string, o object) {
	if r.count == nil {
		r.count = map[string]int{}
	}
	r.count[what]++
	o["resourceType"] = resourceType
	o["id"] = fmt.Sprintf("%s-%s-%d", r.p.ID, what, r.count[what])
	r.out = append(r.out, o)
}

func (r *record) born() time.Time {
	t, err := time.Parse(time.DateOnly, r.p.Birth)
	if err != nil {
		return Epoch
	}
	return t
}

func (r *record) age(at time.Time) float64 { return at.Sub(r.born()).Hours() / 24 / 365.25 }

func (r *record) patient() {
	o := object{
		"resourceType": "Patient", "id": r.p.ID, "active": true, "name": names(r.p), "gender": r.p.Sex, "birthDate": r.p.Birth,
		"identifier":           []object{{"system": "urn:umaas:demo:record-number", "value": fmt.Sprintf("HV-%05d", 10000+r.random.IntN(89999))}},
		"managingOrganization": ref("Organization", Organizations[0].ID),
		"generalPractitioner":  []object{ref("Practitioner", "kim")},
	}
	r.out = append(r.out, o)
}

// family writes who the parents are, so that the record itself tells it too. Rights never follow from it (GW-21).
func (r *record) family() {
	for _, parent := range People {
		for _, child := range parent.Children {
			if child != r.p.ID {
				continue
			}
			r.add("RelatedPerson", "parent", object{
				"patient": r.subject(), "name": names(parent), "gender": parent.Sex,
				"relationship": []object{concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "PRN", "parent")},
			})
		}
	}
}

func (r *record) subject() object { return ref("Patient", r.p.ID) }

func names(p Person) []object {
	return []object{{"use": "official", "family": p.Family, "given": []string{p.Given}}}
}

func ref(resourceType, id string) object { return object{"reference": resourceType + "/" + id} }

func concept(system, code, display string) object {
	return object{"coding": []object{{"system": system, "code": code, "display": display}}, "text": display}
}

func day(t time.Time) string { return t.Format(time.DateOnly) }

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
