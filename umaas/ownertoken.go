package umaas

import (
	"context"

	"github.com/umaas/umaas/umaas/uma"
)

// ScopeOwner lets an app manage its user's sharing through the policy API: see and change whom she shares with, answer
// requests, read her history. It reads no record. Only clients that an administrator checked may ask for it.
const ScopeOwner = "owner"

// mayManage reports a client that may ask for the scope owner.
func mayManage(c Client) error {
	if !contains(c.Scopes, ScopeOwner) || c.Dynamic {
		return uma.ErrInvalidScope.With("the client is not registered for the scope owner by an administrator")
	}
	return nil
}

// OwnerToken is a verified bearer of the policy API: a person, through an app she let manage her sharing. Only
// PresentOwner makes one.
type OwnerToken struct {
	Person AccountID
	Client ClientID
	Grant  Key
}

// PresentOwner verifies a token of the policy API as it came with a request (SEC-50): 401 invalid_token for what is no live token
// here, 403 insufficient_scope for every other kind: RPT, PAT, tokens of apps. A client that lost the right has no token, and one
// that is bound to a key needs the key (SEC-33).
func (s *Service) PresentOwner(ctx context.Context, p Presentation) (OwnerToken, error) {
	g, err := s.heldGrant(ctx, p)
	if err != nil {
		return OwnerToken{}, err
	}
	refusal := uma.ErrInsufficientScope.With("this needs a token with the scope owner")
	refusal.Scope = ScopeOwner
	if g.Kind != GrantOAuth || !contains(g.Scope, ScopeOwner) || g.Party == "" || g.Party != g.Owner || g.RS != "" {
		return OwnerToken{}, refusal
	}
	c, err := s.Client(ctx, g.Client)
	if err != nil {
		return OwnerToken{}, err
	}
	if mayManage(c) != nil {
		return OwnerToken{}, refusal
	}
	return OwnerToken{Person: g.Party, Client: g.Client, Grant: g.Key}, nil
}
