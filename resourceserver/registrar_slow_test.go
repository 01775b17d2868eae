package resourceserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

// swamp makes a server list many sets nobody registered, and take its time over each deletion.
func swamp(s *asclienttest.Server, sets int, each time.Duration) *atomic.Int64 {
	var deleted atomic.Int64
	inner := s.HTTP.Config.Handler
	s.HTTP.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/resource_set/":
			ids := make([]string, sets)
			for i := range ids {
				ids[i] = fmt.Sprint("x", i)
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(ids)
		case r.Method == http.MethodDelete:
			deleted.Add(1)
			time.Sleep(each)
			w.WriteHeader(http.StatusNoContent)
		default:
			inner.ServeHTTP(w, r)
		}
	})
	return &deleted
}

// TestSlowForeignServerHoldsUpNobody: a server a patient brought has an endless list and answers slowly. Everybody else's sets
// are registered as soon as ever, and its own turn ends with its time.
func TestSlowForeignServerHoldsUpNobody(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	g.limit = 500 * time.Millisecond
	g.reboot()
	u := g.user(john)
	g.move(u, there("john"))
	deleted := swamp(g.second, 20_000, 100*time.Millisecond)
	began := time.Now()
	if err := g.registrar.Move(t.Context(), u, rs.Owner{Issuer: g.as.Issuer(), User: u.Key}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.registrar.Run(ctx, 10*time.Millisecond) }()
	for deleted.Load() < 2 && time.Since(began) < 5*time.Second {
		time.Sleep(5 * time.Millisecond)
	}
	m := g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	if err := g.registrar.Enqueue(t.Context(), m.Key); err != nil {
		t.Fatal(err)
	}
	asked, waiting := time.Now(), true
	for waiting && time.Since(asked) < 5*time.Second {
		jobs, err := g.state.DueJobs(t.Context(), g.clock.now(), 100)
		if err != nil {
			t.Fatal(err)
		}
		waiting = false
		for _, j := range jobs {
			waiting = waiting || j.Owner.User == m.Key
		}
		time.Sleep(5 * time.Millisecond)
	}
	if took := time.Since(asked); waiting || took > 400*time.Millisecond {
		t.Errorf("her work waited %v", took)
	}
	time.Sleep(time.Second)
	if n := deleted.Load(); n < 2 || n > 12 {
		t.Errorf("%d deletions in one turn of half a second at a tenth each", n)
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("the queue ended by itself")
	}
}

// TestEndlessListIsLookedAtInPart: what a foreign server lists and nobody here knows is cleared away up to a bound, and the
// account is let go.
func TestEndlessListIsLookedAtInPart(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	g.move(u, there("john"))
	deleted := swamp(g.second, 5_000, 0)
	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.as, u.Key)
	if n := deleted.Load(); n < 100 || n > 110 {
		t.Errorf("%d deletions, want a hundred and those of the sets that were kept", n)
	}
	if _, err := g.state.HomeOf(t.Context(), g.account("john")); err == nil {
		t.Error("the account is never let go")
	}
}
