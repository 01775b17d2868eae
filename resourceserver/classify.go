package resourceserver

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// requestHead is what the classifier needs of a request line and its headers. A bundle entry becomes one too, so that both
// pass the same router (GW-26).
type requestHead struct {
	Method      string
	Path        string // escaped, relative to the FHIR base, without a leading slash
	Query       string // raw
	ContentType string
	IfMatch     string
	IfNoneMatch string
	IfNoneExist string
	Prefer      string
	nested      bool // an entry of a bundle: no bundles inside
}

func headOf(r *http.Request, path string) requestHead {
	return requestHead{
		Method: r.Method, Path: path, Query: r.URL.RawQuery,
		ContentType: r.Header.Get("Content-Type"), IfMatch: r.Header.Get("If-Match"), IfNoneMatch: r.Header.Get("If-None-Match"),
		IfNoneExist: r.Header.Get("If-None-Exist"), Prefer: strings.Join(r.Header.Values("Prefer"), ","),
	}
}

// Classifier turns FHIR requests into accesses. Its route table is closed: what it does not know is refused (GW-14).
type Classifier struct {
	// Base is this server's public FHIR base; UpstreamBase the one the upstream uses in its links. Absolute references to
	// either are local ones (GW-40).
	Base, UpstreamBase string
	MaxCount           int // rows per page at most
	MaxEntries         int // entries of a bundle at most
}

// ClassifyHead reads the request line and headers only, so that a request without a token is refused before its body is
// read. Body says whether ClassifyBody must follow.
func (c *Classifier) ClassifyHead(h requestHead) (a *Access, body bool, refusal *Refusal) {
	segments, refusal := splitPath(h.Path)
	if refusal != nil {
		return nil, false, refusal
	}
	pairs, refusal := parsePairs(h.Query)
	if refusal != nil {
		return nil, false, refusal
	}
	a = &Access{IfMatch: h.IfMatch, IfNoneMatch: h.IfNoneMatch, Prefer: parsePrefer(h.Prefer), Head: h.Method == http.MethodHead}
	rt, refusal := route(a, h, segments)
	if refusal != nil {
		return nil, false, refusal
	}
	pairs, refusal = takeFormat(pairs)
	if refusal != nil {
		return nil, false, refusal
	}
	if refusal := rt(c, a, h, pairs); refusal != nil {
		return nil, false, refusal
	}
	return a, a.wantsBody(h), nil
}

func (a *Access) wantsBody(h requestHead) bool {
	switch a.Interaction {
	case fhir.Create, fhir.Update, fhir.Patch, fhir.Batch:
		return true
	default:
		return a.Interaction == fhir.SearchType && h.Method == http.MethodPost
	}
}

// shape finishes an access whose path is understood, from its parameters.
type shape func(c *Classifier, a *Access, h requestHead, pairs []fhir.Pair) *Refusal

func unserved(status int, code, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Code: code, Text: fmt.Sprintf(format, args...)}
}

var (
	errNoRoute     = &Refusal{Status: http.StatusNotFound, Code: "not-found", Text: "There is no such endpoint."}
	errNoOperation = &Refusal{Status: http.StatusNotFound, Code: "not-supported", Text: "This operation is not offered here."}
	errBadPath     = &Refusal{Status: http.StatusBadRequest, Code: "value", Text: "The path is not well formed: use the plain characters of FHIR's URLs, without empty, dot or escaped segments."}
)

// route is the closed table of what is offered, read top to bottom. History and search parameters, bodies and conditions are
// the shapes' business.
func route(a *Access, h requestHead, p []string) (shape, *Refusal) {
	switch {
	case len(p) == 0:
		return routeRoot(a, h)
	case len(p) == 2 && p[0] == "_page":
		a.Interaction, a.Page = fhir.SearchType, p[1]
		return only(h, "GET", func(*Classifier, *Access, requestHead, []fhir.Pair) *Refusal { return nil })
	case len(p) == 1 && p[0] == "_history":
		a.Interaction = fhir.HistorySystem
		return only(h, "GET", shapeHistory)
	case strings.HasPrefix(p[len(p)-1], "$"):
		return routeOperation(a, h, p)
	case p[0] == "_search":
		return nil, unserved(http.StatusNotFound, "not-supported", "Searching all types at once is not offered: search each type.")
	case !fhir.IsType(p[0]) || fhir.ClassOf(p[0]) == fhir.ClassNotStored:
		return nil, errNoRoute
	case p[0] == "AuditEvent" || p[0] == "Subscription":
		// AuditEvents are never served from the upstream (GW-23, LB-16); subscriptions would be delivered unjudged (GW-42).
		return nil, unserved(http.StatusNotFound, "not-supported", "%s is not offered here.", p[0])
	}
	a.Type = p[0]
	switch len(p) {
	case 1:
		return routeType(a, h)
	case 2:
		return routeInstance(a, h, p[1])
	}
	return routeDeeper(a, h, p)
}

func routeRoot(a *Access, h requestHead) (shape, *Refusal) {
	switch {
	case h.Method == http.MethodPost && h.nested:
		return nil, unserved(http.StatusBadRequest, "not-supported", "A Bundle inside a Bundle is not processed.")
	case h.Method == http.MethodPost:
		a.Interaction = fhir.Batch // the body says which of the two
		return noParams, nil
	case h.Method == http.MethodGet || h.Method == http.MethodHead:
		return nil, unserved(http.StatusNotFound, "not-supported", "Searching all types at once is not offered: search each type.")
	}
	return nil, methodNotAllowed("GET, POST")
}

func routeOperation(a *Access, h requestHead, p []string) (shape, *Refusal) {
	// The allow list of GW-18 as far as the judge can follow today: everything else is refused.
	if len(p) == 3 && p[0] == "Patient" && fhir.ValidID(p[1]) && p[2] == "$everything" {
		a.Interaction, a.Type, a.ID, a.Operation = fhir.Operation, "Patient", p[1], "everything"
		return only(h, "GET", shapeEverything)
	}
	return nil, errNoOperation
}

func routeType(a *Access, h requestHead) (shape, *Refusal) {
	switch h.Method {
	case http.MethodGet, http.MethodHead:
		a.Interaction = fhir.SearchType
		return shapeSearch, nil
	case http.MethodPost:
		a.Interaction = fhir.Create
		return shapeCreate, nil
	case http.MethodPut:
		a.Interaction = fhir.Update
		return shapeConditional(scopes.Update), nil
	case http.MethodPatch:
		a.Interaction = fhir.Patch
		return shapeConditional(scopes.Update), nil
	case http.MethodDelete:
		a.Interaction = fhir.Delete
		return shapeConditional(scopes.Delete), nil
	}
	return nil, methodNotAllowed("GET, POST, PUT, PATCH, DELETE")
}

func routeInstance(a *Access, h requestHead, second string) (shape, *Refusal) {
	switch {
	case second == "_search":
		a.Interaction = fhir.SearchType
		return only(h, "POST", shapeSearch)
	case second == "_history":
		a.Interaction = fhir.HistoryType
		return only(h, "GET", shapeHistory)
	case !fhir.ValidID(second):
		return nil, errNoRoute
	}
	a.ID = second
	switch h.Method {
	case http.MethodGet, http.MethodHead:
		a.Interaction = fhir.Read
		a.need(a.Type, scopes.Read)
		return noParams, nil
	case http.MethodPut:
		a.Interaction = fhir.Update
		a.need(a.Type, scopes.Update)
		return noParams, nil
	case http.MethodPatch:
		a.Interaction = fhir.Patch
		a.need(a.Type, scopes.Update)
		return noParams, nil
	case http.MethodDelete:
		a.Interaction = fhir.Delete
		a.need(a.Type, scopes.Delete)
		return noParams, nil
	}
	return nil, methodNotAllowed("GET, PUT, PATCH, DELETE")
}

func routeDeeper(a *Access, h requestHead, p []string) (shape, *Refusal) {
	switch {
	case !fhir.ValidID(p[1]):
		return nil, errNoRoute
	case len(p) == 3 && p[2] == "_history":
		a.Interaction, a.ID = fhir.HistoryInstance, p[1]
		return only(h, "GET", shapeHistory)
	case len(p) == 4 && p[2] == "_history" && fhir.ValidID(p[3]):
		a.Interaction, a.ID, a.Version = fhir.VRead, p[1], p[3]
		a.need(a.Type, scopes.Read)
		return only(h, "GET", noParams)
	case p[0] == "Patient" && fhir.IsType(p[2]) && fhir.ClassOf(p[2]) == fhir.ClassMember && p[2] != "AuditEvent":
		a.Interaction, a.Type, a.Compartment = fhir.SearchType, p[2], p[1]
		if len(p) == 3 {
			return only(h, "GET", shapeSearch)
		}
		if len(p) == 4 && p[3] == "_search" {
			return only(h, "POST", shapeSearch)
		}
	}
	return nil, errNoRoute
}

// only refuses other methods; HEAD goes where GET goes.
func only(h requestHead, method string, s shape) (shape, *Refusal) {
	if h.Method == method || method == http.MethodGet && h.Method == http.MethodHead {
		return s, nil
	}
	return nil, methodNotAllowed(method)
}

func methodNotAllowed(allow string) *Refusal {
	return &Refusal{Status: http.StatusMethodNotAllowed, Code: "not-supported", Text: "This method is not offered here, only " + allow + ".", Allow: allow}
}

func (a *Access) need(resourceType string, letters scopes.Letters) {
	a.Needs = append(a.Needs, Need{Type: resourceType, Letters: letters})
}

func noParams(_ *Classifier, _ *Access, _ requestHead, pairs []fhir.Pair) *Refusal {
	for _, p := range pairs {
		// A projection of a single read is an offer a server may decline; the whole resource is a correct answer.
		if p.Name == "_summary" || p.Name == "_elements" {
			continue
		}
		return unserved(http.StatusBadRequest, "not-supported", "This request takes no parameters except _format and _pretty.")
	}
	return nil
}
