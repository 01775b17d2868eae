package store

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/umaas/umaas/fhir"
)

// history answers _history of an instance, a type and the system, newest first (http.html#history). Parameters other than _count and
// _since are refused: history knows no search (GW-14).
func (s *Store) history(t *txn, req *request) (reply, error) {
	path := strings.Join(req.path, "/")
	pairs, _, from, err := s.pages.resume("history", path, req)
	if err != nil {
		return reply{}, err
	}
	count, since, err := historyParams(pairs)
	if err != nil {
		return reply{}, err
	}
	walk, err := s.historyWalk(t, req, from)
	if err != nil {
		return reply{}, err
	}
	var found []version
	more := false
	for v, ok, err := walk(); ok || err != nil; v, ok, err = walk() {
		if err != nil {
			return reply{}, err
		}
		if !since.IsZero() && v.at.Before(since) {
			break // versions are in order of time
		}
		if len(found) == count {
			more = true
			break
		}
		found = append(found, v)
	}
	links := []link{{"self", withPairs(s.base+"/"+path, pairs)}}
	if more && count > 0 {
		next, err := s.pages.link(s, "history", path, pairs, preference{}, &cursor{Doc: found[len(found)-1].seq})
		if err != nil {
			return reply{}, err
		}
		links = append(links, link{"next", next})
	}
	id, err := newID(s.opts.Rand)
	if err != nil {
		return reply{}, err
	}
	w := newBundle("history", id, s.opts.Now(), -1, links)
	for i := range found {
		s.historyEntry(w, &found[i])
	}
	return reply{status: http.StatusOK, body: w.bytes()}, nil
}

func historyParams(pairs []fhir.Pair) (count int, since time.Time, err error) {
	count = defaultCount
	seen := map[string]bool{}
	for _, p := range pairs {
		if seen[p.Name] {
			return 0, since, invalid("parameter %s is given twice", clip(p.Name))
		}
		seen[p.Name] = true
		switch p.Name {
		case "_format", "_pretty":
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 0 {
				return 0, since, invalid("_count must be a whole number from 0 to %d", maxCount)
			}
			count = min(n, maxCount)
		case "_since":
			if since, err = time.Parse(time.RFC3339Nano, strings.Replace(p.Value, " ", "+", 1)); err != nil {
				return 0, since, invalid("_since must be an instant such as 2024-05-01T12:00:00Z")
			}
		default:
			return 0, since, notSupported("parameter %s is not supported in a history", clip(p.Name))
		}
	}
	return count, since, nil
}

// historyWalk gives a function that yields versions from the newest, or from the cursor, backwards.
func (s *Store) historyWalk(t *txn, req *request, from *cursor) (func() (version, bool, error), error) {
	var c *bolt.Cursor
	var prefix, start []byte
	seqOf := func(k, _ []byte) uint64 { return decodeUint64(k[len(k)-8:]) }
	below := uint64(1<<64 - 1)
	if from != nil {
		below = from.Doc
	}
	switch len(req.path) {
	case 1:
		c, start = t.vers().Cursor(), key64(below)
	case 2:
		num := s.types[req.path[0]]
		c, prefix, start = t.types().Cursor(), typeSeqKey(num, 0)[:2], typeSeqKey(num, below)
	default:
		st, ok := t.lookup(req.path[0], req.path[1])
		if !ok {
			return nil, notFound(req.path[0], clip(req.path[1]))
		}
		c, prefix = t.hist().Cursor(), key64(st.doc)
		start = key64x2(st.doc, 1<<64-1)
		seqOf = func(_, v []byte) uint64 { return decodeUint64(v) }
	}
	k, v := c.Seek(start)
	if k == nil {
		k, v = c.Last()
	}
	return func() (version, bool, error) {
		for ; k != nil; k, v = c.Prev() {
			if bytes.Compare(k, start) > 0 {
				continue // Seek stops at or above start
			}
			if !bytes.HasPrefix(k, prefix) {
				return version{}, false, nil
			}
			seq := seqOf(k, v)
			if seq >= below {
				continue
			}
			out, err := t.version(seq)
			k, v = c.Prev()
			return out, err == nil, err
		}
		return version{}, false, nil
	}, nil
}

// historyEntry writes one version with the request that made it.
func (s *Store) historyEntry(w *bundleWriter, v *version) {
	method, status, url := methodName(v.method), "200", v.relative()
	if v.method == methodPost {
		url = v.typ
	}
	if v.number == 1 {
		status = "201"
	}
	if v.deleted {
		status = "204"
	}
	part := append([]byte(`{"method":"`), method...)
	part = append(append(part, `","url":"`...), url...)
	part = append(append(part, `"},"response":{"status":"`...), status...)
	part = append(append(part, `","etag":"W/\"`...), strconv.FormatUint(v.number, 10)...)
	part = append(append(part, `\"","lastModified":"`...), instant(v.at)...)
	part = append(part, `"}`...)
	w.entry(s.base+"/"+v.relative(), v.raw, "request", part)
}
