package httpapi

import (
	"mime"
	"net/http"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

const fhirJSON = "application/fhir+json"

// asConsent reads _format: policies as FHIR Consents, or in this API's own form.
func asConsent(c ownerCall) (bool, error) {
	switch c.query.Get("_format") {
	case "", "json":
		return false, nil
	case "consent":
		return true, nil
	default:
		return false, uma.ErrInvalidRequest.With("_format: want json or consent")
	}
}

func (a *api) exportConsents(c ownerCall, id umaas.PolicyID) error {
	if a.Consents == nil {
		return uma.ErrNotFound.With("this server keeps no FHIR view of policies")
	}
	raw, err := a.Consents.Export(c.ctx(), c.Acting, id)
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, fhirJSON, raw)
	return nil
}

type importAnswer struct {
	Created  []umaas.PolicyID `json:"created"`
	Policies []policyShape    `json:"policies"` // what they mean here
}

// importConsents takes a Consent or a Bundle of them. With check nothing is stored.
func (a *api) importConsents(c ownerCall) error {
	if a.Consents == nil {
		return uma.ErrNotFound.With("this server keeps no FHIR view of policies")
	}
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != fhirJSON && kind != "application/json" {
		return uma.ErrInvalidRequest.With("send the Consent as application/fhir+json")
	}
	check, err := yes(c, "check")
	if err != nil {
		return err
	}
	raw, err := readBody(c.Request, maxJSON)
	if err != nil {
		return err
	}
	if err := checkJSON(raw); err != nil {
		return uma.ErrInvalidRequest.With(err.Error())
	}
	made, views, err := a.Consents.Import(c.ctx(), c.Acting, raw, check, requestID(c.Context))
	if err != nil {
		return err
	}
	out := importAnswer{Created: made, Policies: []policyShape{}}
	if out.Created == nil {
		out.Created = []umaas.PolicyID{}
	}
	for _, v := range views {
		out.Policies = append(out.Policies, a.shapePolicy(v))
	}
	status := http.StatusCreated
	if check {
		status = http.StatusOK
	}
	return writeJSON(c.Context, status, out)
}
