// Package rsduty holds the checks of a resource server: what the UMA Grant §3 and Federated Authorization demand of the
// party that keeps resources. It reaches the resource server over HTTP alone, at one protected address that the profile
// names (resource_server), and plays the resource server's authorization server itself (Authority), so that it sees what
// is registered and asked, and decides what tokens are worth.
//
// The flow: the Authority listens where the profile says; the resource server was configured with it as its issuer, gets a
// PAT by client credentials (registering itself where it has no client yet) and registers its resources; the checks then
// ask for the protected address without a token and with tokens of every kind. The checks run one after the other, because
// each looks at what the Authority saw meanwhile.
package rsduty

import "github.com/umaas/umaas/conformance"

// Checks are all checks of the suite "rs".
func Checks() []conformance.Check {
	var out []conformance.Check
	for _, part := range [][]conformance.Check{registering(), tokenless(), tokens(), heart()} {
		for _, c := range part {
			c.Subject, c.Serial = conformance.SubjectRS, true
			c.Needs = append([]conformance.Need{conformance.NeedRS}, c.Needs...)
			out = append(out, c)
		}
	}
	return out
}
