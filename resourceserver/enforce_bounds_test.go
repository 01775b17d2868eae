package resourceserver_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
)

// TestOneBoundForAWholeBundle: entries share the bound on what one request may make the upstream read, in a batch and in a transaction.
func TestOneBoundForAWholeBundle(t *testing.T) {
	j := newJudged(t)
	j.h = j.enforcer(func(c *rs.EnforcerConfig) { c.MaxEntries = 700 })
	token := j.oauth("patient/Observation.cruds")
	var reads, writes []string
	for i := range 600 { // each history of an absent resource takes two readings, each reference to one a single reading
		reads = append(reads, entry("GET", fmt.Sprintf("Observation/absent-%d/_history", i), ""))
		refs := fmt.Sprintf(`,"hasMember":[{"reference":"Observation/lab1"},{"reference":"Observation/vit1"}],"note":[{"text":"%d"}]`, i)
		writes = append(writes, entry("POST", "Observation", observation("", "Patient/p1", "x", refs)))
	}
	j.up.take()
	r := j.do("POST", "", token, bundle("batch", reads...))
	j.want(r, 200, "")
	if n := len(j.up.take()); n > 1100 || n < 900 || !strings.Contains(r.statuses(), "403") {
		t.Errorf("%d upstream calls: %.80s", n, r.statuses())
	}
	r = j.do("POST", "", token, bundle("transaction", writes...))
	j.want(r, 200, "")
	if n := len(j.up.take()); n != 3 { // the two references once each, and the transaction
		t.Errorf("%d upstream calls", n)
	}
}

// TestGW_08_WildcardsAreCountedToo: what a wildcard stands for counts like includes that are written out.
func TestGW_08_WildcardsAreCountedToo(t *testing.T) {
	j := newJudged(t)
	token := j.oauth("patient/Encounter.rs")
	j.want(j.get("/Encounter?_include=*", token), 200, "")
	j.up.take()
	j.want(j.get("/Encounter?"+strings.TrimSuffix(strings.Repeat("_include=*&", 3), "&"), token), 400, "too-costly")
	if n := len(j.up.take()); n != 0 {
		t.Errorf("%d upstream calls", n)
	}
}

// keeping remembers the kinds of handles that are kept.
type keeping struct {
	rs.Handles
	kinds []string
}

func (k *keeping) Keep(ctx context.Context, kind string, value any, expires time.Time) (string, error) {
	k.kinds = append(k.kinds, kind)
	return k.Handles.Keep(ctx, kind, value, expires)
}

// TestContinuationsAreSwept: a continuation that nobody follows is among what the sweep of state clears away.
func TestContinuationsAreSwept(t *testing.T) {
	j := newJudged(t)
	k := &keeping{Handles: j.as}
	j.h = j.enforcer(func(c *rs.EnforcerConfig) { c.Pages = k })
	if r := j.get("/Observation?_count=1", j.oauth("patient/Observation.rs")); r.next() == "" {
		t.Fatal("no continuation")
	}
	for _, kind := range k.kinds {
		if !slices.Contains(rs.HandleKinds(), kind) {
			t.Errorf("handles of kind %q are never swept", kind)
		}
	}
}
