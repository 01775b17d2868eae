package resourceserver

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

const (
	defaultCount   = 50
	defaultMax     = 200
	maxIncludes    = 20
	maxSearchPaths = 40
)

func shapeSearch(c *Classifier, a *Access, h requestHead, pairs []fhir.Pair) *Refusal {
	a.need(a.Type, scopes.Search)
	a.Search.Count = min(defaultCount, c.maxCount())
	return c.search(a, pairs)
}

func (c *Classifier) maxCount() int {
	if c.MaxCount > 0 {
		return c.MaxCount
	}
	return defaultMax
}

// search sorts the parameters of a search. Every one is understood, dropped and told, or refused; none is passed on unread
// (GW-12).
func (c *Classifier) search(a *Access, pairs []fhir.Pair) *Refusal {
	for _, p := range pairs {
		if refusal := c.searchParam(a, p); refusal != nil {
			return refusal
		}
	}
	if a.Prefer.Strict && len(a.Search.Dropped) > 0 {
		return unserved(http.StatusBadRequest, "not-supported", "Unknown search parameters: %s.", clipText(strings.Join(a.Search.Dropped, ", ")))
	}
	return nil
}

func (c *Classifier) searchParam(a *Access, p fhir.Pair) *Refusal {
	code, modifier, _ := strings.Cut(p.Name, ":")
	s := &a.Search
	switch code {
	case "_filter", "_text", "_content", "_query", "_list", "_has":
		return errIndirect // GW-09
	case "_count":
		n, err := strconv.Atoi(p.Value)
		if err != nil || n < 0 {
			return unserved(http.StatusBadRequest, "value", "_count must be a whole number.")
		}
		s.Count = min(n, c.maxCount())
		s.CountOnly = s.CountOnly || n == 0
	case "_summary":
		// A server may answer more than a summary; only the two forms that must change the answer are honoured.
		s.CountOnly = s.CountOnly || p.Value == "count"
		s.DropText = s.DropText || p.Value == "data"
	case "_elements":
		for name := range strings.SplitSeq(p.Value, ",") {
			if !plainName(name) {
				return unserved(http.StatusBadRequest, "value", "_elements takes names of elements at the top of the resource.")
			}
			s.Elements = append(s.Elements, name)
		}
	case "_total": // GW-10: a total would count hidden rows
	case "_contained":
		if p.Value != "false" {
			return unserved(http.StatusBadRequest, "not-supported", "_contained is not offered.")
		}
	case "_containedType":
	case "_sort":
		return sortParam(a, p.Value)
	case "_include", "_revinclude":
		return includeParam(a, code == "_revinclude", modifier, p.Value)
	default:
		return c.filterParam(a, p)
	}
	return nil
}

var errIndirect = &Refusal{Status: http.StatusForbidden, Code: "forbidden",
	Text: "Chained parameters, _has, _filter, _text, _content, _list and _query are not offered: they ask about data beyond the rows they return."}

// filterParam keeps a parameter of the own type. Its value may only name records in forms the judge can read (GW-13).
func (c *Classifier) filterParam(a *Access, p fhir.Pair) *Refusal {
	code, modifier, hasModifier := strings.Cut(p.Name, ":")
	if strings.Contains(p.Name, ".") {
		return errIndirect
	}
	param, ok := fhir.Param(a.Type, code)
	if !ok || param.Expression == "" && code[0] != '_' {
		a.Search.Dropped = append(a.Search.Dropped, clipText(p.Name))
		return nil
	}
	if hasModifier && !modifierFits(param, modifier) {
		return unserved(http.StatusBadRequest, "not-supported", "The modifier of %s is not offered.", clipText(p.Name))
	}
	if p.Value == "" {
		return unserved(http.StatusBadRequest, "value", "The parameter %s has no value.", clipText(p.Name))
	}
	if param.Kind == fhir.KindReference && modifier != "missing" && modifier != "identifier" {
		value, refusal := c.referenceValues(p.Value)
		if refusal != nil {
			return refusal
		}
		p.Value = value
	}
	a.Search.Filters = append(a.Search.Filters, p)
	return nil
}

func modifierFits(p fhir.SearchParam, modifier string) bool {
	switch modifier {
	case "missing":
		return true
	case "exact", "contains":
		return p.Kind == fhir.KindString
	case "not", "in", "not-in", "of-type", "text":
		return p.Kind == fhir.KindToken
	case "above", "below":
		return p.Kind == fhir.KindToken || p.Kind == fhir.KindURI
	case "identifier":
		return p.Kind == fhir.KindReference
	}
	return p.Kind == fhir.KindReference && slices.Contains(p.Targets, modifier)
}

// referenceValues checks each member of an OR-list and makes absolute references to this server relative.
func (c *Classifier) referenceValues(value string) (string, *Refusal) {
	bad := unserved(http.StatusBadRequest, "value", "A reference parameter takes ids or references to this server, as in Patient/123.")
	members := strings.Split(value, ",")
	for i, m := range members {
		if fhir.ValidID(m) {
			continue
		}
		m = c.relativeText(m)
		ref, ok := fhir.ParseReference(m)
		if !ok || !ref.Local() {
			return "", bad
		}
		members[i] = m
	}
	return strings.Join(members, ","), nil
}

// relativeText makes a reference to this server relative, by whole segments of the parsed base (GW-40).
func (c *Classifier) relativeText(s string) string {
	for _, base := range []string{c.Base, c.UpstreamBase} {
		if rest, ok := strings.CutPrefix(s, strings.TrimSuffix(base, "/")+"/"); ok && base != "" {
			return rest
		}
	}
	return s
}

func sortParam(a *Access, value string) *Refusal {
	var kept []string
	for key := range strings.SplitSeq(value, ",") {
		code := strings.TrimPrefix(key, "-")
		if strings.ContainsAny(code, ".:") {
			return errIndirect
		}
		if _, ok := fhir.Param(a.Type, code); !ok {
			a.Search.Dropped = append(a.Search.Dropped, "_sort="+clipText(code))
			continue
		}
		kept = append(kept, key)
	}
	a.Search.Sort = strings.Join(kept, ",")
	return nil
}

// includeParam reads Source:param or Source:param:Target, with :iterate or R3's :recurse (GW-08).
func includeParam(a *Access, reverse bool, modifier, value string) *Refusal {
	bad := unserved(http.StatusBadRequest, "value", "An include is written Type:parameter or Type:parameter:Target.")
	iterate := modifier == "iterate" || modifier == "recurse"
	if modifier != "" && !iterate {
		return bad
	}
	if value == "*" && !reverse {
		value = a.Type + ":*"
	}
	parts := strings.Split(value, ":")
	if len(parts) < 2 || len(parts) > 3 || !fhir.IsType(parts[0]) {
		return bad
	}
	in := Include{Reverse: reverse, Iterate: iterate, Source: parts[0], Param: parts[1]}
	if len(parts) == 3 {
		if in.Target = parts[2]; !fhir.IsType(in.Target) {
			return bad
		}
	}
	if !reverse && !iterate && in.Source != a.Type {
		return bad
	}
	if in.Param == "*" {
		if reverse {
			return bad
		}
		for _, p := range fhir.Params(in.Source) {
			if p.Kind == fhir.KindReference && p.Expression != "" {
				a.addInclude(in, p)
			}
		}
	} else {
		p, ok := fhir.Param(in.Source, in.Param)
		if !ok || p.Kind != fhir.KindReference {
			return bad
		}
		a.addInclude(in, p)
	}
	if len(a.Search.Includes) > maxIncludes {
		return unserved(http.StatusBadRequest, "too-costly", "More than %d includes.", maxIncludes)
	}
	return nil
}

func (a *Access) addInclude(in Include, p fhir.SearchParam) {
	in.Param = p.Code
	switch {
	case in.Reverse:
		in.Targets = []string{in.Source}
	case in.Target != "":
		in.Targets = []string{in.Target}
	default:
		in.Targets = p.Targets
	}
	a.Search.Includes = append(a.Search.Includes, in)
}

func plainName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if b := s[i]; (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			return false
		}
	}
	return true
}

// clipText keeps a client's own words short in an answer.
func clipText(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
