package umaas

import (
	"context"
	"errors"
	"fmt"

	"github.com/umaas/umaas/umaas/uma"
)

const scopeProtection = uma.ScopeProtection

// PAT is a verified protection API access token: whose resources, at which resource server (FedAuthz §1.3, F-012). Only
// PresentPAT makes one.
type PAT struct {
	Owner AccountID
	RS    ClientID
	Grant Key
}

func patOf(g Grant) (PAT, error) {
	if g.Kind != GrantPAT || !contains(g.Scope, uma.ScopeProtection) || g.Owner == "" {
		refusal := uma.ErrInsufficientScope.With("this needs a protection API token (scope uma_protection)")
		refusal.Scope = uma.ScopeProtection
		return PAT{}, refusal
	}
	return PAT{Owner: g.Owner, RS: g.Client, Grant: g.Key}, nil
}

func (s *Service) userInfoOf(ctx context.Context, g Grant) (map[string]any, error) {
	if g.Kind == GrantRPT || !contains(g.Scope, scopeOpenID) {
		refusal := uma.ErrInsufficientScope.With("this needs a token with the scope openid")
		refusal.Scope = scopeOpenID
		return nil, refusal
	}
	var a Account
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		a, err = r.Account(g.Party)
		return err
	})
	if errors.Is(err, ErrNotFound) || err == nil && a.Disabled {
		return nil, uma.ErrInvalidToken
	}
	if err != nil {
		return nil, fmt.Errorf("read account: %w", err)
	}
	claims := map[string]any{"sub": string(a.ID)}
	if contains(g.Scope, scopeProfile) && a.Name != "" {
		claims["name"] = a.Name
	}
	if contains(g.Scope, scopeFHIRUser) && a.FHIRUser != "" {
		claims["fhirUser"] = a.FHIRUser
	}
	return claims, nil
}

// liveGrant finds the grant behind an access token, ErrInvalidToken unless live() says it counts (SEC-53).
func (s *Service) liveGrant(ctx context.Context, value string) (Grant, error) {
	b, ok := s.openBearer(value)
	if !ok {
		return Grant{}, uma.ErrInvalidToken
	}
	now := s.Now()
	var g Grant
	err := s.Store.View(ctx, func(r Reader) error {
		t, err := b.find(r, now)
		if err != nil {
			return err
		}
		if t.Kind != TokenAccess {
			return ErrNotFound // a refresh token is for the token endpoint alone
		}
		if g, err = r.Grant(t.Grant, now); err != nil {
			return err
		}
		_, alive, err := s.live(r, g, now)
		if err == nil && !alive {
			return ErrNotFound
		}
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return Grant{}, uma.ErrInvalidToken
	}
	if err != nil {
		return Grant{}, fmt.Errorf("read token: %w", err)
	}
	return g, nil
}
