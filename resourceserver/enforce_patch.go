package resourceserver

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// patched applies a JSON Patch (RFC 6902) to the judged version in memory, so that what is judged and written is a whole
// resource (GW-31). Every failure has one text: a "test" must reveal nothing.
func (c *call) patched(stored *fhir.Resource) (*fhir.Resource, error) {
	var ops []patchOp
	if err := json.Unmarshal(c.access.Patch, &ops); err != nil || ops == nil || len(ops) > maxPatchOps {
		return nil, unserved(http.StatusBadRequest, "structure", "The body is not a JSON Patch of at most %d operations.", maxPatchOps)
	}
	doc := copyTree(stored.Map())
	var err error
	for _, op := range ops {
		if doc, err = op.apply(doc); err != nil {
			return nil, errPatch
		}
	}
	raw, err := encodeJSON(doc)
	if err != nil || int64(len(raw)) > c.MaxBody {
		return nil, errPatch
	}
	r, err := fhir.Parse(c.classifier.relativeReferences(raw))
	if err != nil || r.Type() != stored.Type() || r.ID() != stored.ID() || fhir.CheckWritable(r) != nil {
		return nil, errPatch
	}
	return r, nil
}

const maxPatchOps = 200

type patchOp struct {
	Op    string           `json:"op"`
	Path  *string          `json:"path"`
	From  *string          `json:"from"`
	Value *json.RawMessage `json:"value"`
}

var errPatchFailed = errors.New("the patch does not apply")

func (o patchOp) apply(doc any) (any, error) {
	if o.Path == nil {
		return nil, errPatchFailed
	}
	path, ok := pointer(*o.Path)
	if !ok {
		return nil, errPatchFailed
	}
	switch o.Op {
	case "remove":
		return removeAt(doc, path)
	case "move", "copy":
		return o.transfer(doc, path)
	case "add", "replace", "test":
	default:
		return nil, errPatchFailed
	}
	value, err := o.value()
	if err != nil {
		return nil, err
	}
	switch o.Op {
	case "test":
		have, err := valueAt(doc, path)
		if err != nil || !equalJSON(have, value) {
			return nil, errPatchFailed
		}
		return doc, nil
	case "replace":
		if len(path) == 0 {
			return value, nil
		}
		if doc, err = removeAt(doc, path); err != nil {
			return nil, err
		}
	}
	return addAt(doc, path, value)
}

func (o patchOp) value() (any, error) {
	raw := []byte("null") // a null value decodes to a nil pointer, absent likewise; FHIR knows no null members
	if o.Value != nil {
		raw = *o.Value
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || v == nil {
		return nil, errPatchFailed
	}
	return v, nil
}

func (o patchOp) transfer(doc any, path []string) (any, error) {
	if o.From == nil {
		return nil, errPatchFailed
	}
	from, ok := pointer(*o.From)
	if !ok {
		return nil, errPatchFailed
	}
	value, err := valueAt(doc, from)
	if err != nil {
		return nil, err
	}
	value = copyTree(value)
	if o.Op == "move" {
		if len(path) > len(from) && slices.Equal(path[:len(from)], from) {
			return nil, errPatchFailed // a value cannot move into itself
		}
		if doc, err = removeAt(doc, from); err != nil {
			return nil, err
		}
	}
	return addAt(doc, path, value)
}

// pointer splits a JSON Pointer (RFC 6901).
func pointer(s string) ([]string, bool) {
	if s == "" {
		return nil, true
	}
	if s[0] != '/' || len(s) > 1024 {
		return nil, false
	}
	parts := strings.Split(s[1:], "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts, true
}

func index(s string, limit int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > limit || strconv.Itoa(n) != s {
		return 0, errPatchFailed
	}
	return n, nil
}

func valueAt(doc any, path []string) (any, error) {
	for _, p := range path {
		switch x := doc.(type) {
		case map[string]any:
			v, ok := x[p]
			if !ok {
				return nil, errPatchFailed
			}
			doc = v
		case []any:
			i, err := index(p, len(x)-1)
			if err != nil {
				return nil, err
			}
			doc = x[i]
		default:
			return nil, errPatchFailed
		}
	}
	return doc, nil
}

// edit replaces the container that path's last step is in by what f makes of it.
func edit(doc any, path []string, f func(container any, last string) (any, error)) (any, error) {
	if len(path) == 1 {
		return f(doc, path[0])
	}
	child, err := valueAt(doc, path[:1])
	if err != nil {
		return nil, err
	}
	changed, err := edit(child, path[1:], f)
	if err != nil {
		return nil, err
	}
	switch x := doc.(type) {
	case map[string]any:
		x[path[0]] = changed
	case []any:
		i, err := index(path[0], len(x)-1)
		if err != nil {
			return nil, err
		}
		x[i] = changed
	}
	return doc, nil
}

func addAt(doc any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	return edit(doc, path, func(container any, last string) (any, error) {
		switch x := container.(type) {
		case map[string]any:
			x[last] = value
			return x, nil
		case []any:
			if last == "-" {
				return append(x, value), nil
			}
			i, err := index(last, len(x))
			if err != nil {
				return nil, err
			}
			return slices.Insert(x, i, value), nil
		}
		return nil, errPatchFailed
	})
}

func removeAt(doc any, path []string) (any, error) {
	if _, err := valueAt(doc, path); err != nil || len(path) == 0 {
		return nil, errPatchFailed
	}
	return edit(doc, path, func(container any, last string) (any, error) {
		switch x := container.(type) {
		case map[string]any:
			delete(x, last)
			return x, nil
		case []any:
			i, err := index(last, len(x)-1)
			if err != nil {
				return nil, err
			}
			return slices.Delete(x, i, i+1), nil
		}
		return nil, errPatchFailed
	})
}

// equalJSON compares values; numbers as numbers (RFC 6902 §4.6).
func equalJSON(a, b any) bool {
	x, ok1 := a.(json.Number)
	y, ok2 := b.(json.Number)
	if ok1 && ok2 {
		f, err1 := x.Float64()
		g, err2 := y.Float64()
		return x == y || err1 == nil && err2 == nil && f == g
	}
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalJSON)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalJSON)
	}
	return reflect.DeepEqual(a, b)
}

// copyTree copies decoded JSON, so that the parsed resource stays as it is.
func copyTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = copyTree(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, member := range v {
			out[i] = copyTree(member)
		}
		return out
	}
	return v
}
