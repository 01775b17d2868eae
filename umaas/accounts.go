package umaas

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"
	"unicode"
)

// Account identifiers and client identifiers come from disjoint namespaces, chosen here alone (SEC-112, O-053).
const (
	accountPrefix = "u_"
	clientPrefix  = "c_"
)

func (s *Service) newID(prefix string) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.Random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// PutAccount makes an account (a.ID empty) or replaces one, and tells all mistakes at once. ErrExists: the login or the
// verified address is another account's. actor is who did it, for the history; "" is the deployment itself.
func (s *Service) PutAccount(ctx context.Context, a Account, actor AccountID) (Account, error) {
	a, err := checkedAccount(a)
	if err != nil {
		return Account{}, err
	}
	kind := "account-changed"
	if a.ID == "" {
		kind = "account-created"
		id, err := s.newID(accountPrefix)
		if err != nil {
			return Account{}, err
		}
		a.ID = AccountID(id)
	}
	now := s.Now()
	if a.Created.IsZero() {
		a.Created = now
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		if err := tx.PutAccount(a); err != nil {
			return err
		}
		if a.Disabled { // what she was signed in with, and what was remembered of her, does not come back with her (SEC-38)
			if err := endSessions(tx, a.ID, now); err != nil {
				return err
			}
		}
		return s.auditOAuth(tx, now, AuditEvent{Owner: a.ID, Type: kind, Outcome: OutcomeSuccess, Actor: actor})
	})
	if err != nil {
		return Account{}, fmt.Errorf("store account: %w", err)
	}
	return a, nil
}

// checkedAccount brings login and address into their one form and reports every mistake.
func checkedAccount(a Account) (Account, error) {
	a.Login = normalLogin(a.Login)
	a.Email = normalLogin(a.Email)
	a.Name = strings.TrimSpace(a.Name)
	var mistakes []error
	if a.Kind == "" {
		a.Kind = KindPerson
	}
	if a.Kind != KindPerson && a.Kind != KindOrganization {
		mistakes = append(mistakes, errors.New("kind: want person or organization"))
	}
	if strings.HasPrefix(string(a.ID), clientPrefix) || strings.ContainsFunc(string(a.ID), unfit) || len(a.ID) > 100 {
		mistakes = append(mistakes, errors.New("id: leave it empty, this server chooses it"))
	}
	if a.Login == "" || len(a.Login) > 254 || strings.ContainsFunc(a.Login, unfit) {
		mistakes = append(mistakes, errors.New("login: want 1 to 254 characters without spaces"))
	}
	if a.Name == "" || len(a.Name) > 200 || strings.ContainsFunc(a.Name, unicode.IsControl) {
		mistakes = append(mistakes, errors.New("name: want 1 to 200 characters"))
	}
	if a.Email != "" {
		if parsed, err := mail.ParseAddress(a.Email); err != nil || parsed.Address != a.Email || len(a.Email) > 254 {
			mistakes = append(mistakes, errors.New("email: want an address like name@example.org"))
		}
	}
	if a.EmailVerified && a.Email == "" {
		mistakes = append(mistakes, errors.New("email: a verified address is needed where it is called verified"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return Account{}, fmt.Errorf("account: %w", err)
	}
	return a, nil
}

func unfit(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func normalLogin(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Account finds an account by id.
func (s *Service) Account(ctx context.Context, id AccountID) (Account, error) {
	return s.readAccount(ctx, func(r Reader) (Account, error) { return r.Account(id) })
}

// AccountByLogin finds an account by its login or its verified address.
func (s *Service) AccountByLogin(ctx context.Context, login string) (Account, error) {
	login = normalLogin(login)
	return s.readAccount(ctx, func(r Reader) (Account, error) {
		a, err := r.AccountByLogin(login)
		if errors.Is(err, ErrNotFound) && strings.Contains(login, "@") {
			return r.AccountByEmail(login)
		}
		return a, err
	})
}

func (s *Service) readAccount(ctx context.Context, read func(Reader) (Account, error)) (Account, error) {
	var a Account
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		a, err = read(r)
		return err
	})
	if err != nil {
		return Account{}, fmt.Errorf("account: %w", err)
	}
	return a, nil
}

// Accounts pages through all accounts, for administration.
func (s *Service) Accounts(ctx context.Context, after AccountID, limit int) ([]Account, error) {
	var out []Account
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		out, err = r.Accounts(after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return out, nil
}

// RehashPassword replaces the stored form of an unchanged password, if it still is the one that was checked. It touches no
// session.
func (s *Service) RehashPassword(ctx context.Context, id AccountID, old, fresh string) error {
	err := s.Store.Update(ctx, func(tx Tx) error {
		a, err := tx.Account(id)
		if err != nil || a.PasswordHash != old {
			return err
		}
		a.PasswordHash = fresh
		return tx.PutAccount(a)
	})
	if err != nil {
		return fmt.Errorf("rehash password: %w", err)
	}
	return nil
}

// SetPassword stores the hash of a new password and ends what the old one may have let in: all sessions, and all standing
// OAuth access of apps (O-046). PATs stay: protection must not stop because a person changed her password (SEC-57).
func (s *Service) SetPassword(ctx context.Context, id AccountID, hash string, actor AccountID) error {
	now := s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		a, err := tx.Account(id)
		if err != nil {
			return err
		}
		a.PasswordHash = hash
		if err := tx.PutAccount(a); err != nil {
			return err
		}
		if err := endSessions(tx, id, now); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, AuditEvent{Owner: id, Type: "password-changed", Outcome: OutcomeSuccess, Actor: actor})
	})
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	if err := s.endAppGrants(ctx, id, now); err != nil {
		return fmt.Errorf("set password: end access of apps: %w", err)
	}
	return nil
}

// Pages are small because transactions are: each is one of its own, newest first.
const (
	grantsPage = 20
	grantPages = 500
)

func (s *Service) endAppGrants(ctx context.Context, id AccountID, now time.Time) error {
	var before Key
	for range grantPages {
		last, full := before, false
		err := s.Store.Update(ctx, func(tx Tx) error {
			grants, err := tx.PartyGrants(id, before, grantsPage)
			if err != nil {
				return err
			}
			full = len(grants) == grantsPage
			for _, g := range grants {
				last = g.Key
				if g.Kind != GrantOAuth {
					continue
				}
				if err := s.revokeGrant(tx, g, "password-changed", "", now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || !full {
			return err
		}
		before = last
	}
	return nil
}
