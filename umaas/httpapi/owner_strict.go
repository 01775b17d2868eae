package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/umaas/umaas/umaas/uma"
)

// readStrict reads a body of the policy API. Unlike the protocol endpoints, which must ignore what they do not know (F-003), a
// member this API does not know refuses: a limit with a slip in its name would give more than was meant.
func readStrict(r *http.Request, v any) error {
	raw, err := readJSON(r)
	if err != nil {
		return err
	}
	return decodeStrict(raw, v)
}

func decodeStrict(raw []byte, v any) error {
	if len(raw) == 0 || raw[0] != '{' {
		return uma.ErrInvalidRequest.With("the body must be an object")
	}
	if err := unknownMember(raw, reflect.TypeOf(v).Elem(), ""); err != nil {
		return err
	}
	return decode(raw, v)
}

// unknownMember walks JSON that was checked beside the type it is decoded into.
func unknownMember(raw []byte, t reflect.Type, path string) error {
	raw = bytes.TrimSpace(raw)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case len(raw) == 0 || t == rawMessage:
		return nil
	case t.Kind() == reflect.Struct && raw[0] == '{':
		return unknownField(raw, t, path)
	case t.Kind() == reflect.Slice && raw[0] == '[':
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return uma.ErrInvalidRequest.With("the body is not well-formed")
		}
		for i, e := range elements {
			if err := unknownMember(e, t.Elem(), path+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	}
	return nil
}

func unknownField(raw []byte, t reflect.Type, path string) error {
	all, err := members(raw)
	if err != nil {
		return uma.ErrInvalidRequest.With("the body is not well-formed")
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = t.Field(i).Type
	}
	for name, value := range all {
		field, known := fields[name]
		if !known || name == "" {
			at := path
			if at == "" {
				at = "the body"
			}
			if printable(name) {
				return uma.ErrInvalidRequest.With(at + " has a member this server does not know: " + name)
			}
			return uma.ErrInvalidRequest.With(at + " has a member this server does not know")
		}
		if err := unknownMember(value, field, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}
