package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas/uma"
)

const (
	maxJSON  = 1 << 20
	maxDepth = 32
)

// readJSON reads one JSON value from the body: UTF-8, no member twice, at most 32 levels, nothing after it (F-042).
func readJSON(r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, uma.ErrInvalidRequest.With("send the body as application/json")
	}
	body, err := readBody(r, maxJSON)
	if err != nil {
		return nil, err
	}
	if err := checkJSON(body); err != nil {
		return nil, uma.ErrInvalidRequest.With(err.Error())
	}
	return bytes.TrimSpace(body), nil
}

// checkJSON tells whether raw is one strict JSON value. Its messages hold nothing of the input.
func checkJSON(raw []byte) error {
	switch {
	case len(bytes.TrimSpace(raw)) == 0:
		return errors.New("the body is empty: JSON expected")
	case !utf8.Valid(raw):
		return errors.New("the body is not UTF-8")
	case !json.Valid(raw):
		return errors.New("the body is not one well-formed JSON value")
	}
	if loneSurrogate(raw) {
		return errors.New("the body holds half a character (a lone surrogate)")
	}
	s := scanner{raw: raw}
	return s.value(0, nil)
}

// scanner walks JSON that is known to be well-formed.
type scanner struct {
	raw []byte
	pos int
}

func (s *scanner) space() {
	for s.pos < len(s.raw) && strings.IndexByte(" \t\r\n", s.raw[s.pos]) >= 0 {
		s.pos++
	}
}

// str returns the raw string literal at the position, quotation marks included.
func (s *scanner) str() []byte {
	start := s.pos
	for s.pos++; s.raw[s.pos] != '"'; s.pos++ {
		if s.raw[s.pos] == '\\' {
			s.pos++
		}
	}
	s.pos++
	return s.raw[start:s.pos]
}

func text(literal []byte) (string, error) {
	if bytes.IndexByte(literal, '\\') < 0 {
		return string(literal[1 : len(literal)-1]), nil
	}
	var out string
	err := json.Unmarshal(literal, &out)
	return out, err
}

// value steps over one value. visit, if not nil, gets each direct member (or element, with an empty name) of it.
func (s *scanner) value(depth int, visit func(name string, raw []byte)) error {
	if depth > maxDepth {
		return fmt.Errorf("the JSON is nested more than %d levels deep", maxDepth)
	}
	s.space()
	switch s.raw[s.pos] {
	case '{', '[':
		return s.container(depth, visit)
	case '"':
		s.str()
	default:
		for s.pos < len(s.raw) && strings.IndexByte(" \t\r\n,]}", s.raw[s.pos]) < 0 {
			s.pos++
		}
	}
	return nil
}

func (s *scanner) container(depth int, visit func(name string, raw []byte)) error {
	object := s.raw[s.pos] == '{'
	seen := map[string]bool{}
	for s.pos++; ; s.pos++ {
		s.space()
		if c := s.raw[s.pos]; c == '}' || c == ']' {
			s.pos++
			return nil
		}
		name := ""
		if object {
			var err error
			if name, err = text(s.str()); err != nil {
				return errors.New("a member name is not well-formed")
			}
			if seen[name] {
				return errors.New("a JSON member stands twice")
			}
			seen[name] = true
			s.space()
			s.pos++ // colon
			s.space()
		}
		start := s.pos
		if err := s.value(depth+1, nil); err != nil {
			return err
		}
		if visit != nil {
			visit(name, s.raw[start:s.pos])
		}
		s.space()
		if s.raw[s.pos] != ',' {
			s.pos++
			return nil
		}
	}
}

// decode fills v from checked JSON. Unlike encoding/json it compares member names byte by byte (F-002), and it says which
// member is wrong and what it should be. Unknown members are dropped (F-003), null is as if absent.
func decode(raw []byte, v any) error {
	return decodeInto(bytes.TrimSpace(raw), reflect.ValueOf(v).Elem(), "")
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

func decodeInto(raw []byte, v reflect.Value, path string) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	switch k := v.Kind(); {
	case v.Type() == rawMessage:
		v.SetBytes(bytes.Clone(raw))
		return nil
	case k == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return decodeInto(raw, v.Elem(), path)
	case k == reflect.Struct:
		return decodeStruct(raw, v, path)
	case k == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		return decodeSlice(raw, v, path)
	}
	if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil {
		return wrongType(path, v)
	}
	return nil
}

func decodeStruct(raw []byte, v reflect.Value, path string) error {
	members, err := members(raw)
	if err != nil {
		return wrongType(path, v)
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous && field.Tag.Get("json") == "" {
			if err := decodeStruct(raw, v.Field(i), path); err != nil {
				return err
			}
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if value, ok := members[name]; ok && name != "" && name != "-" {
			if err := decodeInto(value, v.Field(i), join(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func decodeSlice(raw []byte, v reflect.Value, path string) error {
	if raw[0] != '[' {
		return wrongType(path, v)
	}
	out := reflect.MakeSlice(v.Type(), 0, 4)
	var failed error
	s := scanner{raw: raw}
	err := s.value(0, func(_ string, element []byte) {
		e := reflect.New(v.Type().Elem()).Elem()
		at := fmt.Sprintf("%s[%d]", path, out.Len())
		if bytes.Equal(element, []byte("null")) && failed == nil {
			failed = wrongType(at, e)
		}
		if err := decodeInto(element, e, at); err != nil && failed == nil {
			failed = err
		}
		out = reflect.Append(out, e)
	})
	if err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	v.Set(out)
	return nil
}

// members splits an object; any other value is an error.
func members(raw []byte) (map[string]json.RawMessage, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, errors.New("not an object")
	}
	out := map[string]json.RawMessage{}
	s := scanner{raw: raw}
	err := s.value(0, func(name string, value []byte) { out[name] = value })
	return out, err
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func wrongType(path string, v reflect.Value) error {
	kinds := map[reflect.Kind]string{
		reflect.String: "a string", reflect.Struct: "an object", reflect.Slice: "an array", reflect.Bool: "true or false",
		reflect.Int: "a whole number", reflect.Int64: "a whole number", reflect.Map: "an object",
	}
	want := kinds[v.Kind()]
	if want == "" {
		want = "another type"
	}
	if path == "" {
		path = "the body"
	}
	return uma.ErrInvalidRequest.With(path + " must be " + want)
}

// writeJSON answers with v as it is: no HTML escaping, one line.
func writeJSON(c *gin.Context, status int, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	c.Header("Content-Type", "application/json")
	c.Status(status)
	_, err := c.Writer.Write(b.Bytes())
	return err
}
