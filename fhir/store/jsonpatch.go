package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
)

// JSON Patch, RFC 6902, on documents decoded with json.Number.

var (
	errPatchSyntax = errors.New("the body is not a JSON Patch")
	errPatchFailed = errors.New("the patch does not apply")
)

const (
	maxPatchOperations = 1000
	maxPatchedSize     = 64 << 20 // total bytes "copy" may produce in one patch
)

type patchOperation struct {
	Op    string          `json:"op"`
	Path  *string         `json:"path"`
	From  *string         `json:"from"`
	Value json.RawMessage `json:"value"`
}

// applyPatch gives the patched document. Errors are errPatchSyntax (the patch is malformed) or errPatchFailed (it does not fit).
func applyPatch(document, patch []byte) ([]byte, error) {
	var ops []patchOperation
	if err := json.Unmarshal(patch, &ops); err != nil || ops == nil {
		return nil, fmt.Errorf("%w: an array of operations is expected", errPatchSyntax)
	}
	if len(ops) > maxPatchOperations {
		return nil, fmt.Errorf("%w: more than %d operations", errPatchSyntax, maxPatchOperations)
	}
	doc, err := decodeAny(document)
	if err != nil {
		return nil, err
	}
	budget := maxPatchedSize
	for i, op := range ops {
		if doc, err = op.apply(doc, &budget); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("%w: %v", errPatchFailed, err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

func decodeAny(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %v", errPatchSyntax, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: trailing data", errPatchSyntax)
	}
	return v, nil
}

func (o patchOperation) apply(doc any, budget *int) (any, error) {
	if o.Path == nil {
		return nil, fmt.Errorf("%w: path is missing", errPatchSyntax)
	}
	path, err := parsePointer(*o.Path)
	if err != nil {
		return nil, err
	}
	switch o.Op {
	case "add", "replace", "test":
		if o.Value == nil {
			return nil, fmt.Errorf("%w: value is missing", errPatchSyntax)
		}
		value, err := decodeAny(o.Value)
		if err != nil {
			return nil, err
		}
		switch o.Op {
		case "add":
			return edit(doc, path, addAt(value))
		case "replace":
			return edit(doc, path, replaceAt(value))
		}
		have, err := valueAt(doc, path)
		if err != nil || !equalJSON(have, value) {
			return nil, fmt.Errorf("%w: test", errPatchFailed)
		}
		return doc, nil
	case "remove":
		return edit(doc, path, removeAt)
	case "move", "copy":
		return o.transfer(doc, path, budget)
	default:
		return nil, fmt.Errorf("%w: unknown op", errPatchSyntax)
	}
}

// transfer is move and copy (RFC 6902 §4.4, §4.5).
func (o patchOperation) transfer(doc any, path []string, budget *int) (any, error) {
	if o.From == nil {
		return nil, fmt.Errorf("%w: from is missing", errPatchSyntax)
	}
	from, err := parsePointer(*o.From)
	if err != nil {
		return nil, err
	}
	value, err := valueAt(doc, from)
	if err != nil {
		return nil, err
	}
	if o.Op == "copy" {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", errPatchFailed, err)
		}
		if *budget -= len(raw); *budget < 0 {
			return nil, fmt.Errorf("%w: copies grow too large", errPatchFailed)
		}
		if value, err = decodeAny(raw); err != nil { // a copy, so that a later change of one does not show in the other
			return nil, err
		}
		return edit(doc, path, addAt(value))
	}
	if *o.Path == *o.From {
		return doc, nil
	}
	if strings.HasPrefix(*o.Path, *o.From+"/") {
		return nil, fmt.Errorf("%w: a value cannot move into itself", errPatchFailed)
	}
	if doc, err = edit(doc, from, removeAt); err != nil {
		return nil, err
	}
	return edit(doc, path, addAt(value))
}

// parsePointer splits a JSON Pointer (RFC 6901).
func parsePointer(p string) ([]string, error) {
	if p == "" {
		return nil, nil
	}
	if p[0] != '/' {
		return nil, fmt.Errorf("%w: a path starts with /", errPatchSyntax)
	}
	parts := strings.Split(p[1:], "/")
	for i, part := range parts {
		for j := 0; j < len(part); j++ {
			if part[j] == '~' && (j+1 == len(part) || part[j+1] != '0' && part[j+1] != '1') {
				return nil, fmt.Errorf("%w: ~ in a path must be ~0 or ~1", errPatchSyntax)
			}
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// arrayIndex reads an index from 0 to limit; leading zeros and signs are no index (RFC 6901 §4).
func arrayIndex(s string, limit int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > limit || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("%w: no such index", errPatchFailed)
	}
	return n, nil
}

func valueAt(doc any, path []string) (any, error) {
	for _, part := range path {
		switch x := doc.(type) {
		case map[string]any:
			v, ok := x[part]
			if !ok {
				return nil, fmt.Errorf("%w: no such member", errPatchFailed)
			}
			doc = v
		case []any:
			i, err := arrayIndex(part, len(x)-1)
			if err != nil {
				return nil, err
			}
			doc = x[i]
		default:
			return nil, fmt.Errorf("%w: no such path", errPatchFailed)
		}
	}
	return doc, nil
}

// change edits a container (nil for the whole document) at one name and gives what replaces it.
type change func(container any, name string) (any, error)

// edit walks to the container of path, changes it, and puts the result back on the way up: an array may have moved.
func edit(doc any, path []string, f change) (any, error) {
	if len(path) == 0 {
		return f(nil, "")
	}
	if len(path) == 1 {
		return f(doc, path[0])
	}
	child, err := valueAt(doc, path[:1])
	if err != nil {
		return nil, err
	}
	next, err := edit(child, path[1:], f)
	if err != nil {
		return nil, err
	}
	return replaceAt(next)(doc, path[0])
}

func addAt(value any) change {
	return func(container any, name string) (any, error) {
		switch x := container.(type) {
		case nil:
			if name == "" {
				return value, nil
			}
		case map[string]any:
			x[name] = value
			return x, nil
		case []any:
			i, err := len(x), error(nil)
			if name != "-" {
				if i, err = arrayIndex(name, len(x)); err != nil {
					return nil, err
				}
			}
			x = append(x, nil)
			copy(x[i+1:], x[i:])
			x[i] = value
			return x, nil
		}
		return nil, fmt.Errorf("%w: no such path", errPatchFailed)
	}
}

func replaceAt(value any) change {
	return func(container any, name string) (any, error) {
		switch x := container.(type) {
		case nil:
			if name == "" {
				return value, nil
			}
		case map[string]any:
			if _, ok := x[name]; ok {
				x[name] = value
				return x, nil
			}
		case []any:
			i, err := arrayIndex(name, len(x)-1)
			if err != nil {
				return nil, err
			}
			x[i] = value
			return x, nil
		}
		return nil, fmt.Errorf("%w: no such path", errPatchFailed)
	}
}

func removeAt(container any, name string) (any, error) {
	switch x := container.(type) {
	case map[string]any:
		if _, ok := x[name]; ok {
			delete(x, name)
			return x, nil
		}
	case []any:
		i, err := arrayIndex(name, len(x)-1)
		if err != nil {
			return nil, err
		}
		return append(x[:i], x[i+1:]...), nil
	}
	return nil, fmt.Errorf("%w: no such path", errPatchFailed)
}

// equalJSON compares as RFC 6902 §4.6 says: numbers by value, objects without order.
func equalJSON(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		return ok && equalNumbers(string(x), string(y))
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, ok := y[k]
			if !ok || !equalJSON(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equalJSON(x[i], y[i]) {
				return false
			}
		}
		return true
	default:
		return a == b
	}
}

func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	if len(a) > 64 || len(b) > 64 {
		return false
	}
	x, _, err1 := big.ParseFloat(a, 10, 256, big.ToNearestEven)
	y, _, err2 := big.ParseFloat(b, 10, 256, big.ToNearestEven)
	return err1 == nil && err2 == nil && x.Cmp(y) == 0
}
