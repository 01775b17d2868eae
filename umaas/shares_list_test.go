package umaas_test

import (
	"testing"

	"github.com/umaas/umaas/umaas"
)

// TestSEC_40_SharesAllOrNone: several shares come together or not at all, whichever of them is refused, and the index says which.
func TestSEC_40_SharesAllOrNone(t *testing.T) {
	eachStore(t, func(w *world) {
		r, foreign := w.set(w.alice, rs1, "view"), w.set(w.carol, rs1, "view")
		me := w.herself(w.alice)
		good := give(account(w.bob), rule("", r, "view"))
		bad := map[string]umaas.NewShare{
			"another's record": give(account(w.bob), rule("", foreign, "view")), "nobody": give(account("u_nobody"), rule("", r, "view")),
			"with herself": give(account(w.alice), rule("", r, "view")), "nothing": give(account(w.bob)),
		}
		for name, n := range bad {
			for at := range 3 {
				list := []umaas.NewShare{good, good, good}
				list[at] = n
				made, which, err := me.CreateShares(t.Context(), list, "")
				if err == nil || which != at || made != nil {
					t.Fatalf("%s at %d: %v, %d, %v", name, at, made, which, err)
				}
			}
		}
		if _, which, err := me.CreateShares(t.Context(), make([]umaas.NewShare, umaas.MaxShares+1), ""); which != -1 || err == nil {
			t.Fatalf("too many: %d %v", which, err)
		}
		all, err := me.Shares(t.Context())
		w.must(err)
		if len(all) != 0 || len(w.kinds(w.alice, umaas.EventShareCreated)) != 0 {
			t.Fatalf("%d are stored", len(all))
		}
		made, which, err := me.CreateShares(t.Context(), []umaas.NewShare{good, good}, "")
		if err != nil || which != -1 || len(made) != 2 || made[0] == made[1] {
			t.Fatalf("%v %d %v", made, which, err)
		}
		if all, err = me.Shares(t.Context()); err != nil || len(all) != 2 {
			t.Fatalf("%d %v", len(all), err)
		}
	})
}
