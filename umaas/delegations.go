package umaas

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// NewDelegation is what an owner, or an administrator for her, lets somebody do.
type NewDelegation struct {
	Who    Who // an account, a verified address, or a claim such as a role
	Rights []DelegatedRight
	Reason string    // "parent", "legal representative"; an administrator must give one
	Until  time.Time // zero: no end
}

// DelegationView is one delegation as both sides read it.
type DelegationView struct {
	Delegation
	WhoName   string // the delegate
	OwnerName string
	ByName    string // who made it
}

const maxDelegations = 100 // of one owner, in force

// Delegate lets somebody act for the owner. Only she herself can: nobody passes on what was passed to her. Errors:
// ErrBadAnswer, ErrNotFound.
func (a Acting) Delegate(ctx context.Context, n NewDelegation, requestID string) (PolicyID, error) {
	return a.s.delegate(ctx, a.owner, a.owner, n, requestID, func(tx Tx) error { return a.may(tx, ownerOnly) })
}

// AppointDelegate is the same by an administrator, for a child or a person who cannot decide, with a reason that stands in
// the owner's history. Anybody else gets ErrNotFound.
func (s *Service) AppointDelegate(ctx context.Context, admin Account, owner AccountID, n NewDelegation, requestID string) (PolicyID, error) {
	if !administrates(admin) {
		return "", ErrNotFound
	}
	if cleanText(n.Reason) == "" {
		return "", fmt.Errorf("%w: say why this person acts for another", ErrBadAnswer)
	}
	return s.delegate(ctx, owner, admin.ID, n, requestID, func(Tx) error { return nil })
}

func administrates(a Account) bool { return a.ID != "" && !a.Disabled && a.Has(RoleAdmin) }

func (s *Service) delegate(ctx context.Context, owner, by AccountID, n NewDelegation, requestID string, may func(Tx) error) (PolicyID, error) {
	now := s.Now()
	n.Who.Email = strings.ToLower(strings.TrimSpace(n.Who.Email))
	n.Who.Claim = s.statedBy(n.Who.Claim)
	if err := n.check(owner, now); err != nil {
		return "", err
	}
	id, err := s.newPolicyID(now)
	if err != nil {
		return "", err
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		if err := may(tx); err != nil {
			return err
		}
		if _, err := tx.Account(owner); err != nil {
			return err
		}
		share := NewShare{Who: n.Who}
		who, err := share.party(tx)
		if err != nil {
			return err
		}
		all, err := delegationsOf(tx, owner)
		if err != nil {
			return err
		}
		inForce := 0
		for _, d := range all {
			if d.InForce(now) {
				inForce++
			}
		}
		if inForce >= maxDelegations {
			return fmt.Errorf("%w: %d people act for her already; end one first", ErrBadAnswer, maxDelegations)
		}
		d := Delegation{
			Owner: owner, ID: id, Who: who, Rights: n.Rights, Reason: cleanText(n.Reason), By: by, NotAfter: n.Until, Created: now,
		}
		if err := tx.PutDelegation(d); err != nil {
			return fmt.Errorf("store delegation: %w", err)
		}
		return s.tell(tx, now, delegationEvent(EventDelegationMade, d, by, requestID))
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// statedBy: a claim without issuer is one this server states.
func (s *Service) statedBy(c Claim) Claim {
	if c.Issuer == "" && c.Name != "" {
		c.Issuer = s.Issuer
	}
	return c
}

func (n NewDelegation) check(owner AccountID, now time.Time) error {
	bad := func(text string) error { return fmt.Errorf("%w: %s", ErrBadAnswer, text) }
	switch {
	case owner == "":
		return ErrNotFound
	case n.Who.Kind != WhoAccount && n.Who.Kind != WhoEmail && n.Who.Kind != WhoClaim:
		return bad("name a person, an address or a role")
	case !n.Until.IsZero() && !n.Until.After(now):
		return bad("the end lies in the past")
	case len(n.Rights) == 0:
		return bad("say what this person may do: answer, share or history")
	case len(n.Reason) > maxText:
		return bad("the reason is too long")
	}
	for i, right := range n.Rights {
		if right != MayAnswer && right != MayShare && right != MayHistory || slices.Contains(n.Rights[:i], right) {
			return bad("what somebody may do is answer, share or history, each once")
		}
	}
	share := NewShare{Who: n.Who}
	return share.checkWho(owner)
}

// RevokeDelegation ends one the owner made. One that an administrator made for her is ended by an administrator or by the
// delegate. A second call changes nothing. Errors: ErrNotFound, ErrBadAnswer.
func (a Acting) RevokeDelegation(ctx context.Context, id PolicyID, requestID string) (Effect, error) {
	return a.s.endDelegation(ctx, a.owner, id, a.actor, requestID, func(tx Tx, d Delegation) error {
		if err := a.may(tx, ownerOnly); err != nil {
			return err
		}
		if d.By != a.owner {
			return fmt.Errorf("%w: an administrator made this one; ask them to end it", ErrBadAnswer)
		}
		return nil
	})
}

// EndDelegation ends any delegation, by an administrator.
func (s *Service) EndDelegation(ctx context.Context, admin Account, owner AccountID, id PolicyID, requestID string) (Effect, error) {
	return s.endDelegation(ctx, owner, id, admin.ID, requestID, func(Tx, Delegation) error {
		if !administrates(admin) {
			return ErrNotFound
		}
		return nil
	})
}

// ResignDelegation is the delegate's own no, for one that names her account; who holds a role gives up the role instead.
func (s *Service) ResignDelegation(ctx context.Context, actor, owner AccountID, id PolicyID, requestID string) (Effect, error) {
	return s.endDelegation(ctx, owner, id, actor, requestID, func(tx Tx, d Delegation) error {
		account, err := tx.Account(actor)
		if err != nil {
			return err
		}
		if d.Who.Kind == WhoClaim || !s.means(d.Who, account) {
			return ErrNotFound
		}
		return nil
	})
}

func (s *Service) endDelegation(ctx context.Context, owner AccountID, id PolicyID, actor AccountID, requestID string, may func(Tx, Delegation) error) (Effect, error) {
	now := s.Now()
	effect := effectAt(now)
	effect.Within = 0 // delegations live at this server alone
	err := s.Store.Update(ctx, func(tx Tx) error {
		d, err := tx.Delegation(owner, id)
		if err != nil {
			return err
		}
		if err := may(tx, d); err != nil {
			return err
		}
		if !d.Revoked.IsZero() {
			effect.At = d.Revoked
			return nil
		}
		d.Revoked = now
		if err := tx.PutDelegation(d); err != nil {
			return fmt.Errorf("end delegation: %w", err)
		}
		return s.tell(tx, now, delegationEvent(EventDelegationEnded, d, actor, requestID))
	})
	if err != nil {
		return Effect{}, err
	}
	return effect, nil
}

func delegationEvent(kind string, d Delegation, actor AccountID, requestID string) AuditEvent {
	e := AuditEvent{Type: kind, Owner: d.Owner, Actor: actor, Policy: d.ID, RequestID: requestID}
	for _, right := range d.Rights {
		e.Scopes = append(e.Scopes, string(right))
	}
	return e
}

// Delegations lists who acts, or acted, for the owner, newest first. For her alone.
func (a Acting) Delegations(ctx context.Context) ([]DelegationView, error) {
	var out []DelegationView
	err := a.s.Store.View(ctx, func(r Reader) error {
		out = nil
		if err := a.may(r, ownerOnly); err != nil {
			return err
		}
		all, err := delegationsOf(r, a.owner)
		if err != nil {
			return err
		}
		names := directory{reader: r}
		for _, d := range slices.Backward(all) {
			v, err := delegationView(&names, d)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// ActingFor lists for whom somebody may act now, with what she may do.
func (s *Service) ActingFor(ctx context.Context, actor AccountID) ([]DelegationView, error) {
	now := s.Now()
	var out []DelegationView
	err := s.Store.View(ctx, func(r Reader) error {
		out = nil
		account, err := r.Account(actor)
		if err != nil {
			return err
		}
		if account.Disabled {
			return ErrNotFound
		}
		found, err := r.DelegatedTo(requester{account: s.ownWord(account)}.names(), pageLimit)
		if err != nil {
			return fmt.Errorf("read delegations: %w", err)
		}
		names := directory{reader: r}
		for _, d := range found {
			owner, err := r.Account(d.Owner)
			if gone, err := absent(err); err != nil {
				return err
			} else if gone || owner.Disabled || owner.ID == actor || !d.InForce(now) || !s.means(d.Who, account) {
				continue
			}
			v, err := delegationView(&names, d)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

func delegationView(names *directory, d Delegation) (v DelegationView, err error) {
	v.Delegation = d
	if v.WhoName, err = whoWords(names, d.Who); err != nil {
		return v, err
	}
	if v.OwnerName, err = names.account(d.Owner); err != nil {
		return v, err
	}
	v.ByName, err = names.account(d.By)
	return v, err
}

// delegationsOf reads all of an owner's delegations. Ended ones stay for the history; what is read is bounded.
func delegationsOf(r DelegationReader, owner AccountID) ([]Delegation, error) {
	var out []Delegation
	var after PolicyID
	for len(out) < maxPolicies {
		page, err := r.Delegations(owner, after, pageLimit)
		if err != nil {
			return nil, fmt.Errorf("list delegations: %w", err)
		}
		out = append(out, page...)
		if len(page) < pageLimit {
			return out, nil
		}
		after = page[len(page)-1].ID
	}
	return out, nil
}
