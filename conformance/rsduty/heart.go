package rsduty

import (
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// heart checks what HEART's FHIR profile adds for resource servers, FHIR-UMA2 §2.
func heart() []check {
	needs := []conformance.Need{conformance.NeedHEART}
	return []check{
		{
			ID: "rs.heart.type", Level: must, Covers: []string{"H-14"}, Needs: needs, Run: heartTypes,
			Title: "The type of a description is HL7's address of the resource or compartment",
		},
		{
			ID: "rs.heart.scopes", Level: must, Covers: []string{"H-15"}, Needs: needs, Run: heartScopes,
			Title: "A description has at least one FHIR access scope",
		},
	}
}

// asked are the resources that a request for the protected address leads to.
func asked(t *conformance.T) []Registered {
	s := play(t)
	all := s.Resources()
	var out []Registered
	for _, p := range s.need(t) {
		id, _ := p["resource_id"].(string)
		if r, ok := all[id]; ok {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		t.Blockf("the permission request names no registered resource")
	}
	return out
}

func heartTypes(t *conformance.T) {
	for _, r := range asked(t) {
		kind, _ := r.Raw["type"].(string)
		name, ok := strings.CutPrefix(kind, "http://www.hl7.org/fhir/")
		if !ok || !strings.HasSuffix(name, ".html") {
			t.Errorf("resource %s: type is %q", r.ID, kind)
		}
	}
}

func heartScopes(t *conformance.T) {
	for _, r := range asked(t) {
		if !slices.ContainsFunc(r.Scopes, func(s string) bool {
			context, rest, slash := strings.Cut(s, "/")
			return slash && (context == "patient" || context == "user") && strings.Contains(rest, ".")
		}) {
			t.Errorf("resource %s: none of %q is a FHIR access scope", r.ID, r.Scopes)
		}
	}
}
