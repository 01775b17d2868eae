package fhir

import (
	"maps"
	"slices"
	"strings"
)

// Reference is one parsed literal reference (R4 §2.3.0).
//
//	relative    Patient/1, Patient/1/_history/2      Type, ID, Version
//	absolute    https://h/fhir/Patient/1             Type, ID, Version when the path ends so; URL as written
//	            urn:uuid:…, urn:oid:…, other URLs    URL only
//	contained   #p1, #                               Fragment "p1", or "" for the container itself; Contained true
type Reference struct {
	Type, ID, Version string
	URL               string
	Fragment          string
	Contained         bool
}

// Local reports whether the reference is relative, so that it names a resource of this server and nothing else.
func (f Reference) Local() bool { return f.URL == "" && !f.Contained && f.Type != "" }

// String gives the reference back in its canonical text.
func (f Reference) String() string {
	switch {
	case f.Contained:
		return "#" + f.Fragment
	case f.URL != "":
		return f.URL
	case f.Version != "":
		return f.Type + "/" + f.ID + "/_history/" + f.Version
	}
	return f.Type + "/" + f.ID
}

// ParseReference reads Reference.reference. Conditional references (Patient?identifier=…) are no literals: false. So is
// anything with an unknown type or an invalid id.
func ParseReference(s string) (Reference, bool) {
	if fragment, ok := strings.CutPrefix(s, "#"); ok {
		if fragment != "" && !ValidID(fragment) {
			return Reference{}, false
		}
		return Reference{Fragment: fragment, Contained: true}, true
	}
	if hasControl(s) || strings.ContainsAny(s, " \\") {
		return Reference{}, false
	}
	scheme, rest, absolute := strings.Cut(s, ":")
	if !absolute || !isScheme(scheme) {
		return relative(s)
	}
	if rest == "" {
		return Reference{}, false
	}
	f := Reference{URL: s}
	if (scheme == "http" || scheme == "https") && strings.HasPrefix(rest, "//") && !strings.ContainsAny(rest, "?#") {
		f.Type, f.ID, f.Version = tail(rest[2:])
	}
	return f, true
}

func relative(s string) (Reference, bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 2 && len(parts) != 4 || !IsType(parts[0]) || !ValidID(parts[1]) {
		return Reference{}, false
	}
	f := Reference{Type: parts[0], ID: parts[1]}
	if len(parts) == 4 {
		if parts[2] != "_history" || !ValidID(parts[3]) {
			return Reference{}, false
		}
		f.Version = parts[3]
	}
	return f, true
}

// tail reads [type]/[id](/_history/[version]) off the end of an absolute URL's host and path.
func tail(path string) (typ, id, version string) {
	parts := strings.Split(path, "/")
	if n := len(parts); n >= 5 && parts[n-2] == "_history" && ValidID(parts[n-1]) {
		version, parts = parts[n-1], parts[:n-2]
	}
	if n := len(parts); n >= 3 && IsType(parts[n-2]) && ValidID(parts[n-1]) {
		return parts[n-2], parts[n-1], version
	}
	return "", "", ""
}

func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f })
}

// References gives every literal reference in the body, contained resources and Bundle entries included, in a fixed order.
// Canonicals and attachment URLs are not references.
func References(r *Resource) []Reference {
	var list []Reference
	walkReferences(r.tree, &list)
	return list
}

func walkReferences(v any, list *[]Reference) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if text, ok := v[name].(string); ok {
				if name == "reference" {
					if f, ok := ParseReference(text); ok {
						*list = append(*list, f)
					}
				}
				continue
			}
			walkReferences(v[name], list)
		}
	case []any:
		for _, entry := range v {
			walkReferences(entry, list)
		}
	}
}
