package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Resource is one parsed FHIR resource and the bytes it came from. It is immutable and safe for concurrent readers.
type Resource struct {
	raw  []byte
	typ  string
	id   string
	tree map[string]any
}

// Parse reads a resource from strict JSON (R4 §2.6.2): valid UTF-8, no member twice, at most 64 levels, a known
// resourceType. It keeps its own copy of raw. The caller limits the size.
func Parse(raw []byte) (*Resource, error) {
	raw = bytes.Clone(raw)
	tree, err := decodeObject(raw)
	if err != nil {
		return nil, fmt.Errorf("parse resource: %w", err)
	}
	typ, _ := tree["resourceType"].(string)
	if !IsType(typ) {
		return nil, fmt.Errorf("parse resource: resourceType %q is not a resource type of FHIR R4", typ)
	}
	id, isString := tree["id"].(string)
	if _, present := tree["id"]; present && !isString {
		return nil, errors.New("parse resource: id must be a string")
	}
	return &Resource{raw: raw, typ: typ, id: id, tree: tree}, nil
}

// Raw gives the bytes Parse got. Treat as read-only.
func (r *Resource) Raw() []byte { return r.raw }

// Type gives the resourceType.
func (r *Resource) Type() string { return r.typ }

// ID gives the logical id, empty when there is none yet.
func (r *Resource) ID() string { return r.id }

// VersionID gives meta.versionId, or empty.
func (r *Resource) VersionID() string {
	meta, _ := r.tree["meta"].(map[string]any)
	version, _ := meta["versionId"].(string)
	return version
}

// LastUpdated gives meta.lastUpdated; false when it is missing or no instant.
func (r *Resource) LastUpdated() (time.Time, bool) {
	meta, _ := r.tree["meta"].(map[string]any)
	text, _ := meta["lastUpdated"].(string)
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, err == nil
}

// Map gives the resource as decoded JSON: map[string]any, []any, string, json.Number, bool, nil. Treat as read-only.
func (r *Resource) Map() map[string]any { return r.tree }

// ValidID reports whether s has the form of a FHIR id: 1 to 64 of A-Z a-z 0-9 - . (R4 §2.24.0.1).
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

// CheckWritable makes the structural checks that the store and the gateway share before a body is stored: id syntax, the
// shape of meta (labels are judged from it), and contained resources: typed, with a valid id, not nested (R4 §2.3.1). It
// is no profile validation.
func CheckWritable(r *Resource) error {
	if _, present := r.tree["id"]; present && !ValidID(r.id) {
		return fmt.Errorf("%s.id: 1 to 64 letters, digits, '-' or '.' are allowed", r.typ)
	}
	if err := checkMeta(r.typ, r.tree); err != nil {
		return err
	}
	value, present := r.tree["contained"]
	if !present {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%s.contained: must be an array", r.typ)
	}
	seen := map[string]bool{}
	for i, entry := range list {
		where := fmt.Sprintf("%s.contained[%d]", r.typ, i)
		id, err := checkContained(where, entry)
		if err != nil {
			return err
		}
		if seen[id] {
			return fmt.Errorf("%s.id: used by another contained resource", where)
		}
		seen[id] = true
	}
	return nil
}

func checkContained(where string, entry any) (id string, err error) {
	m, ok := entry.(map[string]any)
	if !ok {
		return "", fmt.Errorf("%s: must be a resource", where)
	}
	if typ, _ := m["resourceType"].(string); !IsType(typ) {
		return "", fmt.Errorf("%s.resourceType: must be a resource type of FHIR R4", where)
	}
	id, _ = m["id"].(string)
	if !ValidID(strings.TrimPrefix(id, "#")) {
		return "", fmt.Errorf("%s.id: a contained resource needs a valid id", where)
	}
	if _, nested := m["contained"]; nested {
		return "", fmt.Errorf("%s.contained: contained resources do not nest", where)
	}
	return id, checkMeta(where, m)
}

func checkMeta(where string, m map[string]any) error {
	value, present := m["meta"]
	if !present {
		return nil
	}
	meta, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%s.meta: must be an object", where)
	}
	for _, name := range []string{"versionId", "lastUpdated", "source"} {
		if v, present := meta[name]; present {
			if _, ok := v.(string); !ok {
				return fmt.Errorf("%s.meta.%s: must be a string", where, name)
			}
		}
	}
	for _, name := range []string{"security", "tag", "profile"} {
		v, present := meta[name]
		if !present {
			continue
		}
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s.meta.%s: must be an array", where, name)
		}
		for _, entry := range list {
			_, isObject := entry.(map[string]any)
			_, isString := entry.(string)
			if name == "profile" && !isString || name != "profile" && !isObject {
				return fmt.Errorf("%s.meta.%s: entry of the wrong type", where, name)
			}
		}
	}
	return nil
}
