package umaas

import (
	"errors"
	"fmt"
	"time"
)

// live is the one validity function behind introspection, refresh, userinfo, upgrade and consumption (SEC-53). ok is false
// for a grant that is over; effective is what it is good for now: never more than was granted, less where a policy, a base
// or the registration was narrowed since (Grant §3.6, G-133, SEC-35). It reads a handful of records and writes none.
func (s *Service) live(r Reader, g Grant, now time.Time) (effective []Granted, ok bool, err error) {
	l, err := s.liveness(r, g, now)
	if err != nil {
		return nil, false, err
	}
	return l.effective, l.reason == "", nil
}

// liveness is the long form of live: why a grant is over, and who stands behind it.
type liveness struct {
	reason    string // "" while the grant is live
	client    Client
	rs        Client
	party     *Account
	effective []Granted
	sets      []Resource // the resources of effective, one for each
}

func (s *Service) liveness(r Reader, g Grant, now time.Time) (liveness, error) {
	var l liveness
	if l.reason = g.over(now); l.reason != "" {
		return l, nil
	}
	if err := s.people(r, g, &l); err != nil || l.reason != "" {
		return l, err
	}
	said, err := counting(r, g.Claims)
	if err != nil {
		return l, err
	}
	if said.broken || unlinked(l.party, g.Claims) {
		l.reason = ReasonIssuer // the issuer whose word the grant rests on (SEC-17, SEC-38)
		return l, nil
	}
	if len(g.Permissions) == 0 {
		if g.Kind == GrantRPT || g.Kind == "" {
			l.reason = ReasonNothingAsked
		}
		return l, nil
	}
	q := Question{Now: now, Owner: g.Owner, Client: l.client, PartyAccount: l.party, Language: s.Scopes, purposeKept: true, BreakGlass: g.BreakGlass, Emergency: s.Limits.Emergency}
	q.Claims, q.Emails, q.ACR = said.claims, said.emails, g.ACR
	for _, p := range g.Permissions {
		got, res, err := s.effective(r, q, g, p)
		if err != nil {
			return l, err
		}
		for _, permission := range got {
			l.effective, l.sets = append(l.effective, permission), append(l.sets, res)
		}
	}
	if len(l.effective) == 0 {
		l.reason = ReasonWithdrawn
	}
	return l, nil
}

// over judges what the grant says of itself.
func (g Grant) over(now time.Time) string {
	switch {
	case !g.Revoked.IsZero():
		return ReasonRevoked
	case !g.Spent.IsZero():
		return ReasonSpent
	case g.Expires.IsZero() || !now.Before(g.Expires):
		return ReasonExpired
	case now.Before(g.Created):
		return ReasonNotYet
	default:
		return ""
	}
}

// people checks that client, resource server, party and owner exist and are enabled (SEC-38).
func (s *Service) people(r Reader, g Grant, l *liveness) error {
	client, err := r.Client(g.Client)
	if gone, err := absent(err); gone || err != nil || client.Disabled {
		l.reason = ReasonDisabled
		return err
	}
	l.client = client
	if g.RS != "" && g.RS != g.Client {
		rs, err := r.Client(g.RS)
		if gone, err := absent(err); gone || err != nil || rs.Disabled {
			l.reason = ReasonDisabled
			return err
		}
		l.rs = rs
	}
	for _, id := range []AccountID{g.Party, g.Owner} {
		if id == "" || l.party != nil && l.party.ID == id {
			continue
		}
		a, err := r.Account(id)
		if gone, err := absent(err); gone || err != nil || a.Disabled {
			l.reason = ReasonDisabled
			return err
		}
		if id == g.Party {
			l.party = s.ownWord(a)
		}
	}
	return nil
}

// effective is one permission intersected with its policies, its base and the registration as they are now.
func (s *Service) effective(r Reader, q Question, g Grant, p Granted) ([]Granted, Resource, error) {
	if !p.Expires.IsZero() && !q.Now.Before(p.Expires) {
		return nil, Resource{}, nil
	}
	res, err := r.Resource(g.Owner, g.RS, p.Resource)
	if gone, err := absent(err); gone || err != nil {
		return nil, Resource{}, err
	}
	a := AskedPermission{Resource: res, Scopes: keep(p.Scopes, res.Description.Scopes), Constraints: p.Constraints, registered: true}
	if len(a.Scopes) == 0 && len(p.Scopes) > 0 {
		return nil, Resource{}, nil
	}
	if a.Policies, err = policiesOf(r, g.Owner, p.Policies); err != nil {
		return nil, Resource{}, err
	}
	if a.Base, err = s.baseOf(r, g.RS, res, p.Base); err != nil {
		return nil, Resource{}, err
	}
	c := collector{at: map[string]int{}}
	q.candidate(a, &c)
	for i := range c.list {
		c.list[i].Expires = earlier(c.list[i].Expires, p.Expires)
		c.list[i].Scopes = keep(p.Scopes, c.list[i].Scopes) // in the order of the grant
	}
	return c.list, res, nil
}

// baseOf rebuilds what a permission rested on: only the base's policies it was granted by count, so that a new one of the
// record's owner revives nothing.
func (s *Service) baseOf(r Reader, rs ClientID, res Resource, b *Base) (*AskedBase, error) {
	if !needsBase(res) {
		return nil, nil
	}
	if b == nil || b.RS != rs || string(b.Resource) != res.Description.DerivedFrom.ResourceID {
		return &AskedBase{}, nil
	}
	return s.loadBase(r, rs, res, func(record Resource, _ *Account) ([]Policy, error) {
		if record.Owner != b.Owner {
			return nil, nil // the record changed hands; its new owner has promised nothing
		}
		return policiesOf(r, record.Owner, b.Policies)
	})
}

// loadBase finds the record a derived set rests on and the account of the derived set's owner. A record that is gone gives
// the zero base, which carries nothing.
func (s *Service) loadBase(r Reader, rs ClientID, res Resource, policies func(Resource, *Account) ([]Policy, error)) (*AskedBase, error) {
	id := ResourceID(res.Description.DerivedFrom.ResourceID)
	owner, err := r.ResourceOwner(rs, id)
	if gone, err := absent(err); gone || err != nil {
		return &AskedBase{}, err
	}
	record, err := r.Resource(owner, rs, id)
	if gone, err := absent(err); gone || err != nil {
		return &AskedBase{}, err
	}
	for _, a := range []AccountID{owner, res.Owner} {
		account, err := r.Account(a)
		if gone, err := absent(err); gone || err != nil || account.Disabled {
			return &AskedBase{}, err
		}
		if a == res.Owner {
			b := &AskedBase{Resource: record, Account: s.ownWord(account)}
			if owner != res.Owner {
				b.Policies, err = policies(record, b.Account)
			}
			return b, err
		}
	}
	return &AskedBase{}, nil
}

func policiesOf(r PolicyReader, owner AccountID, ids []PolicyID) ([]Policy, error) {
	out := make([]Policy, 0, len(ids))
	for _, id := range ids {
		p, err := r.Policy(owner, id)
		if gone, err := absent(err); gone {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read policy: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// absent splits "not there" from real failures.
func absent(err error) (bool, error) {
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}
