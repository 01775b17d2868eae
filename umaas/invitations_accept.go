package umaas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// InvitationOffer is what an invited person sees. Before she proved who she is it says nothing at all: a link that is good and
// one that never was look alike (SEC-45).
type InvitationOffer struct {
	SignIn   bool // nobody is signed in; nothing else is set
	From     string
	Records  []RecordView // what is shared, without whose labels
	Terms    string
	Purposes []string
	Until    time.Time // end of the share; zero: none
	Ends     time.Time // of the invitation
	Accepted bool      // by this person already
	Digest   string
}

// OpenInvitation shows an invitation to the person signed in, nil for none. ErrNotFound for what cannot be used: unknown,
// ended, taken up by another person, or meant for another one.
func (s *Service) OpenInvitation(ctx context.Context, handle string, sess *Session) (InvitationOffer, error) {
	if sess == nil {
		return InvitationOffer{SignIn: true}, nil
	}
	now := s.Now()
	var v InvitationOffer
	err := s.Store.View(ctx, func(r Reader) error {
		i, _, err := s.invited(r, handle, *sess, now)
		if err != nil {
			return err
		}
		v, err = s.offer(r, i)
		return err
	})
	return v, err
}

func (s *Service) offer(r Reader, i Invitation) (InvitationOffer, error) {
	owner, err := r.Account(i.Owner)
	if err != nil {
		return InvitationOffer{}, err
	}
	v := InvitationOffer{
		From: cleanText(owner.Name), Terms: i.Policy.Terms, Purposes: i.Policy.Purposes, Until: i.Policy.NotAfter, Ends: i.Until,
		Accepted: !i.Accepted.IsZero(),
	}
	if v.Records, err = s.ruleRecords(r, i.Owner, i.Policy.Rules); err != nil {
		return InvitationOffer{}, err
	}
	for n := range v.Records {
		v.Records[n] = RecordView{Items: v.Records[n].Items} // F-076: labels are the owner's alone
	}
	v.Digest = digest(i.Key, v.From, v.Terms, v.Purposes, v.Until, shownRecords(v.Records))
	return v, nil
}

// invited finds an invitation for the person who holds its link and proves to be meant. The same person finds it again after
// she took it up.
func (s *Service) invited(r Reader, handle string, sess Session, now time.Time) (Invitation, Account, error) {
	key, secret, ok := s.handles.Open(handle)
	if !ok {
		return Invitation{}, Account{}, ErrNotFound
	}
	i, err := r.Invitation(key, now)
	if err != nil {
		return Invitation{}, Account{}, err
	}
	if !i.Secret.Matches(secret) {
		return Invitation{}, Account{}, ErrNotFound
	}
	account, err := r.Account(sess.Account)
	if err != nil {
		return Invitation{}, Account{}, err
	}
	person, err := s.signedIn(r, account, sess)
	if err != nil {
		return Invitation{}, Account{}, err
	}
	again := i.State(now) == InvitationAccepted && i.Account == account.ID
	if account.Disabled || account.ID == i.Owner || account.ID == i.By || !again && i.State(now) != InvitationOpen ||
		!again && !person.invitedAs(i.Policy.Who) || !i.Policy.InForce(now) {
		return Invitation{}, Account{}, ErrNotFound
	}
	owner, err := r.Account(i.Owner)
	if err != nil || owner.Disabled {
		return Invitation{}, Account{}, errors.Join(err, ErrNotFound)
	}
	if i.By != "" { // who no longer acts for the owner invites nobody
		rights, err := s.delegatedRights(r, i.By, i.Owner, now)
		if err != nil {
			return Invitation{}, Account{}, err
		}
		if !slices.Contains(rights, guardInvitations) {
			return Invitation{}, Account{}, ErrNotFound
		}
	}
	return i, account, nil
}

// AcceptInvitation takes an invitation up: its policy is made for this account, once (SEC-45). What was proved by a claim goes
// on needing the claim. A second call of the same person changes nothing. Errors: ErrNotFound, ErrChanged.
func (s *Service) AcceptInvitation(ctx context.Context, handle string, sess Session, shown, requestID string) error {
	now := s.Now()
	id, err := s.newPolicyID(now)
	if err != nil {
		return err
	}
	return s.Store.Update(ctx, func(tx Tx) error {
		i, account, err := s.invited(tx, handle, sess, now)
		if err != nil {
			return err
		}
		if i.State(now) == InvitationAccepted {
			return nil
		}
		v, err := s.offer(tx, i)
		if err != nil {
			return err
		}
		if shown == "" || shown != v.Digest {
			return ErrChanged
		}
		p := i.Policy
		name := p.Who.Name
		if name == "" {
			name = p.Who.Email
		}
		if p.Who.Kind == WhoClaim {
			p.Also = append(slices.Clone(p.Also), p.Who.Claim)
		}
		p.ID, p.Who, p.Created, p.Invitation = id, Who{Kind: WhoAccount, Account: account.ID, Name: name}, now, i.Key
		if err := tx.PutPolicy(p); err != nil {
			return fmt.Errorf("store share: %w", err)
		}
		i.Accepted, i.Account = now, account.ID
		if err := tx.PutInvitation(i); err != nil {
			return fmt.Errorf("use invitation: %w", err)
		}
		e := shareEvent(EventInviteAccepted, p, requestID)
		e.Actor = account.ID
		return s.tell(tx, now, e)
	})
}
