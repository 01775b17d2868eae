package umaas_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_46_LimitsTellNothing: in whatever number one asks, by apps, by people, within a day, an owner who is silent and what
// is hidden answer alike, and so do the polls and the party's own list (decisions 6).
func TestSEC_46_LimitsTellNothing(t *testing.T) {
	for name, c := range map[string]struct {
		limit  func(*umaas.Attention)
		client umaas.ClientID
		crowd  bool // many people, one record; else one person, many records
	}{
		"per client":    {func(a *umaas.Attention) { a.PerClient = 2 }, wild, true},
		"all unchecked": {func(a *umaas.Attention) { a.Unchecked = 2 }, wild, true},
		"per day":       {func(a *umaas.Attention) { a.PerDay = 2 }, c1, false},
		"per party":     {func(a *umaas.Attention) { a.PerParty = 3 }, c1, false},
		"nothing set":   {func(*umaas.Attention) {}, wild, true},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(w *world) {
				c.limit(&w.Limits.Attention)
				there, hidden := w.set(w.alice, rs1, "view"), w.decoy()
				for i := range 6 {
					a, b := w.bob, w.carol
					if c.crowd {
						a = w.person(fmt.Sprint("a", i), "Same Name")
						b = w.person(fmt.Sprint("b", i), "Same Name")
					} else if i > 0 {
						there, hidden = w.set(w.alice, rs1, "view"), w.decoy()
					}
					x := w.polled(c.client, umaas.PAT{Owner: w.alice, RS: rs1}, there, a)
					y := w.polled(c.client, umaas.PAT{Owner: w.org, RS: rs1}, hidden, b)
					if x != y {
						t.Fatalf("ask %d: there %s, hidden %s", i, x, y)
					}
				}
			})
		})
	}
}

// polled asks, polls once, and prints all that the client and the party get to see.
func (w *world) polled(client umaas.ClientID, pat umaas.PAT, id umaas.ResourceID, who umaas.AccountID) string {
	w.t.Helper()
	see := func(err error) (*uma.Error, string) {
		var e *uma.Error
		if !errors.As(err, &e) {
			w.t.Fatal(err)
		}
		return e, fmt.Sprint(e.Status, e.Code, e.Description, e.Interval, e.Ticket != "")
	}
	_, err := w.redeem(client, w.gather(client, w.ticketOf(pat, perm(id, "view")), who))
	first, out := see(err)
	if first.Ticket != "" {
		_, err = w.redeem(client, first.Ticket)
		_, next := see(err)
		out += " " + next
	}
	asked, err := w.Asked(w.t.Context(), who)
	w.must(err)
	for _, v := range asked {
		if !v.Unlisted && v.RS == "" && v.Owner == "" {
			out += fmt.Sprintf(" %s/%s/%v", v.State, v.App.Name, v.Answered.IsZero())
		}
	}
	return out
}

// TestSEC_46_RoomAgain: what came above the limit is in no inbox and no history of the owner's; asked again when there is room, it
// stands before her.
func TestSEC_46_RoomAgain(t *testing.T) {
	eachStore(t, func(w *world) {
		w.Limits.Attention.PerClient = 1
		r := w.set(w.alice, rs1, "view")
		ask := func(who umaas.AccountID) {
			t.Helper()
			w.refused(wild, w.gather(wild, w.ticket(perm(r, "view")), who), 403, "request_submitted", "")
		}
		ask(w.bob)
		ask(w.carol)
		ask(w.carol)
		if v := w.inbox(w.alice); len(v) != 1 || v[0].PartyName != "Bob Berg" {
			t.Fatalf("%d in the inbox", len(v))
		}
		if n := len(w.kinds(w.alice, umaas.EventRequestSubmitted)) + len(w.kinds(w.alice, umaas.EventRequestRepeated)); n != 1 {
			t.Fatalf("%d events in her history", n)
		}
		w.answer(w.alice, false)
		ask(w.carol)
		v := w.inbox(w.alice)
		if len(v) != 1 || v[0].PartyName != "Carol Cole" || v[0].Unlisted {
			t.Fatalf("%+v", v)
		}
		w.answer(w.alice, true)
		w.rpt(wild, w.gather(wild, w.ticket(perm(r, "view")), w.carol))
	})
}

// TestSEC_47_NewerWords: the owner answers what is asked now. A page with the older words is refused, the answer is for the newer
// purpose, and who goes on changing the words is refused in the end.
func TestSEC_47_NewerWords(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		ask := func(purpose, note string) string {
			t.Helper()
			return w.refused(c1, w.gatherFor(c1, w.ticket(perm(r, "view")), w.bob, purpose, note), 403, "request_submitted", "").Ticket
		}
		older := ask("HRESCH", "for my study")
		stale := w.inbox(w.alice)[0]
		newer := ask("TREAT", "she is ill")
		v := w.inbox(w.alice)[0]
		if v.Purpose != "TREAT" || v.Note != "she is ill" || v.Repeats != 1 || v.Digest == stale.Digest {
			t.Fatalf("%+v", v.Request)
		}
		_, err := w.AnswerRequest(t.Context(), w.alice, stale.Key, umaas.RequestAnswer{Allow: true, Digest: stale.Digest, Items: itemIDs(stale.Records)}, "")
		w.wantErr(err, umaas.ErrChanged)
		w.answer(w.alice, true)
		w.sleep(10 * time.Second)
		w.rpt(c1, newer)
		w.refused(c1, older, 403, "request_denied", "") // nobody allowed a study

		other := w.set(w.alice, rs1, "view")
		for i := range 25 {
			_, err := w.redeem(c1, w.gatherFor(c1, w.ticket(perm(other, "view")), w.carol, "", fmt.Sprint("word ", i)))
			want := uma.ErrRequestSubmitted
			if i > 20 {
				want = uma.ErrRequestDenied
			}
			if !errors.Is(err, want) {
				t.Fatalf("word %d: %v", i, err)
			}
		}
	})
}

// TestSEC_47_EmergencyKeepsItsReason: an emergency declared after an ordinary ask is read with its reason, and no later words take
// the reason's place.
func TestSEC_47_EmergencyKeepsItsReason(t *testing.T) {
	w := inMemory(t)
	r, other := w.set(w.alice, rs1, "view"), w.set(w.alice, rs1, "view")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, func(p *umaas.Policy) { p.BreakGlass = true })
	both := func() string { return w.ticket(perm(r, "view"), perm(other, "view")) }
	w.refused(c1, w.gatherFor(c1, both(), w.bob, "HRESCH", "for my study"), 403, "request_submitted", "")
	s := w.stage(c1, both(), w.bob)
	w.must(s.questions(umaas.GatherAnswer{Emergency: true, Note: "she is unconscious"}))
	w.refused(c1, s.confirm(false), 403, "request_submitted", "")
	for range 2 {
		if v := w.inbox(w.alice)[0]; !v.BreakGlass || v.Note != "she is unconscious" {
			t.Fatalf("emergency %v, note %q", v.BreakGlass, v.Note)
		}
		w.refused(c1, w.gatherFor(c1, both(), w.bob, "", "thank you"), 403, "request_submitted", "")
	}
}
