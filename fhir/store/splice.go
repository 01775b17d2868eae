package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/umaas/umaas/fhir"
)

// prepared is content ready to be stored under any id: checked, compact, its id and meta cut out, its postings computed. Preparing is
// the dear part of a write and happens outside the committer wherever the body is known before.
type prepared struct {
	typ      string
	id       string // id in the body, "" when absent
	meta     []byte // members of meta without versionId and lastUpdated, each preceded by a comma
	rest     []byte // all other members, each preceded by a comma
	postings [][]byte
}

// prepare parses and checks a body. raw is not kept.
func (s *Store) prepare(raw []byte) (*prepared, error) {
	raw, err := s.relativeReferences(raw)
	if err != nil {
		return nil, err
	}
	r, err := fhir.Parse(raw)
	if err != nil {
		return nil, refuse(400, "structure", "the body is not a FHIR resource in JSON: %v", err)
	}
	return s.prepareParsed(r)
}

func (s *Store) prepareParsed(r *fhir.Resource) (*prepared, error) {
	if err := fhir.CheckWritable(r); err != nil {
		return nil, refuse(422, "structure", "the resource cannot be stored: %v", err)
	}
	if fhir.ClassOf(r.Type()) == fhir.ClassNotStored {
		return nil, refuse(422, "business-rule", "%s is a message, not a record: it cannot be stored", r.Type())
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, r.Raw()); err != nil {
		return nil, refuse(400, "structure", "the body is not JSON: %v", err)
	}
	p := &prepared{typ: r.Type(), id: r.ID(), postings: s.postings(r)}
	all, err := members(compact.Bytes())
	if err != nil {
		return nil, refuse(400, "structure", "the body is not a JSON object: %v", err)
	}
	for _, m := range all {
		switch m.name {
		case "resourceType", "id":
		case "meta":
			if p.meta, err = foreignMeta(m.value); err != nil {
				return nil, refuse(422, "structure", "meta must be an object: %v", err)
			}
		default:
			p.rest = append(append(append(append(p.rest, ','), m.rawName...), ':'), m.value...)
		}
	}
	return p, nil
}

// foreignMeta is what of meta belongs to the client: all but versionId and lastUpdated, which the server assigns (http.html#create).
func foreignMeta(meta []byte) ([]byte, error) {
	all, err := members(meta)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, m := range all {
		if m.name != "versionId" && m.name != "lastUpdated" {
			out = append(append(append(append(out, ','), m.rawName...), ':'), m.value...)
		}
	}
	return out, nil
}

// render gives the JSON to store and send. Member order and number formats of the client are kept.
func (p *prepared) render(id string, number uint64, at time.Time) []byte {
	b := make([]byte, 0, len(p.rest)+len(p.meta)+len(p.typ)+len(id)+120)
	b = append(b, `{"resourceType":"`...)
	b = append(append(b, p.typ...), `","id":"`...)
	b = append(append(b, id...), `","meta":{"versionId":"`...)
	b = strconv.AppendUint(b, number, 10)
	b = append(append(b, `","lastUpdated":"`...), instant(at)...)
	b = append(append(b, '"'), p.meta...)
	b = append(append(b, '}'), p.rest...)
	return append(b, '}')
}

// sameContent tells whether a stored body says the same as p under its own id and meta.
func (p *prepared) sameContent(v version) bool {
	return bytes.Equal(p.render(v.id, v.number, v.at), v.raw)
}

type member struct {
	name    string
	rawName []byte
	value   []byte
}

// members splits a compact, valid JSON object into its members without decoding the values.
func members(b []byte) ([]member, error) {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return nil, fmt.Errorf("not an object")
	}
	var out []member
	for i := 1; i < len(b)-1; {
		end := skipString(b, i)
		if end < 0 || end >= len(b) || b[end] != ':' {
			return nil, fmt.Errorf("member name expected at byte %d", i)
		}
		m := member{rawName: b[i:end]}
		if err := json.Unmarshal(m.rawName, &m.name); err != nil {
			return nil, err
		}
		start := end + 1
		end = skipValue(b, start)
		if end < 0 {
			return nil, fmt.Errorf("value expected at byte %d", start)
		}
		m.value = b[start:end]
		out = append(out, m)
		if i = end; b[i] == ',' {
			i++
		}
	}
	return out, nil
}

// skipString gives the index after the string that starts at i, -1 when there is none.
func skipString(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue gives the index after the value that starts at i; the value ends at a comma or closing bracket of its own level.
func skipValue(b []byte, i int) int {
	depth := 0
	for start := i; i < len(b); {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return after(start, i)
			}
			depth--
		case ',':
			if depth == 0 {
				return after(start, i)
			}
		}
		i++
	}
	return -1
}

func after(start, end int) int {
	if end == start {
		return -1
	}
	return end
}

// appendString writes s as a JSON string without HTML escapes.
func appendString(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return append(b, `""`...)
	}
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}
