package store

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
)

// Parameters of the store's own: every living document of a type; membership of a Patient compartment (plain membership by HL7's
// definition, the gateway narrows it); the server's own time of the last change.
const (
	paramAll         = "~all"
	paramCompartment = "~patient"
	paramLastUpdated = "_lastUpdated"
)

// Term classes: the first byte of a term. An index term may propose too much, never too little (see package comment).
const (
	termCode   = 'c' // token: code or value, folded
	termSystem = 's' // token: system, folded
	termRefID  = 'r' // reference: the id it ends in
	termURL    = 'u' // reference or uri: the URL without |version
	termText   = 'x' // string: its ASCII letters and digits, folded
	termCut    = 'y' // string: the same, cut short at the first other character
	termPoint  = 'p' // date: start of a value not wider than a day
	termStart  = 'q' // date: start of a wider value
	termEnd    = 'z' // date: end of a wider value
)

const maxTerm = 128

func decodeUint64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// postings computes the posting prefixes (type, parameter, term, 0x00) of a resource; the document number is added when it is stored.
func (s *Store) postings(r *fhir.Resource) [][]byte {
	typ := s.types[r.Type()]
	seen := map[string]bool{}
	var out [][]byte
	add := func(param string, class byte, term string) {
		p := posting(typ, s.params[param], class, term)
		if !seen[string(p)] {
			seen[string(p)] = true
			out = append(out, p)
		}
	}
	add(paramAll, 'a', "")
	if r.Type() != "Patient" { // a Patient is in its own compartment by its id, see ownPostings
		for _, patient := range compartmentsOf(r) {
			add(paramCompartment, termRefID, patient)
		}
	}
	for _, p := range s.indexable[r.Type()] {
		values, err := fhir.Eval(r, p.Expression)
		if err != nil {
			continue // the predicate sees nothing either
		}
		for _, v := range values {
			terms(p.Kind, v, func(class byte, term string) { add(p.Code, class, term) })
		}
	}
	return out
}

// ownPostings are those that depend on what the server assigns: id and time.
func (s *Store) ownPostings(typ, id string, at time.Time) [][]byte {
	out := [][]byte{posting(s.types[typ], s.params[paramLastUpdated], termPoint, dateKey(at.Unix()))}
	if typ == "Patient" {
		out = append(out, posting(s.types[typ], s.params[paramCompartment], termRefID, id))
	}
	return out
}

// compartmentsOf names the Patient compartments a resource is in by HL7's definition.
func compartmentsOf(r *fhir.Resource) []string {
	return fhir.PatientMembership(r).All()
}

func indexed(k fhir.ParamKind) bool {
	switch k {
	case "token", "reference", "uri", "string", "date":
		return true
	default:
		return false
	}
}

func posting(typ, param uint16, class byte, term string) []byte {
	return append(append(append(postingPrefix(typ, param), class), term...), 0)
}

// terms calls add for every term under which a value of this kind can be found.
func terms(kind fhir.ParamKind, v any, add func(class byte, term string)) {
	if m, ok := v.(map[string]any); ok && m["url"] != nil && kind != "string" {
		for name, inner := range m { // an Extension is searched by its value
			if strings.HasPrefix(name, "value") && name != "value" {
				terms(kind, inner, add)
			}
		}
	}
	switch kind {
	case "token":
		tokenTerms(v, add)
	case "reference", "uri":
		switch x := v.(type) {
		case string:
			urlTerms(x, add)
		case map[string]any:
			if ref, ok := x["reference"].(string); ok {
				urlTerms(ref, add)
			}
			if id, ok := x["id"].(string); ok && x["resourceType"] != nil { // Bundle.entry[0].resource points to itself
				add(termRefID, bounded(id))
			}
		}
	case "string":
		textTerms(v, add)
	case "date":
		dateTerms(v, add)
	}
}

func tokenTerms(v any, add func(byte, string)) {
	pair := func(m map[string]any) {
		for _, name := range []string{"system", "use"} { // a ContactPoint is searched by use|value
			if system, ok := m[name].(string); ok {
				add(termSystem, bounded(fold(system)))
			}
		}
		for _, name := range []string{"code", "value"} {
			if code, ok := m[name].(string); ok {
				add(termCode, bounded(fold(code)))
			}
		}
	}
	switch x := v.(type) {
	case string:
		add(termCode, bounded(fold(x)))
	case bool:
		if x {
			add(termCode, "true")
		} else {
			add(termCode, "false")
		}
	case json.Number:
		add(termCode, bounded(x.String()))
	case map[string]any:
		pair(x)
		codings, _ := x["coding"].([]any)
		for _, c := range codings {
			if m, ok := c.(map[string]any); ok {
				pair(m)
			}
		}
	}
}

func urlTerms(ref string, add func(byte, string)) {
	if r, ok := fhir.ParseReference(ref); ok && r.ID != "" {
		add(termRefID, bounded(r.ID))
	}
	add(termURL, urlTerm(ref))
}

func urlTerm(ref string) string {
	plain, _, _ := strings.Cut(ref, "|")
	return bounded(plain)
}

// textTerms adds every string below v: a HumanName or Address is searched by any of its parts.
func textTerms(v any, add func(byte, string)) {
	switch x := v.(type) {
	case string:
		add(textTerm(x))
	case []any:
		for _, e := range x {
			textTerms(e, add)
		}
	case map[string]any:
		for _, e := range x {
			textTerms(e, add)
		}
	}
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// textTerm reduces a text so that no way of normalising (case, spaces, punctuation, accents) can tell more: ASCII letters and digits,
// up to the first character beyond ASCII, where the term is marked as cut.
func textTerm(s string) (class byte, term string) {
	b := make([]byte, 0, 32)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0x80 || len(b) == 32:
			return termCut, string(b)
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case isWordByte(c):
			b = append(b, c)
		}
	}
	return termText, string(b)
}

// fold makes strings equal that differ in case only.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

func bounded(s string) string {
	if len(s) > maxTerm {
		s = s[:maxTerm]
	}
	return strings.ReplaceAll(s, "\x00", "\x01")
}

// dateKey orders seconds since 1970, negative ones included.
func dateKey(unix int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(unix)^(1<<63))) //nolint:gosec // two's complement, turned to sort
}

// dateTerms adds a date, dateTime, instant or Period; anything else (Timing, what cannot be read) is taken as "any time".
func dateTerms(v any, add func(byte, string)) {
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	switch x := v.(type) {
	case string:
		if from, to, ok := dateRange(x); ok {
			lo, hi = from.Unix(), to.Unix()
		}
	case map[string]any:
		if s, ok := x["start"].(string); ok {
			if from, _, ok := dateRange(s); ok {
				lo = from.Unix()
			}
		}
		if s, ok := x["end"].(string); ok {
			if _, to, ok := dateRange(s); ok {
				hi = to.Unix()
			}
		}
	default:
		return
	}
	if lo != math.MinInt64 && hi-lo <= 86400 {
		add(termPoint, dateKey(lo))
		return
	}
	add(termStart, dateKey(lo))
	add(termEnd, dateKey(hi))
}

// dateRange gives the span of a FHIR date, dateTime or instant: "2020" is the whole year. A time without zone counts as UTC here; the
// planner's slack covers every zone.
func dateRange(s string) (from, to time.Time, ok bool) {
	switch len(s) {
	case 4:
		if t, err := time.Parse("2006", s); err == nil {
			return t, t.AddDate(1, 0, 0), true
		}
	case 7:
		if t, err := time.Parse("2006-01", s); err == nil {
			return t, t.AddDate(0, 1, 0), true
		}
	case 10:
		if t, err := time.Parse("2006-01-02", s); err == nil {
			return t, t.AddDate(0, 0, 1), true
		}
	default:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t, t.Add(time.Second), true
			}
		}
	}
	return from, to, false
}
