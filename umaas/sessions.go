package umaas

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CreateSession signs an account in: the value for the cookie, and the session. amr names how (RFC 8176). Every sign-in makes a
// new session, so that a fixed cookie is worth nothing (PS-10).
func (s *Service) CreateSession(ctx context.Context, a AccountID, amr []string) (string, Session, error) {
	now := s.Now()
	value, key, hash, err := s.handles.New(now)
	if err != nil {
		return "", Session{}, err
	}
	sess := Session{Key: key, Secret: hash, Account: a, AuthTime: now, AMR: amr, ACR: acrOf(amr), Created: now, Expires: now.Add(s.Limits.Session)}
	err = s.Store.Update(ctx, func(tx Tx) error {
		account, err := tx.Account(a)
		if err != nil {
			return err
		}
		if account.Disabled {
			return ErrNotFound
		}
		if err := tx.PutSession(sess); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, AuditEvent{Owner: a, Type: "signed-in", Outcome: OutcomeSuccess, Actor: a})
	})
	if err != nil {
		return "", Session{}, fmt.Errorf("create session: %w", err)
	}
	return value, sess, nil
}

// Session finds the session and the account of a cookie: ErrNotFound where the cookie is no good, the session over, the
// account closed (SEC-38), or where all its sessions were ended since.
func (s *Service) Session(ctx context.Context, cookie string) (Session, Account, error) {
	key, secret, ok := s.handles.Open(cookie)
	if !ok {
		return Session{}, Account{}, ErrNotFound
	}
	now := s.Now()
	var sess Session
	var a Account
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		if sess, err = r.Session(key, now); err != nil {
			return err
		}
		if !sess.Secret.Matches(secret) {
			return ErrNotFound
		}
		if a, err = r.Account(sess.Account); err != nil {
			return err
		}
		ended, err := sessionsEnded(r, a.ID)
		if err == nil && (a.Disabled || !sess.Created.After(ended)) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return upstreamStands(r, sess, a)
	})
	if err != nil {
		return Session{}, Account{}, fmt.Errorf("session: %w", err)
	}
	return sess, a, nil
}

// EndSession signs out. An unknown cookie is signed out already.
func (s *Service) EndSession(ctx context.Context, cookie string) error {
	key, secret, ok := s.handles.Open(cookie)
	if !ok {
		return nil
	}
	now := s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		sess, err := tx.Session(key, now)
		if errors.Is(err, ErrNotFound) || err == nil && !sess.Secret.Matches(secret) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := tx.DeleteSession(key); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, AuditEvent{Owner: sess.Account, Type: "signed-out", Outcome: OutcomeSuccess, Actor: sess.Account})
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// SignInFailed records a wrong password; a is "" for an unknown login, which costs the same (SEC-44). It stands in the server's
// own stream: strangers must not fill an owner's history.
func (s *Service) SignInFailed(ctx context.Context, a AccountID) error {
	now := s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		return s.auditOAuth(tx, now, AuditEvent{Type: "sign-in-failed", Outcome: OutcomeRefused, Actor: a})
	})
	if err != nil {
		return fmt.Errorf("record failed sign-in: %w", err)
	}
	return nil
}

// A mark per account, not a list: sessions are found by their cookie alone, so those older than the mark count no more.
func sessionsMark(a AccountID) string { return "sessions-ended:" + string(a) }

func sessionsEnded(r SettingReader, a AccountID) (time.Time, error) {
	raw, err := r.Setting(sessionsMark(a))
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var t time.Time
	if err := t.UnmarshalText(raw); err != nil {
		return time.Time{}, fmt.Errorf("sessions mark: %w", err)
	}
	return t, nil
}

func endSessions(tx Tx, a AccountID, now time.Time) error {
	raw, err := now.UTC().MarshalText()
	if err != nil {
		return fmt.Errorf("sessions mark: %w", err)
	}
	return tx.PutSetting(sessionsMark(a), raw)
}
