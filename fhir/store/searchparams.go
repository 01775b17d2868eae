package store

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
)

const (
	defaultCount   = 50
	maxCount       = 1000
	maxScan        = 50_000 // candidates looked at for one answer
	maxIncluded    = 2000   // resources included in one page
	maxIncludeHops = 3
	maxSortKeys    = 4
)

// searchRequest is a search with its result parameters taken out of the filters (search.html#return).
type searchRequest struct {
	path       string // relative to the base, for links
	system     bool
	types      []string
	patient    string // compartment, "" for none
	filters    []fhir.Pair
	queries    map[string]fhir.Query
	sort       []sortBy
	count      int
	countOnly  bool
	total      string // "", "none", "estimate", "accurate"
	includes   []include
	revinclude []include
	notes      []string // what a lenient search left out
	self       []fhir.Pair
}

type sortBy struct {
	code string
	desc bool
}

// parseSearch reads the parameters. Nothing is ever silently left out: an unknown parameter is refused, unless the client says
// handling=lenient, and then the answer tells (search.html#errors).
func (s *Store) parseSearch(path string, types []string, patient string, pairs []fhir.Pair, prefer preference) (*searchRequest, error) {
	q := &searchRequest{path: path, types: types, patient: patient, count: defaultCount, queries: map[string]fhir.Query{}}
	seen := map[string]bool{}
	for _, p := range pairs {
		once := slices.Contains([]string{"_count", "_sort", "_total", "_summary", "_type", "_format", "_pretty"}, p.Name)
		if once && seen[p.Name] {
			return nil, invalid("parameter %s is given twice", p.Name)
		}
		seen[p.Name] = true
		keep, err := q.parameter(p, prefer)
		if err != nil {
			return nil, err
		}
		if keep {
			q.self = append(q.self, p)
		}
	}
	if err := q.narrowTypes(seen["_type"]); err != nil {
		return nil, err
	}
	return q, q.compile(prefer)
}

// parameter takes one result parameter or adds a filter; keep tells whether it shows in the self link.
func (q *searchRequest) parameter(p fhir.Pair, prefer preference) (keep bool, err error) {
	switch name, modifier, _ := strings.Cut(p.Name, ":"); name {
	case "_format", "_pretty":
		return false, nil
	case "_count":
		n, err := strconv.Atoi(p.Value)
		if err != nil || n < 0 {
			return false, invalid("_count must be a whole number from 0 to %d", maxCount)
		}
		q.count, q.countOnly = min(n, maxCount), q.countOnly || n == 0
	case "_sort":
		return true, q.parseSort(p.Value)
	case "_total":
		if p.Value != "none" && p.Value != "estimate" && p.Value != "accurate" {
			return false, invalid("_total must be none, estimate or accurate")
		}
		q.total = p.Value
	case "_summary", "_elements", "_contained":
		if p.Value == "false" && name != "_elements" {
			return true, nil
		}
		if p.Value == "count" && name == "_summary" {
			q.countOnly = true
			return true, nil
		}
		return false, q.leaveOut(prefer, p.Name, "answers show resources whole")
	case "_include", "_revinclude":
		inc, err := parseInclude(name, modifier, p.Value)
		if err != nil {
			return false, err
		}
		if name == "_include" {
			q.includes = append(q.includes, inc)
		} else {
			q.revinclude = append(q.revinclude, inc)
		}
	case "_type":
		return true, q.parseTypes(p.Value)
	default:
		q.filters = append(q.filters, p)
		return false, nil // joins the self link once it is understood
	}
	return true, nil
}

// leaveOut refuses a parameter that changes only how the answer looks, or notes it when the client asked for leniency.
func (q *searchRequest) leaveOut(prefer preference, name, why string) error {
	if prefer.handling != "lenient" {
		return notSupported("parameter %s is not supported: %s; leave it out, or send Prefer: handling=lenient", clip(name), why)
	}
	q.notes = append(q.notes, "parameter "+clip(name)+" was left out: "+why)
	return nil
}

func (q *searchRequest) parseSort(value string) error {
	for _, part := range strings.Split(value, ",") {
		code, desc := strings.CutPrefix(part, "-")
		if code == "" || strings.ContainsAny(code, ":.") {
			return notSupported("_sort by %q is not supported: name search parameters, with - in front for descending order", clip(part))
		}
		q.sort = append(q.sort, sortBy{code, desc})
	}
	if len(q.sort) > maxSortKeys {
		return refuse(http.StatusBadRequest, "too-costly", "_sort takes at most %d parameters", maxSortKeys)
	}
	return nil
}

func (q *searchRequest) parseTypes(value string) error {
	var wanted []string
	for _, typ := range strings.Split(value, ",") {
		if !fhir.IsType(typ) {
			return invalid("_type: %q is not a resource type of FHIR R4", clip(typ))
		}
		if !slices.Contains(wanted, typ) {
			wanted = append(wanted, typ)
		}
	}
	slices.Sort(wanted)
	q.system = true
	if len(q.types) > 1 {
		q.types = slices.DeleteFunc(wanted, func(typ string) bool { return !slices.Contains(q.types, typ) })
		return nil
	}
	return notSupported("_type is for searches over several types")
}

// narrowTypes refuses a search of the whole store that names neither a type nor an id.
func (q *searchRequest) narrowTypes(typed bool) error {
	if len(q.types) <= 1 || typed || q.patient != "" {
		return nil
	}
	if slices.ContainsFunc(q.filters, func(p fhir.Pair) bool { return p.Name == "_id" }) {
		return nil
	}
	return notSupported("a search of the whole server needs _type")
}

// neverLenient are parameters that filter by something this server does not evaluate: leaving one out would widen the answer.
var neverLenient = []string{"_has", "_filter", "_text", "_content", "_list", "_query", "_page"}

// compile makes the predicate of every type searched.
func (q *searchRequest) compile(prefer preference) error {
	understood := q.filters[:0:0]
	for _, p := range q.filters {
		name, _, _ := strings.Cut(p.Name, ":")
		if prefer.handling == "lenient" && !strings.Contains(p.Name, ".") && !slices.Contains(neverLenient, name) && !q.knows(name) {
			q.notes = append(q.notes, "parameter "+clip(p.Name)+" is unknown and was left out")
			continue
		}
		understood = append(understood, p)
		q.self = append(q.self, p)
	}
	q.filters = understood
	for _, typ := range q.types {
		query, err := fhir.ParseQuery(typ, understood)
		if err != nil {
			return queryRefusal(err)
		}
		q.queries[typ] = query
		for _, by := range q.sort {
			if p, ok := fhir.Param(typ, by.code); !ok || p.Kind == "composite" || p.Kind == "special" {
				return notSupported("_sort: %s is not a parameter to sort %s by", clip(by.code), typ)
			}
		}
	}
	return nil
}

func (q *searchRequest) knows(name string) bool {
	return slices.ContainsFunc(q.types, func(typ string) bool { _, ok := fhir.Param(typ, name); return ok })
}

func queryRefusal(err error) error {
	var u *fhir.UnsupportedParam
	if errors.As(err, &u) {
		return notSupported("parameter %s is not supported: %s", clip(u.Name), u.Reason)
	}
	return invalid("the search parameters are not well formed: %v", err)
}
