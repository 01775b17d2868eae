package resourceserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// authenticate turns the Authorization header into rights. Without a token, or with one that is not active, the answer is R1.
func (c *call) authenticate(ctx context.Context, p presented) (answer, bool) {
	c.state = tokenMissing
	if p.sent {
		c.state = tokenInvalid
	}
	if p.token == "" {
		return c.refuse(ctx, Deny{Row: RowToken, Reason: "no_token"}), false
	}
	grant, err := c.verify(ctx, p.token)
	switch {
	case errors.Is(err, ErrInactive):
		return c.refuse(ctx, Deny{Row: RowToken, Reason: "expired"}), false
	case errors.Is(err, ErrUnreachable):
		return c.refuse(ctx, Deny{Row: RowUnreachable, Reason: "upstream"}), false
	case err != nil:
		c.Logger.ErrorContext(ctx, "token not verified", "request_id", c.requestID, "error", err)
		return faultAnswer(err), false
	}
	err = c.Possession.check(p, grant)
	switch {
	case errors.As(err, &c.unproven):
		return c.refuse(ctx, Deny{Row: RowToken, Reason: "binding"}), false
	case err != nil:
		return c.refuse(ctx, Deny{Row: RowUnreachable, Reason: "upstream"}), false
	}
	switch grant.Kind {
	case KindRPT:
		c.state = tokenRPT
	case KindOAuth:
		c.state = tokenOAuth
	default: // a token of unknown kind is nobody's
		return c.refuse(ctx, Deny{Row: RowToken, Reason: "wrong_audience"}), false
	}
	c.token, c.rights = p.token, c.Enforcer.rights.of(grant)
	return answer{}, true
}

// verify tells the verifier whose record the request names, so that it can find the authorization server of an opaque token.
func (c *call) verify(ctx context.Context, token string) (Grant, error) {
	if v, ok := c.Verifier.(AboutVerifier); ok {
		return v.VerifyAbout(ctx, token, c.access.namedPatient())
	}
	return c.Verifier.Verify(ctx, token)
}

// spend consumes the single-use grant before anything is done with it.
func (c *call) spend(ctx context.Context) (answer, bool, error) {
	if c.Spender == nil || c.inBundle {
		return c.refuse(ctx, Deny{Row: RowToken, Reason: "binding"}), false, nil
	}
	err := c.Spender.Spend(ctx, c.rights.Grant.Issuer, c.token)
	switch {
	case errors.Is(err, ErrInactive):
		return c.refuse(ctx, Deny{Row: RowToken, Reason: "revoked"}), false, nil
	case errors.Is(err, ErrUnreachable):
		return c.refuse(ctx, Deny{Row: RowUnreachable, Reason: "upstream"}), false, nil
	case err != nil:
		return answer{}, false, fmt.Errorf("spend grant: %w", err)
	}
	return answer{}, true, nil
}

// requestID takes the client's if it is harmless, else makes one (audit.md AU-04).
func requestID(sent string) string {
	if len(sent) > 0 && len(sent) <= 64 {
		ok := true
		for i := range len(sent) {
			b := sent[i]
			ok = ok && (b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '.' || b == '_' || b == '-')
		}
		if ok {
			return sent
		}
	}
	return rand.Text()
}
