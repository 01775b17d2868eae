package store

import (
	"errors"
	"net/http"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/umaas/umaas/fhir"
)

// route is where a request goes: a handler and whether it needs the committer.
type route struct {
	interaction fhir.Interaction
	handle      func(*Store, *txn, *request) (reply, error)
	writes      bool
}

// Handler gives the FHIR REST interface, rooted at "/". It has no access control: only the gateway may reach it.
func (s *Store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := s.newRequest(w, r)
		if err != nil {
			s.writeError(w, err)
			return
		}
		rep, err := s.serve(req)
		if err != nil {
			s.writeError(w, err)
			return
		}
		s.write(w, rep)
	})
}

func (s *Store) serve(req *request) (rep reply, err error) {
	rt, err := s.route(req)
	if err != nil {
		return reply{}, err
	}
	if !rt.writes {
		err = s.db.View(func(tx *bolt.Tx) error {
			rep, err = rt.handle(s, s.begin(tx), req)
			return err
		})
		return rep, err
	}
	if err := s.prepareRequest(rt, req); err != nil {
		return reply{}, err
	}
	err = s.commit.do(req.ctx, func(t *txn) error {
		rep = reply{}
		var err error
		rep, err = rt.handle(s, t, req)
		return err
	})
	if errors.Is(err, errClosed) {
		return rep, refuse(http.StatusServiceUnavailable, "transient", "the server is stopping")
	}
	return rep, err
}

// route is the table of R4's http.html, read top to bottom. What is not in it does not exist.
func (s *Store) route(req *request) (route, error) {
	p, m := req.path, req.method
	typed := len(p) > 0 && fhir.IsType(p[0])
	switch {
	case len(p) == 0 && m == http.MethodPost:
		return s.bundleRoute(req)
	case len(p) == 0 && m == http.MethodGet:
		return route{"search-system", (*Store).search, false}, nil
	case len(p) == 0:
		return route{}, notAllowed(m, "GET, POST")
	case len(p) == 1 && p[0] == "metadata":
		return byMethod(m, map[string]route{"GET": {"capabilities", (*Store).capabilities, false}})
	case len(p) == 1 && p[0] == "_search":
		return byMethod(m, map[string]route{"POST": {"search-system", (*Store).search, false}})
	case len(p) == 1 && p[0] == "_history":
		return byMethod(m, map[string]route{"GET": {"history-system", (*Store).history, false}})
	case !typed && strings.HasPrefix(p[0], "$"):
		return route{}, unknownOperation(p[0])
	case !typed:
		return route{}, refuse(http.StatusNotFound, "not-supported", "%q is not a resource type of FHIR R4", clip(p[0]))
	case len(p) == 1:
		return byMethod(m, map[string]route{
			"GET": {"search-type", (*Store).search, false}, "POST": {"create", (*Store).create, true}, "PUT": {"update", (*Store).update, true},
			"PATCH": {"patch", (*Store).patch, true}, "DELETE": {"delete", (*Store).remove, true},
		})
	case strings.HasPrefix(p[1], "$"):
		return route{}, unknownOperation(p[1])
	case len(p) == 2 && p[1] == "_search":
		return byMethod(m, map[string]route{"POST": {"search-type", (*Store).search, false}})
	case len(p) == 2 && p[1] == "_history":
		return byMethod(m, map[string]route{"GET": {"history-type", (*Store).history, false}})
	case len(p) == 2:
		return byMethod(m, map[string]route{
			"GET": {"read", (*Store).read, false}, "PUT": {"update", (*Store).update, true}, "PATCH": {"patch", (*Store).patch, true},
			"DELETE": {"delete", (*Store).remove, true},
		})
	case p[2] == "_history" && len(p) <= 4:
		if len(p) == 4 {
			return byMethod(m, map[string]route{"GET": {"vread", (*Store).vread, false}})
		}
		return byMethod(m, map[string]route{"GET": {"history-instance", (*Store).history, false}})
	case len(p) == 3 && p[0] == "Patient" && p[2] == "$everything":
		return byMethod(m, map[string]route{"GET": {"operation", (*Store).everythingOf, false}})
	case strings.HasPrefix(p[2], "$"):
		return route{}, unknownOperation(p[2])
	case p[0] == "Patient" && (fhir.IsType(p[2]) || p[2] == "*") && (len(p) == 3 || len(p) == 4 && p[3] == "_search"):
		if len(p) == 4 {
			return byMethod(m, map[string]route{"POST": {"search-type", (*Store).search, false}})
		}
		return byMethod(m, map[string]route{"GET": {"search-type", (*Store).search, false}})
	}
	return route{}, refuse(http.StatusNotFound, "not-found", "no such endpoint")
}

func byMethod(method string, table map[string]route) (route, error) {
	if r, ok := table[method]; ok {
		return r, nil
	}
	var allow []string
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if _, ok := table[m]; ok {
			allow = append(allow, m)
		}
	}
	return route{}, notAllowed(method, strings.Join(allow, ", "))
}

func notAllowed(method, allow string) error {
	r := refuse(http.StatusMethodNotAllowed, "not-supported", "%s is not offered here, only %s", clip(method), allow)
	r.allow = allow
	return r
}

func unknownOperation(name string) error {
	return refuse(http.StatusNotFound, "not-supported", "operation %s is not offered", clip(name))
}

// clip keeps a client's text short in an answer.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// prepareRequest does the dear part of a write before it queues up: media type, parsing, index terms.
func (s *Store) prepareRequest(rt route, req *request) error {
	switch rt.interaction {
	case "create", "update":
		if !isJSON(req.contentType) && !req.nested {
			return refuse(http.StatusUnsupportedMediaType, "not-supported", "send the resource as %s", mediaFHIR)
		}
		if hasConditionalReference(req.body) {
			return nil // its references are resolved inside the transaction
		}
		p, err := s.prepare(req.body)
		req.prepared = p
		return err
	case "patch":
		if !isMedia(req.contentType, mediaPatch) {
			return refuse(http.StatusUnsupportedMediaType, "not-supported", "send a JSON Patch as %s", mediaPatch)
		}
	}
	return nil
}
