// Package grant holds the checks of the UMA 2.0 Grant for OAuth 2.0 (statements G-001 … G-2xx of the register): what can be
// seen of an authorization server from outside, one file per section of the Recommendation.
//
// It owns the questions and how an answer is judged. It does not own how a request is sent, how a person signs in or how
// an owner's policy is set: that is the engine's (package conformance), and what the profile says.
//
// The flow of a check: the fixtures bring the server into a state (a ticket, a person at the claims page, an RPT), one step
// is taken by hand, and its answer is judged by one rule. A check judges nothing but what its title says: where an earlier
// step went wrong, that is another check's verdict and this one could not be examined.
package grant

import (
	"slices"

	"github.com/umaas/umaas/conformance"
)

// Checks are all checks of the suite "grant", in the order of the Recommendation.
func Checks() []conformance.Check {
	return slices.Concat(
		discovery(), registration(), rptRequest(), clientAuthentication(),
		interactionRequest(), claimsRedirectURIs(), interactionResult(), forgery(),
		assessment(), success(), upgrade(),
		needInfo(), otherErrors(), denied(), submitted(),
		tickets(), pushedClaims(), pct(), pctProtection(),
		refresh(), revocation(), withdrawal(), privacy(),
	)
}
