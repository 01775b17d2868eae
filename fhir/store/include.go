package store

import (
	"context"
	"net/http"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// include is one _include or _revinclude: Type:param[:TargetType], param "*" for every reference parameter.
type include struct {
	source, param, target string
	iterate               bool
}

func parseInclude(name, modifier, value string) (include, error) {
	parts := strings.Split(value, ":")
	inc := include{iterate: modifier == "iterate" || modifier == "recurse"}
	if modifier != "" && !inc.iterate {
		return inc, notSupported("%s:%s is not supported, only :iterate", name, clip(modifier))
	}
	if len(parts) < 2 || len(parts) > 3 || !fhir.IsType(parts[0]) || len(parts) == 3 && !fhir.IsType(parts[2]) {
		return inc, notSupported("%s=%s is not supported: write Type:parameter or Type:parameter:TargetType", name, clip(value))
	}
	inc.source, inc.param = parts[0], parts[1]
	if len(parts) == 3 {
		inc.target = parts[2]
	}
	if inc.param == "*" && name == "_include" {
		return inc, nil
	}
	if p, ok := fhir.Param(inc.source, inc.param); !ok || p.Kind != "reference" {
		return inc, notSupported("%s: %s is not a reference parameter of %s", name, clip(inc.param), inc.source)
	}
	return inc, nil
}

// addIncludes appends what the matches refer to and what refers to them. With :iterate the added rows are looked at again.
func (t *txn) addIncludes(ctx context.Context, q *searchRequest, pg *page) error {
	if len(q.includes) == 0 && len(q.revinclude) == 0 {
		return nil
	}
	present := map[uint64]bool{}
	for _, r := range pg.rows {
		present[r.doc] = true
	}
	included := 0
	add := func(doc uint64) error {
		if present[doc] || included >= maxIncluded {
			return nil
		}
		found, ok, err := t.living(doc)
		if !ok || err != nil {
			return err
		}
		present[doc], found.mode = true, "include"
		pg.rows = append(pg.rows, found)
		if included++; included == maxIncluded {
			q.notes = append(q.notes, "more resources would be included: ask for smaller pages")
		}
		return nil
	}
	start := 0
	for hop := 0; hop < maxIncludeHops && start < len(pg.rows); hop++ {
		if ctx.Err() != nil {
			return refuse(http.StatusServiceUnavailable, "timeout", "the request was given up")
		}
		end := len(pg.rows)
		for i := start; i < end; i++ {
			if err := t.includesOf(q, pg.rows[i], hop > 0, add); err != nil {
				return err
			}
		}
		start = end
	}
	return nil
}

func (t *txn) includesOf(q *searchRequest, r row, iterating bool, add func(uint64) error) error {
	for _, inc := range q.includes {
		if inc.source != r.typ || iterating && !inc.iterate {
			continue
		}
		for _, target := range t.s.targets(r.r, inc) {
			if st, ok := t.lookup(target.typ, target.id); ok && !st.deleted {
				if err := add(st.doc); err != nil {
					return err
				}
			}
		}
	}
	for _, inc := range q.revinclude {
		if iterating && !inc.iterate || inc.target != "" && inc.target != r.typ {
			continue
		}
		if err := t.reverse(inc, r, add); err != nil {
			return err
		}
	}
	return nil
}

// reverse adds the documents of inc.source that refer to r.
func (t *txn) reverse(inc include, r row, add func(uint64) error) error {
	src := t.referring(inc.source, inc.param, r.id)
	for after := uint64(0); ; {
		doc, ok := src.next(after)
		if !ok {
			return nil
		}
		after = doc
		candidate, err := t.document(doc)
		if err != nil {
			return err
		}
		for _, target := range t.s.targets(candidate, inc) {
			if target.typ == r.typ && target.id == r.id {
				if err := add(doc); err != nil {
					return err
				}
				break
			}
		}
	}
}

type target struct{ typ, id string }

// targets are the local resources a resource refers to by the parameter of inc.
func (s *Store) targets(r *fhir.Resource, inc include) []target {
	var out []target
	for _, p := range fhir.Params(r.Type()) {
		if p.Kind != "reference" || inc.param != "*" && p.Code != inc.param {
			continue
		}
		values, err := fhir.Eval(r, p.Expression)
		if err != nil {
			continue
		}
		for _, v := range values {
			ref, _ := v.(string)
			if m, ok := v.(map[string]any); ok {
				ref, _ = m["reference"].(string)
			}
			if tg, ok := s.local(ref); ok && (inc.target == "" || inc.target == tg.typ) {
				out = append(out, tg)
			}
		}
	}
	return out
}

// local reads a reference to a resource of this server: Type/id, or the same below the server's own base.
func (s *Store) local(ref string) (target, bool) {
	ref = strings.TrimPrefix(ref, s.base+"/")
	parts := strings.Split(ref, "/")
	if len(parts) != 2 && !(len(parts) == 4 && parts[2] == "_history") || !fhir.IsType(parts[0]) || parts[1] == "" {
		return target{}, false
	}
	return target{parts[0], parts[1]}, true
}
