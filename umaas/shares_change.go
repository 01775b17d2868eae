package umaas

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Narrowing is a change of a share that takes something away. Wider is impossible: that is a new share.
type Narrowing struct {
	ByItems  bool     // Items say what stays
	Items    []string // ids of its ShareView
	Rules    []Rule   // what stays, for programs; nil: nothing changes
	Until    time.Time
	Purposes []string // what stays of its purposes; nil: nothing changes
	Version  string   // if set: the version that was read, ShareView.Version; another one is ErrChanged
}

// Version names what a policy says: an answer to one version is no answer to the next.
func (p Policy) Version() string { return digest(p) }

// NarrowShare leaves of a share what the change names and ends it sooner if Until says so; a zero Until keeps the end. Live
// tokens feel it at their next use. Errors: ErrNotFound, ErrBadAnswer, ErrNothingChosen, ErrChanged.
func (a Acting) NarrowShare(ctx context.Context, id PolicyID, n Narrowing, requestID string) (Effect, error) {
	s, now := a.s, a.s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		if err := a.may(tx, guardShares); err != nil {
			return err
		}
		p, err := tx.Policy(a.owner, id)
		if err != nil {
			return err
		}
		if !p.InForce(now) {
			return ErrNotFound
		}
		if n.Version != "" && n.Version != p.Version() {
			return ErrChanged
		}
		if err := s.narrow(tx, &p, n, now); err != nil {
			return err
		}
		if err := tx.PutPolicy(p); err != nil {
			return fmt.Errorf("narrow share: %w", err)
		}
		return s.tell(tx, now, a.shareEvent(EventShareNarrowed, p, requestID))
	})
	if err != nil {
		return Effect{}, err
	}
	return effectAt(now), nil
}

func (s *Service) narrow(r Reader, p *Policy, n Narrowing, now time.Time) error {
	switch {
	case n.Until.IsZero():
	case !n.Until.After(now):
		return fmt.Errorf("%w: the end lies in the past; stop the share instead", ErrBadAnswer)
	case !p.NotAfter.IsZero() && n.Until.After(p.NotAfter):
		return fmt.Errorf("%w: a share cannot be made longer", ErrBadAnswer)
	default:
		p.NotAfter = n.Until
	}
	if n.Rules != nil {
		for _, rule := range n.Rules {
			if err := checkLimits(rule.Constraints); err != nil {
				return fmt.Errorf("%w: %s", ErrBadAnswer, err.Error())
			}
		}
		rules, ok := narrowedTo(s.Scopes, p.Rules, n.Rules)
		if !ok {
			return fmt.Errorf("%w: a share can be made smaller, never wider; give the rest in a share of its own", ErrBadAnswer)
		}
		p.Rules = rules
	}
	if err := narrowPurposes(p, n.Purposes); err != nil {
		return err
	}
	if !n.ByItems {
		return nil
	}
	shown, err := s.ruleRecords(r, p.Owner, p.Rules)
	if err != nil {
		return err
	}
	p.Rules, err = chosen(shown, n.Items)
	return err
}

// narrowPurposes leaves the purposes named. A share for any purpose can be left for some; none at all would be any again.
func narrowPurposes(p *Policy, stay []string) error {
	if stay == nil {
		return nil
	}
	if len(stay) == 0 {
		return fmt.Errorf("%w: leave at least one purpose, or stop the share", ErrBadAnswer)
	}
	for _, purpose := range stay {
		if !contains(purposes, purpose) || len(p.Purposes) > 0 && !contains(p.Purposes, purpose) {
			return fmt.Errorf("%w: a share can be made smaller, never wider; give another purpose in a share of its own", ErrBadAnswer)
		}
	}
	p.Purposes = slices.Compact(slices.Sorted(slices.Values(stay)))
	return nil
}

// StopShare ends a share at once and for good (SEC-35, G-133); a second call changes nothing and tells when it was.
func (a Acting) StopShare(ctx context.Context, id PolicyID, requestID string) (ShareView, Effect, error) {
	return a.stopShare(ctx, id, "", requestID)
}

// StopShareAt is StopShare for one version of it; another one is ErrChanged.
func (a Acting) StopShareAt(ctx context.Context, id PolicyID, version, requestID string) (ShareView, Effect, error) {
	return a.stopShare(ctx, id, version, requestID)
}

func (a Acting) stopShare(ctx context.Context, id PolicyID, version, requestID string) (ShareView, Effect, error) {
	s, now := a.s, a.s.Now()
	var v ShareView
	err := s.Store.Update(ctx, func(tx Tx) error {
		if err := a.may(tx, guardShares); err != nil {
			return err
		}
		p, err := tx.Policy(a.owner, id)
		if err != nil {
			return err
		}
		if p.Revoked.IsZero() {
			if version != "" && version != p.Version() {
				return ErrChanged
			}
			p.Revoked = now
			if err := tx.PutPolicy(p); err != nil {
				return fmt.Errorf("stop share: %w", err)
			}
			if err := s.tell(tx, now, a.shareEvent(EventShareStopped, p, requestID)); err != nil {
				return err
			}
		}
		v, err = s.share(tx, a.owner, id)
		return err
	})
	return v, effectAt(v.Revoked), err
}

// RestoreShare gives a stopped share again, as a new policy that says the same: tokens and refresh tokens that rested on the
// old one stay dead (SEC-35). A second call finds the first one's policy (SEC-46). A consent to an app is not restored: the
// app asks again. Errors: ErrNotFound, ErrBadAnswer, ErrOwnInterest.
func (a Acting) RestoreShare(ctx context.Context, id PolicyID, requestID string) (PolicyID, error) {
	s, now := a.s, a.s.Now()
	fresh, err := s.newPolicyID(now)
	if err != nil {
		return "", err
	}
	var restored PolicyID
	err = s.Store.Update(ctx, func(tx Tx) error {
		if err := a.may(tx, guardShares); err != nil {
			return err
		}
		p, err := tx.Policy(a.owner, id)
		if err != nil {
			return err
		}
		if restored, err = a.restored(tx, p, now); err != nil || restored != "" {
			return err
		}
		if err := a.disinterested(tx, p.Who); err != nil {
			return err
		}
		p.ID, p.Revoked, p.Created, p.By = fresh, time.Time{}, now, a.by()
		restored = fresh
		if err := tx.PutPolicy(p); err != nil {
			return fmt.Errorf("restore share: %w", err)
		}
		return s.tell(tx, now, a.shareEvent(EventShareRestored, p, requestID))
	})
	if err != nil {
		return "", err
	}
	return restored, nil
}

// restored finds what a restoration has made already, and refuses what cannot be given again as it was.
func (a Acting) restored(r Reader, p Policy, now time.Time) (PolicyID, error) {
	bad := func(text string) (PolicyID, error) { return "", fmt.Errorf("%w: %s", ErrBadAnswer, text) }
	switch {
	case p.InForce(now):
		return p.ID, nil
	case p.Revoked.IsZero() || !p.NotAfter.IsZero() && !now.Before(p.NotAfter):
		return bad("its time is over; share anew")
	case p.Origin == OriginConsent:
		return bad("an app asks you again when you use it next")
	case len(p.Rules) == 0:
		return bad("nothing was in it")
	}
	for _, rule := range p.Rules {
		_, err := r.Resource(a.owner, rule.RS, rule.Resource)
		if gone, err := absent(err); err != nil {
			return "", err
		} else if gone {
			return bad("a record it was about is no longer here")
		}
	}
	same, err := r.PoliciesFor(a.owner, p.Rules[0].RS, p.Rules[0].Resource, []Who{p.Who})
	if err != nil {
		return "", fmt.Errorf("read policies: %w", err)
	}
	for _, q := range same {
		if q.InForce(now) && !q.Created.Before(p.Revoked) && saysTheSame(p, q) {
			return q.ID, nil
		}
	}
	return "", nil
}

func saysTheSame(p, q Policy) bool {
	return p.Who == q.Who && p.Client == q.Client && slices.EqualFunc(p.Rules, q.Rules, equalRule) && slices.Equal(p.Purposes, q.Purposes) &&
		p.NotAfter.Equal(q.NotAfter) && slices.Equal(p.Also, q.Also) && p.MinACR == q.MinACR && p.Terms == q.Terms && p.BreakGlass == q.BreakGlass
}
