package fhir

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:generate sh -c "go run ./internal/generate -out . \"$FHIR_R4_DEFINITIONS\""

// ParamKind is the type of a search parameter (R4 §3.1.1.4).
type ParamKind string

// The nine kinds of search parameters.
const (
	KindToken     ParamKind = "token"
	KindReference ParamKind = "reference"
	KindDate      ParamKind = "date"
	KindString    ParamKind = "string"
	KindQuantity  ParamKind = "quantity"
	KindURI       ParamKind = "uri"
	KindNumber    ParamKind = "number"
	KindComposite ParamKind = "composite"
	KindSpecial   ParamKind = "special"
)

// SearchParam is one search parameter of one resource type. Expression is FHIRPath, already reduced to the branches that
// start at the type; empty where R4 defines none. Targets are the types a reference may name, sorted; treat as read-only.
type SearchParam struct {
	Code       string
	Kind       ParamKind
	Expression string
	Targets    []string
}

// The tables are decoded at first use, so that a program that never searches does not pay for them at start-up.
var (
	typeSet     = sync.OnceValue(decodeTypes)
	compartment = sync.OnceValue(decodeCompartment)
	params      = sync.OnceValue(decodeParams)
)

type typeIndex struct {
	list []string
	set  map[string]bool
}

func decodeTypes() typeIndex {
	list := strings.Split(typeTable, "\n")
	set := make(map[string]bool, len(list))
	for _, name := range list {
		set[name] = true
	}
	return typeIndex{list, set}
}

// IsType reports whether name is a concrete R4 resource type, exact case.
func IsType(name string) bool { return typeSet().set[name] }

// Types gives the 146 concrete R4 resource types, sorted. The caller owns the slice.
func Types() []string { return slices.Clone(typeSet().list) }

func decodeCompartment() map[string][]string {
	m := map[string][]string{}
	for row := range strings.SplitSeq(compartmentTable, "\n") {
		fields := strings.Fields(row)
		m[fields[0]] = fields[1:]
	}
	return m
}

// InPatientCompartment reports whether HL7's CompartmentDefinition/patient lists parameters for the type (GW-19).
func InPatientCompartment(resourceType string) bool { return len(compartment()[resourceType]) > 0 }

// CompartmentParams gives the search parameters by which resources of the type belong to a patient's compartment; nil for
// types outside it. The caller owns the slice.
func CompartmentParams(resourceType string) []string {
	return slices.Clone(compartment()[resourceType])
}

// commonBase is the base of parameters that every type has; any type name stands for it in a scope as "*".
const commonBase = "Resource"

type paramIndex map[string]map[string]SearchParam

func decodeParams() paramIndex {
	var targets [][]string
	for row := range strings.SplitSeq(targetTable, "\n") {
		targets = append(targets, strings.Fields(row))
	}
	index := paramIndex{}
	var base map[string]SearchParam
	for row := range strings.SplitSeq(paramTable, "\n") {
		if name, ok := strings.CutPrefix(row, ":"); ok {
			base = map[string]SearchParam{}
			index[name] = base
			continue
		}
		f := strings.SplitN(row, "\t", 4)
		n, _ := strconv.Atoi(f[2])
		base[f[0]] = SearchParam{Code: f[0], Kind: ParamKind(f[1]), Targets: targets[n], Expression: f[3]}
	}
	return index
}

// Param gives the search parameter of a type, the common ones (_id, _lastUpdated, _tag, _profile, _security, _source)
// included. resourceType "*" or "Resource" knows only the common ones.
func Param(resourceType, code string) (SearchParam, bool) {
	if p, ok := params()[resourceType][code]; ok {
		return p, true
	}
	if !IsType(resourceType) && resourceType != "*" {
		return SearchParam{}, false
	}
	if p, ok := params()[commonBase][code]; ok {
		return p, true
	}
	return SearchParam{}, false
}

// Params gives all search parameters of a type, sorted by code. The caller owns the slice.
func Params(resourceType string) []SearchParam {
	var list []SearchParam
	for _, p := range params()[resourceType] {
		list = append(list, p)
	}
	if IsType(resourceType) || resourceType == "*" {
		for code, p := range params()[commonBase] {
			if _, own := params()[resourceType][code]; !own {
				list = append(list, p)
			}
		}
	}
	slices.SortFunc(list, func(a, b SearchParam) int { return strings.Compare(a.Code, b.Code) })
	return list
}
