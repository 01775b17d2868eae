package umaas_test

import (
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// TestUndoAllow: a wrong yes is taken back: its policy ends, live tokens and refresh tokens die at once (G-133), the request waits
// again, and a new yes revives nothing (SEC-35).
func TestUndoAllow(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		ticket := w.ask(c1, w.bob, perm(r, "view"))
		v := w.answer(w.alice, true)
		if want := w.now().Add(10 * time.Minute); !v.Undo.Equal(want) || v.By != w.alice {
			t.Fatalf("undo until %v, want %v", v.Undo, want)
		}
		token := w.rpt(c1, ticket)
		me := w.herself(w.alice)
		undone, effect, err := me.UndoAnswer(t.Context(), v.Key, "")
		w.must(err)
		if undone.State != umaas.RequestWaiting || undone.Policy != "" || !undone.Undo.IsZero() || !effect.At.Equal(w.now()) || effect.Within != 2*time.Second {
			t.Fatalf("%+v %+v", undone.Request, effect)
		}
		w.wantInactive(w.inspect(w.alice, rs1, token.AccessToken))
		if _, err := w.Token(t.Context(), umaas.TokenRequest{Form: form("grant_type", "refresh_token", "client_id", string(c1), "client_secret", secret, "refresh_token", token.RefreshToken)}); err == nil {
			t.Fatal("the refresh token lives")
		}
		w.sleep(time.Minute)
		_, again, err := me.UndoAnswer(t.Context(), v.Key, "")
		w.must(err)
		if !again.At.Equal(effect.At) {
			t.Fatal("a second undo did something")
		}
		stale := umaas.RequestAnswer{Allow: true, Digest: v.Digest, Items: itemIDs(v.Records)}
		_, err = me.AnswerRequest(t.Context(), v.Key, stale, "")
		w.wantErr(err, umaas.ErrChanged) // the late twin of the first click
		w.answer(w.alice, true)
		w.wantInactive(w.inspect(w.alice, rs1, token.AccessToken))
		w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		if n := len(w.kinds(w.alice, umaas.EventAnswerUndone)); n != 1 {
			t.Fatalf("%d events of the undo", n)
		}
	})
}

// TestUndoDeny: a wrong no is taken back, with its silence.
func TestUndoDeny(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		w.ask(c1, w.bob, perm(r, "view"))
		v := w.answer(w.alice, false)
		w.refused(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob), 403, "request_denied", "")
		_, _, err := w.herself(w.alice).UndoAnswer(t.Context(), v.Key, "")
		w.must(err)
		ticket := w.ask(c1, w.bob, perm(r, "view"))
		if list := w.inbox(w.alice); len(list) != 1 || list[0].Key != v.Key {
			t.Fatalf("%d waiting", len(list))
		}
		w.answer(w.alice, true)
		w.rpt(c1, ticket)
	})
}

// TestUndoEnds: after its time, by others, of what was never answered or was taken back by the party, nothing happens.
func TestUndoEnds(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	w.ask(c1, w.bob, perm(r, "view"))
	key := w.inbox(w.alice)[0].Key
	me, ctx := w.herself(w.alice), t.Context()
	undo := func(a umaas.Acting) error { _, _, err := a.UndoAnswer(ctx, key, ""); return err }
	w.wantErr(undo(me), umaas.ErrNothingToUndo)
	w.delegated(w.alice, account(w.org), umaas.MayAnswer)
	w.answer(w.alice, true)
	w.wantErr(undo(w.herself(w.carol)), umaas.ErrNotFound)
	w.wantErr(undo(w.Acting(w.carol, w.alice)), umaas.ErrNotFound)
	w.wantErr(undo(w.Acting(w.org, w.alice)), umaas.ErrNothingToUndo) // hers, not the delegate's
	w.sleep(10 * time.Minute)
	w.wantErr(undo(me), umaas.ErrTooLate)

	w.ask(c2, w.bob, perm(r, "view"))
	key = w.inbox(w.alice)[0].Key
	w.must(w.WithdrawRequest(ctx, w.bob, key))
	w.wantErr(undo(me), umaas.ErrNothingToUndo)
}

// TestSEC_46_UndoRace: 32 answers and undos at once leave one consistent state: one policy in force if and only if allowed.
func TestSEC_46_UndoRace(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	w.ask(c1, w.bob, perm(r, "view"))
	v := w.inbox(w.alice)[0]
	me := w.herself(w.alice)
	var wait sync.WaitGroup
	for i := range 32 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if i%2 == 0 {
				_, _ = me.AnswerRequest(t.Context(), v.Key, umaas.RequestAnswer{Allow: true, Digest: v.Digest, Items: itemIDs(v.Records)}, "")
				return
			}
			_, _, _ = me.UndoAnswer(t.Context(), v.Key, "")
		}()
	}
	wait.Wait()
	now, err := me.RequestView(t.Context(), v.Key)
	w.must(err)
	shares, err := me.Shares(t.Context())
	w.must(err)
	inForce := 0
	for _, s := range shares {
		if s.InForce(w.now()) {
			inForce++
		}
	}
	if len(shares) > 1 || (inForce == 1) != (now.State == umaas.RequestAllowed) {
		t.Fatalf("%d policies, %d in force, request %s", len(shares), inForce, now.State)
	}
}

// TestSEC_35_RestoreIsANewPolicy: a stopped share given again says the same, is another one, and revives nothing; a double click
// makes one.
func TestSEC_35_RestoreIsANewPolicy(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		me, ctx := w.herself(w.alice), t.Context()
		n := give(account(w.bob), rule("", r, "view"))
		n.Label, n.Until = "for the holidays", w.now().Add(48*time.Hour)
		id, err := me.CreateShare(ctx, n, "")
		w.must(err)
		old := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob)).AccessToken
		same, err := me.RestoreShare(ctx, id, "")
		w.must(err)
		if same != id {
			t.Fatal("a share in force was doubled")
		}
		w.sleep(time.Second)
		v, effect, err := me.StopShare(ctx, id, "")
		w.must(err)
		w.sleep(time.Second)
		v2, effect2, err := me.StopShare(ctx, id, "")
		w.must(err)
		if !v.Revoked.Equal(v2.Revoked) || effect != effect2 || effect.Words() != "In effect since 2026-03-01 12:00:01 UTC. Every place that holds your record follows within 2 seconds." {
			t.Fatalf("%v %v %q", effect, effect2, effect.Words())
		}
		w.wantInactive(w.inspect(w.alice, rs1, old))
		fresh, err := me.RestoreShare(ctx, id, "")
		w.must(err)
		twin, err := me.RestoreShare(ctx, id, "")
		w.must(err)
		if fresh == id || fresh != twin {
			t.Fatalf("%s %s %s", id, fresh, twin)
		}
		w.wantInactive(w.inspect(w.alice, rs1, old))
		w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		again, err := me.Share(ctx, fresh)
		w.must(err)
		if again.Label != n.Label || !again.NotAfter.Equal(n.Until) || len(again.Rules) != 1 {
			t.Fatalf("%+v", again.Policy)
		}
		_, err = w.herself(w.carol).RestoreShare(ctx, id, "")
		w.wantErr(err, umaas.ErrNotFound)
		w.sleep(49 * time.Hour)
		_, err = me.RestoreShare(ctx, id, "")
		w.wantErr(err, umaas.ErrBadAnswer) // its time is over
	})
}
