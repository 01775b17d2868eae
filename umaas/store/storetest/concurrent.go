package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

func testTransactions(t *testing.T, f *fixture) {
	fail := errors.New("fail")
	f.refused(fail, func(tx umaas.Tx) error {
		if err := tx.PutClient(umaas.Client{ID: "app"}); err != nil {
			return err
		}
		if _, err := tx.Client("app"); err != nil {
			t.Errorf("own write: %v", err)
		}
		return fail
	})
	absent(f, "after a failure", func(r umaas.Reader) (umaas.Client, error) { return r.Client("app") })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.store.Update(ctx, func(umaas.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("done context: %v", err)
	}
	err := f.store.View(context.Background(), func(r umaas.Reader) error {
		return r.(umaas.Tx).PutClient(umaas.Client{ID: "app"}) // whoever does this must not get away with it
	})
	if err == nil {
		t.Error("a reading transaction wrote")
	}
}

const parallel = 64

// race runs one function in 64 transactions at once and wants one winner; the others are to fail with one error.
func race(t *testing.T, stores []umaas.Store, want error, take func(umaas.Tx, int) error) {
	t.Helper()
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range parallel {
		wg.Go(func() {
			<-begin
			switch err := stores[i%len(stores)].Update(context.Background(), func(tx umaas.Tx) error { return take(tx, i) }); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, want):
				lost.Add(1)
			default:
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if won.Load() != 1 || lost.Load() != parallel-1 {
		t.Errorf("%d won and %d lost, want 1 and %d", won.Load(), lost.Load(), parallel-1)
	}
}

// Race runs every single-use race on servers that share what they store, and wants one winner of each. The stores are
// several views of one engine.
func Race(t *testing.T, stores ...umaas.Store) {
	f := &fixture{t: t, store: stores[0]}
	t.Run("ticket", func(t *testing.T) { raceTicket(t, f, stores) })
	t.Run("code", func(t *testing.T) { raceCode(t, f, stores) })
	t.Run("refresh token", func(t *testing.T) { raceToken(t, f, stores) })
	t.Run("identifier", func(t *testing.T) { raceSpend(t, stores) })
	t.Run("login", func(t *testing.T) { raceLogin(t, stores) })
}

func testOneTicket(t *testing.T, f *fixture)       { raceTicket(t, f, []umaas.Store{f.store}) }
func testOneCode(t *testing.T, f *fixture)         { raceCode(t, f, []umaas.Store{f.store}) }
func testOneRefreshToken(t *testing.T, f *fixture) { raceToken(t, f, []umaas.Store{f.store}) }
func testOneSpend(t *testing.T, f *fixture)        { raceSpend(t, []umaas.Store{f.store}) }
func testOneLogin(t *testing.T, f *fixture)        { raceLogin(t, []umaas.Store{f.store}) }

// raceTicket: exactly one successor is left, and one grant.
func raceTicket(t *testing.T, f *fixture, stores []umaas.Store) {
	k, end := f.key(0), start.Add(time.Hour)
	f.update(func(tx umaas.Tx) error { return tx.PutTicket(umaas.Ticket{Key: k, Expires: end}) })
	var successors [parallel]umaas.Key
	for i := range successors {
		successors[i] = f.key(1)
	}
	race(t, stores, umaas.ErrNotFound, func(tx umaas.Tx, i int) error {
		if err := tx.DeleteTicket(k); err != nil {
			return err
		}
		if err := tx.PutGrant(umaas.Grant{Key: successors[i], Party: "winner", Expires: end}); err != nil {
			return err
		}
		return tx.PutTicket(umaas.Ticket{Key: successors[i], Process: k, Expires: end})
	})
	left := 0
	for _, s := range successors {
		err := f.store.View(context.Background(), func(r umaas.Reader) error {
			_, err := r.Ticket(s, start)
			return err
		})
		if err == nil {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d successors, want 1", left)
	}
	absent(f, "the ticket", func(r umaas.Reader) (umaas.Ticket, error) { return r.Ticket(k, start) })
}

var errUsed = errors.New("used before")

func raceCode(t *testing.T, f *fixture, stores []umaas.Store) {
	k := f.key(0)
	f.update(func(tx umaas.Tx) error { return tx.PutCode(umaas.Code{Key: k, Expires: start.Add(time.Hour)}) })
	race(t, stores, errUsed, func(tx umaas.Tx, _ int) error {
		c, err := tx.Code(k, start)
		if err != nil {
			return err
		}
		if !c.Used.IsZero() {
			return errUsed
		}
		c.Used = start
		return tx.PutCode(c)
	})
}

func raceToken(t *testing.T, f *fixture, stores []umaas.Store) {
	k := f.key(0)
	f.update(func(tx umaas.Tx) error {
		return tx.PutToken(umaas.Token{Key: k, Kind: umaas.TokenRefresh, Expires: start.Add(time.Hour)})
	})
	race(t, stores, errUsed, func(tx umaas.Tx, _ int) error {
		v, err := tx.Token(k, start)
		if err != nil {
			return err
		}
		if !v.Used.IsZero() {
			return errUsed
		}
		v.Used = start
		return tx.PutToken(v)
	})
}

func raceSpend(t *testing.T, stores []umaas.Store) {
	race(t, stores, umaas.ErrExists, func(tx umaas.Tx, _ int) error { return tx.Spend("jti", "one", start, start.Add(time.Hour)) })
}

func raceLogin(t *testing.T, stores []umaas.Store) {
	race(t, stores, umaas.ErrExists, func(tx umaas.Tx, i int) error {
		return tx.PutAccount(umaas.Account{ID: umaas.AccountID("account-" + strconv.Itoa(i)), Login: "one"})
	})
}
