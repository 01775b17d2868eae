package store

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// row is one resource of an answer.
type row struct {
	version
	r    *fhir.Resource
	mode string // "match", "include", "outcome"
	keys []sortKey
}

// cursor is where the next page starts: after this document of this type, or after these sort keys.
type cursor struct {
	Type string    `json:"t,omitempty"`
	Doc  uint64    `json:"d"`
	Keys []sortKey `json:"k,omitempty"`
}

// page is the outcome of a search.
type page struct {
	rows  []row
	total int // -1 = not told
	next  *cursor
}

// search answers search-type, search-system and compartment searches, by GET, by POST, and the continuation links of all of them.
func (s *Store) search(t *txn, req *request) (reply, error) {
	if req.method == http.MethodPost {
		if !isMedia(req.contentType, mediaForm) {
			return reply{}, refuse(http.StatusUnsupportedMediaType, "not-supported", "send the parameters of _search as %s", mediaForm)
		}
		form, err := parsePairs(string(req.body))
		if err != nil {
			return reply{}, err
		}
		req.pairs = append(req.pairs, form...) // parameters of URL and body count alike (http.html#search)
		if len(req.pairs) > maxPairs {
			return reply{}, refuse(http.StatusBadRequest, "too-costly", "more than %d parameters", maxPairs)
		}
	}
	path, types, patient := searchTarget(req.path)
	pairs, prefer, from, err := s.pages.resume("search", path, req)
	if err != nil {
		return reply{}, err
	}
	q, err := s.parseSearch(path, types, patient, pairs, prefer)
	if err != nil {
		return reply{}, err
	}
	pg, err := t.run(req.ctx, q, from)
	if err != nil {
		return reply{}, err
	}
	if !q.countOnly {
		if err := t.addIncludes(req.ctx, q, &pg); err != nil {
			return reply{}, err
		}
	}
	return s.searchset(q, prefer, pg, req.method == http.MethodPost)
}

// searchTarget reads Type, Patient/{id}/Type, Patient/{id}/* or nothing.
func searchTarget(path []string) (normal string, types []string, patient string) {
	if n := len(path); n > 0 && path[n-1] == "_search" {
		path = path[:n-1]
	}
	normal = strings.Join(path, "/")
	switch {
	case len(path) == 0:
		return normal, fhir.Types(), ""
	case len(path) == 3 && path[2] == "*":
		return normal, compartmentTypes(), path[1]
	case len(path) == 3:
		return normal, path[2:], path[1]
	default:
		return normal, path[:1], ""
	}
}

func compartmentTypes() []string {
	var out []string
	for _, typ := range fhir.Types() {
		if fhir.InPatientCompartment(typ) {
			out = append(out, typ)
		}
	}
	return out
}

// run finds the rows of one page.
func (t *txn) run(ctx context.Context, q *searchRequest, from *cursor) (page, error) {
	if len(q.sort) > 0 && !q.countOnly {
		return t.runSorted(ctx, q, from)
	}
	pg := page{total: -1}
	counting := q.countOnly || q.total == "accurate" || q.total == "estimate"
	matched, scanned := 0, 0
	for _, typ := range q.types {
		after, page := uint64(0), !q.countOnly
		if from != nil && typ < from.Type {
			page = false
		}
		if page && !counting && from != nil && typ == from.Type {
			after = from.Doc // nothing before the cursor is needed
		}
		if !page && !counting {
			continue
		}
		stop, err := t.scan(ctx, q, typ, after, &scanned, func(doc uint64, r row) bool {
			matched++
			if !page || from != nil && typ == from.Type && doc <= from.Doc {
				return true
			}
			if len(pg.rows) == q.count {
				if pg.next == nil {
					last := pg.rows[len(pg.rows)-1]
					pg.next = &cursor{Type: last.typ, Doc: last.doc}
				}
				return counting
			}
			pg.rows = append(pg.rows, r)
			return true
		})
		if err != nil {
			return pg, err
		}
		if stop {
			break
		}
	}
	if counting || q.total == "" && from == nil && pg.next == nil {
		pg.total = matched // a first page that holds everything knows its total for free
	}
	return pg, nil
}

// scan calls f for every match of one type in document order; f says false to stop.
func (t *txn) scan(ctx context.Context, q *searchRequest, typ string, after uint64, scanned *int, f func(uint64, row) bool) (bool, error) {
	driver, checks := t.plan(typ, q.filters, q.patient)
	query := q.queries[typ]
candidates:
	for {
		doc, ok := driver.next(after)
		if !ok {
			return false, nil
		}
		after = doc
		for _, c := range checks {
			if !c.has(doc) {
				continue candidates
			}
		}
		if *scanned++; *scanned > maxScan {
			return true, tooCostly("the search looks at more than %d resources: narrow it, by patient for example", maxScan)
		}
		if *scanned%256 == 0 && ctx.Err() != nil {
			return true, refuse(http.StatusServiceUnavailable, "timeout", "the request was given up")
		}
		seq, ok := t.sequence(doc)
		if !ok {
			continue
		}
		r, err := t.resource(seq)
		if err != nil {
			return true, err
		}
		if q.patient != "" && !inCompartment(r, q.patient) || !query.Match(r) {
			continue
		}
		found, err := t.row(seq, r)
		if err != nil {
			return true, err
		}
		if !f(doc, found) {
			return true, nil
		}
	}
}

// row makes a match; its raw bytes are the parsed resource's own, so they outlive the transaction.
func (t *txn) row(seq uint64, r *fhir.Resource) (row, error) {
	v, err := t.version(seq)
	if err != nil {
		return row{}, err
	}
	v.raw = r.Raw()
	return row{version: v, r: r, mode: "match"}, nil
}

// living is the row of a document's current version; false where it is deleted.
func (t *txn) living(doc uint64) (found row, ok bool, err error) {
	seq, ok := t.sequence(doc)
	if !ok {
		return row{}, false, nil
	}
	r, err := t.resource(seq)
	if err != nil {
		return row{}, false, err
	}
	found, err = t.row(seq, r)
	return found, err == nil, err
}

func inCompartment(r *fhir.Resource, patient string) bool {
	return slices.Contains(compartmentsOf(r), patient)
}

// find gives at most two matches, which is enough to tell none, one and several, of a conditional interaction's criteria, which must be filters the server evaluates.
func (t *txn) find(ctx context.Context, typ string, pairs []fhir.Pair) ([]row, error) {
	if len(pairs) == 0 {
		return nil, refuse(http.StatusPreconditionFailed, "required", "a conditional interaction needs search parameters")
	}
	query, err := fhir.ParseQuery(typ, pairs)
	if err != nil {
		return nil, queryRefusal(err)
	}
	q := &searchRequest{types: []string{typ}, filters: pairs, queries: map[string]fhir.Query{typ: query}}
	var out []row
	scanned := 0
	_, err = t.scan(ctx, q, typ, 0, &scanned, func(_ uint64, r row) bool {
		out = append(out, r)
		return len(out) < 2
	})
	return out, err
}
