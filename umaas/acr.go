package umaas

import (
	"slices"
	"strings"
)

// Authentication context classes of this server (OpenID Connect Core §2, acr), weakest first. A policy names the one it asks
// for (Policy.MinACR); a stronger one does too. Another value than these is reached by exactly itself.
const (
	ACRPassword          = "urn:umaas:acr:password"           //nolint:gosec // a name: one factor
	ACRMultiFactor       = "urn:umaas:acr:multi-factor"       // two factors of different kinds
	ACRPhishingResistant = "urn:umaas:acr:phishing-resistant" // bound to this origin: passkeys, security keys
)

var acrOrder = [...]string{ACRPassword, ACRMultiFactor, ACRPhishingResistant}

// acrLevel is 0 for a value that is not one of ours.
func acrLevel(acr string) int { return slices.Index(acrOrder[:], acr) + 1 }

// reachesACR reports whether a sign-in of class have is enough where want is asked. Nothing known reaches nothing asked.
func reachesACR(have, want string) bool {
	switch {
	case want == "":
		return true
	case have == "":
		return false
	case have == want:
		return true
	default:
		return acrLevel(want) > 0 && acrLevel(have) > acrLevel(want)
	}
}

// strongerACR chooses what to ask for where several policies ask. A value that is not ours comes first: nothing of ours
// reaches it.
func strongerACR(a, b string) string {
	rank := func(acr string) int {
		switch l := acrLevel(acr); {
		case acr == "":
			return -1
		case l == 0:
			return len(acrOrder) + 1
		default:
			return l
		}
	}
	switch ra, rb := rank(a), rank(b); {
	case ra > rb, ra == rb && a >= b:
		return a
	default:
		return b
	}
}

// acrOf is the class of a sign-in at this server by its methods (RFC 8176 §2).
func acrOf(amr []string) string {
	switch {
	case contains(amr, "hwk") || contains(amr, "swk"): // proof of possession of a key for this origin
		return ACRPhishingResistant
	case contains(amr, "mfa") || contains(amr, "pwd") && contains(amr, "otp"):
		return ACRMultiFactor
	case contains(amr, "pwd"):
		return ACRPassword
	default:
		return ""
	}
}

// acrFrom is what a trusted issuer's acr value counts for here. An entry of TrustedIssuer.ACRs is one of our own values,
// believed when the issuer says it, or "theirs=ours". What is not listed counts for nothing.
func acrFrom(i TrustedIssuer, theirs string) string {
	if theirs == "" {
		return ""
	}
	best := ""
	for _, entry := range i.ACRs {
		if value, ours := splitACR(entry); value == theirs && acrLevel(ours) > acrLevel(best) {
			best = ours
		}
	}
	return best
}

// acrsFor are the values of an issuer that reach what is asked, to be named in acr_values.
func acrsFor(i TrustedIssuer, want string) []string {
	var out []string
	for _, entry := range i.ACRs {
		if value, ours := splitACR(entry); ours != "" && reachesACR(ours, want) {
			out = append(out, value)
		}
	}
	return out
}

// splitACR cuts at the last "=": acr values may be addresses with a query.
func splitACR(entry string) (theirs, ours string) {
	if cut := strings.LastIndex(entry, "="); cut > 0 && acrLevel(entry[cut+1:]) > 0 {
		return entry[:cut], entry[cut+1:]
	}
	if acrLevel(entry) > 0 {
		return entry, entry
	}
	return entry, ""
}
