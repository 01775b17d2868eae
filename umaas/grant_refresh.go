package umaas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

var errRefresh = uma.ErrInvalidGrant.With("the refresh token is not valid for this client, has expired, was withdrawn, or was used before")

// grantRefresh gives a new access token for a standing grant (RFC 6749 §6, Grant §3.6). No assessment runs (G-102, SEC-32):
// live() tells what is left of the grant, and nothing can be added. The refresh token rotates; a second use of one revokes
// the grant with all that hangs on it (SEC-109, O-041).
func (s *Service) grantRefresh(ctx context.Context, c VerifiedClient, f form, requestID string) (uma.TokenResponse, error) {
	value, err := f.need("refresh_token")
	if err != nil {
		return uma.TokenResponse{}, err
	}
	scopes, err := f.scopes()
	if err != nil {
		return uma.TokenResponse{}, err
	}
	key, secret, ok := s.handles.Open(value)
	if !ok {
		return uma.TokenResponse{}, errRefresh
	}
	now := s.Now()
	out, err := s.commit(ctx, func(tx Tx) (issued, *uma.Error, error) {
		if err := c.held.spend(tx, now); err != nil {
			return issued{}, nil, err
		}
		t, err := tx.Token(key, now)
		if errors.Is(err, ErrNotFound) {
			return issued{}, errRefresh, nil
		}
		if err != nil {
			return issued{}, nil, fmt.Errorf("read refresh token: %w", err)
		}
		if t.Kind != TokenRefresh || !t.Secret.Matches(secret) || t.Client != c.ID { // SEC-55, SEC-60
			return issued{}, errRefresh, nil
		}
		return s.redeemRefresh(tx, c, t, scopes, requestID, now)
	})
	if err != nil {
		return uma.TokenResponse{}, err
	}
	return out.response(s)
}

func (s *Service) redeemRefresh(tx Tx, c VerifiedClient, t Token, scopes []string, requestID string, now time.Time) (issued, *uma.Error, error) {
	g, err := tx.Grant(t.Grant, now)
	if errors.Is(err, ErrNotFound) {
		return issued{}, errRefresh, nil
	}
	if err != nil {
		return issued{}, nil, fmt.Errorf("read grant of refresh token: %w", err)
	}
	if !mayRefresh(c, g.Confirm) {
		return issued{}, errRefresh, nil // before the check for reuse: who lacks the key must not be able to end the grant
	}
	if !t.Used.IsZero() {
		return issued{}, errRefresh, s.revokeGrant(tx, g, "refresh-reuse", requestID, now)
	}
	if ended, err := endedWithPassword(tx, g); err != nil {
		return issued{}, nil, err
	} else if ended {
		return issued{}, errRefresh, s.revokeGrant(tx, g, "password-changed", requestID, now)
	}
	effective, ok, err := s.live(tx, g, now) // SEC-38, SEC-53
	if err != nil {
		return issued{}, nil, fmt.Errorf("check grant: %w", err)
	}
	if !ok {
		return issued{}, errRefresh, nil
	}
	// A wider scope is refused (O-043). A narrower one is answered with the whole grant, which the response then states
	// (RFC 6749 §5.1). With an RPT scope is not looked at (G-101 leaves that open).
	if g.Kind != GrantRPT {
		for _, scope := range scopes {
			if !contains(g.Scope, scope) {
				return issued{}, uma.ErrInvalidScope.With("refresh cannot add scopes; start a new authorization"), nil
			}
		}
	}
	g.Confirm = c.held.Confirmation
	t.Used = now
	if err := tx.PutToken(t); err != nil {
		return issued{}, nil, fmt.Errorf("use refresh token: %w", err)
	}
	out, err := s.issue(tx, g, true, now)
	if err != nil {
		return issued{}, nil, err
	}
	if err := s.describe(tx, &out, effective); err != nil {
		return issued{}, nil, err
	}
	return out, nil, s.auditOAuth(tx, now, AuditEvent{
		Owner: g.Owner, Type: "token-refreshed", Outcome: OutcomeSuccess, Reason: string(g.Kind), Actor: g.Party, Client: g.Client,
		RS: g.RS, Grant: g.Key, Process: g.Process, RequestID: requestID,
	})
}

// endedWithPassword reports an RPT's grant that rests on a sign-in from before its party's last change of password (SEC-109,
// O-046). Such grants are in no list of the party's, so they are met here; the RPTs themselves are short.
func endedWithPassword(r SettingReader, g Grant) (bool, error) {
	if g.Kind != GrantRPT || g.Party == "" || g.AuthTime.IsZero() {
		return false, nil
	}
	ended, err := sessionsEnded(r, g.Party)
	if err != nil {
		return false, fmt.Errorf("read sign-ins of party: %w", err)
	}
	return !ended.IsZero() && !g.AuthTime.After(ended), nil
}
