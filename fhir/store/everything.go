package store

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
)

// everythingOf answers GET Patient/{id}/$everything (patient-operation-everything.html): the Patient, its compartment type by type, and
// on each page the resources outside any compartment that the page's rows refer to. One page holds at most _count rows of the
// compartment; a shared resource may come again on a later page.
func (s *Store) everythingOf(t *txn, req *request) (reply, error) {
	path := strings.Join(req.path, "/")
	pairs, _, from, err := s.pages.resume("everything", path, req)
	if err != nil {
		return reply{}, err
	}
	e, err := parseEverything(pairs)
	if err != nil {
		return reply{}, err
	}
	patient := req.path[1]
	st, ok := t.lookup("Patient", patient)
	switch {
	case !ok:
		return reply{}, notFound("Patient", clip(patient))
	case st.deleted:
		return reply{}, refuse(http.StatusGone, "deleted", "Patient/%s was deleted", patient)
	}
	pg, err := e.collect(t, req, patient, st, from)
	if err != nil {
		return reply{}, err
	}
	links := []link{{"self", withPairs(s.base+"/"+path, pairs)}}
	if pg.next != nil {
		next, err := s.pages.link(s, "everything", path, pairs, preference{}, pg.next)
		if err != nil {
			return reply{}, err
		}
		links = append(links, link{"next", next})
	}
	id, err := newID(s.opts.Rand)
	if err != nil {
		return reply{}, err
	}
	w := newBundle("searchset", id, s.opts.Now(), -1, links)
	for i := range pg.rows {
		r := &pg.rows[i]
		w.entry(s.base+"/"+r.relative(), r.raw, "search", []byte(`{"mode":"`+r.mode+`"}`))
	}
	return reply{status: http.StatusOK, body: w.bytes()}, nil
}

type everything struct {
	count int
	since time.Time
	types []string // from _type; nil is all
}

func parseEverything(pairs []fhir.Pair) (everything, error) {
	e := everything{count: 200}
	for _, p := range pairs {
		switch p.Name {
		case "_format", "_pretty":
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 1 {
				return e, invalid("_count must be a whole number from 1 to %d", maxCount)
			}
			e.count = min(n, maxCount)
		case "_since":
			since, err := time.Parse(time.RFC3339Nano, strings.Replace(p.Value, " ", "+", 1))
			if err != nil {
				return e, invalid("_since must be an instant such as 2024-05-01T12:00:00Z")
			}
			e.since = since
		case "_type":
			for _, typ := range strings.Split(p.Value, ",") {
				if !fhir.IsType(typ) {
					return e, invalid("_type: %q is not a resource type of FHIR R4", clip(typ))
				}
				e.types = append(e.types, typ)
			}
		default:
			return e, notSupported("parameter %s is not supported in $everything", clip(p.Name))
		}
	}
	return e, nil
}

func (e everything) wants(typ string) bool { return e.types == nil || slices.Contains(e.types, typ) }

// collect walks the compartment types in order from the cursor on. The Patient itself opens the first page.
func (e everything) collect(t *txn, req *request, patient string, st state, from *cursor) (page, error) {
	pg := page{total: -1}
	present := map[uint64]bool{st.doc: true}
	add := func(doc uint64, mode string) error {
		found, ok, err := t.living(doc)
		if !ok || err != nil {
			return err
		}
		if !found.at.Before(e.since) {
			present[doc], found.mode = true, mode
			pg.rows = append(pg.rows, found)
		}
		return nil
	}
	if from == nil && e.wants("Patient") {
		if err := add(st.doc, "match"); err != nil {
			return pg, err
		}
	}
	rows := 0
	for _, typ := range compartmentTypes() {
		if !e.wants(typ) || from != nil && typ < from.Type {
			continue
		}
		after := uint64(0)
		if from != nil && typ == from.Type {
			after = from.Doc
		}
		src := t.compartment(typ, patient)
		for {
			doc, ok := src.next(after)
			if !ok {
				break
			}
			if rows == e.count {
				pg.next = &cursor{Type: typ, Doc: after}
				return pg, e.addShared(t, &pg, present, add)
			}
			after = doc
			if present[doc] {
				continue
			}
			if rows++; rows%256 == 0 && req.ctx.Err() != nil {
				return pg, refuse(http.StatusServiceUnavailable, "timeout", "the request was given up")
			}
			if err := add(doc, "match"); err != nil {
				return pg, err
			}
		}
	}
	return pg, e.addShared(t, &pg, present, add)
}

// addShared adds what the rows of the page refer to, as far as it is in nobody's compartment: practitioners, organizations, locations,
// medications. Another patient's data never comes by reference.
func (e everything) addShared(t *txn, pg *page, present map[uint64]bool, add func(uint64, string) error) error {
	for i := 0; i < len(pg.rows) && len(pg.rows) < maxIncluded; i++ {
		for _, ref := range fhir.References(pg.rows[i].r) {
			if ref.Contained {
				continue
			}
			tg, ok := t.s.local(ref.String())
			if !ok || !e.wants(tg.typ) || fhir.InPatientCompartment(tg.typ) || tg.typ == "Patient" {
				continue
			}
			if class := fhir.ClassOf(tg.typ); class != fhir.ClassDirectory && class != fhir.ClassDefinitional {
				continue
			}
			st, ok := t.lookup(tg.typ, tg.id)
			if !ok || st.deleted || present[st.doc] {
				continue
			}
			present[st.doc] = true
			if err := add(st.doc, "include"); err != nil {
				return err
			}
		}
	}
	return nil
}
