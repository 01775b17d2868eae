package storetest

import (
	"context"
	"sync"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// testChanges: 64 transactions at once get 64 numbers, one after the other, and a reader behind any of them sees the rest.
func testChanges(t *testing.T, f *fixture) {
	equal(f, "none", get(f, func(r umaas.Reader) (uint64, error) { return r.LastChange() }), 0)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			err := f.store.Update(context.Background(), func(tx umaas.Tx) error {
				return tx.AppendChange(umaas.Change{Seq: 99, RS: "rs", Tags: []string{"a", "b"}, Time: start, Expires: start.Add(1)})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(f, "last", get(f, func(r umaas.Reader) (uint64, error) { return r.LastChange() }), parallel)
	for _, after := range []uint64{0, 1, 40, parallel - 1, parallel} {
		list := get(f, func(r umaas.Reader) ([]umaas.Change, error) { return r.Changes(after, 10) })
		equal(f, "page", len(list), int(min(10, parallel-after)))
		for i, c := range list {
			want := umaas.Change{Seq: after + 1 + uint64(i), RS: "rs", Tags: []string{"a", "b"}, Time: start, Expires: start.Add(1)} //nolint:gosec // an index
			equal(f, "change", c, want)
		}
	}
}
