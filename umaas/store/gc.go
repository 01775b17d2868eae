package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv"
)

const (
	gcPage  = 500              // records looked at in one reading transaction
	gcBatch = 32               // records removed in one writing transaction: two keys each and the lease
	gcLease = time.Minute      // renewed with every batch
	gcGrace = 10 * time.Minute // between the end of a record and its removal: other servers' clocks may be behind
)

// regionsWithEnd hold records whose first field is their end.
func regionsWithEnd() []byte {
	return []byte{regionTicket, regionFlow, regionCode, regionToken, regionGrant, regionSession, regionPCT, regionInvitation, regionChange, regionUsed}
}

// Collected tells what one pass of the garbage collection did.
type Collected struct {
	Looked  int  // records
	Removed int  // records
	Damaged int  // records whose end cannot be read; left where they are
	Busy    bool // another server is at it; nothing was done
}

// lease lets one server at a time collect. Two at once would do the same work twice, but no harm: every removal looks
// again, in its own transaction, whether the record has ended.
type lease struct {
	until  time.Time
	holder umaas.Key
}

func leaseFields(c *codec, v *lease) {
	c.when(&v.until)
	c.key(&v.holder)
}

func leaseKey() []byte { return plainKey(regionMeta, "gc") }

var errLeased = errors.New("another server collects")

// KeepClean collects every interval until ctx ends, and tells report what came of it.
func (s *Store) KeepClean(ctx context.Context, interval time.Duration, report func(Collected, error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c, err := s.Collect(ctx)
			if ctx.Err() == nil {
				report(c, err)
			}
		}
	}
}

// Collect removes what has ended, in one pass of small transactions over the regions of short-lived records. A pass that is
// broken off has done no harm; the next one finds the rest.
func (s *Store) Collect(ctx context.Context) (Collected, error) {
	var c Collected
	holder := umaas.Key{}
	if _, err := io.ReadFull(s.random, holder[:]); err != nil {
		return c, fmt.Errorf("collect garbage: %w", err)
	}
	err := s.engine.Update(ctx, func(t kv.Tx) error { return s.renew(t, holder) })
	for _, region := range regionsWithEnd() {
		if err == nil {
			err = s.collectRegion(ctx, region, holder, &c)
		}
	}
	if err == nil {
		err = s.engine.Update(ctx, func(t kv.Tx) error {
			if err := s.renew(t, holder); err != nil {
				return err
			}
			return t.Delete(leaseKey())
		})
	}
	if errors.Is(err, errLeased) {
		c.Busy = true
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("collect garbage: %w", err)
	}
	return c, nil
}

// renew takes or keeps the lease.
func (s *Store) renew(t kv.Tx, holder umaas.Key) error {
	now := s.now()
	raw, err := t.Get(leaseKey())
	if err == nil {
		held, err := decode(raw, leaseFields)
		if err == nil && held.holder != holder && now.Before(held.until) {
			return errLeased
		}
	} else if !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	return t.Put(leaseKey(), encode(&lease{until: now.Add(gcLease), holder: holder}, leaseFields))
}

func (s *Store) collectRegion(ctx context.Context, region byte, holder umaas.Key, c *Collected) error {
	var after []byte
	for {
		var pairs []kv.Pair
		err := s.engine.View(ctx, func(t kv.Tx) (err error) {
			pairs, err = t.Scan([]byte{region}, after, gcPage)
			return err
		})
		if err != nil {
			return err
		}
		var ended [][]byte
		for _, p := range pairs {
			c.Looked++
			switch gone, err := s.ended(p.Value); {
			case err != nil:
				c.Damaged++
			case gone:
				ended = append(ended, p.Key)
			}
		}
		for len(ended) > 0 {
			n := min(len(ended), gcBatch)
			removed, err := s.remove(ctx, region, ended[:n], holder)
			if err != nil {
				return err
			}
			c.Removed += removed
			ended = ended[n:]
		}
		if len(pairs) < gcPage {
			return nil
		}
		after = pairs[len(pairs)-1].Key
	}
}

func (s *Store) ended(raw []byte) (bool, error) {
	end, err := expiry(raw)
	return err == nil && !s.now().Before(end.Add(gcGrace)), err
}

// remove deletes those of the records that have still ended, with what points to them.
func (s *Store) remove(ctx context.Context, region byte, keys [][]byte, holder umaas.Key) (int, error) {
	var removed int
	err := s.engine.Update(ctx, func(t kv.Tx) error {
		removed = 0
		if err := s.renew(t, holder); err != nil {
			return err
		}
		for _, key := range keys {
			raw, err := t.Get(key)
			if errors.Is(err, kv.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if gone, err := s.ended(raw); err != nil || !gone {
				continue // it lives on after all
			}
			if err := removeIndex(t, region, raw); err != nil {
				return err
			}
			if err := t.Delete(key); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	return removed, err
}

// removeIndex takes a record off the list of the account it is listed with.
func removeIndex(t kv.Tx, region byte, raw []byte) error {
	switch region {
	case regionGrant:
		g, err := decode(raw, grantFields)
		if err != nil || g.Party == "" {
			return err
		}
		return t.Delete(newestFirst(g.Party, kindPartyGrant, g.Key))
	case regionPCT:
		p, err := decode(raw, pctFields)
		if err != nil {
			return err
		}
		return t.Delete(newestFirst(p.Party.Account, kindPartyPCT, p.Key))
	case regionInvitation:
		i, err := decode(raw, invitationFields)
		if err != nil {
			return err
		}
		return t.Delete(newestFirst(i.Owner, kindInvitation, i.Key))
	default:
		return nil
	}
}
