package resourceserver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

// followed is a world whose verifier follows the feed; the token "rpt" rests on "alice" and "app".
type followed struct {
	*world
	t *testing.T
}

func following(t *testing.T) followed {
	t.Helper()
	w, record := verifying(t)
	w.as.PutToken("rpt", uma.Introspection{
		Active: true, ClientID: "app", Sub: "sub-john", JTI: "j", Kind: "rpt", Exp: w.clock.now().Add(5 * time.Minute).Unix(), Iss: w.as.Issuer(),
		Tags: []string{"alice", "app"}, Permissions: []uma.Permission{{ResourceID: record, Scopes: []string{"patient/Patient.r"}}},
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.verifier.Follow(ctx, w.as.Issuer()) }()
	t.Cleanup(func() { stop(); <-done })
	f := followed{w, t}
	f.polled()
	w.clock.forward(time.Millisecond) // after the first poll's reset
	return f
}

// polled waits until a poll has begun and ended from now on.
func (f followed) polled() {
	f.t.Helper()
	from := f.as.Calls("POST /events")
	for range 2000 {
		if f.as.Calls("POST /events") >= from+3 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	f.t.Fatal("the feed is not polled")
}

func (f followed) verify() error { _, err := f.verifier.Verify(f.t.Context(), "rpt"); return err }

func (f followed) asked() int { return f.as.Calls("POST /introspect") }

// TestGW_38_FeedSparesQuestions: while the feed is alive one answer serves until something it rests on changes; then the next
// request asks, and learns of the withdrawal.
func TestGW_38_FeedSparesQuestions(t *testing.T) {
	f := following(t)
	for range 50 {
		if err := f.verify(); err != nil {
			t.Fatal(err)
		}
		f.clock.forward(900 * time.Millisecond)
		f.polled()
	}
	if n := f.asked(); n != 1 {
		t.Errorf("%d questions in 45 s, want 1", n)
	}
	f.as.Change("bob", "other app")
	f.polled()
	if err := f.verify(); err != nil || f.asked() != 1 {
		t.Error("a change of something else led to a question", err, f.asked())
	}
	f.as.DropToken("rpt")
	f.as.Change("alice")
	f.polled()
	if err := f.verify(); !errors.Is(err, rs.ErrInactive) || f.asked() != 2 {
		t.Error("not asked again after a change", err, f.asked())
	}
}

// TestGW_38_ChangeWithinTheHalfSecond: a change that is heard counts at once, though the last answer is fresh.
func TestGW_38_ChangeWithinTheHalfSecond(t *testing.T) {
	f := following(t)
	if err := f.verify(); err != nil {
		t.Fatal(err)
	}
	f.as.DropToken("rpt")
	if err := f.verify(); err != nil {
		t.Error("asked though nothing was heard", err)
	}
	f.as.Change("app")
	f.polled()
	if err := f.verify(); !errors.Is(err, rs.ErrInactive) {
		t.Error("a withdrawal that was heard does not count", err)
	}
}

// TestGW_38_LostFeedOpensNothing: 2 s after the last word of the feed answers are asked for again; with the server away nothing
// is served any more than 2 s after what was last known (decisions 4).
func TestGW_38_LostFeedOpensNothing(t *testing.T) {
	f := following(t)
	if err := f.verify(); err != nil {
		t.Fatal(err)
	}
	f.clock.forward(1500 * time.Millisecond)
	f.polled()
	f.as.Down(true)
	f.clock.forward(1900 * time.Millisecond)
	if err := f.verify(); err != nil || f.asked() != 1 {
		t.Error("within 2 s of the feed's last word", err, f.asked())
	}
	f.clock.forward(200 * time.Millisecond)
	if err := f.verify(); !errors.Is(err, rs.ErrUnreachable) {
		t.Error("2.1 s after the feed's last word", err)
	}
}

// TestFeedResets: a feed that missed something, or that names everything, makes all answers be asked for again; one that is
// signed for somebody else proves nothing.
func TestFeedResets(t *testing.T) {
	for name, change := range map[string]func(followed){
		"everything": func(f followed) { f.as.Change("*") },
		"forged":     func(f followed) { f.as.ForgeChanges(true); f.as.Change("alice"); f.clock.forward(2 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			f := following(t)
			if err := f.verify(); err != nil || f.asked() != 1 {
				t.Fatal(err, f.asked())
			}
			change(f)
			if name == "everything" {
				f.polled()
			}
			f.clock.forward(600 * time.Millisecond)
			if err := f.verify(); err != nil || f.asked() != 2 {
				t.Error("not asked again", err, f.asked())
			}
		})
	}
}
