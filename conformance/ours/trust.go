package ours

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas"
)

// trust makes the server believe the suite's own OpenID provider, and lets the confidential clients push its ID Tokens.
func (s *Server) trust(ctx context.Context) error {
	if s.provider == nil {
		return nil
	}
	set, err := json.Marshal(s.provider.JWKS())
	if err != nil {
		return fmt.Errorf("key set of the suite's provider: %w", err)
	}
	if _, err := s.Core().PutTrustedIssuer(ctx, umaas.TrustedIssuer{
		Issuer: s.provider.Issuer, Name: "Conformance provider", Uses: []umaas.IssuerUse{umaas.UseIDToken}, Algorithms: []string{"ES256"}, JWKS: set,
	}, ""); err != nil {
		return fmt.Errorf("trust the suite's provider: %w", err)
	}
	for _, name := range []string{conformance.C1, conformance.C2} {
		if err := s.Core().SetPushClaims(ctx, umaas.ClientID(s.profile.Clients.Given[name].ID), true, ""); err != nil {
			return fmt.Errorf("let %s push claims: %w", name, err)
		}
	}
	return nil
}

// identities is how the suite's provider knows a person: its sub is her login.
func (s *Server) identities(login string) []umaas.Identity {
	if s.provider == nil {
		return nil
	}
	return []umaas.Identity{{Issuer: s.provider.Issuer, Subject: login}}
}
