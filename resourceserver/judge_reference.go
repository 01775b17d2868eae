package resourceserver

import (
	"github.com/umaas/umaas/fhir"
)

// localPatients lists the local patients named under an element; only is false where it names anything else as well.
func localPatients(r *fhir.Resource, element string) (patients []string, only bool) {
	only = true
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if text, ok := v["reference"].(string); ok {
				ref, ok := fhir.ParseReference(text)
				if ok && ref.Local() && ref.Type == "Patient" {
					patients = append(patients, ref.ID)
				} else if !ok || !ref.Local() || ref.Type != "Practitioner" && ref.Type != "RelatedPerson" || element == "member" {
					only = false
				}
			}
			for _, member := range v {
				walk(member)
			}
		case []any:
			for _, member := range v {
				walk(member)
			}
		}
	}
	walk(r.Map()[element])
	return patients, only
}

func patientsNamed(r *fhir.Resource) []string {
	var patients []string
	for _, ref := range fhir.References(r) {
		if ref.Local() && ref.Type == "Patient" {
			patients = append(patients, ref.ID)
		}
	}
	return patients
}

func referenceAt(r *fhir.Resource, element string) (fhir.Reference, bool) {
	return parseReferenceOf(r.Map()[element])
}

func parseReferenceOf(v any) (fhir.Reference, bool) {
	m, _ := v.(map[string]any)
	text, _ := m["reference"].(string)
	if text == "" {
		return fhir.Reference{}, false
	}
	return fhir.ParseReference(text)
}

func resourceOf(tree any) (*fhir.Resource, error) {
	raw, err := encodeJSON(tree)
	if err != nil {
		return nil, err
	}
	return fhir.Parse(raw)
}
