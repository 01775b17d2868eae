package store

import (
	"errors"
	"net/http"

	"github.com/umaas/umaas/fhir"
)

// patch answers PATCH Type/id and PATCH Type?criteria with a JSON Patch (http.html#patch). The patched resource is checked like any
// other body; a test that fails and a path that is not there answer alike, so a patch cannot be used to ask what is stored.
func (s *Store) patch(t *txn, req *request) (reply, error) {
	typ := req.path[0]
	id, err := s.conditionalID(t, req)
	if err != nil {
		return reply{}, err
	}
	st, known := t.lookup(typ, id)
	if id == "" || !known {
		return reply{}, notFound(typ, clip(id))
	}
	if st.deleted {
		return reply{}, refuse(http.StatusGone, "deleted", "%s/%s was deleted", typ, id)
	}
	if err := checkPreconditions(req, st, true); err != nil {
		return reply{}, err
	}
	current, err := t.version(st.seq)
	if err != nil {
		return reply{}, err
	}
	body, err := fhir.ApplyPatch(current.raw, req.body)
	switch {
	case errors.Is(err, fhir.ErrPatchSyntax):
		return reply{}, invalid("%v", err)
	case err != nil:
		return reply{}, refuse(http.StatusUnprocessableEntity, "processing", "the patch cannot be applied to the current version")
	}
	if int64(len(body)) > s.opts.MaxBody {
		return reply{}, refuse(http.StatusUnprocessableEntity, "too-long", "the patched resource is larger than %d bytes", s.opts.MaxBody)
	}
	body, err = t.resolveConditional(req.ctx, body)
	if err != nil {
		return reply{}, err
	}
	p, err := s.prepare(body)
	if err != nil {
		if r, fault := asRefusal(err); !fault && r.status == http.StatusBadRequest {
			r.status = http.StatusUnprocessableEntity
			return reply{}, r
		}
		return reply{}, err
	}
	if p.typ != typ || p.id != id {
		return reply{}, refuse(http.StatusUnprocessableEntity, "business-rule", "a patch must not change resourceType or id")
	}
	v, err := t.put(p, id, methodPatch)
	if err != nil {
		return reply{}, err
	}
	return written(http.StatusOK, v, req.prefer), nil
}
