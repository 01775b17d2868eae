package kvtest

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/umaas/umaas/umaas/store/kv"
)

const parallel = 64

func testCounter(t *testing.T, e kv.Engine) {
	const each = 20
	refused := errors.New("refused")
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := range each {
				if err := e.Update(context.Background(), count); err != nil {
					t.Errorf("count: %v", err)
				}
				if i%4 == 0 { // a neighbour that fails takes nobody along
					err := e.Update(context.Background(), func(tx kv.Tx) error { return errors.Join(count(tx), refused) })
					if !errors.Is(err, refused) {
						t.Errorf("refused: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	want(t, e, "n", strconv.Itoa(parallel*each))
}

func count(tx kv.Tx) error {
	v, err := tx.Get([]byte("n"))
	if errors.Is(err, kv.ErrNotFound) {
		v = []byte("0")
	} else if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(v))
	if err != nil {
		return err
	}
	return tx.Put([]byte("n"), strconv.AppendInt(nil, int64(n+1), 10))
}

func testSingleUse(t *testing.T, e kv.Engine) {
	put(t, e, "ticket", "x")
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for i := range parallel {
		wg.Go(func() {
			err := e.Update(context.Background(), func(tx kv.Tx) error {
				if _, err := tx.Get([]byte("ticket")); err != nil {
					return err
				}
				if err := tx.Put([]byte("successor/"+strconv.Itoa(i)), nil); err != nil {
					return err
				}
				return tx.Delete([]byte("ticket"))
			})
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, kv.ErrNotFound):
				lost.Add(1)
			default:
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != parallel-1 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	err := e.View(context.Background(), func(tx kv.Tx) error {
		all, err := tx.Scan(nil, nil, 10)
		if len(all) != 1 {
			t.Errorf("left behind: %s, want one successor", show(all))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testContext(t *testing.T, e kv.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	never := func(kv.Tx) error { t.Error("ran under a done context"); return nil }
	for name, run := range map[string]func(context.Context, func(kv.Tx) error) error{"view": e.View, "update": e.Update} {
		if err := run(ctx, never); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want Canceled", name, err)
		}
	}
	// Calls that are cancelled at any moment either wrote, and say so, or did not.
	var wg sync.WaitGroup
	var wrote atomic.Int64
	for range parallel {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			switch err := e.Update(ctx, count); {
			case err == nil:
				wrote.Add(1)
			case !errors.Is(err, context.Canceled):
				t.Errorf("cancelled update: %v", err)
			}
		})
	}
	wg.Wait()
	if got := value(t, e, "n"); got != strconv.FormatInt(wrote.Load(), 10) && (got != "<absent>" || wrote.Load() != 0) {
		t.Errorf("counted %s, told %d", got, wrote.Load())
	}
}

func testPanic(t *testing.T, e kv.Engine) {
	for name, run := range map[string]func(context.Context, func(kv.Tx) error) error{"view": e.View, "update": e.Update} {
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("%s: recovered %v, want the function's panic", name, got)
				}
			}()
			_ = run(context.Background(), func(tx kv.Tx) error {
				_ = tx.Put([]byte("half"), nil)
				panic("boom")
			})
		}()
	}
	want(t, e, "half", "<absent>")
	put(t, e, "a", "1")
	want(t, e, "a", "1")
}

func testGoexit(t *testing.T, e kv.Engine) {
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = e.Update(context.Background(), func(tx kv.Tx) error {
			_ = tx.Put([]byte("half"), nil)
			runtime.Goexit()
			return nil
		})
	})
	wg.Wait()
	put(t, e, "a", "1")
	want(t, e, "half", "<absent>")
	want(t, e, "a", "1")
}

func testClosed(t *testing.T, e kv.Engine) {
	put(t, e, "a", "1")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	never := func(kv.Tx) error { t.Error("ran on a closed engine"); return nil }
	if err := e.View(context.Background(), never); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("view: %v, want ErrClosed", err)
	}
	if err := e.Update(context.Background(), never); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("update: %v, want ErrClosed", err)
	}
}
