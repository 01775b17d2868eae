package umaas

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/umaas/umaas/umaas/uma"
)

// RequestPermission makes a permission ticket for what a resource server thinks its client needs (FedAuthz §4.1). All
// resources belong to the PAT's owner at the PAT's resource server, checked for every element before anything is written
// (F-049, F-059, SEC-05). challenge is an optional PKCE S256 challenge that the redeeming client must answer (SEC-03).
//
// A client constraint binds the ticket to that client from the start (decisions 9). Errors: uma.ErrInvalidRequest,
// uma.ErrInvalidResourceID, uma.ErrInvalidScope.
func (s *Service) RequestPermission(ctx context.Context, p PAT, perms []uma.Permission, challenge, _ string) (string, error) {
	if err := s.checkPermissions(perms, challenge); err != nil {
		return "", err
	}
	now := s.Now()
	value, key, secret, err := s.handles.New(now)
	if err != nil {
		return "", err
	}
	t := Ticket{
		Key: key, Secret: secret, Process: key, Owner: p.Owner, RS: p.RS, Challenge: challenge, Expires: now.Add(s.Limits.Ticket),
	}
	t.Permissions, t.Client, err = bindClient(perms)
	if err != nil {
		return "", err
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		ticket := t
		for _, perm := range t.Permissions {
			r, err := tx.Resource(p.Owner, p.RS, ResourceID(perm.ResourceID))
			if errors.Is(err, ErrNotFound) {
				return uma.ErrInvalidResourceID
			}
			if err != nil {
				return fmt.Errorf("read resource: %w", err)
			}
			if len(keep(perm.Scopes, r.Description.Scopes)) != len(perm.Scopes) {
				return uma.ErrInvalidScope.With("a scope is not registered for its resource")
			}
			ticket.Decoy = ticket.Decoy || isDecoy(r.Description)
		}
		return tx.PutTicket(ticket)
	})
	if err != nil {
		return "", err
	}
	return value, nil
}

// checkPermissions judges what needs no store: shape and bounds (FedAuthz §4.1, SEC-48).
func (s *Service) checkPermissions(perms []uma.Permission, challenge string) error {
	bad := func(format string, args ...any) error {
		return uma.ErrInvalidRequest.With(fmt.Sprintf(format, args...))
	}
	if len(perms) == 0 {
		return bad("ask for at least one permission")
	}
	if len(perms) > s.Limits.MaxPermissions {
		return bad("more than %d permissions in one request", s.Limits.MaxPermissions)
	}
	for _, p := range perms {
		switch {
		case p.ResourceID == "":
			return bad("resource_id is missing")
		case p.Scopes == nil:
			return bad("resource_scopes is missing: give an array, empty if no scope is asked for")
		case len(p.Scopes) > s.Limits.MaxScopes:
			return bad("resource_scopes has more than %d members", s.Limits.MaxScopes)
		}
		if err := checkConstraints(p.Constraints); err != nil {
			return bad("%s", err)
		}
	}
	if weight(perms) > maxAsked {
		return bad("the permissions hold more than %d bytes of scopes and constraints; ask for them in several requests", maxAsked)
	}
	if challenge != "" && !isChallenge(challenge) {
		return bad("code_challenge is no S256 challenge (RFC 7636 §4.2)")
	}
	return nil
}

// bindClient merges equal elements and takes the client constraint out of them: it becomes the ticket's binding.
func bindClient(perms []uma.Permission) ([]uma.Permission, ClientID, error) {
	var bound ClientID
	out := make([]uma.Permission, len(perms))
	for i, p := range perms {
		rest, clients := splitClient(p.Constraints)
		for _, c := range clients {
			if bound != "" && bound != c {
				return nil, "", uma.ErrInvalidRequest.With("one ticket is for one client")
			}
			bound = c
		}
		out[i] = uma.Permission{ResourceID: p.ResourceID, Scopes: p.Scopes, Constraints: rest}
	}
	return mergePermissions(out), bound, nil
}

// isChallenge: base64url of a SHA-256 value, 43 characters.
func isChallenge(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == 32
}
