package fhir

import (
	"math/big"
	"strings"
)

// decimal is a number with the precision it was written in: half is half of its last digit's unit (R4 §3.1.1.4.2).
type decimal struct {
	value, half *big.Rat
}

// maxDigits and maxExponent bound what a number may cost: 1e999999999 is six bytes to write and gigabytes to hold.
const (
	maxDigits   = 60
	maxExponent = 60
)

// parseDecimal reads [+-]digits[.digits][e[+-]digits].
func parseDecimal(s string) (decimal, bool) {
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(s), "e")
	e := 0
	if hasExponent {
		var ok bool
		if e, ok = parseExponent(exponent); !ok {
			return decimal{}, false
		}
	}
	digits := strings.TrimLeft(mantissa, "+-")
	if len(mantissa)-len(digits) > 1 || len(digits) > maxDigits {
		return decimal{}, false
	}
	whole, fraction, hasPoint := strings.Cut(digits, ".")
	if whole == "" || hasPoint && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return decimal{}, false
	}
	value, ok := new(big.Rat).SetString(mantissa)
	if !ok {
		return decimal{}, false
	}
	half := new(big.Rat).Mul(big.NewRat(1, 2), powerOfTen(e-len(fraction)))
	return decimal{value.Mul(value, powerOfTen(e)), half}, true
}

func parseExponent(s string) (int, bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || len(digits) > 3 || !allDigits(digits) {
		return 0, false
	}
	n := 0
	for _, c := range []byte(digits) {
		n = n*10 + int(c-'0')
	}
	if n > maxExponent {
		return 0, false
	}
	if s[0] == '-' {
		n = -n
	}
	return n, true
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func powerOfTen(n int) *big.Rat {
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n, -n))), nil)
	if n < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), p)
	}
	return new(big.Rat).SetInt(p)
}

// prefix is a comparison of an ordered search value (R4 §3.1.1.4.5 "Prefixes").
type prefix string

// cutPrefix takes a two-letter prefix off a search value; without one it is "eq".
func cutPrefix(s string) (prefix, string) {
	if len(s) > 2 {
		switch p := prefix(s[:2]); p {
		case "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap":
			return p, s[2:]
		}
	}
	return "eq", s
}

// interval is a range of numbers, both ends included; nil is unbounded.
type interval struct{ low, high *big.Rat }

// matches compares a resource's value with a search value. eq and ne use the precision of the search value, ap a tenth of
// it, the others the exact number.
func (d decimal) matches(p prefix, target interval) bool {
	switch p {
	case "eq":
		return d.contains(d.half, target)
	case "ne":
		return !d.contains(d.half, target)
	case "ap":
		tenth := new(big.Rat).Abs(new(big.Rat).Mul(d.value, big.NewRat(1, 10)))
		low, high := new(big.Rat).Sub(d.value, tenth), new(big.Rat).Add(d.value, tenth)
		return (target.high == nil || target.high.Cmp(low) >= 0) && (target.low == nil || target.low.Cmp(high) <= 0)
	case "gt":
		return target.high == nil || target.high.Cmp(d.value) > 0
	case "lt":
		return target.low == nil || target.low.Cmp(d.value) < 0
	case "ge":
		return target.high == nil || target.high.Cmp(d.value) >= 0
	case "le":
		return target.low == nil || target.low.Cmp(d.value) <= 0
	case "sa":
		return target.low != nil && target.low.Cmp(d.value) > 0
	case "eb":
		return target.high != nil && target.high.Cmp(d.value) < 0
	}
	return false
}

// contains reports whether target lies in [value-half, value+half).
func (d decimal) contains(half *big.Rat, target interval) bool {
	if target.low == nil || target.high == nil {
		return false
	}
	low, high := new(big.Rat).Sub(d.value, half), new(big.Rat).Add(d.value, half)
	return target.low.Cmp(low) >= 0 && target.high.Cmp(high) < 0
}
