package umaas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The identities of an account: how trusted issuers know its person. She links and unlinks them herself, signed in.

// ErrLastSignIn: taking this away would leave no way to sign in.
var ErrLastSignIn = errors.New("this is the only way to sign in to the account")

// SignInView is what she can sign in with.
type SignInView struct {
	Password   bool
	Identities []IdentityView
	Issuers    []SignInIssuer // more that could be linked
}

// IdentityView is one linked identity.
type IdentityView struct {
	ID      string // for forms
	Issuer  string // its name
	Trusted bool   // in force now
	Current bool   // she is signed in by it
}

func identityID(i Identity) string { return IssuerID(i.Issuer + "\x00" + i.Subject) }

// SignIns lists how the person of a session can sign in.
func (s *Service) SignIns(ctx context.Context, sess Session) (SignInView, error) {
	var v SignInView
	err := s.Store.View(ctx, func(r Reader) error {
		v = SignInView{}
		a, err := r.Account(sess.Account)
		if err != nil {
			return err
		}
		v.Password = a.PasswordHash != ""
		has := map[string]bool{}
		for _, id := range a.Identities {
			has[id.Issuer] = true
			i, err := r.TrustedIssuer(id.Issuer)
			gone, err := absent(err)
			if err != nil {
				return fmt.Errorf("read issuer: %w", err)
			}
			name := cleanText(i.Name)
			if gone || name == "" {
				name = id.Issuer
			}
			v.Identities = append(v.Identities, IdentityView{ID: identityID(id), Issuer: name, Trusted: !gone && i.signsIn(), Current: id == sess.Upstream})
		}
		v.Issuers, err = signInIssuers(r, func(i TrustedIssuer) bool { return !has[i.Issuer] })
		return err
	})
	return v, err
}

// link adds an identity to the account the trip began with, and to no other.
func (s *Service) link(tx Tx, t TripBack, id Identity, sess *Session, now time.Time) error {
	if sess == nil || sess.Account != t.trip.Link {
		return ErrOtherPerson
	}
	a, err := tx.Account(sess.Account)
	if gone, err := absent(err); err != nil {
		return fmt.Errorf("read account: %w", err)
	} else if gone || a.Disabled {
		return ErrNotFound
	}
	if slices.Contains(a.Identities, id) {
		return nil
	}
	a.Identities = append(slices.Clone(a.Identities), id)
	if err := tx.PutAccount(a); err != nil {
		return err // ErrExists: somebody else's here
	}
	return s.tell(tx, now, AuditEvent{Type: EventIdentityLinked, Owner: a.ID, Actor: a.ID})
}

// Unlink takes an identity off the account; sign-ins that rest on it end. ErrLastSignIn keeps the last way in. An unknown id is
// ErrNotFound.
func (s *Service) Unlink(ctx context.Context, account AccountID, id, requestID string) error {
	now := s.Now()
	return s.Store.Update(ctx, func(tx Tx) error {
		a, err := tx.Account(account)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(a.Identities, func(x Identity) bool { return identityID(x) == id })
		if i < 0 {
			return ErrNotFound
		}
		if a.PasswordHash == "" && len(a.Identities) == 1 {
			return ErrLastSignIn
		}
		a.Identities = slices.Delete(slices.Clone(a.Identities), i, i+1)
		if err := tx.PutAccount(a); err != nil {
			return fmt.Errorf("unlink identity: %w", err)
		}
		return s.tell(tx, now, AuditEvent{Type: EventIdentityUnlinked, Owner: a.ID, Actor: a.ID, RequestID: requestID})
	})
}

// stepUpView says where this person can sign in as asked: again here, or at an issuer that knows her and whose word reaches it.
func (s *Service) stepUpView(r IssuerReader, a Account, acr string) (StepUpView, error) {
	v := StepUpView{ACR: acr, Password: a.PasswordHash != "" && reachesACR(ACRPassword, acr)}
	knows := map[string]bool{}
	for _, id := range a.Identities {
		knows[id.Issuer] = true
	}
	var err error
	v.Issuers, err = signInIssuers(r, func(i TrustedIssuer) bool { return knows[i.Issuer] && len(acrsFor(i, acr)) > 0 })
	return v, err
}

// toldWith is told with what issuers state in her sign-in, each named.
func (s *Service) toldWith(r IssuerReader, a Account, sess Session, app AppView) (string, error) {
	if sess.Upstream == (Identity{}) {
		return told(a, app), nil
	}
	i, err := r.TrustedIssuer(sess.Upstream.Issuer)
	if _, err := absent(err); err != nil {
		return "", fmt.Errorf("read issuer: %w", err)
	}
	who := aboutHer(a) + ", signed in at " + cleanText(i.Name)
	list, err := stated(r, sess.Claims)
	if err != nil {
		return "", err
	}
	for _, c := range list {
		if c.Name == "org" || c.Name == "role" || c.Name == "pro" || c.Name == "email" {
			who += fmt.Sprintf(" (%s says: %s)", c.Issuer, c.Value)
		}
	}
	return who + "," + askingThrough(app), nil
}

// viewParty shows with whose word each claim about a party stands: this server's own and the issuers' of this process.
func (s *Service) viewParty(r Reader, v *RequestView) error {
	a, err := r.Account(v.Party.Account)
	if gone, err := absent(err); err != nil {
		return fmt.Errorf("read party: %w", err)
	} else if gone {
		a = Account{}
	}
	list, err := stated(r, v.Party.Claims)
	if err != nil {
		return err
	}
	v.Party.Claims = slices.Clone(a.Claims)
	for i, c := range v.Party.Claims {
		if c.Issuer == "" {
			v.Party.Claims[i].Issuer = s.Issuer
		}
	}
	for _, c := range list {
		v.Party.Claims = append(v.Party.Claims, Claim{Issuer: c.Issuer, Name: c.Name, Value: c.Value})
	}
	return nil
}
