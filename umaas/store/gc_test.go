package store_test

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
)

type clock struct{ offset atomic.Int64 }

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *clock) now() time.Time          { return epoch.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func numbered(n int) umaas.Key {
	var k umaas.Key
	binary.BigEndian.PutUint64(k[8:], uint64(n)+1)
	return k
}

// litter stores n records of each kind that ends; every third lives for a day, the others for a minute.
func litter(t *testing.T, s umaas.Store, n int) {
	t.Helper()
	for i := range n {
		end := epoch.Add(time.Minute)
		if i%3 == 0 {
			end = epoch.Add(24 * time.Hour)
		}
		k := numbered(i)
		err := s.Update(context.Background(), func(tx umaas.Tx) error {
			for _, err := range []error{
				tx.PutTicket(umaas.Ticket{Key: k, Expires: end}), tx.PutFlow(umaas.Flow{Key: k, Expires: end}),
				tx.PutGrant(umaas.Grant{Key: k, Party: "bob", Expires: end}), tx.PutToken(umaas.Token{Key: k, Expires: end}),
				tx.PutCode(umaas.Code{Key: k, Expires: end}), tx.PutSession(umaas.Session{Key: k, Expires: end}),
				tx.Spend("jti", k.String(), epoch, end),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func size(t *testing.T, e kv.Engine) int {
	t.Helper()
	n := 0
	err := e.View(context.Background(), func(tx kv.Tx) error {
		n = 0
		for after := []byte(nil); ; {
			page, err := tx.Scan(nil, after, kv.MaxScan)
			if err != nil {
				return err
			}
			if n += len(page); len(page) < kv.MaxScan {
				return nil
			}
			after = page[len(page)-1].Key
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCollect(t *testing.T) {
	const n = 600 // more than a page of each kind
	e, c := memkv.New(memkv.Options{Conflict: often}), &clock{}
	s := over(t, e, c.now)
	empty := size(t, e)
	litter(t, s, n)
	for _, step := range []struct {
		name          string
		advance       time.Duration
		removed, left int // records of seven kinds, and one index entry per grant
	}{
		{"nothing has ended", 0, 0, n * 8},
		{"just ended: grace for other clocks", 2 * time.Minute, 0, n * 8},
		{"ended", 10 * time.Minute, n * 2 / 3 * 7, n / 3 * 8},
		{"nothing more", 0, 0, n / 3 * 8},
		{"a day later", 25 * time.Hour, n / 3 * 7, 0},
	} {
		c.advance(step.advance)
		got, err := s.Collect(context.Background())
		if err != nil || got.Removed != step.removed || got.Busy || got.Damaged != 0 {
			t.Errorf("%s: %+v, %v; want %d removed", step.name, got, err, step.removed)
		}
		if left := size(t, e) - empty; left != step.left {
			t.Errorf("%s: %d keys left, want %d", step.name, left, step.left)
		}
	}
}

// TestCollectUnderLease: one server collects; one that died with the lease is waited for, not for ever.
func TestCollectUnderLease(t *testing.T) {
	e, c := memkv.New(memkv.Options{}), &clock{}
	first, second := over(t, e, c.now), over(t, e, c.now)
	litter(t, first, 90)
	c.advance(time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	interrupted := store.Options{Now: func() time.Time { // ends its context when it looks at the first record
		cancel()
		return c.now()
	}}
	dying, err := store.New(context.Background(), e, interrupted)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dying.Collect(ctx); err == nil {
		t.Error("an interrupted pass told no error")
	}
	if got, err := second.Collect(context.Background()); err != nil || !got.Busy || got.Removed != 0 {
		t.Errorf("under another's lease: %+v, %v", got, err)
	}
	c.advance(2 * time.Minute)
	if got, err := second.Collect(context.Background()); err != nil || got.Busy || got.Removed != 60*7 {
		t.Errorf("after the lease: %+v, %v", got, err)
	}
	if got, err := first.Collect(context.Background()); err != nil || got.Busy {
		t.Errorf("after a lease given back: %+v, %v", got, err)
	}
}

// TestCollectBesideRenewal: a record whose end moves while a pass runs stays, whoever is first.
func TestCollectBesideRenewal(t *testing.T) {
	e, c := memkv.New(memkv.Options{Conflict: often}), &clock{}
	s := over(t, e, c.now)
	const n = 300
	litter(t, s, n)
	c.advance(time.Hour)
	end := c.now().Add(time.Hour)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			err := s.Update(context.Background(), func(tx umaas.Tx) error {
				return tx.PutGrant(umaas.Grant{Key: numbered(i), Party: "bob", Expires: end})
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := s.Collect(context.Background()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	err := s.View(context.Background(), func(r umaas.Reader) error {
		list, err := r.PartyGrants("bob", umaas.Key{}, 1000)
		if len(list) != n {
			t.Errorf("%d grants are there and listed, want %d", len(list), n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeepClean(t *testing.T) {
	e, c := memkv.New(memkv.Options{}), &clock{}
	s := over(t, e, c.now)
	litter(t, s, 3)
	c.advance(time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	removed := 0
	s.KeepClean(ctx, time.Millisecond, func(got store.Collected, err error) {
		if err != nil {
			t.Error(err)
		}
		removed += got.Removed
		cancel()
	})
	if removed != 2*7 {
		t.Errorf("removed %d, want 14", removed)
	}
}

// TestCollectEndedPolicies: a policy that has ended leaves the index and stays in its owner's history; one whose end was moved
// does not leave, and one that was given an end again is found again.
func TestCollectEndedPolicies(t *testing.T) {
	e, c := memkv.New(memkv.Options{Conflict: often}), &clock{}
	s := over(t, e, c.now)
	who := umaas.Who{Kind: umaas.WhoAccount, Account: "bob"}
	put := func(id umaas.PolicyID, until time.Duration) {
		p := umaas.Policy{ID: id, Owner: "alice", Who: who, NotAfter: epoch.Add(until)}
		for n := range 20 {
			p.Rules = append(p.Rules, umaas.Rule{RS: "rs", Resource: umaas.ResourceID(rune('a' + n))})
		}
		if err := s.Update(context.Background(), func(tx umaas.Tx) error { return tx.PutPolicy(p) }); err != nil {
			t.Fatal(err)
		}
	}
	found := func() (n int) {
		t.Helper()
		err := s.View(context.Background(), func(r umaas.Reader) error {
			list, err := r.PoliciesFor("alice", "rs", "c", []umaas.Who{who})
			n = len(list)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for n := range 9 {
		put(umaas.PolicyID(rune('a'+n)), time.Minute)
	}
	put("moved", time.Minute)
	put("moved", 24*time.Hour)
	if n := found(); n != 10 {
		t.Fatalf("%d found", n)
	}
	before := size(t, e)
	c.advance(2 * time.Minute)
	if n := found(); n != 1 {
		t.Errorf("%d found after their end", n)
	}
	c.advance(time.Hour)
	if _, err := s.Collect(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := before - size(t, e); n != 9*(20+1) { // index entries and the ends themselves
		t.Errorf("%d keys were removed, want %d", n, 9*21)
	}
	put("a", 48*time.Hour)
	if n := found(); n != 2 {
		t.Errorf("%d found after one got a new end", n)
	}
}
