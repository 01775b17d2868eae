package kvtest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"pgregory.net/rapid"
)

// step is one operation of a random transaction.
type step struct {
	kind               string // get, put, delete, scan
	key, value, prefix string
	limit              int
}

// compare runs random transactions on the engine, on memkv and on a map, and wants equal answers from all. The map is a
// model of its own, so that a mistake in what the engines share does not hide.
func compare(t *testing.T, open Open) {
	e, mem := open(t), memkv.New(memkv.Options{})
	defer func() {
		if err := errors.Join(e.Close(), mem.Close()); err != nil {
			t.Error(err)
		}
	}()
	model := map[string]string{}
	// Few short keys, differing in case, in a closing NUL and in being prefixes of each other.
	key := rapid.SampledFrom([]string{"a", "A", "a\x00", "aa", "aA", "ab", "b", "B", "b/1", "b/2", "b/\xff", "\xff", "\x00"})
	prefix := rapid.SampledFrom([]string{"", "a", "A", "b/", "\xff", "c"})
	gen := rapid.Custom(func(r *rapid.T) step {
		return step{
			kind: rapid.SampledFrom([]string{"get", "put", "put", "delete", "scan", "scan"}).Draw(r, "kind"), key: key.Draw(r, "key"),
			value: rapid.StringN(0, 3, -1).Draw(r, "value"), prefix: prefix.Draw(r, "prefix"), limit: rapid.IntRange(1, 8).Draw(r, "limit"),
		}
	})
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(gen, 1, 12).Draw(r, "steps")
		var fail error
		if rapid.IntRange(0, 3).Draw(r, "fails") == 0 {
			fail = errors.New("fails")
		}
		next := maps.Clone(model)
		want := apply(modelTx(next), steps)
		if fail == nil {
			model = next
		}
		for name, engine := range map[string]kv.Engine{"engine": e, "memkv": mem} {
			var got string
			err := engine.Update(context.Background(), func(tx kv.Tx) error {
				got = apply(tx, steps)
				return fail
			})
			if got != want || !errors.Is(err, fail) {
				r.Fatalf("%s: %v\n got %q\nwant %q", name, err, got, want)
			}
			err = engine.View(context.Background(), func(tx kv.Tx) error {
				got = apply(tx, []step{{kind: "scan", limit: kv.MaxScan}})
				return nil
			})
			if all := apply(modelTx(model), []step{{kind: "scan", limit: kv.MaxScan}}); err != nil || got != all {
				r.Fatalf("%s after commit: %v\n got %q\nwant %q", name, err, got, all)
			}
		}
	})
}

// apply runs the steps and writes down all that was seen.
func apply(tx kv.Tx, steps []step) string {
	var seen strings.Builder
	for _, s := range steps {
		var err error
		switch s.kind {
		case "get":
			var v []byte
			v, err = tx.Get([]byte(s.key))
			seen.WriteString("got " + string(v))
		case "put":
			err = tx.Put([]byte(s.key), []byte(s.value))
		case "delete":
			err = tx.Delete([]byte(s.key))
		case "scan":
			var pairs []kv.Pair
			var after []byte
			if s.key > "a" { // some scans start at the beginning
				after = []byte(s.key)
			}
			pairs, err = tx.Scan([]byte(s.prefix), after, s.limit)
			seen.WriteString(show(pairs))
		}
		if err != nil {
			seen.WriteString(" " + err.Error())
		}
		seen.WriteByte('\n')
	}
	return seen.String()
}

// modelTx is the plainest thing that behaves as Tx should.
type modelTx map[string]string

func (m modelTx) Get(key []byte) ([]byte, error) {
	if v, ok := m[string(key)]; ok {
		return []byte(v), nil
	}
	return nil, kv.ErrNotFound
}

func (m modelTx) Put(key, value []byte) error { m[string(key)] = string(value); return nil }

func (m modelTx) Delete(key []byte) error { delete(m, string(key)); return nil }

func (m modelTx) Scan(prefix, after []byte, limit int) ([]kv.Pair, error) {
	var out []kv.Pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(k, string(prefix)) && (after == nil || bytes.Compare([]byte(k), after) > 0) && len(out) < limit {
			out = append(out, kv.Pair{Key: []byte(k), Value: []byte(m[k])})
		}
	}
	return out, nil
}
