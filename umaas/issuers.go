package umaas

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas/keys"
)

// TrustedIssuer finds a configured issuer, disabled ones too; ErrNotFound for every other name.
func (s *Service) TrustedIssuer(ctx context.Context, issuer string) (TrustedIssuer, error) {
	var i TrustedIssuer
	if issuer == "" {
		return i, ErrNotFound
	}
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		i, err = r.TrustedIssuer(issuer)
		return err
	})
	if err != nil {
		return TrustedIssuer{}, fmt.Errorf("trusted issuer: %w", err)
	}
	return i, nil
}

// TrustedIssuers pages through all configured issuers by name.
func (s *Service) TrustedIssuers(ctx context.Context, after string, limit int) ([]TrustedIssuer, error) {
	var out []TrustedIssuer
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		out, err = r.TrustedIssuers(after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("trusted issuers: %w", err)
	}
	return out, nil
}

// PutTrustedIssuer adds an issuer, or replaces what is trusted of one; all mistakes are told at once. Created is kept. A
// narrower trust is felt at the next use of whatever rests on the wider one (SEC-17).
func (s *Service) PutTrustedIssuer(ctx context.Context, i TrustedIssuer, actor AccountID) (TrustedIssuer, error) {
	if err := s.checkIssuer(i); err != nil {
		return TrustedIssuer{}, err
	}
	now := s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		kind := "issuer-changed"
		i.Created = now
		old, err := tx.TrustedIssuer(i.Issuer)
		switch {
		case errors.Is(err, ErrNotFound):
			kind = "issuer-added"
		case err != nil:
			return err
		default:
			i.Created = old.Created
		}
		if err := tx.PutTrustedIssuer(i); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, AuditEvent{Type: kind, Outcome: OutcomeSuccess, Actor: actor})
	})
	if err != nil {
		return TrustedIssuer{}, fmt.Errorf("store trusted issuer: %w", err)
	}
	return i, nil
}

// SetIssuerDisabled ends the trust in an issuer, or restores it. What rests on its word ends with the next use (SEC-17):
// sign-ins, claim tokens, persisted claims, grants.
func (s *Service) SetIssuerDisabled(ctx context.Context, issuer string, disabled bool, actor AccountID) error {
	kind := "issuer-enabled"
	if disabled {
		kind = "issuer-disabled"
	}
	return s.changeIssuer(ctx, issuer, kind, actor, func(i *TrustedIssuer) {
		i.InFile = i.InFile && (disabled || !i.Dropped) // enabled beside the file: the commands answer for it
		i.Disabled, i.Dropped = disabled, false
	})
}

// DropTrustedIssuer ends the trust in an issuer that the configuration file names no more, until it does again. One that
// did not come from the file stays as it is.
func (s *Service) DropTrustedIssuer(ctx context.Context, issuer string, actor AccountID) error {
	return s.changeIssuer(ctx, issuer, "issuer-disabled", actor, func(i *TrustedIssuer) {
		if i.InFile && !i.Disabled {
			i.Disabled, i.Dropped = true, true
		}
	})
}

func (s *Service) changeIssuer(ctx context.Context, issuer, kind string, actor AccountID, change func(*TrustedIssuer)) error {
	now := s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		i, err := tx.TrustedIssuer(issuer)
		if err != nil {
			return err
		}
		change(&i)
		if err := tx.PutTrustedIssuer(i); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, AuditEvent{Type: kind, Outcome: OutcomeSuccess, Actor: actor})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

// RemoveTrustedIssuer forgets an issuer. Accounts known by its word alone stay, and nobody can come to them any more.
func (s *Service) RemoveTrustedIssuer(ctx context.Context, issuer string, actor AccountID) error {
	now := s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		if _, err := tx.TrustedIssuer(issuer); err != nil {
			return err
		}
		if err := tx.DeleteTrustedIssuer(issuer); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, AuditEvent{Type: "issuer-removed", Outcome: OutcomeSuccess, Actor: actor})
	})
	if err != nil {
		return fmt.Errorf("remove issuer: %w", err)
	}
	return nil
}

// issuerUses are the uses a record may name: the server's own, and those of added formats.
func (s *Service) issuerUses() []IssuerUse {
	out := []IssuerUse{UseIDToken, UseClaims, UsePermissionTicket, UseSignIn}
	for _, f := range s.Formats {
		if !slices.Contains(out, f.Use()) {
			out = append(out, f.Use())
		}
	}
	return out
}

// checkIssuer reports every mistake of a record. Nothing in it can make an unsigned or symmetrically signed token count
// (SEC-13, SEC-15).
func (s *Service) checkIssuer(i TrustedIssuer) error {
	var wrong []error
	say := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	say(!issuerAddress(i.Issuer), "issuer: want the https address that stands in its tokens as iss, without query and fragment (http on this machine alone)")
	say(i.Issuer == s.Issuer, "issuer: this server's own tokens need no entry")
	say(len(i.Name) > maxText, "name: too long")
	say(len(i.Uses) == 0, "uses: say what it is trusted for: %v", s.issuerUses())
	for _, u := range i.Uses {
		say(!slices.Contains(s.issuerUses(), u), "uses: %q is unknown; there are %v", u, s.issuerUses())
	}
	for _, a := range i.Algorithms {
		say(!slices.Contains(keys.IssuerAlgorithms(), a), "algorithms: %q is not accepted; tokens are signed, and asymmetrically: %s", a, strings.Join(keys.IssuerAlgorithms(), ", "))
	}
	for _, c := range i.Claims {
		say(c == "" || len(c) > 100 || strings.ContainsFunc(c, unfit), "claims: a name has 1 to 100 characters without spaces")
		say(slices.Contains(reserved, c), "claims: %q has a meaning of its own and is nobody's to state", c)
	}
	say(len(i.Claims) > maxStated, "claims: more than %d", maxStated)
	for _, d := range i.EmailDomains {
		say(!isAddress("x@"+d), "email_domains: %q is no domain", d)
	}
	say(len(i.EmailDomains) > 0 && !contains(i.Claims, "email"), "email_domains: the issuer is not believed on email; add it to claims")
	say(i.JWKSURI == "" && len(i.JWKS) == 0, "jwks_uri: where are its keys? Give jwks_uri or jwks, or let `umaas issuer scan` find them")
	say(i.JWKSURI != "" && len(i.JWKS) > 0, "jwks_uri: give jwks_uri or jwks, not both")
	say(i.JWKSURI != "" && !issuerAddress(i.JWKSURI), "jwks_uri: want an https address (http on this machine alone)")
	if len(i.JWKS) > 0 {
		if err := keys.CheckIssuerKeys(i.JWKS); err != nil {
			wrong = append(wrong, fmt.Errorf("jwks: %w", err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("trusted issuer %s:\n%w", i.Issuer, err)
	}
	return nil
}

func issuerAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && u.Fragment == "" && u.RawQuery == "" && !strings.ContainsAny(text, "?# ") &&
		len(text) <= 255 && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

// SetPushClaims marks a client whose claim tokens are looked at (SEC-22). A public client cannot be marked: anybody could bring
// tokens in its name.
func (s *Service) SetPushClaims(ctx context.Context, id ClientID, may bool, actor AccountID) error {
	c, err := s.Client(ctx, id)
	if err != nil {
		return err
	}
	if may && c.Public() {
		return errors.New("push claims: the client cannot prove who it is, so it may not push claims")
	}
	kind := "client-push-ended"
	if may {
		kind = "client-push-allowed"
	}
	return s.changeClient(ctx, id, kind, actor, func(c *Client) { c.PushClaims = may && !c.Public() })
}
