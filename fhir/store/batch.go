package store

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
)

// maxEntries bounds a batch or transaction: it is one database transaction, and others wait for it.
const maxEntries = 5000

// bundleEntry is one entry as sent.
type bundleEntry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
	Request  *struct {
		Method          string `json:"method"`
		URL             string `json:"url"`
		IfNoneMatch     string `json:"ifNoneMatch"`
		IfModifiedSince string `json:"ifModifiedSince"`
		IfMatch         string `json:"ifMatch"`
		IfNoneExist     string `json:"ifNoneExist"`
	} `json:"request"`
}

type bundleBody struct {
	Type  string        `json:"type"`
	Entry []bundleEntry `json:"entry"`
}

// step is one entry made ready: its request and where that goes.
type step struct {
	index   int
	fullURL string
	req     *request
	route   route
	rep     reply
	err     error
}

// bundleRoute reads a Bundle posted to the base. The whole Bundle is one handler call, so one database transaction.
func (s *Store) bundleRoute(req *request) (route, error) {
	if !isJSON(req.contentType) {
		return route{}, refuse(http.StatusUnsupportedMediaType, "not-supported", "send the Bundle as %s", mediaFHIR)
	}
	if err := onlyFormat(req, "batch or transaction"); err != nil {
		return route{}, err
	}
	r, err := fhir.Parse(req.body)
	if err != nil {
		return route{}, refuse(http.StatusBadRequest, "structure", "the body is not a FHIR resource in JSON: %v", err)
	}
	var b bundleBody
	if err := json.Unmarshal(req.body, &b); err != nil || r.Type() != "Bundle" {
		return route{}, invalid("a Bundle of type batch or transaction is expected here")
	}
	if len(b.Entry) > maxEntries {
		return route{}, refuse(http.StatusRequestEntityTooLarge, "too-costly", "more than %d entries: split the Bundle", maxEntries)
	}
	switch b.Type {
	case "batch":
		steps, writes := s.batchSteps(req, b.Entry)
		return route{"batch", func(s *Store, t *txn, req *request) (reply, error) { return s.batch(t, req, steps) }, writes}, nil
	case "transaction":
		steps, writes, err := s.transactionSteps(req, b.Entry)
		if err != nil {
			return route{}, err
		}
		return route{"transaction", func(s *Store, t *txn, req *request) (reply, error) { return s.transaction(t, req, steps) }, writes}, nil
	default:
		return route{}, notSupported("a Bundle of type %q cannot be processed, only batch and transaction", clip(b.Type))
	}
}

// step reads one entry. A Bundle inside a Bundle and URLs of other servers are refused (GW-26).
func (s *Store) step(outer *request, i int, e bundleEntry) step {
	st := step{index: i, fullURL: e.FullURL}
	st.err = func() error {
		if e.Request == nil || e.Request.Method == "" || e.Request.URL == "" {
			return refuse(http.StatusBadRequest, "required", "an entry needs request.method and request.url")
		}
		st.req = &request{
			ctx: outer.ctx, method: e.Request.Method, body: e.Resource, ifMatch: e.Request.IfMatch, ifNoneMatch: e.Request.IfNoneMatch,
			ifModifiedSince: e.Request.IfModifiedSince, ifNoneExist: e.Request.IfNoneExist, prefer: outer.prefer, nested: true,
		}
		if st.req.method == http.MethodHead {
			st.req.method = http.MethodGet
		}
		path, query, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(e.Request.URL, s.base), "/"), "?")
		if u, err := url.Parse(e.Request.URL); err != nil || u.Fragment != "" || u.IsAbs() && !strings.HasPrefix(e.Request.URL, s.base+"/") {
			return invalid("request.url must be relative to this server")
		}
		var err error
		if st.req.path, err = splitPath(path); err != nil {
			return err
		}
		if st.req.pairs, err = parsePairs(query); err != nil {
			return err
		}
		if len(st.req.path) == 0 && st.req.method == http.MethodPost {
			return notSupported("a Bundle inside a Bundle is not processed")
		}
		return s.stepRoute(&st)
	}()
	return st
}

func (s *Store) stepRoute(st *step) (err error) {
	if st.route, err = s.route(st.req); err != nil {
		return err
	}
	switch st.route.interaction {
	case "create", "update":
		if len(st.req.body) == 0 {
			return refuse(http.StatusBadRequest, "required", "an entry that writes needs a resource")
		}
	case "patch":
		st.req.body, err = patchFromBinary(st.req.body)
		st.req.contentType = mediaPatch
	}
	return err
}

// patchFromBinary takes the JSON Patch out of the Binary a Bundle carries it in (http.html#patch).
func patchFromBinary(raw []byte) ([]byte, error) {
	var b struct {
		ResourceType string `json:"resourceType"`
		ContentType  string `json:"contentType"`
		Data         []byte `json:"data"`
	}
	if err := json.Unmarshal(raw, &b); err != nil || b.ResourceType != "Binary" || !isMedia(b.ContentType, mediaPatch) {
		return nil, notSupported("a patch inside a Bundle is a Binary with contentType %s", mediaPatch)
	}
	return b.Data, nil
}

// batchSteps makes all entries ready; an entry that cannot be read fails alone.
func (s *Store) batchSteps(req *request, entries []bundleEntry) (steps []step, writes bool) {
	for i, e := range entries {
		st := s.step(req, i, e)
		if st.err == nil && st.route.writes {
			st.err = s.prepareRequest(st.route, st.req)
			writes = writes || st.err == nil
		}
		steps = append(steps, st)
	}
	return steps, writes
}

// batch runs entries one by one, each on its own feet (http.html#brules). All run in one database transaction, which is only a matter
// of speed: an entry that is refused has written nothing.
func (s *Store) batch(t *txn, req *request, steps []step) (reply, error) {
	outcomes := make([]step, len(steps))
	outerDirty := t.dirty
	for i, st := range steps {
		if st.err == nil {
			t.dirty = false
			st.rep, st.err = st.route.handle(s, t, st.req)
			if st.err != nil && t.dirty {
				return reply{}, st.err // half an entry: roll back the whole Bundle
			}
			outerDirty = outerDirty || t.dirty
		}
		outcomes[i] = st
	}
	t.dirty = outerDirty
	return s.bundleReply("batch-response", req, outcomes), nil
}

// bundleReply writes the answer to a batch or transaction, entry by entry in the order of the request.
func (s *Store) bundleReply(typ string, req *request, steps []step) reply {
	w := newBundle(typ, "", time.Time{}, -1, nil)
	for i := range steps {
		st := &steps[i]
		if st.err != nil {
			r, fault := asRefusal(st.err)
			if fault {
				s.opts.Logger.Error("fhir store: bundle entry", "error", st.err)
			}
			w.entry("", nil, "response", responsePart(reply{status: r.status, etag: r.etag}, r.outcome(), ""))
			continue
		}
		var resource, outcome []byte
		fullURL := ""
		switch {
		case st.route.writes && req.prefer.returns == "OperationOutcome":
			outcome = st.rep.body
		case st.route.writes && req.prefer.returns != "representation":
			// minimal is the default inside a Bundle: the client sent the content a moment ago
		default:
			resource = st.rep.body
		}
		location := ""
		if st.rep.location != "" {
			location = st.rep.location
			base, _, _ := strings.Cut(location, "/_history/")
			fullURL = s.base + "/" + base
		}
		w.entry(fullURL, resource, "response", responsePart(st.rep, outcome, location))
	}
	return reply{status: http.StatusOK, body: w.bytes()}
}

func responsePart(rep reply, outcome []byte, location string) []byte {
	b := appendString([]byte(`{"status":`), statusLine(rep.status))
	if location != "" {
		b = appendString(append(b, `,"location":`...), location)
	}
	if rep.etag != "" {
		b = appendString(append(b, `,"etag":`...), rep.etag)
	}
	if !rep.modified.IsZero() {
		b = append(append(append(b, `,"lastModified":"`...), instant(rep.modified)...), '"')
	}
	if len(outcome) > 0 {
		b = append(append(b, `,"outcome":`...), outcome...)
	}
	return append(b, '}')
}
