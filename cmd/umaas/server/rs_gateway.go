package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/gateway"
	"github.com/umaas/umaas/umaas/pop"
)

// upstream is the FHIR server behind the gateway: another process, or the embedded one.
func (c RSConfig) upstream() (rs.Upstream, error) {
	if c.Embedded != nil {
		return &gateway.InProcess{Handler: c.Embedded.Handler(), BaseURL: c.Base + FHIRPath, HasCompartments: true}, nil
	}
	return gateway.NewRemote(gateway.RemoteConfig{Base: c.Upstream, Credential: func(context.Context) (string, error) { return c.Credential, nil }})
}

// gateway puts judge and public documents before the upstream.
func (c RSConfig) gateway(upstream rs.Upstream, client *asclient.Client, verifier *rs.Verifier, possession *rs.Possession, desk *rs.PermissionDesk, tokens *rs.Tokens, r *RS) (*gateway.Gateway, error) {
	r.enforcer = rs.EnforcerConfig{
		Base: c.Base + FHIRPath, Upstream: upstream, Verifier: verifier, Possession: possession, Ticketer: desk, Relations: rs.NewGuardedRelations(r.Relations, r.State), Recorder: r.Spool, Owners: r.State,
		Pages: r.State, Spender: spender{tokens: tokens}, Now: c.Now, Logger: c.Logger,
	}
	return gateway.New(gateway.Config{
		Enforcer: r.enforcer,
		Issuers:  c.ownIssuers(), Metadata: client.Metadata, ContextResolver: c.Base + "/resolve-uma-context",
		CertificateBound: c.CertificateBound,
	})
}

// possession checks the keys of bound tokens, with one memory of proofs for context URLs and records alike.
func (c RSConfig) possession() (*rs.Possession, error) {
	p := rs.PossessionConfig{Origin: c.Base, Certificates: c.Certificates, Now: c.Now}
	if c.Nonces {
		p.Nonces = pop.NewNonces(derive(c.StateKey, "DPoP nonces"))
	}
	return rs.NewPossession(p)
}

// spender consumes single-use grants with the resource server's own protection token.
type spender struct{ tokens *rs.Tokens }

var _ rs.Spender = spender{}

// Spend implements resourceserver.Spender.
func (s spender) Spend(ctx context.Context, issuer, token string) error {
	err := s.tokens.With(ctx, rs.Owner{Issuer: issuer}, func(c *asclient.Client, pat string) error { return c.Consume(ctx, pat, token) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, asclient.ErrUnreachable):
		return fmt.Errorf("%w: %w", rs.ErrUnreachable, err)
	default:
		return fmt.Errorf("%w: %w", rs.ErrInactive, err)
	}
}

// derive makes a key for one purpose of a key for all.
func derive(key []byte, purpose string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(purpose))
	return m.Sum(nil)
}

// Insist lets only requests with exactly this Authorization header through: the embedded FHIR server where it runs apart
// from the gateway.
func Insist(authorization string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(authorization))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if authorization == "" || !hmac.Equal(got[:], want[:]) {
			http.Error(w, "only the gateway may ask here", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
