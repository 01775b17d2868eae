package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// EventSpool implements Recorder: events are durable here before Record returns, and are delivered afterwards, in batches
// per (authorization server, owner), until that server has taken them. Delivery may happen twice; ids make it once.
type EventSpool struct {
	spool   Spool
	tokens  *Tokens
	clients AuthorizationServers
	now     func() time.Time
	log     *slog.Logger
}

// NewEventSpool returns a recorder over a spool.
func NewEventSpool(spool Spool, tokens *Tokens, clients AuthorizationServers, now func() time.Time, log *slog.Logger) *EventSpool {
	return &EventSpool{spool: spool, tokens: tokens, clients: clients, now: now, log: log}
}

var _ Recorder = (*EventSpool)(nil)

// Bounds: events of one stored batch, stored batches read at once, events of one report.
const (
	eventsPerBatch  = 100
	batchesPerRead  = 200
	eventsPerReport = 500
)

// Record implements Recorder. An event without an id or a set is a fault of the caller and refused as a whole.
func (e *EventSpool) Record(ctx context.Context, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	at := map[Owner]int{}
	var batches []SpooledEvents
	for _, ev := range events {
		if ev.ID == "" || ev.Set.Issuer == "" || ev.Outcome == "" {
			return errors.New("record access: an event needs an id, a set and an outcome")
		}
		o := Owner{Issuer: ev.Set.Issuer, User: ev.Set.User}
		i, ok := at[o]
		if !ok || len(batches[i].Events) >= eventsPerBatch {
			i = len(batches)
			at[o] = i
			batches = append(batches, SpooledEvents{Owner: o})
		}
		ev.ResourceID = ev.Set.ResourceID
		batches[i].Events = append(batches[i].Events, ev)
	}
	if err := e.spool.AppendEvents(ctx, batches); err != nil {
		return fmt.Errorf("record access: %w", err)
	}
	return nil
}

func (e *EventSpool) deliverTo(ctx context.Context, issuer string) (int, error) {
	taken := 0
	var failed error
	for after := []byte(nil); ; {
		page, err := e.spool.SpooledEvents(ctx, issuer, after, batchesPerRead)
		if err != nil {
			return taken, fmt.Errorf("read spool: %w", err)
		}
		for _, group := range byOwner(page) {
			err := e.report(ctx, group)
			if errors.Is(err, ErrUnreachable) {
				return taken, err // the others of this server would fail, too
			}
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			if err := e.spool.EventsDelivered(ctx, group.keys); err != nil {
				return taken, fmt.Errorf("empty spool: %w", err)
			}
			taken += len(group.events)
		}
		if len(page) < batchesPerRead {
			return taken, failed
		}
		after = page[len(page)-1].Key
	}
}

// group is what is reported to one owner at once.
type group struct {
	owner  Owner
	keys   [][]byte
	events []uma.AccessEvent
}

func byOwner(page []SpooledEvents) []group {
	var groups []group
	at := map[Owner]int{}
	for _, b := range page {
		i, ok := at[b.Owner]
		if !ok || len(groups[i].events)+len(b.Events) > eventsPerReport {
			i = len(groups)
			at[b.Owner] = i
			groups = append(groups, group{owner: b.Owner})
		}
		groups[i].keys = append(groups[i].keys, b.Key)
		for _, ev := range b.Events {
			groups[i].events = append(groups[i].events, ev.AccessEvent)
		}
	}
	return groups
}

// report sends one group with its owner's PAT. Where she has taken that back, this server's own speaks for the set. An
// authorization server that takes no events is not asked again.
func (e *EventSpool) report(ctx context.Context, g group) error {
	own := Owner{Issuer: g.owner.Issuer}
	err := e.send(ctx, g.owner, g.events)
	if errors.Is(err, ErrNoPAT) && g.owner != own {
		err = e.send(ctx, own, g.events)
	}
	if errors.Is(err, asclient.ErrNoAccessEvents) {
		return nil
	}
	return err
}

// send reports events as o. A report that is refused as a whole is halved until only what the server will never take is
// left, the access to a set that is gone for example: that goes to the log, and the others arrive.
func (e *EventSpool) send(ctx context.Context, o Owner, events []uma.AccessEvent) error {
	err := e.tokens.With(ctx, o, func(c *asclient.Client, pat string) error { return c.ReportAccess(ctx, pat, events) })
	var refused *uma.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || errors.Is(err, ErrNoPAT) {
		return err
	}
	if len(events) == 1 {
		e.log.WarnContext(ctx, "an access event is refused for good", "issuer", o.Issuer, "id", events[0].ID, "code", refused.Code)
		return nil
	}
	half := len(events) / 2
	if err := e.send(ctx, o, events[:half]); err != nil {
		return err
	}
	return e.send(ctx, o, events[half:])
}
