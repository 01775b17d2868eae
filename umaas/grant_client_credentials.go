package umaas

import (
	"context"
	"errors"
	"fmt"

	"github.com/umaas/umaas/umaas/uma"
)

// grantClientCredentials gives a client a token for itself (RFC 6749 §4.4). The one use here is the PAT of the organization
// a resource server acts for, resource owner as a legal person (G-005, F-011). Such a token names no person: it has no
// fhirUser and no ID token (SEC-112), and no refresh token (RFC 6749 §4.4.3).
func (s *Service) grantClientCredentials(ctx context.Context, c VerifiedClient, f form, requestID string) (uma.TokenResponse, error) {
	if c.Public() {
		return uma.TokenResponse{}, uma.ErrUnauthorizedClient.With("client credentials need a confidential client (RFC 6749 section 4.4)")
	}
	scopes, err := f.scopes()
	if err != nil {
		return uma.TokenResponse{}, err
	}
	for _, scope := range scopes {
		if scope != uma.ScopeProtection {
			return uma.TokenResponse{}, uma.ErrInvalidScope.With("client credentials give the scope uma_protection alone")
		}
	}
	switch {
	case !c.IsResourceServer():
		return uma.TokenResponse{}, uma.ErrInvalidScope.With("the client is not registered for the scope uma_protection")
	case c.Account == "":
		return uma.TokenResponse{}, uma.ErrUnauthorizedClient.With("the client acts for no organization; an administrator sets its account")
	}
	now := s.Now()
	out, err := s.commit(ctx, func(tx Tx) (issued, *uma.Error, error) {
		if err := c.held.spend(tx, now); err != nil {
			return issued{}, nil, err
		}
		owner, err := tx.Account(c.Account)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return issued{}, nil, fmt.Errorf("read account of client: %w", err)
		}
		if err != nil || owner.Disabled {
			return issued{}, uma.ErrUnauthorizedClient.With("the organization the client acts for is not active"), nil
		}
		out, err := s.issue(tx, Grant{
			Kind: GrantPAT, Client: c.ID, RS: "", Party: owner.ID, Owner: owner.ID, Scope: []string{uma.ScopeProtection},
			Confirm: c.held.Confirmation,
		}, false, now)
		if err != nil {
			return issued{}, nil, err
		}
		out.scope = uma.ScopeProtection
		return out, nil, s.auditOAuth(tx, now, AuditEvent{
			Owner: owner.ID, Type: "token-issued", Outcome: OutcomeSuccess, Reason: string(GrantPAT), Actor: owner.ID, Client: c.ID,
			Grant: out.grant.Key, Scopes: out.grant.Scope, RequestID: requestID,
		})
	})
	if err != nil {
		return uma.TokenResponse{}, err
	}
	return out.response(s)
}
