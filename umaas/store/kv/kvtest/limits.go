package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/umaas/umaas/umaas/store/kv"
)

func testLimits(t *testing.T, e kv.Engine) {
	longest, biggest := bytes.Repeat([]byte("k"), kv.MaxKey), bytes.Repeat([]byte("v"), kv.MaxValue)
	for _, c := range []struct {
		name string
		fn   func(kv.Tx) error
		ok   bool
	}{
		{"longest key, biggest value", func(tx kv.Tx) error { return tx.Put(longest, biggest) }, true},
		{"key too long", func(tx kv.Tx) error { return tx.Put(append(longest, 'k'), nil) }, false},
		{"empty key", func(tx kv.Tx) error { return tx.Put(nil, nil) }, false},
		{"delete of an empty key", func(tx kv.Tx) error { return tx.Delete(nil) }, false},
		{"get of a key too long", func(tx kv.Tx) error { _, err := tx.Get(append(longest, 'k')); return err }, false},
		{"value too big", func(tx kv.Tx) error { return tx.Put([]byte("k"), append(biggest, 'v')) }, false},
		{"100 writes", writes(kv.MaxWrites), true},
		{"101 writes", writes(kv.MaxWrites + 1), false},
		{"a refused write that the function does not mind", func(tx kv.Tx) error { _ = tx.Put(nil, nil); return nil }, false},
		{"scan of 1000", func(tx kv.Tx) error { _, err := tx.Scan(nil, nil, kv.MaxScan); return err }, true},
		{"scan of 1001", func(tx kv.Tx) error { _, err := tx.Scan(nil, nil, kv.MaxScan+1); return err }, false},
		{"scan of 0", func(tx kv.Tx) error { _, err := tx.Scan(nil, nil, 0); return err }, false},
		{"scan by a prefix too long", func(tx kv.Tx) error { _, err := tx.Scan(append(longest, 'k'), nil, 1); return err }, false},
	} {
		err := e.Update(context.Background(), func(tx kv.Tx) error {
			if err := tx.Put([]byte("trace "+c.name), nil); err != nil {
				return err
			}
			if err := tx.Delete([]byte("trace " + c.name)); err != nil {
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = e.Update(context.Background(), c.fn)
		if c.ok && err != nil || !c.ok && !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	want(t, e, "w100", "<absent>")
}

func writes(n int) func(kv.Tx) error {
	return func(tx kv.Tx) error {
		for i := range n {
			if err := tx.Put(fmt.Appendf(nil, "w%d", i), nil); err != nil {
				return err
			}
		}
		return nil
	}
}

func testReadOnly(t *testing.T, e kv.Engine) {
	put(t, e, "a", "1")
	for name, fn := range map[string]func(kv.Tx) error{
		"put":              func(tx kv.Tx) error { return tx.Put([]byte("a"), nil) },
		"delete":           func(tx kv.Tx) error { return tx.Delete([]byte("a")) },
		"put, not minding": func(tx kv.Tx) error { _ = tx.Put([]byte("a"), nil); return nil },
	} {
		if err := e.View(context.Background(), fn); !errors.Is(err, kv.ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", name, err)
		}
	}
	want(t, e, "a", "1")
}

func testSnapshot(t *testing.T, e kv.Engine) {
	put(t, e, "a", "1", "b", "1")
	err := e.View(context.Background(), func(tx kv.Tx) error {
		before, err := tx.Get([]byte("a"))
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		wg.Go(func() { put(t, e, "a", "2", "b", "2", "c", "2") })
		wg.Wait()
		after, err := tx.Scan(nil, nil, 10)
		if got := show(after); string(before) != "1" || got != "[a=1 b=1]" {
			t.Errorf("before a=%s, after %s: want one state", before, got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, e, "c", "2")
}

func testEnded(t *testing.T, e kv.Engine) {
	var leaked kv.Tx
	for _, run := range []func(context.Context, func(kv.Tx) error) error{e.View, e.Update} {
		if err := run(context.Background(), func(tx kv.Tx) error { leaked = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		_, get := leaked.Get([]byte("a"))
		_, scan := leaked.Scan(nil, nil, 1)
		for name, err := range map[string]error{"get": get, "scan": scan, "put": leaked.Put([]byte("a"), nil), "delete": leaked.Delete([]byte("a"))} {
			if !errors.Is(err, kv.ErrClosed) {
				t.Errorf("%s after the end: %v, want ErrClosed", name, err)
			}
		}
	}
}
