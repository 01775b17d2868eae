package store

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
)

// bundleWriter writes a Bundle around stored bytes without decoding them.
type bundleWriter struct {
	b       []byte
	entries int
}

type link struct{ relation, url string }

func newBundle(typ, id string, at time.Time, total int, links []link) *bundleWriter {
	b := make([]byte, 0, 8<<10)
	b = append(b, `{"resourceType":"Bundle"`...)
	if id != "" {
		b = append(appendString(append(b, `,"id":`...), id), `,"meta":{"lastUpdated":"`...)
		b = append(append(b, instant(at)...), `"}`...)
	}
	b = append(append(append(b, `,"type":"`...), typ...), '"')
	if total >= 0 {
		b = strconv.AppendInt(append(b, `,"total":`...), int64(total), 10)
	}
	for i, l := range links {
		if i == 0 {
			b = append(b, `,"link":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(append(append(b, `{"relation":"`...), l.relation...), `","url":`...)
		b = append(appendString(b, l.url), '}')
	}
	if len(links) > 0 {
		b = append(b, ']')
	}
	return &bundleWriter{b: b}
}

// entry adds one entry; absent parts are empty.
func (w *bundleWriter) entry(fullURL string, resource []byte, name string, part []byte) {
	if w.entries == 0 {
		w.b = append(w.b, `,"entry":[`...)
	} else {
		w.b = append(w.b, ',')
	}
	w.entries++
	w.b = append(w.b, '{')
	comma := func() {
		if w.b[len(w.b)-1] != '{' {
			w.b = append(w.b, ',')
		}
	}
	if fullURL != "" {
		w.b = appendString(append(w.b, `"fullUrl":`...), fullURL)
	}
	if len(resource) > 0 {
		comma()
		w.b = append(append(w.b, `"resource":`...), resource...)
	}
	if name != "" {
		comma()
		w.b = append(append(append(append(w.b, '"'), name...), `":`...), part...)
	}
	w.b = append(w.b, '}')
}

func (w *bundleWriter) bytes() []byte {
	if w.entries > 0 {
		w.b = append(w.b, ']')
	}
	return append(w.b, '}')
}

// searchset writes the answer to a search. Parameters of a POST never appear in a link: they may tell of a patient (http.html#search).
func (s *Store) searchset(q *searchRequest, prefer preference, pg page, posted bool) (reply, error) {
	self := s.base
	if q.path != "" {
		self += "/" + q.path
	}
	links := []link{{"self", self}}
	if !posted {
		links[0].url = withPairs(self, q.self)
	}
	if pg.next != nil && !q.countOnly {
		next, err := s.pages.link(s, "search", q.path, q.pagePairs(), prefer, pg.next)
		if err != nil {
			return reply{}, err
		}
		links = append(links, link{"next", next})
	}
	id, err := newID(s.opts.Rand)
	if err != nil {
		return reply{}, err
	}
	w := newBundle("searchset", id, s.opts.Now(), pg.total, links)
	for i := range pg.rows {
		r := &pg.rows[i]
		w.entry(s.base+"/"+r.relative(), r.raw, "search", []byte(`{"mode":"`+r.mode+`"}`))
	}
	for _, note := range q.notes {
		w.entry("", fhir.Outcome(fhir.Issue{Severity: "warning", Code: "not-supported", Text: note}), "search", []byte(`{"mode":"outcome"}`))
	}
	return reply{status: http.StatusOK, body: w.bytes()}, nil
}

// pagePairs are the parameters a continuation carries on: all that was understood.
func (q *searchRequest) pagePairs() []fhir.Pair { return q.self }

func withPairs(u string, pairs []fhir.Pair) string {
	if len(pairs) == 0 {
		return u
	}
	var b strings.Builder
	b.WriteString(u)
	for i, p := range pairs {
		if i == 0 {
			b.WriteByte('?')
		} else {
			b.WriteByte('&')
		}
		b.WriteString(escapeName(p.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}

// escapeName keeps the colon of a modifier readable.
func escapeName(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "%3A", ":") }

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null") // only plain structs of strings come here
	}
	return b
}
