package umaas

import (
	"context"
	"fmt"
	"time"
)

// Persisted claims tokens (Grant §3.3.5, §5.2, §6.2). One is issued beside an RPT and never otherwise, and only if the party
// said so on the page of this very process. It is a handle like every other bearer value here: a reference, which tells its
// holder nothing (Grant §3.3.5, H-09). What is presented and is not good is as if nothing had been sent (SEC-25).

const (
	pctLife       = 30 * 24 * time.Hour
	pctsPerClient = 5 // of one party; the oldest makes room
	pctsListed    = 200
	pctUsedStep   = time.Minute // how exactly the last use is kept
)

// remember issues the PCT that the party agreed to. The same PCT stays good until its end; none is issued again silently.
func (run *redemption) remember(tx Tx, t Ticket) (string, error) {
	if !t.Remember || t.Party == nil || t.Decoy || !t.Until.IsZero() || holdsTicket(t.Party.Claims) {
		return "", nil // a permission ticket bounds this process; a PCT could not carry its bounds (SEC-28)
	}
	if err := run.makeRoom(tx, t.Party.Account); err != nil {
		return "", err
	}
	party := t.Party.lasting()
	until := earlier(run.now, party.Stated).Add(pctLife)
	if !run.now.Before(until) {
		return "", nil // a PCT does not renew what was stated for it
	}
	value, key, secret, err := run.s.handles.New(run.now)
	if err != nil {
		return "", err
	}
	p := PCT{
		Key: key, Secret: secret, Client: run.client.ID, Party: party, Purpose: t.Purpose, Confirm: t.Confirm, Created: run.now, Expires: until,
	}
	if err := tx.PutPCT(p); err != nil {
		return "", fmt.Errorf("store PCT: %w", err)
	}
	return value, run.s.tell(tx, run.now, AuditEvent{
		Type: EventRemembered, Owner: p.Party.Account, Actor: p.Party.Account, Client: p.Client, Process: t.Process, RequestID: run.requestID,
	})
}

func (run *redemption) makeRoom(tx Tx, party AccountID) error {
	list, err := tx.PartyPCTs(party, Key{}, pctsListed)
	if err != nil {
		return fmt.Errorf("list PCTs: %w", err)
	}
	n := 0
	for _, p := range list {
		if p.Client != run.client.ID {
			continue
		}
		if n++; n >= pctsPerClient {
			if err := tx.DeletePCT(p.Key); err != nil {
				return fmt.Errorf("make room for a PCT: %w", err)
			}
		}
	}
	return nil
}

// remembered takes the party from a presented PCT where the process knows none yet (Grant §3.3.1). The owner of what is asked
// is never taken from one: she decides on her consent page.
func (run *redemption) remembered(tx Tx, t Ticket) (Ticket, error) {
	if run.request.PCT == "" || t.Party != nil {
		return t, nil
	}
	key, secret, ok := run.s.handles.Open(run.request.PCT)
	if !ok {
		return t, nil
	}
	p, err := tx.PCT(key, run.now)
	if gone, err := absent(err); gone || err != nil {
		return t, err
	}
	if !p.Secret.Matches(secret) || p.Client != run.client.ID || !p.Confirm.confirms(t.Confirm) || p.Party.Account == t.Owner {
		return t, nil
	}
	if good, err := run.s.stillGood(tx, p, run.now); err != nil || !good {
		return t, err
	}
	if run.now.Sub(p.Used) >= pctUsedStep {
		p.Used = run.now
		if err := tx.PutPCT(p); err != nil {
			return t, fmt.Errorf("mark PCT used: %w", err)
		}
	}
	party := p.Party.lasting()
	if len(party.Claims) > 0 && party.Stated.IsZero() {
		party.Stated = p.Created
	}
	t.Party = &party
	if t.Purpose == "" {
		t.Purpose = p.Purpose
	}
	return t, nil
}

// stillGood: the party's account is open and has not ended its sign-ins since, and whoever stated claims about her is still
// trusted (SEC-17, SEC-38).
func (s *Service) stillGood(r Reader, p PCT, now time.Time) (bool, error) {
	if !now.Before(p.Expires) || now.Before(p.Created) {
		return false, nil
	}
	a, err := r.Account(p.Party.Account)
	if gone, err := absent(err); gone || err != nil || a.Disabled {
		return false, err
	}
	ended, err := sessionsEnded(r, a.ID)
	if err != nil || !p.Created.After(ended) && !ended.IsZero() {
		return false, err
	}
	if gone, err := identityGone(r, &a, p.Party.Claims); gone || err != nil {
		return false, err
	}
	for _, c := range p.Party.Claims {
		if c.Issuer == "" || c.Issuer == s.Issuer {
			continue
		}
		i, err := r.TrustedIssuer(c.Issuer)
		if gone, err := absent(err); gone || err != nil || i.Disabled {
			return false, err
		}
	}
	return true, nil
}

// revokePCT ends a PCT at its client's request (Grant §3.7, G-103, G-104). Anything else is answered as done.
func (s *Service) revokePCT(tx Tx, b bearer, client ClientID, requestID string, now time.Time) error {
	if b.signed {
		return nil
	}
	p, err := tx.PCT(b.key, now)
	if gone, err := absent(err); gone || err != nil {
		return err
	}
	if !p.Secret.Matches(b.secret) || p.Client != client {
		return nil
	}
	return s.forget(tx, p, "client", requestID, now)
}

func (s *Service) forget(tx Tx, p PCT, reason, requestID string, now time.Time) error {
	if err := tx.DeletePCT(p.Key); err != nil {
		return fmt.Errorf("delete PCT: %w", err)
	}
	return s.tell(tx, now, AuditEvent{
		Type: EventForgotten, Reason: reason, Owner: p.Party.Account, Actor: p.Party.Account, Client: p.Client, RequestID: requestID,
	})
}

// RememberedView is one app that may ask in a party's name without asking her again.
type RememberedView struct {
	Key     Key
	App     AppView
	Stated  []StatedView // what is remembered beside her account
	Purpose string
	Bound   bool // to a key of the app
	Created time.Time
	Used    time.Time
	Expires time.Time
}

// StatedView is a claim with the name of whoever stated it.
type StatedView struct {
	Name   string
	Value  string
	Issuer string
}

// Remembered lists a party's PCTs, newest first (Grant §6.2).
func (s *Service) Remembered(ctx context.Context, party AccountID) ([]RememberedView, error) {
	var out []RememberedView
	err := s.Store.View(ctx, func(r Reader) error {
		out = nil
		list, err := r.PartyPCTs(party, Key{}, pctsListed)
		if err != nil {
			return fmt.Errorf("list PCTs: %w", err)
		}
		now := s.Now()
		for _, p := range list {
			if good, err := s.stillGood(r, p, now); err != nil {
				return err
			} else if !good {
				continue
			}
			client, err := r.Client(p.Client)
			if gone, err := absent(err); err != nil {
				return fmt.Errorf("read client: %w", err)
			} else if gone {
				continue // it went with its app
			}
			v := RememberedView{Key: p.Key, App: appOf(client, firstURI(client)), Purpose: p.Purpose, Bound: p.Confirm.Bound(), Created: p.Created, Used: p.Used, Expires: p.Expires}
			if v.Stated, err = stated(r, p.Party.Claims); err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// Forget ends one of her PCTs at once. A foreign key is ErrNotFound like an unknown one.
func (s *Service) Forget(ctx context.Context, party AccountID, key Key, requestID string) error {
	now := s.Now()
	return s.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.PCT(key, now)
		if err != nil {
			return err
		}
		if party == "" || p.Party.Account != party {
			return ErrNotFound
		}
		return s.forget(tx, p, "party", requestID, now)
	})
}

// stated gives claims the names of their issuers; what only marks a sign-in is left out.
func stated(r IssuerReader, claims []Claim) ([]StatedView, error) {
	var out []StatedView
	for _, c := range claims {
		if c.Issuer == "" || c.Name == claimSignIn || c.Name == claimPushedAs {
			continue
		}
		i, err := r.TrustedIssuer(c.Issuer)
		if gone, err := absent(err); err != nil {
			return nil, fmt.Errorf("read issuer: %w", err)
		} else if gone {
			continue
		}
		out = append(out, StatedView{Name: c.Name, Value: cleanText(c.Value), Issuer: cleanText(i.Name)})
	}
	return out, nil
}
