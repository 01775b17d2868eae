package store

import (
	"net/http"

	"github.com/umaas/umaas/fhir"
)

// create answers POST Type (http.html#create). The server assigns the id; an id in the body is not taken over.
func (s *Store) create(t *txn, req *request) (reply, error) {
	if err := onlyFormat(req, "create"); err != nil {
		return reply{}, err
	}
	typ := req.path[0]
	if req.ifNoneExist != "" && req.assignedID == "" { // a transaction has looked already
		found, err := s.existing(t, req, typ)
		if err != nil || found != nil {
			if err != nil {
				return reply{}, err
			}
			return written(http.StatusOK, found.version, req.prefer), nil
		}
	}
	p, err := s.content(t, req, typ)
	if err != nil {
		return reply{}, err
	}
	id := req.assignedID
	if id == "" {
		if id, err = newID(s.opts.Rand); err != nil {
			return reply{}, err
		}
	}
	v, err := t.put(p, id, methodPost)
	if err != nil {
		return reply{}, err
	}
	return written(http.StatusCreated, v, req.prefer), nil
}

// existing evaluates If-None-Exist: nil means create, one match is the answer, more are refused (http.html#ccreate).
func (s *Store) existing(t *txn, req *request, typ string) (*row, error) {
	pairs, err := parseCriteria(req.ifNoneExist, typ)
	if err != nil {
		return nil, err
	}
	found, err := t.find(req.ctx, typ, pairs)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return &found[0], nil
	default:
		return nil, refuse(http.StatusPreconditionFailed, "multiple-matches", "the If-None-Exist criteria match more than one %s", typ)
	}
}

// parseCriteria reads search parameters as If-None-Exist and conditional references carry them: with or without "Type?" in front.
func parseCriteria(text, typ string) ([]fhir.Pair, error) {
	for _, prefix := range []string{typ + "?", "?"} {
		if len(text) > len(prefix) && text[:len(prefix)] == prefix {
			text = text[len(prefix):]
			break
		}
	}
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	out := pairs[:0]
	for _, p := range pairs {
		if p.Name != "_format" && p.Name != "_pretty" {
			out = append(out, p)
		}
	}
	return out, nil
}

// content gives the prepared body; references that are searches are resolved first, inside the transaction (http.html#trules).
func (s *Store) content(t *txn, req *request, typ string) (*prepared, error) {
	p := req.prepared
	if p == nil {
		body, err := t.resolveConditional(req.ctx, req.body)
		if err != nil {
			return nil, err
		}
		if p, err = s.prepare(body); err != nil {
			return nil, err
		}
	}
	if p.typ != typ {
		return nil, invalid("the body is a %s, the URL says %s", p.typ, typ)
	}
	return p, nil
}
