package store

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
)

func statusLine(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }

// transactionSteps makes all entries ready; the first that cannot be read refuses the whole.
func (s *Store) transactionSteps(req *request, entries []bundleEntry) (steps []step, writes bool, err error) {
	seen := map[string]bool{}
	for i, e := range entries {
		st := s.step(req, i, e)
		if st.err != nil {
			return nil, false, entryError(i, st.err)
		}
		if st.fullURL != "" && st.route.writes {
			if seen[st.fullURL] {
				return nil, false, entryError(i, invalid("fullUrl %s stands in two entries", clip(st.fullURL)))
			}
			seen[st.fullURL] = true
		}
		writes = writes || st.route.writes
		steps = append(steps, st)
	}
	return steps, writes, nil
}

// entryError tells which entry refused the transaction.
func entryError(i int, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	out := *r
	out.text = "entry " + strconv.Itoa(i) + ": " + r.text
	out.expr = []string{"Bundle.entry[" + strconv.Itoa(i) + "]"}
	return &out
}

// transaction runs all entries or none, in the order deletes, creates, updates and patches, reads (http.html#trules).
func (s *Store) transaction(t *txn, req *request, steps []step) (reply, error) {
	steps = slices.Clone(steps) // the committer may run this again
	for i := range steps {
		own := *steps[i].req
		steps[i].req = &own
	}
	order := make([]int, len(steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(steps[a]) - rank(steps[b]) })
	table, err := s.assign(t, steps)
	if err != nil {
		return reply{}, err
	}
	if err := identities(steps); err != nil {
		return reply{}, err
	}
	for _, i := range order {
		st := &steps[i]
		if st.rep.status != 0 {
			continue // a conditional create that found its resource
		}
		if st.route.interaction == "create" || st.route.interaction == "update" {
			body, err := rewriteReferences(st.req.body, table)
			if err != nil {
				return reply{}, entryError(st.index, err)
			}
			st.req.body = body
		}
		if st.rep, st.err = st.route.handle(s, t, st.req); st.err != nil {
			return reply{}, entryError(st.index, st.err)
		}
	}
	return s.bundleReply("transaction-response", req, steps), nil
}

func rank(st step) int {
	switch st.route.interaction {
	case "delete":
		return 0
	case "create":
		return 1
	case "update", "patch":
		return 2
	default:
		return 3
	}
}

// assign fixes the identity of every entry before anything is written: ids for creates, the one match for conditional ones. It gives
// the table fullUrl → Type/id by which references inside the Bundle are rewritten.
func (s *Store) assign(t *txn, steps []step) (map[string]string, error) {
	table := map[string]string{}
	for i := range steps {
		st := &steps[i]
		var identity string
		var err error
		switch st.route.interaction {
		case "create":
			identity, err = s.assignCreate(t, st)
		case "update", "patch", "delete":
			identity, err = s.assignChange(t, st)
		default:
			continue
		}
		if err != nil {
			return nil, entryError(st.index, err)
		}
		if st.fullURL != "" && identity != "" && st.fullURL != s.base+"/"+identity {
			table[st.fullURL] = identity
		}
	}
	return table, nil
}

func (s *Store) assignCreate(t *txn, st *step) (string, error) {
	typ := st.req.path[0]
	if st.req.ifNoneExist != "" {
		found, err := s.existing(t, st.req, typ)
		if err != nil {
			return "", err
		}
		if found != nil {
			st.rep = written(http.StatusOK, found.version, st.req.prefer)
			return found.relative(), nil
		}
	}
	id, err := newID(s.opts.Rand)
	st.req.assignedID = id
	return typ + "/" + id, err
}

// assignChange resolves a conditional update, patch or delete against the state before the transaction.
func (s *Store) assignChange(t *txn, st *step) (string, error) {
	req := st.req
	if len(req.path) == 2 {
		return req.path[0] + "/" + req.path[1], nil
	}
	if st.route.interaction != "update" {
		id, err := s.conditionalID(t, req)
		if err != nil || id == "" {
			return "", err
		}
		req.path, req.pairs = []string{req.path[0], id}, nil
		return req.path[0] + "/" + id, nil
	}
	r, err := fhir.Parse(req.body)
	if err != nil {
		return "", refuse(http.StatusBadRequest, "structure", "the resource is not FHIR JSON: %v", err)
	}
	req.targetID, req.allowCreateWithID, err = s.conditionalTarget(t, req, &prepared{typ: req.path[0], id: r.ID()})
	return req.path[0] + "/" + req.targetID, err
}

// identities refuses a transaction in which two entries change the same resource (http.html#trules).
func identities(steps []step) error {
	seen := map[string]bool{}
	for i := range steps {
		st := &steps[i]
		key := strings.Join(st.req.path, "/")
		if st.req.targetID != "" {
			key += "/" + st.req.targetID
		}
		if !st.route.writes || st.route.interaction == "create" || !strings.Contains(key, "/") {
			continue
		}
		if seen[key] {
			return entryError(st.index, invalid("%s is changed by two entries", clip(key)))
		}
		seen[key] = true
	}
	return nil
}
