package umaas

import (
	"context"
	"fmt"
)

// SetAccountDisabled locks an account or opens it again, and answers it as it is then. It asks nothing of what else stands in
// the account, so that somebody whom only an issuer knows, without a login, can be locked like everybody else (SEC-38). With
// the lock all sessions end, and tokens, refresh and what apps remember of the person count no more. actor is as in PutAccount.
// Errors: ErrNotFound.
func (s *Service) SetAccountDisabled(ctx context.Context, id AccountID, disabled bool, actor AccountID) (Account, error) {
	now := s.Now()
	var a Account
	err := s.Store.Update(ctx, func(tx Tx) error {
		var err error
		if a, err = tx.Account(id); err != nil {
			return err
		}
		a.Disabled = disabled
		if err := tx.PutAccount(a); err != nil {
			return err
		}
		if disabled {
			if err := endSessions(tx, id, now); err != nil {
				return err
			}
		}
		return s.auditOAuth(tx, now, AuditEvent{Owner: id, Type: "account-changed", Outcome: OutcomeSuccess, Actor: actor})
	})
	if err != nil {
		return Account{}, fmt.Errorf("lock account: %w", err)
	}
	return a, nil
}
