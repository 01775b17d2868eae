package umaas

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// ShareView is one policy as its owner reads it.
type ShareView struct {
	Policy
	Who      string   // the party in the owner's words
	App      *AppView // nil: any app
	Records  []RecordView
	LastUsed time.Time // zero: not lately
	Uses     int       // lately
}

const maxPolicies = 2000 // listed for one owner

// Shares lists all policies of an owner, newest first, ended ones included.
func (s *Service) Shares(ctx context.Context, owner AccountID) ([]ShareView, error) {
	var out []ShareView
	err := s.Store.View(ctx, func(r Reader) error {
		out = nil
		used, err := uses(r, owner)
		if err != nil {
			return err
		}
		names := directory{reader: r}
		var after PolicyID
		for len(out) < maxPolicies {
			page, err := r.Policies(owner, after, pageLimit)
			if err != nil {
				return fmt.Errorf("list policies: %w", err)
			}
			for _, p := range page {
				v, err := s.shareView(r, &names, p, used[p.ID])
				if err != nil {
					return err
				}
				out = append(out, v)
			}
			if len(page) < pageLimit {
				break
			}
			after = page[len(page)-1].ID
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b ShareView) int { return b.Created.Compare(a.Created) })
	return out, err
}

// Share shows one. A foreign id is ErrNotFound like an unknown one.
func (s *Service) Share(ctx context.Context, owner AccountID, id PolicyID) (ShareView, error) {
	var v ShareView
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		v, err = s.share(r, owner, id)
		return err
	})
	return v, err
}

func (s *Service) share(r Reader, owner AccountID, id PolicyID) (ShareView, error) {
	p, err := r.Policy(owner, id)
	if err != nil {
		return ShareView{}, err
	}
	used, err := uses(r, owner)
	if err != nil {
		return ShareView{}, err
	}
	return s.shareView(r, &directory{reader: r}, p, used[p.ID])
}

func (s *Service) shareView(r Reader, names *directory, p Policy, u use) (ShareView, error) {
	v := ShareView{Policy: p, LastUsed: u.last, Uses: u.count}
	var err error
	if v.Who, err = whoWords(names, p.Who); err != nil {
		return ShareView{}, err
	}
	if p.Client != "" {
		c, err := names.app(p.Client)
		if err != nil {
			return ShareView{}, err
		}
		app := appOf(c, "")
		v.App = &app
	}
	v.Records, err = s.ruleRecords(r, p.Owner, p.Rules)
	return v, err
}

// whoWords names the party of a policy: as the owner knows it, else as this server does.
func whoWords(names *directory, w Who) (string, error) {
	if w.Name != "" {
		return cleanText(w.Name), nil
	}
	switch w.Kind {
	case WhoAccount:
		return names.account(w.Account)
	case WhoEmail:
		return w.Email, nil
	case WhoClaim:
		return cleanText(w.Claim.Value), nil
	case WhoClient:
		return names.client(w.Client)
	default:
		return "nobody", nil
	}
}

// NarrowShare leaves of a share what items name (ids of its ShareView) and ends it sooner if until says so; a zero until keeps
// the end. Wider is impossible. Live tokens feel it at their next use. Errors: ErrNotFound, ErrBadAnswer, ErrNothingChosen.
func (s *Service) NarrowShare(ctx context.Context, owner AccountID, id PolicyID, items []string, until time.Time, requestID string) error {
	now := s.Now()
	return s.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Policy(owner, id)
		if err != nil {
			return err
		}
		if !p.InForce(now) {
			return ErrNotFound
		}
		switch {
		case until.IsZero():
		case !until.After(now):
			return fmt.Errorf("%w: the end lies in the past; stop the share instead", ErrBadAnswer)
		case !p.NotAfter.IsZero() && until.After(p.NotAfter):
			return fmt.Errorf("%w: a share cannot be made longer", ErrBadAnswer)
		default:
			p.NotAfter = until
		}
		shown, err := s.ruleRecords(tx, owner, p.Rules)
		if err != nil {
			return err
		}
		if p.Rules, err = chosen(shown, items); err != nil {
			return err
		}
		if err := tx.PutPolicy(p); err != nil {
			return fmt.Errorf("narrow share: %w", err)
		}
		return s.tell(tx, now, shareEvent(EventShareNarrowed, p, requestID))
	})
}

// StopShare ends a share at once and for good (SEC-35); a second call changes nothing.
func (s *Service) StopShare(ctx context.Context, owner AccountID, id PolicyID, requestID string) (ShareView, error) {
	now := s.Now()
	var v ShareView
	err := s.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Policy(owner, id)
		if err != nil {
			return err
		}
		if p.Revoked.IsZero() {
			p.Revoked = now
			if err := tx.PutPolicy(p); err != nil {
				return fmt.Errorf("stop share: %w", err)
			}
			if err := s.tell(tx, now, shareEvent(EventShareStopped, p, requestID)); err != nil {
				return err
			}
		}
		v, err = s.share(tx, owner, id)
		return err
	})
	return v, err
}

func shareEvent(kind string, p Policy, requestID string) AuditEvent {
	e := AuditEvent{Type: kind, Owner: p.Owner, Actor: p.Owner, Client: p.Client, Policy: p.ID, Scopes: ruleScopes(p.Rules), RequestID: requestID}
	if len(p.Rules) > 0 {
		e.RS, e.Resource = p.Rules[0].RS, p.Rules[0].Resource
	}
	return e
}
