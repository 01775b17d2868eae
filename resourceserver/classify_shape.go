package resourceserver

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// shapeHistory takes the parameters of a history and no others (GW-14).
func shapeHistory(c *Classifier, a *Access, _ requestHead, pairs []fhir.Pair) *Refusal {
	a.History.Count = min(defaultCount, c.maxCount())
	if a.Interaction == fhir.HistoryInstance {
		a.need(a.Type, scopes.Read)
	} else {
		a.need(a.Type, scopes.Search) // "" for the system: some type at least
	}
	for _, p := range pairs {
		switch p.Name {
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 0 {
				return unserved(http.StatusBadRequest, "value", "_count must be a whole number.")
			}
			a.History.Count = min(max(n, 1), c.maxCount())
		case "_since", "_at":
			if !instantText(p.Value) {
				return unserved(http.StatusBadRequest, "value", "%s takes a date or an instant such as 2026-05-01T12:00:00Z.", p.Name)
			}
			if p.Name == "_since" {
				a.History.Since = p.Value
			} else {
				a.History.At = p.Value
			}
		case "_list":
			return errIndirect
		default:
			return unserved(http.StatusBadRequest, "not-supported", "A history takes _since, _at, _count and _format only.")
		}
	}
	return nil
}

func instantText(s string) bool {
	for _, layout := range []string{time.RFC3339Nano, time.RFC3339, "2006-01-02", "2006-01", "2006"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

// shapeEverything takes the parameters of Patient/$everything (GW-16).
func shapeEverything(c *Classifier, a *Access, _ requestHead, pairs []fhir.Pair) *Refusal {
	a.Needs = []Need{{Type: "", Letters: scopes.Read}}
	a.Search.Count = c.maxCount()
	for _, p := range pairs {
		switch p.Name {
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 1 {
				return unserved(http.StatusBadRequest, "value", "_count must be a whole number above 0.")
			}
			a.Search.Count = min(n, c.maxCount())
		case "start", "end", "_since":
			if !instantText(p.Value) {
				return unserved(http.StatusBadRequest, "value", "%s takes a date.", p.Name)
			}
			a.Search.Everything = append(a.Search.Everything, p)
		case "_type":
			for t := range strings.SplitSeq(p.Value, ",") {
				if !fhir.IsType(t) {
					return unserved(http.StatusBadRequest, "value", "_type takes resource types.")
				}
			}
			a.Search.Everything = append(a.Search.Everything, p)
		default:
			return unserved(http.StatusBadRequest, "not-supported", "$everything takes start, end, _since, _type and _count only.")
		}
	}
	return nil
}

// shapeCreate reads If-None-Exist: a conditional create also needs s (GW-27).
func shapeCreate(c *Classifier, a *Access, h requestHead, pairs []fhir.Pair) *Refusal {
	a.need(a.Type, scopes.Create)
	if h.IfNoneExist == "" {
		return noParams(c, a, h, pairs)
	}
	criteria, refusal := parsePairs(strings.TrimPrefix(h.IfNoneExist, "?"))
	if refusal != nil {
		return refusal
	}
	return c.condition(a, criteria)
}

// shapeConditional reads the criteria of PUT, PATCH and DELETE on a type (GW-28).
func shapeConditional(letter scopes.Letters) shape {
	return func(c *Classifier, a *Access, _ requestHead, pairs []fhir.Pair) *Refusal {
		a.need(a.Type, letter)
		return c.condition(a, pairs)
	}
}

// condition takes criteria the in-memory predicate can evaluate exactly. An unknown one would widen what is hit, so it is
// refused and not dropped.
func (c *Classifier) condition(a *Access, pairs []fhir.Pair) *Refusal {
	a.Conditional = true
	a.need(a.Type, scopes.Search)
	for _, p := range pairs {
		if fhir.ResultParam(p.Name) {
			return unserved(http.StatusBadRequest, "not-supported", "Criteria take search parameters of the type only.")
		}
		if refusal := c.filterParam(a, p); refusal != nil {
			return refusal
		}
	}
	if len(a.Search.Dropped) > 0 || len(a.Search.Filters) == 0 {
		return unserved(http.StatusPreconditionFailed, "not-supported", "Criteria need at least one parameter, and only ones this server knows for the type.")
	}
	if _, err := fhir.ParseQuery(a.Type, a.Search.Filters); err != nil {
		return unserved(http.StatusPreconditionFailed, "not-supported", "These criteria cannot be evaluated exactly.")
	}
	return nil
}
