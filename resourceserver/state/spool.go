package state

import (
	"context"
	"fmt"
	"io"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

type eventsRecord struct {
	Issuer string     `json:"i"`
	User   string     `json:"u,omitempty"`
	Events []rs.Event `json:"e"`
}

// perTransaction keeps well below the engine's bound.
const perTransaction = 50

// AppendEvents implements resourceserver.Spool. One transaction holds up to 50 batches; engines join the commits of
// parallel calls.
func (s *Store) AppendEvents(ctx context.Context, batches []rs.SpooledEvents) error {
	for len(batches) > 0 {
		part := batches[:min(len(batches), perTransaction)]
		batches = batches[len(part):]
		keys := make([][]byte, len(part))
		for i, b := range part {
			var random [8]byte
			if _, err := io.ReadFull(s.random, random[:]); err != nil {
				return fmt.Errorf("state: randomness: %w", err)
			}
			keys[i] = key("e", issuerPart(b.Owner.Issuer), timed(s.now(), random))
		}
		err := s.engine.Update(ctx, func(tx kv.Tx) error {
			for i, b := range part {
				if err := save(tx, keys[i], eventsRecord{Issuer: b.Owner.Issuer, User: b.Owner.User, Events: b.Events}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SpooledEvents implements resourceserver.Spool.
func (s *Store) SpooledEvents(ctx context.Context, issuer string, after []byte, limit int) ([]rs.SpooledEvents, error) {
	var list []rs.SpooledEvents
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		pairs, err := tx.Scan(under("e", issuerPart(issuer)), after, min(max(limit, 1), kv.MaxScan))
		if err != nil {
			return err
		}
		for _, p := range pairs {
			var r eventsRecord
			if err := decode(p.Value, &r); err != nil {
				return err
			}
			list = append(list, rs.SpooledEvents{Key: p.Key, Owner: rs.Owner{Issuer: r.Issuer, User: r.User}, Events: r.Events})
		}
		return nil
	})
	return list, err
}

// SpoolIssuers implements resourceserver.Spool. It reads one key for each, however much waits.
func (s *Store) SpoolIssuers(ctx context.Context) ([]string, error) {
	var list []string
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		for after := []byte(nil); ; {
			pairs, err := tx.Scan(under("e"), after, 1)
			if err != nil || len(pairs) == 0 {
				return err
			}
			var r eventsRecord
			if err := decode(pairs[0].Value, &r); err != nil {
				return err
			}
			list = append(list, r.Issuer)
			after = append(under("e", issuerPart(r.Issuer)), 0xff)
		}
	})
	return list, err
}

// EventsDelivered implements resourceserver.Spool.
func (s *Store) EventsDelivered(ctx context.Context, keys [][]byte) error {
	for len(keys) > 0 {
		part := keys[:min(len(keys), perTransaction)]
		keys = keys[len(part):]
		err := s.engine.Update(ctx, func(tx kv.Tx) error {
			for _, k := range part {
				if err := tx.Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
