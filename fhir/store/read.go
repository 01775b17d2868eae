package store

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// read answers GET Type/id (http.html#read): two lookups and one copy of the stored bytes.
func (s *Store) read(t *txn, req *request) (reply, error) {
	if err := onlyFormat(req, "read"); err != nil {
		return reply{}, err
	}
	st, ok := t.lookup(req.path[0], req.path[1])
	if !ok {
		return reply{}, notFound(req.path[0], clip(req.path[1]))
	}
	v, err := t.version(st.seq)
	if err != nil {
		return reply{}, err
	}
	return answerVersion(v, req)
}

// vread answers GET Type/id/_history/n (http.html#vread).
func (s *Store) vread(t *txn, req *request) (reply, error) {
	if err := onlyFormat(req, "vread"); err != nil {
		return reply{}, err
	}
	st, ok := t.lookup(req.path[0], req.path[1])
	n, err := strconv.ParseUint(req.path[3], 10, 63)
	if !ok || err != nil || strconv.FormatUint(n, 10) != req.path[3] {
		return reply{}, notFound(req.path[0], clip(strings.Join(req.path[1:], "/")))
	}
	seq := t.hist().Get(key64x2(st.doc, n))
	if seq == nil {
		return reply{}, notFound(req.path[0], clip(strings.Join(req.path[1:], "/")))
	}
	v, err := t.version(decodeUint64(seq))
	if err != nil {
		return reply{}, err
	}
	return answerVersion(v, req)
}

// answerVersion gives 410 for a deletion, 304 where the client has it already, else the resource.
func answerVersion(v version, req *request) (reply, error) {
	if v.deleted {
		gone := refuse(http.StatusGone, "deleted", "%s was deleted", v.relative())
		gone.etag = v.etag()
		return reply{}, gone
	}
	rep := reply{status: http.StatusOK, etag: v.etag(), modified: v.at}
	if unchanged(v, req) {
		rep.status = http.StatusNotModified
		return rep, nil
	}
	rep.body = bytes.Clone(v.raw)
	return rep, nil
}

// unchanged evaluates If-None-Match and, only in its absence, If-Modified-Since (RFC 9110 §13.2.2).
func unchanged(v version, req *request) bool {
	if req.ifNoneMatch != "" {
		return matchesTag(req.ifNoneMatch, v.number)
	}
	if req.ifModifiedSince != "" {
		since, err := http.ParseTime(req.ifModifiedSince)
		return err == nil && !v.at.Truncate(time.Second).After(since)
	}
	return false
}

// matchesTag compares entity tags weakly: W/"3" and "3" name version 3, * names any.
func matchesTag(header string, number uint64) bool {
	for _, part := range strings.Split(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			return true
		}
		part = strings.TrimPrefix(part, "W/")
		if part == `"`+strconv.FormatUint(number, 10)+`"` {
			return true
		}
	}
	return false
}

// onlyFormat refuses parameters that mean nothing here, except the ones about format; _summary and _elements would be lost otherwise.
func onlyFormat(req *request, what string) error {
	for _, p := range req.pairs {
		switch p.Name {
		case "_format", "_pretty":
		case "_summary":
			if p.Value != "false" {
				return notSupported("_summary is not supported in a %s", what)
			}
		default:
			return notSupported("parameter %s is not supported in a %s", clip(p.Name), what)
		}
	}
	return nil
}

// written answers a create, update or patch as the client prefers (http.html#ops).
func written(status int, v version, prefer preference) reply {
	rep := reply{status: status, etag: v.etag(), modified: v.at, location: v.versioned()}
	switch prefer.returns {
	case "minimal":
	case "OperationOutcome":
		rep.body = information(v.relative() + " was stored as version " + strconv.FormatUint(v.number, 10))
	default:
		rep.body = bytes.Clone(v.raw)
	}
	return rep
}
