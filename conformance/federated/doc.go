// Package federated holds the checks of Federated Authorization for UMA 2.0: how an authorization server treats the
// protection API that resource servers use. There is one file for each part of the Recommendation:
//
//	pat.go            §1.3  the protection API token
//	metadata.go       §2    what discovery declares
//	description.go    §3.1  resource and scope descriptions
//	registration.go   §3.2  create, read, update, delete, list
//	permission.go     §4    permission requests and tickets
//	introspection.go  §5    what an RPT is worth
//	errors.go         §6    error messages
//	privacy.go        §8    what descriptions do not reach
//
// Each check asks one thing. What comes before it (a token, a registered resource, a grant) is made by fixtures; where
// that fails the check is blocked, not failed, so that one fault of a server has one name. The package imports nothing of
// this project's server.
package federated

import "github.com/umaas/umaas/conformance"

// Checks are all checks of the suite "federated", in the order of the Recommendation.
func Checks() []conformance.Check {
	var out []conformance.Check
	for _, part := range [][]conformance.Check{
		pats(), separation(), metadata(), descriptions(), registration(), replacement(), removal(), refusals(),
		permissions(), permissionRefusals(), introspection(), introspectionBounds(), errorMessages(), privacy(),
	} {
		out = append(out, part...)
	}
	return out
}
