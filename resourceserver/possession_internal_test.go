package resourceserver

import (
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/pop"
)

// TestReplaysAreBounded: a proof is remembered for as long as it could be presented again; where there is no room, it is
// refused and none is forgotten.
func TestReplaysAreBounded(t *testing.T) {
	r := replays{limit: 3}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	try := func(jti string, fresh, full bool) {
		t.Helper()
		if a, b := r.first("key", jti, now); a != fresh || b != full {
			t.Errorf("%s at %v: %v %v", jti, now, a, b)
		}
	}
	try("a", true, false)
	try("a", false, false)
	try("b", true, false)
	try("c", true, false)
	try("d", false, true)
	try("a", false, false)
	if fresh, _ := r.first("other", "a", now); fresh {
		t.Error("there was room for another")
	}
	now = now.Add(2*pop.Window - time.Second)
	try("a", false, false)
	now = now.Add(time.Second)
	try("b", false, false) // the older generation
	try("d", true, false)
	now = now.Add(4 * pop.Window)
	try("a", true, false)
}
