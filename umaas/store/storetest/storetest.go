// Package storetest is the contract of umaas.Store as tests, for whoever implements it over whatever engine:
//
//	func TestStore(t *testing.T) { storetest.Run(t, func(t *testing.T, now func() time.Time) umaas.Store { … }) }
//
// It owns what the core relies on: every field comes back, an end is an end to the nanosecond, lists are ordered and paged,
// indexes follow their records, single use has one winner.
package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// Open makes an empty store that judges by the given clock; Run closes it.
type Open func(t *testing.T, now func() time.Time) umaas.Store

// Run tests the contract.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *fixture)
	}{
		{"every field comes back", testFields},
		{"SEC_11_an end is an end", testExpiry},
		{"accounts", testAccounts},
		{"accounts have their names alone", testNames},
		{"clients", testClients},
		{"resources", testResources},
		{"SEC_42_a resource has one owner", testResourceOwner},
		{"scope lists", testScopeLists},
		{"policies for parties", testPoliciesFor},
		{"policies change", testPolicyChanges},
		{"wide policies", testWidePolicy},
		{"requests", testRequests},
		{"open requests", testOpenRequest},
		{"grants of a party", testPartyGrants},
		{"people by identity", testIdentities},
		{"trusted issuers", testIssuers},
		{"persisted claims of a party", testPCTs},
		{"invitations of an owner", testInvitations},
		{"delegations", testDelegations},
		{"changes are numbered", testChanges},
		{"audit", testAudit},
		{"single-use identifiers", testSpend},
		{"access events", testEvents},
		{"settings", testSettings},
		{"transactions", testTransactions},
		{"strange ids", testStrangeIDs},
		{"SEC_02_64 take one ticket", testOneTicket},
		{"SEC_104_64 take one code", testOneCode},
		{"SEC_109_64 take one refresh token", testOneRefreshToken},
		{"64 spend one identifier", testOneSpend},
		{"64 take one login", testOneLogin},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{t: t}
			f.clock.Store(start.UnixNano())
			f.store = open(t, func() time.Time { return time.Unix(0, f.clock.Load()).UTC() })
			defer func() {
				if err := f.store.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			c.test(t, f)
		})
	}
}

var start = time.Date(2026, 3, 4, 5, 6, 7, 890123456, time.UTC)

// fixture is one store with its clock.
type fixture struct {
	t     *testing.T
	store umaas.Store
	clock atomic.Int64 // Unix nanoseconds
	keys  atomic.Uint64
}

func (f *fixture) update(fn func(umaas.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(context.Background(), fn); err != nil {
		f.t.Fatalf("update: %v", err)
	}
}

// refused wants an update to fail with an error.
func (f *fixture) refused(want error, fn func(umaas.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(context.Background(), fn); !errors.Is(err, want) {
		f.t.Errorf("update: %v, want %v", err, want)
	}
}

// key makes a record key n seconds after start; equal moments still give different keys.
func (f *fixture) key(seconds int) umaas.Key {
	var k umaas.Key
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(start.Add(time.Duration(seconds)*time.Second).UnixMilli()))
	copy(k[:6], b[2:])
	binary.BigEndian.PutUint64(k[8:], f.keys.Add(1))
	return k
}

// get reads one thing.
func get[T any](f *fixture, fn func(umaas.Reader) (T, error)) T {
	f.t.Helper()
	var got T
	err := f.store.View(context.Background(), func(r umaas.Reader) (err error) {
		got, err = fn(r)
		return err
	})
	if err != nil {
		f.t.Errorf("read: %v", err)
	}
	return got
}

// absent wants ErrNotFound and nothing else.
func absent[T any](f *fixture, what string, fn func(umaas.Reader) (T, error)) {
	f.t.Helper()
	err := f.store.View(context.Background(), func(r umaas.Reader) error {
		got, err := fn(r)
		if !reflect.ValueOf(&got).Elem().IsZero() {
			f.t.Errorf("%s: not found, and yet %+v", what, got)
		}
		return err
	})
	if !errors.Is(err, umaas.ErrNotFound) {
		f.t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}

// equal compares deeply.
func equal[T any](f *fixture, what string, got, want T) {
	f.t.Helper()
	if !reflect.DeepEqual(got, want) {
		f.t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// ids lists one field of a list.
func ids[T any, I any](list []T, id func(T) I) []I {
	out := make([]I, 0, len(list))
	for _, v := range list {
		out = append(out, id(v))
	}
	return out
}
