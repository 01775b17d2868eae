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

// Shares lists all policies of an owner.
func (s *Service) Shares(ctx context.Context, owner AccountID) ([]ShareView, error) {
	return s.Acting(owner, owner).Shares(ctx)
}

// Shares lists all policies of the owner, newest first, ended ones included.
func (a Acting) Shares(ctx context.Context) ([]ShareView, error) {
	var out []ShareView
	err := a.s.Store.View(ctx, func(r Reader) error {
		out = nil
		if err := a.may(r, guardShares); err != nil {
			return err
		}
		used, err := uses(r, a.owner)
		if err != nil {
			return err
		}
		names := directory{reader: r}
		var after PolicyID
		for len(out) < maxPolicies {
			page, err := r.Policies(a.owner, after, pageLimit)
			if err != nil {
				return fmt.Errorf("list policies: %w", err)
			}
			for _, p := range page {
				v, err := a.s.shareView(r, &names, p, used[p.ID])
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

// Share shows one policy of an owner.
func (s *Service) Share(ctx context.Context, owner AccountID, id PolicyID) (ShareView, error) {
	return s.Acting(owner, owner).Share(ctx, id)
}

// Share shows one. A foreign id is ErrNotFound like an unknown one.
func (a Acting) Share(ctx context.Context, id PolicyID) (ShareView, error) {
	var v ShareView
	err := a.s.Store.View(ctx, func(r Reader) error {
		if err := a.may(r, guardShares); err != nil {
			return err
		}
		var err error
		v, err = a.s.share(r, a.owner, id)
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

// NarrowShare leaves of a share what items name (ids of its ShareView) and ends it sooner if until says so.
func (s *Service) NarrowShare(ctx context.Context, owner AccountID, id PolicyID, items []string, until time.Time, requestID string) error {
	_, err := s.Acting(owner, owner).NarrowShare(ctx, id, Narrowing{Items: items, ByItems: true, Until: until}, requestID)
	return err
}

// StopShare ends a share at once and for good.
func (s *Service) StopShare(ctx context.Context, owner AccountID, id PolicyID, requestID string) (ShareView, error) {
	v, _, err := s.Acting(owner, owner).StopShare(ctx, id, requestID)
	return v, err
}

func shareEvent(kind string, p Policy, requestID string) AuditEvent {
	e := AuditEvent{Type: kind, Owner: p.Owner, Actor: p.Owner, Client: p.Client, Policy: p.ID, Scopes: ruleScopes(p.Rules), RequestID: requestID}
	if len(p.Rules) > 0 {
		e.RS, e.Resource = p.Rules[0].RS, p.Rules[0].Resource
	}
	return e
}

// shareEvent names who did it: the history of an owner tells a delegate's acts from her own.
func (a Acting) shareEvent(kind string, p Policy, requestID string) AuditEvent {
	e := shareEvent(kind, p, requestID)
	e.Actor = a.actor
	return e
}
