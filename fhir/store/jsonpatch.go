package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// JSON Patch, RFC 6902, on documents decoded with json.Number.

var (
	errPatchSyntax = errors.New("the body is not a JSON Patch")
	errPatchFailed = errors.New("the patch does not apply")
)

const (
	maxPatchOperations = 1000
	maxPatchedSize     = 16 << 20 // total bytes "copy" may produce in one patch
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
