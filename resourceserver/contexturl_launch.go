package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// launchContext is what an authorized app is told about its context URL (flows.md A2.5).
type launchContext struct {
	FHIRBase   string `json:"fhir_base"`
	Level      Level  `json:"level"` // "user" or "patient"
	Patient    string `json:"patient,omitempty"`
	NeedBanner bool   `json:"need_patient_banner"`
}

// serveContext answers GET {context} with an RPT: which FHIR base and which patient. The patient's id is told only to who
// holds a permission on the set this URL leads to; everybody else gets a ticket with zero scopes.
func (c *ContextURLs) serveContext(w http.ResponseWriter, r *http.Request, h string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeJSONError(w, uma.ErrUnsupportedMethod.With("read the launch context by GET"))
		return
	}
	if r.URL.Query().Has("access_token") {
		writeJSONError(w, uma.ErrInvalidRequest.With("a token never travels in a query or form (GW-47)"))
		return
	}
	launch, challenge, err := c.launch(r.Context(), h, present(r))
	var refused *unproven
	switch {
	case errors.As(err, &refused):
		c.refuseUnproven(w, challenge, refused)
	case err != nil:
		c.fail(w, r, err)
	case challenge.Ticket != "":
		writeChallenge(w, challenge, "")
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(launch)
	}
}

// unproven gives the ticket that goes with a token whose presenter does not hold its key; none where only a nonce is missing.
func (c *ContextURLs) unproven(ctx context.Context, reg Registration, u ContextURL, why error) (launchContext, Challenge, error) {
	var refused *unproven
	if !errors.As(why, &refused) || refused.nonce != "" {
		return launchContext{}, Challenge{}, why
	}
	challenge, err := c.cfg.Desk.ask(ctx, reg, nil, c.clientConstraint(u, reg.Owner.Issuer), "")
	if err != nil {
		return launchContext{}, Challenge{}, err
	}
	return launchContext{}, challenge, why
}

// refuseUnproven answers 401 with the challenge of RFC 9449 §7.1, after the ticket's.
func (c *ContextURLs) refuseUnproven(w http.ResponseWriter, ticket Challenge, u *unproven) {
	h := w.Header()
	if ticket.Ticket != "" {
		h.Add("WWW-Authenticate", UMAChallenge(ticket))
	}
	for _, challenge := range u.challenges("context", "") {
		h.Add("WWW-Authenticate", challenge)
	}
	if u.nonce != "" {
		h.Set(pop.NonceHeader, u.nonce)
	}
	writeJSONError(w, &uma.Error{Status: http.StatusUnauthorized, Code: u.code, Description: u.text})
}

func (c *ContextURLs) launch(ctx context.Context, h string, p presented) (launchContext, Challenge, error) {
	u, err := c.find(ctx, h)
	if err != nil {
		return launchContext{}, Challenge{}, err
	}
	reg, err := c.registration(ctx, u)
	if errors.Is(err, ErrNoPAT) {
		challenge, err := c.cfg.Desk.decoy(ctx, contextOf(u.Level), nil, c.clientConstraint(u, c.cfg.Registrar.cfg.Issuer), "")
		return launchContext{}, challenge, err
	}
	if err != nil {
		return launchContext{}, Challenge{}, err
	}
	if p.token != "" {
		grant, err := c.verify(ctx, p.token, reg.Owner)
		if err != nil && !errors.Is(err, ErrInactive) {
			return launchContext{}, Challenge{}, err
		}
		if err == nil && u.Client != "" && grant.ClientID != u.Client && c.names(reg.Owner.Issuer) {
			return launchContext{}, Challenge{}, ErrNotKept // a foreign client's URL does not exist
		}
		if err == nil {
			if err := c.cfg.Possession.check(p, grant); err != nil {
				return c.unproven(ctx, reg, u, err)
			}
		}
		if err == nil && covers(grant, reg.Set) {
			l := launchContext{FHIRBase: c.cfg.FHIRBase, Level: u.Level, Patient: u.Patient, NeedBanner: u.Patient != ""}
			return l, Challenge{}, c.touch(ctx, u)
		}
	}
	challenge, err := c.cfg.Desk.ask(ctx, reg, nil, c.clientConstraint(u, reg.Owner.Issuer), "")
	return launchContext{}, challenge, err
}

// verify tells the verifier whose set the URL leads to, so that it can find the authorization server of an opaque token.
func (c *ContextURLs) verify(ctx context.Context, token string, o Owner) (Grant, error) {
	if v, ok := c.cfg.Verifier.(interface {
		VerifyFor(ctx context.Context, token string, o Owner) (Grant, error)
	}); ok {
		return v.VerifyFor(ctx, token, o)
	}
	return c.cfg.Verifier.Verify(ctx, token)
}

// covers holds where a grant carries at least one scope on exactly this set.
func covers(g Grant, set Set) bool {
	for _, p := range g.Permissions {
		if p.Set == set && len(p.Scopes) > 0 {
			return true
		}
	}
	return false
}
