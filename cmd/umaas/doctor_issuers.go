package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/umaas/umaas/cmd/umaas/control"
	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas/config"
	"github.com/umaas/umaas/umaas/uma"
)

// protects checks that an authorization server beside the default one can guard records: its protection API is there, and a
// way to register.
func (d *doctor) protects(ctx context.Context, i config.Issuer) {
	res, body, err := d.get(ctx, i.Issuer+uma.WellKnownUMA, "")
	var m uma.Metadata
	if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(body, &m) != nil {
		return // told already
	}
	missing := []string{}
	for _, e := range []struct{ name, value string }{
		{"authorization_endpoint", m.AuthorizationEndpoint}, {"jwks_uri", m.JWKSURI}, {"permission_endpoint", m.PermissionEndpoint},
		{"resource_registration_endpoint", m.ResourceRegistrationEndpoint}, {"introspection_endpoint", m.IntrospectionEndpoint},
	} {
		if e.value == "" {
			missing = append(missing, e.name)
		}
	}
	if m.RegistrationEndpoint == "" && i.ClientID == "" {
		missing = append(missing, "registration_endpoint (or give client_id and client_secret)")
	}
	if len(missing) > 0 {
		err = fmt.Errorf("its metadata lack %s", strings.Join(missing, ", "))
	}
	d.check("issuer "+i.Issuer+" can guard records", err, "it must speak UMA 2.0 Federated Authorization; otherwise take it out of gateway.issuers")
}

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

// dropped lists the issuers that are disabled since as.trusted_issuers names them no more. It asks the running server alone: to
// open the store would change it.
func (d *doctor) dropped(ctx context.Context, c config.Config) {
	caller, err := control.Dial(ctx, c.Data, control.AS, func(context.Context) (*control.Local, error) { return nil, errors.New("not running") })
	if err != nil {
		return // told by its own line
	}
	var list []server.IssuerView
	if err := errors.Join(caller.Call(ctx, "issuer-list", server.Named{}, &list), caller.Close()); err != nil {
		d.check("trusted issuers can be listed", err, "look into the log of the server")
		return
	}
	for _, i := range list {
		if i.Dropped {
			d.check("issuer "+i.Issuer+" is disabled: as.trusted_issuers names it no more (`umaas issuer remove` forgets it)", nil, "")
		}
	}
}
