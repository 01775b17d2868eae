package store

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// everything proposes all living documents of a type.
func (t *txn) everything(typ string) *source {
	return &source{t: t, spans: []span{exactSpan(posting(t.s.types[typ], t.s.params[paramAll], 'a', ""))}}
}

// compartment proposes the documents of a type in one Patient's compartment.
func (t *txn) compartment(typ, patient string) *source {
	return &source{t: t, spans: []span{exactSpan(posting(t.s.types[typ], t.s.params[paramCompartment], termRefID, patient))}}
}

// referring proposes documents of a type that refer by param to a resource with this id.
func (t *txn) referring(typ, param, id string) *source {
	return &source{t: t, spans: []span{exactSpan(posting(t.s.types[typ], t.s.params[param], termRefID, bounded(id)))}}
}

// plan picks the shortest list of candidates among all conditions an index knows, and the other ones that can cheaply exclude.
func (t *txn) plan(typ string, pairs []fhir.Pair, patient string) (driver *source, checks []*source) {
	sources := []*source{}
	if patient != "" {
		sources = append(sources, t.compartment(typ, patient))
	}
	for _, p := range pairs {
		if src := t.sourceFor(typ, p); src != nil {
			sources = append(sources, src)
		}
	}
	if len(sources) == 0 {
		return t.everything(typ), nil
	}
	best := shortest(sources)
	for i, src := range sources {
		if i != best && src.canExclude() {
			checks = append(checks, src)
		}
	}
	return sources[best], checks
}

// shortest races the sources: all are counted up to a limit that grows until one ends, so the cost follows the shortest, not the longest.
func shortest(sources []*source) int {
	if len(sources) == 1 {
		return 0
	}
	for limit := 64; ; limit *= 8 {
		best, least := -1, limit
		for i, src := range sources {
			if n := src.size(limit); n < least {
				best, least = i, n
			}
		}
		if best >= 0 {
			return best
		}
		if limit > 1<<24 {
			return 0
		}
	}
}

// sourceFor gives the candidates of one condition, nil when no index can tell.
func (t *txn) sourceFor(typ string, pair fhir.Pair) *source {
	name, modifier, _ := strings.Cut(pair.Name, ":")
	if name == "_id" && modifier == "" && !strings.Contains(pair.Value, "|") {
		return t.byIDs(typ, orList(pair.Value))
	}
	p, ok := fhir.Param(typ, name)
	if !ok {
		return nil
	}
	num, known := t.s.params[name]
	if !known {
		return nil
	}
	kind := p.Kind
	if name == paramLastUpdated {
		kind = "date"
	}
	src := &source{t: t}
	for _, value := range orList(pair.Value) {
		spans := spansFor(kind, modifier, value, t.s.types[typ], num)
		if spans == nil {
			return nil // one value no index can tell makes the whole OR-list untold
		}
		src.spans = append(src.spans, spans...)
	}
	if len(src.spans) == 0 || len(src.spans) > 500 {
		return nil
	}
	return src
}

func (t *txn) byIDs(typ string, ids []string) *source {
	src := &source{t: t, ready: true}
	for _, id := range ids {
		if st, ok := t.lookup(typ, unescape(id)); ok && !st.deleted {
			src.docs = append(src.docs, st.doc)
		}
	}
	slices.Sort(src.docs)
	src.docs = slices.Compact(src.docs)
	return src
}

// spansFor gives the posting ranges of one value, nil when the index cannot tell.
func spansFor(kind fhir.ParamKind, modifier, value string, typ, param uint16) []span {
	exact := func(class byte, term string) []span { return []span{exactSpan(posting(typ, param, class, term))} }
	switch kind {
	case "token":
		if modifier != "" {
			return nil
		}
		system, code, piped := cutPipe(value)
		if code != "" {
			return exact(termCode, bounded(fold(code)))
		}
		if piped && system != "" && !impliedSystem(system) {
			return exact(termSystem, bounded(fold(system)))
		}
	case "reference":
		if modifier != "" && !fhir.IsType(modifier) {
			return nil
		}
		return referenceSpans(unescape(value), exact)
	case "uri":
		if v := unescape(value); modifier == "" && v != "" {
			return exact(termURL, urlTerm(v))
		}
	case "string":
		if modifier == "" || modifier == "exact" {
			return textSpans(unescape(value), typ, param)
		}
	case "date":
		if modifier == "" {
			return dateSpans(value, postingPrefix(typ, param))
		}
	}
	return nil
}

// impliedSystem tells of systems that primitive codes have without saying so; no index lists them.
func impliedSystem(system string) bool {
	return strings.HasPrefix(system, "http://hl7.org/fhir/") || strings.HasPrefix(system, "urn:ietf:bcp:")
}

func referenceSpans(value string, exact func(byte, string) []span) []span {
	if value == "" || strings.HasPrefix(value, "#") {
		return nil
	}
	if r, ok := fhir.ParseReference(value); ok && r.ID != "" {
		return exact(termRefID, bounded(r.ID))
	}
	if strings.ContainsAny(value, "/:|") {
		return exact(termURL, urlTerm(value))
	}
	return exact(termRefID, bounded(value)) // a bare id (search.html#reference)
}

func textSpans(value string, typ, param uint16) []span {
	_, term := textTerm(value)
	if term == "" {
		return nil
	}
	prefix := func(class byte, term string) []byte { return append(append(postingPrefix(typ, param), class), term...) }
	out := []span{prefixSpan(prefix(termText, term)), prefixSpan(prefix(termCut, term))}
	for i := range len(term) {
		out = append(out, exactSpan(append(prefix(termCut, term[:i]), 0)))
	}
	return out
}

// dateSlack covers the zones a time without zone may mean, and the width of a day.
const dateSlack = 48 * 3600

func dateSpans(value string, head []byte) []span {
	op := "eq"
	if len(value) > 2 && value[0] >= 'a' && value[0] <= 'z' {
		op, value = value[:2], value[2:]
	}
	from, to, ok := dateRange(value)
	if !ok {
		return nil
	}
	lo, hi := from.Unix()-dateSlack, to.Unix()+dateSlack
	between := func(class byte, lo, hi int64) span {
		prefix := append(bytes.Clone(head), class)
		return span{lo: append(bytes.Clone(prefix), dateKey(lo)...), hi: successor(append(bytes.Clone(prefix), dateKey(hi)...))}
	}
	switch op {
	case "eq":
		return []span{between(termPoint, lo, hi), between(termStart, math.MinInt64, hi)}
	case "ge", "gt", "sa":
		return []span{between(termPoint, lo, math.MaxInt64), between(termEnd, lo, math.MaxInt64)}
	case "le", "lt", "eb":
		return []span{between(termPoint, math.MinInt64, hi), between(termStart, math.MinInt64, hi)}
	default:
		return nil // ne and ap exclude too little
	}
}

// orList splits at commas that are not escaped; the parts stay escaped (search.html#escaping).
func orList(v string) []string {
	var out []string
	start := 0
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case ',':
			out = append(out, v[start:i])
			start = i + 1
		}
	}
	return append(out, v[start:])
}

// cutPipe splits a token at its first pipe that is not escaped, and removes the escapes.
func cutPipe(v string) (system, code string, piped bool) {
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '|':
			return unescape(v[:i]), unescape(v[i+1:]), true
		}
	}
	return "", unescape(v), false
}

func unescape(v string) string {
	if !strings.Contains(v, `\`) {
		return v
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		b = append(b, v[i])
	}
	return string(b)
}
