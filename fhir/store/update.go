package store

import (
	"net/http"

	"github.com/umaas/umaas/fhir"
)

// update answers PUT Type/id and PUT Type?criteria (http.html#update, #cond-update).
func (s *Store) update(t *txn, req *request) (reply, error) {
	typ := req.path[0]
	p, err := s.content(t, req, typ)
	if err != nil {
		return reply{}, err
	}
	id := ""
	switch {
	case req.targetID != "":
		id = req.targetID
	case len(req.path) == 2:
		if err := onlyFormat(req, "update"); err != nil {
			return reply{}, err
		}
		id = req.path[1]
		if p.id == "" {
			return reply{}, invalid("the body has no id; an update needs the id of the URL, %s", clip(id))
		}
		if p.id != id {
			return reply{}, invalid("the body has id %s, the URL says %s", clip(p.id), clip(id))
		}
	default:
		if id, req.allowCreateWithID, err = s.conditionalTarget(t, req, p); err != nil {
			return reply{}, err
		}
	}
	return s.replace(t, req, p, id)
}

// replace stores p as the next version of an id, or as its first where the server allows that.
func (s *Store) replace(t *txn, req *request, p *prepared, id string) (reply, error) {
	st, known := t.lookup(p.typ, id)
	living := known && !st.deleted
	if err := checkPreconditions(req, st, living); err != nil {
		return reply{}, err
	}
	if !known && !s.opts.UpdateAsCreate && !req.allowCreateWithID {
		r := refuse(http.StatusMethodNotAllowed, "not-supported", "%s/%s does not exist, and this server assigns ids itself: use POST", p.typ, clip(id))
		r.allow = "GET, POST"
		return reply{}, r
	}
	v, err := t.put(p, id, methodPut)
	if err != nil {
		return reply{}, err
	}
	if living {
		return written(http.StatusOK, v, req.prefer), nil
	}
	return written(http.StatusCreated, v, req.prefer), nil
}

// conditionalTarget gives the id a conditional update is about; fresh says that the server made it for a create (http.html#cond-update).
func (s *Store) conditionalTarget(t *txn, req *request, p *prepared) (id string, fresh bool, err error) {
	found, err := t.find(req.ctx, p.typ, criteria(req.pairs))
	if err != nil {
		return "", false, err
	}
	switch {
	case len(found) > 1:
		return "", false, multipleMatches(p.typ)
	case len(found) == 1 && p.id != "" && p.id != found[0].id:
		return "", false, invalid("the criteria match %s, the body has id %s", found[0].relative(), clip(p.id))
	case len(found) == 1:
		return found[0].id, false, nil
	case p.id != "":
		if st, ok := t.lookup(p.typ, p.id); ok && !st.deleted {
			return "", false, refuse(http.StatusConflict, "duplicate", "%s/%s exists and does not match the criteria", p.typ, clip(p.id))
		}
		return p.id, false, nil
	default:
		id, err = newID(s.opts.Rand)
		return id, true, err
	}
}

func criteria(pairs []fhir.Pair) []fhir.Pair {
	var out []fhir.Pair
	for _, p := range pairs {
		if p.Name != "_format" && p.Name != "_pretty" {
			out = append(out, p)
		}
	}
	return out
}

func multipleMatches(typ string) error {
	return refuse(http.StatusPreconditionFailed, "multiple-matches", "the criteria match more than one %s", typ)
}

func versionConflict() error {
	return refuse(http.StatusPreconditionFailed, "conflict", "the resource is not at the version If-Match or If-None-Match demands")
}

// checkPreconditions evaluates If-Match and If-None-Match of a write (http.html#concurrency).
func checkPreconditions(req *request, st state, living bool) error {
	if req.ifMatch != "" && (!living || !matchesTag(req.ifMatch, st.number)) {
		return versionConflict()
	}
	if req.ifNoneMatch != "" && living && matchesTag(req.ifNoneMatch, st.number) {
		return versionConflict()
	}
	return nil
}

// conditionalID gives the one existing resource a conditional patch or delete is about; none is a nil error with "".
func (s *Store) conditionalID(t *txn, req *request) (string, error) {
	if len(req.path) == 2 {
		return req.path[1], onlyFormat(req, "change by id")
	}
	found, err := t.find(req.ctx, req.path[0], criteria(req.pairs))
	switch {
	case err != nil:
		return "", err
	case len(found) > 1:
		return "", multipleMatches(req.path[0])
	case len(found) == 1:
		return found[0].id, nil
	default:
		return "", nil
	}
}
