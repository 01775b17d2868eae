package resourceserver

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// searchRequest builds the upstream's request: the client's parameters, canonically, and the narrowing to what the entries
// reach. ok is false where they reach nobody.
func (c *call) searchRequest(ctx context.Context, f Filter) (cursor, bool, error) {
	a := c.access
	pairs := slices.Clone(a.Search.Filters)
	path := a.Type
	var then [][]fhir.Pair
	patients, everybody, err := c.reached(ctx, f)
	if err != nil {
		return cursor{}, false, err
	}
	member := fhir.ClassOf(a.Type) == fhir.ClassMember && a.Type != "Person" && a.Type != "Group" && a.Type != "Provenance"
	switch {
	case a.Compartment != "" && c.Upstream.Compartments():
		path = "Patient/" + a.Compartment + "/" + a.Type
	case a.Compartment != "":
		then = participantPairs(a.Type, []string{a.Compartment})
		pairs = append(pairs, compartmentPair(a.Type, []string{a.Compartment})...)
	}
	switch {
	case !member || everybody:
	case len(patients) == 0:
		return cursor{}, false, nil
	case a.Compartment != "" || a.namedPatient() != "":
		// The request names one patient, and the judge has kept only entries that reach her: nothing is left to narrow.
	case a.Type == "Patient":
		pairs = append(pairs, fhir.Pair{Name: "_id", Value: strings.Join(patients, ",")})
	case len(patients) == 1 && c.Upstream.Compartments():
		path = "Patient/" + patients[0] + "/" + a.Type
	default:
		then = participantPairs(a.Type, patients)
		pairs = append(pairs, compartmentPair(a.Type, patients)...)
	}
	common := pushed(f, a.Type)
	if a.Search.Sort != "" {
		common = append(common, fhir.Pair{Name: "_sort", Value: a.Search.Sort})
	}
	count := a.Search.Count
	if a.Search.CountOnly {
		count = c.classifier.maxCount()
	}
	common = append(common, fhir.Pair{Name: "_count", Value: strconv.Itoa(count)})
	for _, in := range a.Search.Includes {
		common = append(common, in.pair())
	}
	at := cursor{Path: path, Query: encodePairs(slices.Concat(pairs, common))}
	for _, narrowing := range then {
		at.Then = append(at.Then, cursor{Path: a.Type, Query: encodePairs(slices.Concat(a.Search.Filters, narrowing, common)), Optional: true})
	}
	return at, true, nil
}

func (in Include) pair() fhir.Pair {
	p := fhir.Pair{Name: "_include", Value: in.Source + ":" + in.Param}
	if in.Reverse {
		p.Name = "_revinclude"
	}
	if in.Iterate {
		p.Name += ":iterate"
	}
	if in.Target != "" {
		p.Value += ":" + in.Target
	}
	return p
}

// reached lists the patients whose data the entries can reach. everybody says that the list would be too long to name, so that
// rows are judged without narrowing.
func (c *call) reached(ctx context.Context, f Filter) (patients []string, everybody bool, err error) {
	for _, e := range f.entries {
		if e.Set.Level != LevelUser {
			patients = append(patients, e.Set.Patient)
			continue
		}
		list, err := c.Relations.Patients(ctx, e.Set.User)
		if err != nil {
			return nil, false, fmt.Errorf("relations: %w", err)
		}
		patients = append(patients, list...)
	}
	slices.Sort(patients)
	patients = slices.Compact(patients)
	return patients, len(patients) > maxNarrow, nil
}

// compartmentPair narrows a search to patients by the parameter that names whose record a resource is. It may be broader than
// the judge; where a resource may lack a subject, participantPairs finds the rest.
func compartmentPair(resourceType string, patients []string) []fhir.Pair {
	if p, ok := fhir.Param(resourceType, "patient"); ok && p.Kind == fhir.KindReference && slices.Contains(p.Targets, "Patient") {
		return []fhir.Pair{{Name: "patient", Value: strings.Join(patients, ",")}}
	}
	for _, code := range fhir.CompartmentParams(resourceType) {
		p, ok := fhir.Param(resourceType, code)
		if !ok || !slices.Contains([]string{"subject", "beneficiary", "individual", "member", "subscriber"}, code) {
			continue
		}
		if len(fhir.CompartmentParams(resourceType)) > 1 || !slices.Contains(p.Targets, "Patient") {
			continue // another parameter could make it a member too
		}
		values := make([]string, len(patients))
		for i, id := range patients {
			values[i] = "Patient/" + id
		}
		return []fhir.Pair{{Name: code, Value: strings.Join(values, ",")}}
	}
	return nil
}

// alwaysSubject are the compartment types in which R4 makes the patient or subject mandatory.
const alwaysSubject = " AllergyIntolerance CarePlan ChargeItem Claim ClaimResponse ClinicalImpression Condition Coverage DeviceRequest DeviceUseStatement" +
	" EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Flag Goal ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation" +
	" MedicationAdministration MedicationRequest MedicationStatement NutritionOrder Patient Procedure RelatedPerson RiskAssessment ServiceRequest VisionPrescription "

// participantPairs are further searches for resources without a subject in which one of the patients takes part: these are
// members as well (GW-20). They follow after the last page of the narrowed search.
func participantPairs(resourceType string, patients []string) [][]fhir.Pair {
	if strings.Contains(alwaysSubject, " "+resourceType+" ") || len(compartmentPair(resourceType, patients)) == 0 {
		return nil
	}
	subject := "subject"
	if _, ok := fhir.Param(resourceType, subject); !ok {
		subject = "patient"
	}
	values := make([]string, len(patients))
	for i, id := range patients {
		values[i] = "Patient/" + id
	}
	var searches [][]fhir.Pair
	for _, code := range fhir.CompartmentParams(resourceType) {
		p, ok := fhir.Param(resourceType, code)
		if !ok || code == subject || code == "patient" || !slices.Contains(p.Targets, "Patient") {
			continue
		}
		searches = append(searches, []fhir.Pair{{Name: code, Value: strings.Join(values, ",")}, {Name: subject + ":missing", Value: "true"}})
	}
	return searches
}

// pushed gives the one entry's query for the upstream too, where there is exactly one: an optimisation, judged again anyway.
func pushed(f Filter, resourceType string) []fhir.Pair {
	if len(f.entries) != 1 {
		return nil
	}
	if t := f.entries[0].types[resourceType]; t != nil {
		return slices.Clone(t.pairs)
	}
	return nil
}
