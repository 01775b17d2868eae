package umaas

import (
	"context"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Bounds of one access report.
const (
	maxEvents     = 500
	eventsPerTx   = 20                  // a transaction takes 100 writes, one event up to four
	eventMemory   = 90 * 24 * time.Hour // how long a repeated event id is recognized
	maxEventTypes = 50
)

// accessOutcomes maps the wire words (uma.AccessEvent) to AuditEvent.outcome.
var accessOutcomes = map[string]Outcome{"success": OutcomeSuccess, "refused": OutcomeRefused, "failed": OutcomeFailed}

// RecordAccess takes a resource server's report of accesses into their owners' histories. Each event id counts once per
// resource server, so a report may be sent again whole. All events are judged before the first is stored. A PAT of a person
// reports on that person's resources; one of the resource server's own account on all of its resources.
// Errors: uma.ErrInvalidRequest, uma.ErrInvalidResourceID.
func (s *Service) RecordAccess(ctx context.Context, p PAT, events []uma.AccessEvent) error {
	if len(events) == 0 || len(events) > maxEvents {
		return uma.ErrInvalidRequest.With(fmt.Sprintf("report 1 to %d events at a time", maxEvents))
	}
	times := make([]time.Time, len(events))
	for i, e := range events {
		var err error
		if times[i], err = checkEvent(e); err != nil {
			return err
		}
	}
	owners := make([]AccountID, len(events))
	err := s.Store.View(ctx, func(r Reader) error {
		for i, e := range events {
			var err error
			if owners[i], err = eventOwner(r, p, ResourceID(e.ResourceID)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	now := s.Now()
	for first := 0; first < len(events); first += eventsPerTx {
		last := min(first+eventsPerTx, len(events))
		err := s.Store.Update(ctx, func(tx Tx) error {
			for i := first; i < last; i++ {
				if err := s.recordAccess(tx, p, events[i], owners[i], times[i], now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("record access: %w", err)
		}
	}
	return nil
}

func checkEvent(e uma.AccessEvent) (time.Time, error) {
	bad := func(text string) (time.Time, error) { return time.Time{}, uma.ErrInvalidRequest.With(text) }
	if e.ID == "" || len(e.ID) > 64 {
		return bad("id: give each event one of 1 to 64 characters")
	}
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil {
		return bad("time: want RFC 3339")
	}
	if _, known := accessOutcomes[e.Outcome]; !known {
		return bad("outcome: want success, refused or failed")
	}
	for _, text := range append([]string{e.JTI, e.ClientID, e.Sub, e.ResourceID, e.Interaction, e.Reason, e.RequestID}, e.Types...) {
		if len(text) > 256 {
			return bad("a member of an event is longer than 256 bytes")
		}
	}
	if e.Interaction == "" || len(e.Types) > maxEventTypes || e.Count < 0 {
		return bad("an event needs an interaction, at most 50 types and a count that is not negative")
	}
	return at.UTC(), nil
}

// eventOwner finds whose history an event belongs to. Nobody can write into a history he holds no PAT for.
func eventOwner(r Reader, p PAT, id ResourceID) (AccountID, error) {
	if id == "" {
		return p.Owner, nil
	}
	_, err := r.Resource(p.Owner, p.RS, id)
	if err == nil {
		return p.Owner, nil
	}
	if gone, err := absent(err); !gone {
		return "", err
	}
	own, err := ownAccount(r, p)
	if err != nil {
		return "", err
	}
	if !own {
		return "", uma.ErrInvalidResourceID
	}
	owner, err := r.ResourceOwner(p.RS, id)
	if gone, err := absent(err); err != nil {
		return "", err
	} else if gone {
		return "", uma.ErrInvalidResourceID
	}
	return owner, nil
}

func (s *Service) recordAccess(tx Tx, p PAT, e uma.AccessEvent, owner AccountID, at, now time.Time) error {
	seen, err := tx.SeenEvent(p.RS, e.ID)
	if err != nil || seen {
		return err
	}
	if err := tx.MarkEvent(p.RS, e.ID, now.Add(eventMemory)); err != nil {
		return err
	}
	audit := AuditEvent{
		Type: EventAccess, Owner: owner, Outcome: accessOutcomes[e.Outcome], Reason: e.Reason, RS: p.RS,
		Client: ClientID(e.ClientID), Actor: AccountID(e.Sub), Resource: ResourceID(e.ResourceID), RequestID: e.RequestID,
		Access: &Access{
			ID: e.ID, Interaction: e.Interaction, Types: e.Types, Count: e.Count, Outcome: e.Outcome, Reason: e.Reason,
		},
	}
	if err := s.attribute(tx, e.JTI, owner, p.RS, now, &audit); err != nil {
		return err
	}
	return s.tell(tx, within(at, now), audit)
}

// within keeps a reported time inside what a history can hold: a clock ahead of ours cannot put events into the future.
func within(at, now time.Time) time.Time {
	if at.After(now) {
		return now
	}
	if first := now.Add(-eventMemory); at.Before(first) {
		return first
	}
	return at
}

// attribute takes who and by which share from the token itself where it is still known; a resource server's word is used
// only without it.
func (s *Service) attribute(r Reader, jti string, owner AccountID, rs ClientID, now time.Time, e *AuditEvent) error {
	key, ok := s.handles.OpenID(jti)
	if !ok {
		return nil
	}
	t, err := r.Token(key, now)
	if gone, err := absent(err); gone || err != nil {
		return err
	}
	g, err := r.Grant(t.Grant, now)
	if gone, err := absent(err); gone || err != nil || g.Owner != owner || g.RS != rs {
		return err
	}
	e.Actor, e.Client, e.Grant, e.Process = g.Party, g.Client, g.Key, g.Process
	for _, p := range g.Permissions {
		if p.Resource == e.Resource && len(p.Policies) > 0 {
			e.Policy = p.Policies[0]
			break
		}
	}
	return nil
}
