package fhir

import (
	"fmt"
	"slices"
	"strings"
)

// referenceTest matches [id], [type]/[id], absolute URLs and canonicals, and with the modifier :[type] an id of that type
// (R4 §3.1.1.4.12). A bare id or a relative reference means a resource of this server only.
func referenceTest(p SearchParam, modifier, value string) (test, string) {
	if modifier != "" {
		if !IsType(modifier) {
			return nil, fmt.Sprintf("modifier :%s is not supported here", modifier)
		}
		if !ValidID(value) {
			return nil, "with a type modifier the value must be an id"
		}
		return func(n node) bool { return pointsTo(n, []string{modifier}, value) }, ""
	}
	if ValidID(value) {
		return func(n node) bool { return pointsTo(n, bareTargets(p), value) }, ""
	}
	want, ok := ParseReference(value)
	if !ok {
		// Canonicals may carry |version, which no literal reference has.
		if url, version, cut := strings.Cut(value, "|"); cut && version != "" {
			if want, ok = ParseReference(url); ok && want.URL != "" {
				return canonicalTest(value), ""
			}
		}
		return nil, "the value is no id, no [type]/[id] and no absolute URL"
	}
	switch {
	case want.Contained:
		return nil, "a contained resource cannot be searched for"
	case want.URL != "":
		return canonicalTest(value), ""
	case want.Version != "":
		return func(n node) bool {
			text, _ := referenceText(n.value)
			got, ok := ParseReference(text)
			return ok && got == want
		}, ""
	}
	return func(n node) bool { return pointsTo(n, []string{want.Type}, want.ID) }, ""
}

// bareTargets are the types an id without a type may mean. R4 shares one definition of "patient" among types and lists
// Group there; a search by patient never means a Group.
func bareTargets(p SearchParam) []string {
	if p.Code == "patient" {
		return []string{"Patient"}
	}
	return p.Targets
}

// pointsTo reports whether the element is a local reference to one of the types (none given: any) with this id, or is that
// resource itself (Bundle.entry[0].resource).
func pointsTo(n node, types []string, id string) bool {
	if m, ok := n.value.(map[string]any); ok && n.typ != "" && n.typ == m["resourceType"] {
		return m["id"] == id && (len(types) == 0 || slices.Contains(types, n.typ))
	}
	text, _ := referenceText(n.value)
	got, ok := ParseReference(text)
	return ok && got.Local() && got.ID == id && (len(types) == 0 || slices.Contains(types, got.Type))
}

// canonicalTest compares whole URLs; a value without |version finds every version.
func canonicalTest(value string) test {
	return func(n node) bool {
		text, _ := referenceText(n.value)
		if text == value {
			return true
		}
		url, _, versioned := strings.Cut(text, "|")
		return versioned && url == value
	}
}

// uriTest matches the whole URI (R4 §3.1.1.4.13); a canonical's |version may be left out.
func uriTest(value string) (test, string) { return canonicalTest(value), "" }
