package umaas

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// grantFunc is a grant's own work: phases 5 and 6 of Token.
type grantFunc func(ctx context.Context, c VerifiedClient, f form, requestID string) (uma.TokenResponse, error)

// grants is the table of grant types this server offers. Password, implicit and device grants are not among them
// (decisions 16, O-032).
func (s *Service) grants() map[string]grantFunc {
	return map[string]grantFunc{
		uma.GrantTypeTicket:            s.grantTicket,
		uma.GrantTypeAuthorizationCode: s.grantCode,
		uma.GrantTypeClientCredentials: s.grantClientCredentials,
		uma.GrantTypeRefreshToken:      s.grantRefresh,
	}
}

// commit runs phase 5. The work may refuse and still have something to store (a replay revokes a grant): it then reports
// the refusal beside a nil error, and the transaction commits.
func (s *Service) commit(ctx context.Context, work func(Tx) (issued, *uma.Error, error)) (issued, error) {
	var out issued
	var refusal *uma.Error
	err := s.Store.Update(ctx, func(tx Tx) error {
		var err error
		out, refusal, err = work(tx)
		return err
	})
	if err != nil {
		return issued{}, err
	}
	if refusal != nil {
		return issued{}, refusal
	}
	return out, nil
}

// describe fills the members of a token response that tell an OAuth client what it got: the scope as granted now, and the
// patient where the grant is about exactly one.
func (s *Service) describe(tx Tx, out *issued, effective []Granted) error {
	g := out.grant
	if g.Kind == GrantRPT {
		return nil // Grant §3.3.5: permissions take the place of scope
	}
	scope := identityScopes(g.Scope)
	var rights []Right
	patients := map[string]bool{}
	for _, p := range effective {
		rights = append(rights, Right{Scopes: p.Scopes, Constraints: p.Constraints})
		set, err := tx.Resource(g.Owner, g.RS, p.Resource)
		if err != nil {
			return fmt.Errorf("read granted resource: %w", err)
		}
		if c := set.Description.Context; c != nil && c.Patient != "" {
			patients[c.Patient] = true
		}
	}
	if len(rights) > 0 {
		scope = append(scope, s.Scopes.Print(rights)...)
	}
	out.scope = strings.Join(scope, " ")
	if len(patients) == 1 {
		for p := range patients {
			out.patient = p
		}
	}
	return nil
}

// revokeGrant ends a grant with everything that hangs on it, and says so in its owner's history. Revoking twice changes
// nothing.
func (s *Service) revokeGrant(tx Tx, g Grant, reason, requestID string, now time.Time) error {
	if !g.Revoked.IsZero() {
		return nil
	}
	g.Revoked = now
	if err := tx.PutGrant(g); err != nil {
		return fmt.Errorf("revoke grant: %w", err)
	}
	return s.auditOAuth(tx, now, AuditEvent{
		Owner: g.Owner, Type: "grant-revoked", Outcome: OutcomeSuccess, Reason: reason, Client: g.Client, RS: g.RS,
		Grant: g.Key, Process: g.Process, RequestID: requestID,
	})
}

// auditOAuth appends an event of this server's OAuth side.
func (s *Service) auditOAuth(tx Tx, now time.Time, e AuditEvent) error {
	key, err := s.handles.NewKey(now)
	if err != nil {
		return err
	}
	e.Key, e.Time = key, now
	if err := tx.AppendAudit(e); err != nil {
		return fmt.Errorf("append audit: %w", err)
	}
	return nil
}
