package umaas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// errCode is the one answer to every code that is not good: absent, expired, used, of another client, redirect URI or
// verifier. Telling them apart would help a thief alone.
var errCode = uma.ErrInvalidGrant.With("the authorization code is not valid for this client, redirect_uri and code_verifier, or was used before")

// grantCode redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (s *Service) grantCode(ctx context.Context, c VerifiedClient, f form, requestID string) (uma.TokenResponse, error) {
	value, err := f.need("code")
	if err != nil {
		return uma.TokenResponse{}, err
	}
	verifier, err := f.need("code_verifier")
	if err != nil {
		return uma.TokenResponse{}, err
	}
	if !validVerifier(verifier) {
		return uma.TokenResponse{}, uma.ErrInvalidRequest.With("code_verifier: want 43 to 128 unreserved characters (RFC 7636 section 4.1)")
	}
	key, secret, ok := s.handles.Open(value)
	if !ok {
		return uma.TokenResponse{}, errCode
	}
	now := s.Now()
	out, err := s.commit(ctx, func(tx Tx) (issued, *uma.Error, error) {
		if err := c.held.spend(tx, now); err != nil {
			return issued{}, nil, err
		}
		code, err := tx.Code(key, now)
		if errors.Is(err, ErrNotFound) {
			return issued{}, errCode, nil
		}
		if err != nil {
			return issued{}, nil, fmt.Errorf("read code: %w", err)
		}
		// The redirect_uri must be the one of the authorization request (RFC 6749 §4.1.3); only with the rest does a replay
		// count as one: a stranger's guess must not end the owner's grant (SEC-60).
		// Neither does a code that was asked for by the holder of a key count without it (RFC 9449 §10).
		if !code.Secret.Matches(secret) || code.Client != c.ID || code.RedirectURI != f.get("redirect_uri") || code.JKT != "" && code.JKT != c.held.JKT {
			return issued{}, errCode, nil
		}
		return s.redeemCode(tx, c, code, verifier, requestID, now)
	})
	if err != nil {
		return uma.TokenResponse{}, err
	}
	return out.response(s)
}

func (s *Service) redeemCode(tx Tx, c VerifiedClient, code Code, verifier, requestID string, now time.Time) (issued, *uma.Error, error) {
	g, err := tx.Grant(code.Grant, now)
	if errors.Is(err, ErrNotFound) {
		return issued{}, errCode, nil
	}
	if err != nil {
		return issued{}, nil, fmt.Errorf("read grant of code: %w", err)
	}
	if !code.Used.IsZero() {
		// RFC 6749 §4.1.2, SEC-104: a second use takes back what the first one gave.
		return issued{}, errCode, s.revokeGrant(tx, g, "code-reuse", requestID, now)
	}
	if !verifierMatches(code.Challenge, verifier) {
		return issued{}, errCode, nil
	}
	code.Used = now
	if err := tx.PutCode(code); err != nil {
		return issued{}, nil, fmt.Errorf("use code: %w", err)
	}
	effective, ok, err := s.live(tx, g, now)
	if err != nil {
		return issued{}, nil, fmt.Errorf("check grant: %w", err)
	}
	if !ok {
		return issued{}, errCode, nil
	}
	// Whether a refresh token is due was asked at consent, and a PAT is for the time without its owner by nature (F-016); the
	// client must be registered for it too (O-042).
	refresh := (g.Kind == GrantPAT || contains(g.Scope, scopeOffline)) && c.MayUse(uma.GrantTypeRefreshToken)
	g.Expires, g.Confirm = now.Add(s.accessLife(g.Kind)), c.held.Confirmation
	out, err := s.issue(tx, g, refresh, now)
	if err != nil {
		return issued{}, nil, err
	}
	if err := s.describe(tx, &out, effective); err != nil {
		return issued{}, nil, err
	}
	if contains(g.Scope, scopeOpenID) {
		a, err := tx.Account(g.Party)
		if err != nil {
			return issued{}, nil, fmt.Errorf("read account: %w", err)
		}
		out.identity = s.identityOf(c.Client, a, g, code.Nonce, now)
	}
	return out, nil, s.auditOAuth(tx, now, AuditEvent{
		Owner: g.Owner, Type: "token-issued", Outcome: OutcomeSuccess, Reason: string(g.Kind), Actor: g.Party, Client: g.Client,
		RS: g.RS, Grant: g.Key, Scopes: g.Scope, RequestID: requestID,
	})
}
