package store

import "net/http"

// remove answers DELETE Type/id and DELETE Type?criteria (http.html#delete). What does not exist, or not any more, is deleted already:
// 204 either way. Criteria that match several are refused: this server deletes one at a time.
func (s *Store) remove(t *txn, req *request) (reply, error) {
	typ := req.path[0]
	id, err := s.conditionalID(t, req)
	if err != nil {
		return reply{}, err
	}
	st, known := t.lookup(typ, id)
	living := known && !st.deleted
	if err := checkPreconditions(req, st, living); err != nil {
		return reply{}, err
	}
	if !living {
		return deleted(req, reply{}), nil
	}
	v, err := t.remove(typ, id, st)
	if err != nil {
		return reply{}, err
	}
	return deleted(req, reply{etag: v.etag()}), nil
}

func deleted(req *request, rep reply) reply {
	rep.status = http.StatusNoContent
	if req.prefer.returns == "OperationOutcome" {
		rep.status, rep.body = http.StatusOK, information("the resource is deleted")
	}
	return rep
}
