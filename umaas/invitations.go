package umaas

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Bounds of invitations.
const (
	inviteMemory = 90 * 24 * time.Hour // how long an ended one stays listed
	invitePath   = "/invite/"
)

// ErrTooMuch refuses what comes too often from one owner; tomorrow is another day.
var ErrTooMuch = errors.New("too many in one day")

// InvitationState is where an invitation stands.
type InvitationState string

// The states of an invitation.
const (
	InvitationOpen     InvitationState = "open"
	InvitationAccepted InvitationState = "accepted"
	InvitationRevoked  InvitationState = "revoked"
	InvitationExpired  InvitationState = "expired"
)

// State is where it stands at a moment.
func (i Invitation) State(now time.Time) InvitationState {
	switch {
	case !i.Accepted.IsZero():
		return InvitationAccepted
	case !i.Revoked.IsZero():
		return InvitationRevoked
	case !now.Before(i.Until):
		return InvitationExpired
	default:
		return InvitationOpen
	}
}

// InvitationView is one invitation as its owner reads it.
type InvitationView struct {
	Invitation
	State   InvitationState
	Who     string
	Records []RecordView
}

// Invited is a new invitation. Link is shown this once, and only where it was not mailed: nobody can find it out later.
type Invited struct {
	Key    Key
	Link   string
	Mailed bool
	Until  time.Time
}

// Invite shares with somebody who need not have an account (SEC-45): a single-use link that becomes the policy for whoever
// proves the address or the claim it names. Whether somebody has an account is neither looked up nor told (SEC-44). Errors:
// as CreateShare, and ErrTooMuch.
func (a Acting) Invite(ctx context.Context, n NewShare, requestID string) (Invited, error) {
	s, now := a.s, a.s.Now()
	if n.Who.Kind != WhoEmail && n.Who.Kind != WhoClaim {
		return Invited{}, fmt.Errorf("%w: invite an address or the holder of a claim", ErrBadAnswer)
	}
	if err := n.prepare(s, a.owner, now); err != nil {
		return Invited{}, err
	}
	handle, key, secret, err := s.handles.New(now)
	if err != nil {
		return Invited{}, err
	}
	until := now.Add(s.Limits.Invitation)
	var from string
	err = s.Store.Update(ctx, func(tx Tx) error {
		if err := a.may(tx, guardInvitations); err != nil {
			return err
		}
		p, err := a.sharePolicy(tx, n, now)
		if err != nil {
			return err
		}
		account, err := tx.Account(a.owner)
		if err != nil {
			return err
		}
		from = cleanText(account.Name)
		if err := s.inviteLimit(tx, a.owner, now); err != nil {
			return err
		}
		p.Invitation = key
		i := Invitation{
			Key: key, Secret: secret, Owner: a.owner, By: a.by(), Policy: p, Created: now, Until: until, Expires: until.Add(inviteMemory),
		}
		if err := tx.PutInvitation(i); err != nil {
			return fmt.Errorf("store invitation: %w", err)
		}
		return s.tell(tx, now, a.shareEvent(EventInvited, p, requestID))
	})
	if err != nil {
		return Invited{}, err
	}
	out := Invited{Key: key, Link: s.Issuer + invitePath + handle, Until: until}
	if s.Mail == nil || n.Who.Kind != WhoEmail {
		return out, nil
	}
	if err := s.Mail.SendInvitation(ctx, InvitationMail{To: n.Who.Email, From: from, Link: out.Link, Until: until}); err != nil {
		s.Logger.WarnContext(ctx, "invitation was not mailed; its owner gets the link", slog.Any("error", err))
		return out, nil
	}
	out.Link, out.Mailed = "", true
	return out, nil
}

func (s *Service) inviteLimit(r InvitationReader, owner AccountID, now time.Time) error {
	latest, err := r.Invitations(owner, Key{}, s.Limits.Attention.Invites)
	if err != nil {
		return fmt.Errorf("count invitations: %w", err)
	}
	if len(latest) == s.Limits.Attention.Invites && now.Sub(latest[len(latest)-1].Created) < day {
		return ErrTooMuch
	}
	return nil
}

// Invitations lists them, newest first, ended ones included.
func (a Acting) Invitations(ctx context.Context) ([]InvitationView, error) {
	now := a.s.Now()
	var out []InvitationView
	err := a.s.Store.View(ctx, func(r Reader) error {
		out = nil
		if err := a.may(r, guardInvitations); err != nil {
			return err
		}
		list, err := r.Invitations(a.owner, Key{}, inboxWindow)
		if err != nil {
			return fmt.Errorf("list invitations: %w", err)
		}
		names := directory{reader: r}
		for _, i := range list {
			v := InvitationView{Invitation: i, State: i.State(now)}
			v.Secret = SecretHash{}
			if v.Who, err = whoWords(&names, i.Policy.Who); err != nil {
				return err
			}
			if v.Records, err = a.s.ruleRecords(r, a.owner, i.Policy.Rules); err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// RevokeInvitation ends one that nobody has taken up. A second call changes nothing; one that was taken up is a share now and
// is stopped there: ErrTooLate.
func (a Acting) RevokeInvitation(ctx context.Context, key Key, requestID string) (Effect, error) {
	s, now := a.s, a.s.Now()
	effect := Effect{At: now}
	err := s.Store.Update(ctx, func(tx Tx) error {
		effect.At = now
		if err := a.may(tx, guardInvitations); err != nil {
			return err
		}
		i, err := tx.Invitation(key, now)
		if err != nil {
			return err
		}
		switch {
		case i.Owner != a.owner:
			return ErrNotFound
		case !i.Accepted.IsZero():
			return ErrTooLate
		case !i.Revoked.IsZero():
			effect.At = i.Revoked
			return nil
		}
		i.Revoked = now
		if err := tx.PutInvitation(i); err != nil {
			return fmt.Errorf("end invitation: %w", err)
		}
		return s.tell(tx, now, a.shareEvent(EventInviteEnded, i.Policy, requestID))
	})
	if err != nil {
		return Effect{}, err
	}
	return effect, nil
}
