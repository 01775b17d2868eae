package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// This file is what becomes of a person's access events when another account guards what is hers: first they are offered to
// the server she leaves, which still knows the sets they are about; what it does not take goes to the new one.

// deliverOwner sends what waits for one owner.
func (e *EventSpool) deliverOwner(ctx context.Context, o Owner) error {
	var hers []SpooledEvents
	err := e.each(ctx, o.Issuer, func(b SpooledEvents) error {
		if b.Owner == o {
			hers = append(hers, b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, g := range byOwner(hers) {
		if err := e.report(ctx, g); err != nil {
			return err
		}
		if err := e.spool.EventsDelivered(ctx, g.keys); err != nil {
			return fmt.Errorf("empty spool: %w", err)
		}
	}
	return nil
}

// handOver gives what still waits for an account that is let go to the account that guards now. The events are about the sets
// of the same patients there, whose app and party are the old server's: they name it, so that none passes for one of the new.
// What is appended before what is taken away may be there twice after a crash; ids make it once.
func (r *Registrar) handOver(ctx context.Context, from, to Owner) error {
	var keys [][]byte
	var batches []SpooledEvents
	err := r.events.each(ctx, from.Issuer, func(b SpooledEvents) error {
		if b.Owner != from {
			return nil
		}
		next := SpooledEvents{Owner: to, Events: slices.Clone(b.Events)}
		for i := range next.Events {
			if err := r.readdress(ctx, &next.Events[i], from, to); err != nil {
				return err
			}
		}
		keys, batches = append(keys, b.Key), append(batches, next)
		return nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	if err := r.cfg.State.AppendEvents(ctx, batches); err != nil {
		return fmt.Errorf("hand over access events: %w", err)
	}
	r.cfg.Logger.WarnContext(ctx, "access events of an account that is let go are handed to the one that guards now",
		"from", from.Issuer, "to", to.Issuer, "batches", len(batches))
	return r.cfg.State.EventsDelivered(ctx, keys)
}

// readdress makes an event one about a set of the new account: of the same patient, or, where she has none of him there, her
// set of everything. Without either it waits for them to be registered.
func (r *Registrar) readdress(ctx context.Context, ev *Event, from, to Owner) error {
	reg, err := r.registered(ctx, to, ev.Set.Patient)
	if errors.Is(err, ErrNotKept) {
		reg, err = r.registered(ctx, to, "")
	}
	if err != nil {
		return fmt.Errorf("hand over access events: find the set at the new server: %w", err)
	}
	ev.Set, ev.ResourceID, ev.JTI = reg.Set, reg.ResourceID, ""
	ev.ClientID, ev.Sub = elsewhere(from.Issuer, ev.ClientID), elsewhere(from.Issuer, ev.Sub)
	return nil
}

// elsewhere names something of another authorization server, within what an event may hold.
func elsewhere(issuer, id string) string {
	if id == "" {
		return ""
	}
	name := id + " at " + issuer
	return name[:min(len(name), 256)]
}
