package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/fhirview"
)

// Consents are the arguments of policy-export and policy-import.
type Consents struct {
	Login  string
	Policy umaas.PolicyID  // export: one; "" all in force
	Body   json.RawMessage // import: a FHIR Consent or Bundle
	Check  bool            // import: tell and store nothing
}

func (a *AS) fhirView() fhirview.View {
	return fhirview.View{Core: a.Service, Issuer: a.Service.Issuer, Now: a.Service.Now}
}

func (a *AS) exportPolicies(ctx context.Context, c Consents) (json.RawMessage, error) {
	account, err := a.account(ctx, c.Login)
	if err != nil {
		return nil, err
	}
	raw, err := a.fhirView().Export(ctx, a.Service.Acting(account.ID, account.ID), c.Policy)
	if errors.Is(err, umaas.ErrNotFound) {
		return nil, fmt.Errorf("%s has no policy %q", c.Login, c.Policy)
	}
	return raw, err
}

func (a *AS) importPolicies(ctx context.Context, c Consents) ([]PolicyView, error) {
	account, err := a.account(ctx, c.Login)
	if err != nil {
		return nil, err
	}
	_, views, err := a.fhirView().Import(ctx, a.Service.Acting(account.ID, account.ID), c.Body, c.Check, "operator")
	out := []PolicyView{}
	for _, v := range views {
		out = append(out, viewPolicy(v))
	}
	return out, err
}
