package main

import (
	"fmt"

	"github.com/umaas/umaas/umaas/config"
)

// foreign tells in words which authorization servers a patient may let guard her record: an operator should see it.
func (d *doctor) foreign(g config.Gateway) {
	said := "patients cannot choose another authorization server (gateway.foreign_issuers: none)"
	switch g.Foreign {
	case "listed":
		said = fmt.Sprintf("patients may let %d listed servers guard their records (gateway.foreign_issuers: listed)", len(g.Issuers))
	case "any":
		said = "patients may let any server they name guard their records; it is asked over https at public addresses alone (gateway.foreign_issuers: any)"
	}
	d.check(said, nil, "")
	if len(g.ForeignPrivate) > 0 {
		d.check(fmt.Sprintf("servers that patients name may stand in %v, too (gateway.foreign_private_networks)", g.ForeignPrivate), nil, "")
	}
}
