package umaas

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/umaas/umaas/umaas/uma"
)

// StartClaims is the claims interaction endpoint (Grant §3.3.2). A request that does not name a client and one of its
// registered claims redirect URIs gets an *uma.Error for a page and is never redirected (G-059, G-060). From there on
// errors travel by redirect (G-061). The ticket is spent here, like at the token endpoint (G-124); an unknown, used or
// foreign one is invalid_request.
func (s *Service) StartClaims(ctx context.Context, q url.Values, b Browser, requestID string) (Started, error) {
	f, err := parseForm(q)
	if err != nil {
		return Started{}, err
	}
	client, uri, err := s.claimsClient(ctx, f)
	if err != nil {
		return Started{}, err
	}
	flow := Flow{Kind: FlowClaims, Client: client.ID, RedirectURI: uri, State: f.get("state"), HasState: f.has("state")}
	refuse := func() (Started, error) {
		back := s.back(flow, url.Values{"error": {uma.ErrInvalidRequest.Code}})
		return Started{Redirect: &back}, nil
	}
	key, secret, ok := s.handles.Open(f.get("ticket"))
	if !ok {
		return refuse()
	}
	now := s.Now()
	var started Started
	empty := false
	err = s.Store.Update(ctx, func(tx Tx) error {
		t, err := s.presentedTicket(tx, key, secret, client, now)
		if err != nil {
			return err
		}
		if err := spend(tx, t.Key); err != nil {
			return err
		}
		// The client is bound here without authentication, but what comes back goes to its registered address alone (SEC-03,
		// SEC-04).
		t.Client = client.ID
		t, _, err = s.standing(tx, t)
		if err != nil {
			return err
		}
		if empty = len(t.Permissions) == 0; empty {
			return s.tell(tx, now, AuditEvent{
				Type: EventTicketRefused, Reason: ReasonGone, Client: client.ID, RS: t.RS, Process: t.Process, RequestID: requestID,
			})
		}
		flow.Ticket = &t
		started, err = s.startFlow(tx, flow, b, now)
		return err
	})
	switch {
	case empty && err == nil, errors.Is(err, uma.ErrInvalidGrant):
		return refuse()
	case err != nil:
		return Started{}, err
	}
	return started, nil
}

// claimsClient finds the client and the way back. Every client registers its claims redirect URIs beforehand (G-048,
// G-049); they are compared as plain strings (G-051) and are a registry of their own (G-050).
func (s *Service) claimsClient(ctx context.Context, f form) (Client, string, error) {
	id, err := f.need("client_id")
	if err != nil {
		return Client{}, "", err
	}
	var c Client
	err = s.Store.View(ctx, func(r Reader) error {
		var err error
		c, err = r.Client(ClientID(id))
		return err
	})
	if gone, err := absent(err); err != nil {
		return Client{}, "", fmt.Errorf("read client: %w", err)
	} else if gone || c.Disabled {
		return Client{}, "", uma.ErrInvalidRequest.With("client_id is unknown")
	}
	uri := f.get("claims_redirect_uri")
	if uri == "" {
		if len(c.ClaimsRedirectURIs) != 1 { // G-042, G-043
			return Client{}, "", uma.ErrInvalidRequest.With("claims_redirect_uri is required unless exactly one is registered")
		}
		return c, c.ClaimsRedirectURIs[0], nil
	}
	if !contains(c.ClaimsRedirectURIs, uri) {
		return Client{}, "", uma.ErrInvalidRedirectURI.With("claims_redirect_uri is not registered for this client")
	}
	return c, uri, nil
}

// claimsView is the page after sign-in: the owner herself decides at once, anybody else says who is asking. A decoy has no
// owner to meet.
func (s *Service) claimsView(r Reader, f Flow, a Account, sess Session, v *FlowView) error {
	t, resources, err := s.standing(r, *f.Ticket)
	if err != nil {
		return err
	}
	if len(t.Permissions) == 0 {
		return ErrFlowGone
	}
	if t.Owner != a.ID || t.Decoy {
		t.Party = partyOf(t, a, sess)
		return s.gatherView(r, f, t, resources, a, sess, v)
	}
	v.Step = StepConsent
	v.Records, err = s.records(r, t.Permissions, resources)
	return err
}
