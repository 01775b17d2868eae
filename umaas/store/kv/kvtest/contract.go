// Package kvtest is the contract of kv.Engine as tests, for every engine to call:
//
//	func TestContract(t *testing.T) { kvtest.Run(t, func(t *testing.T) kv.Engine { return memkv.New(memkv.Options{}) }) }
//	func TestCrash(t *testing.T)    { kvtest.Crash(t, func(dir string) (kv.Engine, error) { return boltkv.Open(…) }) }
//
// It owns the questions every engine must answer alike; what only one engine promises is tested beside that engine.
package kvtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/umaas/umaas/umaas/store/kv"
)

// Open makes an empty engine; Run closes it.
type Open func(t *testing.T) kv.Engine

// Run tests the contract, and compares the engine with a plain map over random operations.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, kv.Engine)
	}{
		{"reads what was written", testReadWrite},
		{"keys are bytes", testKeys},
		{"scans in order and in pages", testScan},
		{"reads its own writes", testOwnWrites},
		{"an error writes nothing", testRollback},
		{"values are copies", testCopies},
		{"limits", testLimits},
		{"a view does not write", testReadOnly},
		{"a view is one state", testSnapshot},
		{"a transaction ends with its function", testEnded},
		{"64 writers count to 64 × 20", testCounter},
		{"one of 64 takes a value", testSingleUse},
		{"contexts", testContext},
		{"panics belong to the caller", testPanic},
		{"a failed test ends only itself", testGoexit},
		{"closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t)
			defer func() {
				if err := e.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			c.test(t, e)
		})
	}
	t.Run("like a map", func(t *testing.T) { compare(t, open) })
}

func put(t *testing.T, e kv.Engine, pairs ...string) {
	t.Helper()
	err := e.Update(context.Background(), func(tx kv.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put([]byte(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("put: %v", err)
	}
}

// value reads one key; "<absent>" when it is not there.
func value(t *testing.T, e kv.Engine, key string) string {
	t.Helper()
	var got []byte
	err := e.View(context.Background(), func(tx kv.Tx) (err error) {
		got, err = tx.Get([]byte(key))
		return err
	})
	if errors.Is(err, kv.ErrNotFound) {
		return "<absent>"
	}
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return string(got)
}

func want(t *testing.T, e kv.Engine, key, value_ string) {
	t.Helper()
	if got := value(t, e, key); got != value_ {
		t.Errorf("%q = %q, want %q", key, got, value_)
	}
}

func testReadWrite(t *testing.T, e kv.Engine) {
	want(t, e, "a", "<absent>")
	put(t, e, "a", "1", "empty", "")
	want(t, e, "a", "1")
	want(t, e, "empty", "")
	put(t, e, "a", "2")
	want(t, e, "a", "2")
	for range 2 { // the second time it is absent already: no error
		if err := e.Update(context.Background(), func(tx kv.Tx) error { return tx.Delete([]byte("a")) }); err != nil {
			t.Fatalf("delete: %v", err)
		}
		want(t, e, "a", "<absent>")
	}
	want(t, e, "empty", "")
}

func testKeys(t *testing.T, e kv.Engine) {
	keys := []string{"key", "Key", "KEY", "k\x00ey", "key\x00", "\xff\xfe", "ключ", "é", "e\u0301"}
	for i, k := range keys {
		put(t, e, k, strconv.Itoa(i))
	}
	for i, k := range keys {
		want(t, e, k, strconv.Itoa(i))
	}
}

func testScan(t *testing.T, e kv.Engine) {
	put(t, e, "a", "", "b", "", "b\x00", "", "b/1", "1", "b/2", "2", "b/3", "3", "b0", "", "c", "", "\xff", "", "\xff\xff", "")
	for _, c := range []struct {
		prefix, after string // after "-": nil
		limit         int
		want          string
	}{
		{"b/", "-", 10, "[b/1=1 b/2=2 b/3=3]"},
		{"b/", "-", 2, "[b/1=1 b/2=2]"},
		{"b/", "b/2", 10, "[b/3=3]"},
		{"b/", "b/1x", 1, "[b/2=2]"},
		{"b/", "b/3", 10, "[]"},
		{"b/", "a", 1, "[b/1=1]"},
		{"b/", "c", 10, "[]"},
		{"b", "b", 2, "[b\x00= b/1=1]"},
		{"", "-", 3, "[a= b= b\x00=]"},
		{"", "c", 10, "[\xff= \xff\xff=]"},
		{"\xff", "-", 10, "[\xff= \xff\xff=]"},
		{"zz", "-", 10, "[]"},
	} {
		err := e.View(context.Background(), func(tx kv.Tx) error {
			after := []byte(c.after)
			if c.after == "-" {
				after = nil
			}
			got, err := tx.Scan([]byte(c.prefix), after, c.limit)
			if s := show(got); s != c.want {
				t.Errorf("scan(%q, %q, %d) = %q, want %q", c.prefix, c.after, c.limit, s, c.want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func show(pairs []kv.Pair) string {
	words := make([]string, len(pairs))
	for i, p := range pairs {
		words[i] = string(p.Key) + "=" + string(p.Value)
	}
	return fmt.Sprint(words)
}

func testOwnWrites(t *testing.T, e kv.Engine) {
	put(t, e, "p/1", "old", "p/2", "old", "p/3", "old")
	err := e.Update(context.Background(), func(tx kv.Tx) error {
		if err := errors.Join(tx.Put([]byte("p/2"), []byte("new")), tx.Put([]byte("p/0"), []byte("new")),
			tx.Delete([]byte("p/1")), tx.Put([]byte("q"), nil), tx.Delete([]byte("q"))); err != nil {
			return err
		}
		if _, err := tx.Get([]byte("p/1")); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("deleted key: %v", err)
		}
		if v, err := tx.Get([]byte("p/2")); err != nil || string(v) != "new" {
			t.Errorf("own write reads %q, %v", v, err)
		}
		for limit, want := range map[int]string{1: "[p/0=new]", 2: "[p/0=new p/2=new]", 9: "[p/0=new p/2=new p/3=old]"} {
			got, err := tx.Scan([]byte("p/"), nil, limit)
			if err != nil || show(got) != want {
				t.Errorf("scan of %d: %s, %v; want %s", limit, show(got), err, want)
			}
		}
		got, err := tx.Scan([]byte("p/"), []byte("p/0"), 9)
		if s := show(got); s != "[p/2=new p/3=old]" {
			t.Errorf("scan after an own write: %s", s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, e, "q", "<absent>")
	want(t, e, "p/0", "new")
}

func testRollback(t *testing.T, e kv.Engine) {
	put(t, e, "a", "1")
	reason := errors.New("no")
	err := e.Update(context.Background(), func(tx kv.Tx) error {
		return errors.Join(tx.Put([]byte("a"), []byte("2")), tx.Put([]byte("b"), nil), tx.Delete([]byte("a")), reason)
	})
	if !errors.Is(err, reason) {
		t.Errorf("error %v, want the function's own", err)
	}
	want(t, e, "a", "1")
	want(t, e, "b", "<absent>")
}

func testCopies(t *testing.T, e kv.Engine) {
	key, val := []byte("key"), []byte("value")
	err := e.Update(context.Background(), func(tx kv.Tx) error {
		err := tx.Put(key, val)
		copy(key, "xxx")
		copy(val, "xxxxx")
		mine, _ := tx.Get([]byte("key"))
		copy(mine, "yyyyy")
		copy(key, "key")
		copy(val, "value") // the next run, if there is one, starts as this did
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, e, "key", "value")
	var pair kv.Pair
	var got []byte
	err = e.View(context.Background(), func(tx kv.Tx) error {
		pairs, err := tx.Scan(nil, nil, 1)
		if err != nil {
			return err
		}
		pair = pairs[0]
		got, err = tx.Get([]byte("key"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, e, "key", "other") // what was handed out must not follow
	if string(got) != "value" || string(pair.Key) != "key" || string(pair.Value) != "value" {
		t.Errorf("handed out values changed: %q %q %q", got, pair.Key, pair.Value)
	}
	copy(got, "zzzzz")
	copy(pair.Value, "zzzzz")
	pair.Key = append(pair.Key, "tail"...)
	if string(pair.Value) != "zzzzz" {
		t.Errorf("appending to a key wrote into its value: %q", pair.Value)
	}
	want(t, e, "key", "other")
}
