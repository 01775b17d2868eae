package fhir

import (
	"fmt"
	"strconv"
	"strings"
)

// parsePointer splits a JSON Pointer (RFC 6901).
func parsePointer(p string) ([]string, error) {
	if p == "" {
		return nil, nil
	}
	if p[0] != '/' {
		return nil, fmt.Errorf("%w: a path starts with /", ErrPatchSyntax)
	}
	parts := strings.Split(p[1:], "/")
	for i, part := range parts {
		for j := 0; j < len(part); j++ {
			if part[j] == '~' && (j+1 == len(part) || part[j+1] != '0' && part[j+1] != '1') {
				return nil, fmt.Errorf("%w: ~ in a path must be ~0 or ~1", ErrPatchSyntax)
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
		return 0, fmt.Errorf("%w: no such index", ErrPatchFailed)
	}
	return n, nil
}

func valueAt(doc any, path []string) (any, error) {
	for _, part := range path {
		switch x := doc.(type) {
		case map[string]any:
			v, ok := x[part]
			if !ok {
				return nil, fmt.Errorf("%w: no such member", ErrPatchFailed)
			}
			doc = v
		case []any:
			i, err := arrayIndex(part, len(x)-1)
			if err != nil {
				return nil, err
			}
			doc = x[i]
		default:
			return nil, fmt.Errorf("%w: no such path", ErrPatchFailed)
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
		return nil, fmt.Errorf("%w: no such path", ErrPatchFailed)
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
		return nil, fmt.Errorf("%w: no such path", ErrPatchFailed)
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
	return nil, fmt.Errorf("%w: no such path", ErrPatchFailed)
}
