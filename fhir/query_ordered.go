package fhir

import (
	"encoding/json"
	"math/big"
)

func dateTest(value string) (test, string) {
	p, text := cutPrefix(value)
	if p == "ap" {
		return nil, "prefix ap depends on the present time and is not supported for dates"
	}
	want, ok := parseDate(text)
	if !ok {
		return nil, "the value is no date (yyyy[-mm[-dd[Thh:mm[:ss][zone]]]])"
	}
	return func(n node) bool {
		got, ok := spanOf(n.value)
		return ok && want.matches(p, got)
	}, ""
}

func numberTest(value string) (test, string) {
	p, text := cutPrefix(value)
	want, ok := parseDecimal(text)
	if !ok {
		return nil, "the value is no number"
	}
	return func(n node) bool {
		got, ok := intervalOf(n.value)
		return ok && want.matches(p, got)
	}, ""
}

// quantityTest matches [prefix][number], [number]|[system]|[code] and [number]||[code] (R4 §3.1.1.4.11). Units are compared
// as written, never converted.
func quantityTest(value string) (test, string) {
	parts := splitValue(value, '|')
	if len(parts) != 1 && len(parts) != 3 {
		return nil, "a quantity is number or number|system|code"
	}
	p, text := cutPrefix(unescape(parts[0]))
	want, ok := parseDecimal(text)
	if !ok {
		return nil, "the value is no number"
	}
	unit := func(map[string]any) bool { return true }
	if len(parts) == 3 {
		system, code := unescape(parts[1]), unescape(parts[2])
		if code == "" {
			return nil, "a quantity with '|' needs a unit code"
		}
		unit = func(m map[string]any) bool { return hasUnit(m, system, code) }
	}
	return func(n node) bool {
		m, ok := n.value.(map[string]any)
		if !ok {
			return false
		}
		if n.typ == "Extension" {
			for _, inner := range appendMember(nil, node{name: "extension"}, m, "value") {
				m, _ = inner.value.(map[string]any)
			}
		}
		got, ok := intervalOf(m)
		return ok && unit(m) && want.matches(p, got)
	}, ""
}

// hasUnit compares a Quantity's, Money's or Range's unit. Without a system, the printed unit counts too.
func hasUnit(m map[string]any, system, code string) bool {
	low, isRange := m["low"].(map[string]any)
	high, hasHigh := m["high"].(map[string]any)
	if isRange || hasHigh {
		return (!isRange || hasUnit(low, system, code)) && (!hasHigh || hasUnit(high, system, code))
	}
	if currency, ok := m["currency"].(string); ok {
		return currency == code && (system == "" || system == "urn:iso:std:iso:4217")
	}
	if system == "" {
		return m["code"] == code || m["unit"] == code
	}
	return m["system"] == system && m["code"] == code
}

// intervalOf gives the numbers an element covers: a number is a point, a Quantity with a comparator and a Range are
// intervals.
func intervalOf(v any) (interval, bool) {
	switch v := v.(type) {
	case json.Number:
		d, ok := parseDecimal(string(v))
		return interval{d.value, d.value}, ok
	case map[string]any:
		low, isRange := v["low"].(map[string]any)
		high, hasHigh := v["high"].(map[string]any)
		if isRange || hasHigh {
			return rangeInterval(low, high)
		}
		point, ok := quantityValue(v)
		if !ok {
			return interval{}, false
		}
		switch v["comparator"] {
		case "<", "<=":
			return interval{nil, point}, true
		case ">", ">=":
			return interval{point, nil}, true
		}
		return interval{point, point}, true
	}
	return interval{}, false
}

func rangeInterval(low, high map[string]any) (interval, bool) {
	var i interval
	var okLow, okHigh bool
	i.low, okLow = quantityValue(low)
	i.high, okHigh = quantityValue(high)
	return i, okLow || okHigh
}

func quantityValue(m map[string]any) (*big.Rat, bool) {
	n, ok := m["value"].(json.Number)
	if !ok {
		return nil, false
	}
	d, ok := parseDecimal(string(n))
	return d.value, ok
}
