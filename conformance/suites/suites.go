// Package suites puts the suites together, in the order in which they are run and shown. It owns the order alone.
package suites

import (
	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/clientduty"
	"github.com/umaas/umaas/conformance/federated"
	"github.com/umaas/umaas/conformance/grant"
	"github.com/umaas/umaas/conformance/heart"
	"github.com/umaas/umaas/conformance/rsduty"
)

// All are the checks of all suites.
func All() []conformance.Check {
	var out []conformance.Check
	out = append(out, grant.Checks()...)
	out = append(out, federated.Checks()...)
	out = append(out, heart.Checks()...)
	out = append(out, rsduty.Checks()...)
	out = append(out, clientduty.Checks()...)
	return out
}
