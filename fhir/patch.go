package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// What keeps a JSON Patch (RFC 6902) from being applied. Neither tells what the document holds beyond what the patch itself says; a
// caller who must not tell even that gives both one answer (GW-31).
var (
	ErrPatchSyntax = errors.New("the body is not a JSON Patch")
	ErrPatchFailed = errors.New("the patch does not apply")
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

// ApplyPatch gives the document after a JSON Patch (RFC 6902); numbers keep their text. The result is JSON and nothing more: the caller
// parses it as the resource it is to be. Work and memory are bounded: 1000 operations, and 16 MiB that copies may add. Errors:
// ErrPatchSyntax (the patch is malformed), ErrPatchFailed (it does not fit the document).
func ApplyPatch(document, patch []byte) ([]byte, error) {
	var ops []patchOperation
	if err := json.Unmarshal(patch, &ops); err != nil || ops == nil {
		return nil, fmt.Errorf("%w: an array of operations is expected", ErrPatchSyntax)
	}
	if len(ops) > maxPatchOperations {
		return nil, fmt.Errorf("%w: more than %d operations", ErrPatchSyntax, maxPatchOperations)
	}
	steps := make([]patchStep, len(ops))
	for i, op := range ops { // all of them before the first is applied: what is malformed does not depend on the document
		var err error
		if steps[i], err = op.step(); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
	}
	doc, err := decodeAny(document)
	if err != nil {
		return nil, err
	}
	budget := maxPatchedSize
	for i, step := range steps {
		if doc, err = step.apply(doc, &budget); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPatchFailed, err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

func decodeAny(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPatchSyntax, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: trailing data", ErrPatchSyntax)
	}
	return v, nil
}

// patchStep is an operation that is well formed.
type patchStep struct {
	op         string
	path, from []string
	value      any
}

func (o patchOperation) step() (patchStep, error) {
	s := patchStep{op: o.Op}
	if o.Path == nil {
		return s, fmt.Errorf("%w: path is missing", ErrPatchSyntax)
	}
	var err error
	if s.path, err = parsePointer(*o.Path); err != nil {
		return s, err
	}
	switch o.Op {
	case "add", "replace", "test":
		if o.Value == nil {
			return s, fmt.Errorf("%w: value is missing", ErrPatchSyntax)
		}
		s.value, err = decodeAny(o.Value)
	case "move", "copy":
		if o.From == nil {
			return s, fmt.Errorf("%w: from is missing", ErrPatchSyntax)
		}
		s.from, err = parsePointer(*o.From)
	case "remove":
	default:
		return s, fmt.Errorf("%w: unknown op", ErrPatchSyntax)
	}
	return s, err
}

func (s patchStep) apply(doc any, budget *int) (any, error) {
	switch s.op {
	case "add":
		return edit(doc, s.path, addAt(s.value))
	case "replace":
		return edit(doc, s.path, replaceAt(s.value))
	case "remove":
		return edit(doc, s.path, removeAt)
	case "test":
		have, err := valueAt(doc, s.path)
		if err != nil || !equalJSON(have, s.value) {
			return nil, fmt.Errorf("%w: test", ErrPatchFailed)
		}
		return doc, nil
	case "move":
		return s.move(doc)
	default:
		return s.copy(doc, budget)
	}
}

// move is RFC 6902 §4.4.
func (s patchStep) move(doc any) (any, error) {
	value, err := valueAt(doc, s.from)
	if err != nil || slices.Equal(s.path, s.from) {
		return doc, err
	}
	if len(s.path) > len(s.from) && slices.Equal(s.path[:len(s.from)], s.from) {
		return nil, fmt.Errorf("%w: a value cannot move into itself", ErrPatchFailed)
	}
	if doc, err = edit(doc, s.from, removeAt); err != nil {
		return nil, err
	}
	return edit(doc, s.path, addAt(value))
}

// copy is RFC 6902 §4.5. The value is copied whole, so that a later change of one does not show in the other.
func (s patchStep) copy(doc any, budget *int) (any, error) {
	value, err := valueAt(doc, s.from)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPatchFailed, err)
	}
	if *budget -= len(raw); *budget < 0 {
		return nil, fmt.Errorf("%w: copies grow too large", ErrPatchFailed)
	}
	if value, err = decodeAny(raw); err != nil {
		return nil, err
	}
	return edit(doc, s.path, addAt(value))
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
