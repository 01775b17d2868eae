package asclient

import (
	"context"
	"fmt"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Identity is who signed in, as the authorization server says it in a verified ID token.
type Identity struct {
	Issuer   string
	Subject  string
	Name     string
	FHIRUser string // as in the token: absolute URL or Type/id, "" absent
}

// verifyIDToken checks signature, issuer, audience, expiry and nonce (OpenID Connect Core §3.1.3.7). The algorithms are
// fixed here: what a token says about itself chooses nothing.
func (c *Client) verifyIDToken(ctx context.Context, raw, nonce string) (Identity, error) {
	if raw == "" {
		return Identity{}, fmt.Errorf("%w: token answer without an ID token", ErrUntrusted)
	}
	who, err := c.Credentials(ctx)
	if err != nil {
		return Identity{}, err
	}
	verifier := oidc.NewVerifier(c.cfg.Issuer, c.keys, &oidc.Config{
		ClientID: who.ClientID, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256}, Now: c.cfg.Now,
	})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: ID token: %w", ErrUntrusted, err)
	}
	if nonce == "" || token.Nonce != nonce {
		return Identity{}, fmt.Errorf("%w: ID token for another sign-in (nonce)", ErrUntrusted)
	}
	var claims struct {
		Name     string `json:"name"`
		FHIRUser string `json:"fhirUser"`
	}
	if err := token.Claims(&claims); err != nil {
		return Identity{}, fmt.Errorf("%w: ID token claims: %w", ErrUntrusted, err)
	}
	if token.Subject == "" || len(token.Subject) > 255 {
		return Identity{}, fmt.Errorf("%w: ID token without a usable sub", ErrUntrusted)
	}
	return Identity{Issuer: token.Issuer, Subject: token.Subject, Name: claims.Name, FHIRUser: claims.FHIRUser}, nil
}
