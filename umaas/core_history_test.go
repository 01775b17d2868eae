package umaas_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestAccessHistory: events are told once, to the owner, with who and by which share (house.md, audit.md AU-03).
func TestAccessHistory(t *testing.T) {
	eachStore(t, func(w *world) {
		r, _, _, policy := w.shared()
		token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob)).AccessToken
		i := w.inspect(w.alice, rs1, token)
		event := uma.AccessEvent{
			ID: "e1", Time: w.now().Format(time.RFC3339Nano), JTI: i.JTI, ClientID: "liar", Sub: "liar", ResourceID: string(r), Interaction: "read",
			Types: []string{"Observation"}, Count: 1, Outcome: "success", RequestID: "q",
		}
		own, server := umaas.PAT{Owner: w.alice, RS: rs1}, umaas.PAT{Owner: w.org, RS: rs1}
		w.must(w.RecordAccess(t.Context(), own, []uma.AccessEvent{event, event}))
		w.must(w.RecordAccess(t.Context(), server, []uma.AccessEvent{event}))
		more := make([]uma.AccessEvent, 45)
		for n := range more {
			more[n] = event
			more[n].ID = fmt.Sprint("m", n)
		}
		refused, intent := event, event
		refused.ID, refused.Outcome = "refused", "refused"
		intent.ID, intent.Reason = "intent", "intent"
		w.must(w.RecordAccess(t.Context(), server, []uma.AccessEvent{refused, intent})) // told, but no uses
		w.must(w.RecordAccess(t.Context(), server, more))
		history, err := w.History(t.Context(), w.alice, umaas.Key{}, 500)
		w.must(err)
		accesses := slices.DeleteFunc(slices.Clone(history), func(e umaas.HistoryEntry) bool { return e.Type != umaas.EventAccess })
		if len(accesses) != 48 {
			t.Fatalf("%d accesses", len(accesses))
		}
		if e := accesses[0]; e.ActorName != "Bob Berg" || e.AppName != "App One" || e.Label != "Health record" || e.Policy != policy || e.Access.Interaction != "read" || e.Actor != w.bob {
			t.Fatalf("%+v", e)
		}
		share, err := w.Share(t.Context(), w.alice, policy)
		w.must(err)
		if share.Uses != 46 || !share.LastUsed.Equal(w.now()) {
			t.Fatalf("used %d, %v", share.Uses, share.LastUsed)
		}
		home, err := w.Home(t.Context(), w.alice)
		w.must(err)
		if len(home.Recent) != 5 || home.People != 1 || home.Apps != 0 || len(home.Shares) != 1 {
			t.Fatalf("%+v", home)
		}
		for name, c := range map[string]struct {
			pat    umaas.PAT
			code   string
			change func(e *uma.AccessEvent)
		}{
			"another's resource": {umaas.PAT{Owner: w.carol, RS: rs1}, "invalid_resource_id", func(*uma.AccessEvent) {}},
			"another server":     {umaas.PAT{Owner: w.alice, RS: rs2}, "invalid_resource_id", func(*uma.AccessEvent) {}},
			"unknown resource":   {server, "invalid_resource_id", func(e *uma.AccessEvent) { e.ResourceID = "x" }},
			"no id":              {own, "invalid_request", func(e *uma.AccessEvent) { e.ID = "" }},
			"no time":            {own, "invalid_request", func(e *uma.AccessEvent) { e.Time = "yesterday" }},
			"no outcome":         {own, "invalid_request", func(e *uma.AccessEvent) { e.Outcome = "" }},
			"no interaction":     {own, "invalid_request", func(e *uma.AccessEvent) { e.Interaction = "" }},
			"negative count":     {own, "invalid_request", func(e *uma.AccessEvent) { e.Count = -1 }},
		} {
			bad := event
			bad.ID = "bad"
			c.change(&bad)
			good := event
			good.ID = "good"
			err := w.RecordAccess(t.Context(), c.pat, []uma.AccessEvent{good, bad})
			if e := w.wantError(nil, err, 400, c.code, ""); e.Description == "" {
				t.Fatal(name)
			}
		}
		after, err := w.History(t.Context(), w.alice, umaas.Key{}, 500)
		w.must(err)
		if len(after) != len(history) {
			t.Fatal("a refused report left something behind")
		}
		w.wantError(nil, w.RecordAccess(t.Context(), own, nil), 400, "invalid_request", "")
	})
}

// TestEveryDecisionIsTold in the owner's own history, in its own transaction.
func TestEveryDecisionIsTold(t *testing.T) {
	w := inMemory(t)
	r, s, _, policy := w.shared()
	w.ask(c1, w.carol, perm(r, "view"), perm(s, "view"), limited(perm(s, "view"), "query", "q"))
	w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
	w.answer(w.alice, false)
	_, err := w.StopShare(t.Context(), w.alice, policy, "")
	w.must(err)
	w.rpt(c1, w.consent(c1, w.ticket(perm(r, "view")), w.alice, time.Time{}))
	history, err := w.History(t.Context(), w.alice, umaas.Key{}, 100)
	w.must(err)
	var types []string
	for _, e := range history {
		types = append(types, e.Type)
		if e.Owner != w.alice {
			t.Fatalf("%+v", e)
		}
	}
	for _, want := range []string{
		umaas.EventRequestSubmitted, umaas.EventRPTIssued, umaas.EventRequestRefused, umaas.EventShareStopped, umaas.EventConsentGiven,
	} {
		if !slices.Contains(types, want) {
			t.Fatalf("%s is missing in %v", want, types)
		}
	}
	if other, err := w.History(t.Context(), w.carol, umaas.Key{}, 100); err != nil || slices.ContainsFunc(other, func(e umaas.HistoryEntry) bool { return e.Resource != "" }) {
		t.Fatal(other, err)
	}
}

// TestExplain: to the owner and administrators, step by step.
func TestExplain(t *testing.T) {
	eachStore(t, func(w *world) {
		r, s, _, policy := w.shared()
		token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view"), perm(s, "view")), w.bob)).AccessToken
		e, err := w.Explain(t.Context(), umaas.Account{ID: w.alice}, token)
		w.must(err)
		if !e.Active || len(e.Permissions) != 2 || len(e.Steps) < 7 || slices.ContainsFunc(e.Steps, func(s umaas.ExplainStep) bool { return !s.OK }) {
			t.Fatalf("%+v", e)
		}
		for _, a := range []umaas.Account{{}, {ID: w.carol}, {ID: w.bob}, {ID: w.alice, Disabled: true}} {
			if _, err := w.Explain(t.Context(), a, token); !errors.Is(err, umaas.ErrNotFound) {
				t.Fatalf("%+v: %v", a, err)
			}
		}
		_, err = w.StopShare(t.Context(), w.alice, policy, "")
		w.must(err)
		e, err = w.Explain(t.Context(), umaas.Account{ID: w.carol, Roles: []umaas.Role{umaas.RoleAdmin}}, token)
		w.must(err)
		if e.Active || !slices.ContainsFunc(e.Steps, func(s umaas.ExplainStep) bool { return !s.OK && strings.HasPrefix(s.Detail, "withdrawn ") }) {
			t.Fatalf("%+v", e)
		}
	})
}

// previews counts what it is asked.
type previews struct{ asked []uma.Permission }

func (p *previews) Preview(_ context.Context, _ umaas.Resource, perms []uma.Permission) (map[string]int, error) {
	p.asked = append(p.asked, perms...)
	return map[string]int{"Observation": 3}, nil
}

// TestPreview asks each record's server for the ticked items alone.
func TestPreview(t *testing.T) {
	w := inMemory(t)
	r, s := w.set(w.alice, rs1, "view", "edit"), w.set(w.alice, rs1, "view")
	w.ask(c1, w.bob, perm(r, "view", "edit"), perm(s, "view"))
	v := w.inbox(w.alice)[0]
	if _, err := w.Preview(t.Context(), w.alice, v.Key, itemIDs(v.Records)); !errors.Is(err, umaas.ErrNoPreview) {
		t.Fatal(err)
	}
	p := &previews{}
	w.Deps.Preview = p
	counts, err := w.Preview(t.Context(), w.alice, v.Key, itemIDs(v.Records, ".view"))
	w.must(err)
	if counts["Observation"] != 6 || len(p.asked) != 2 || !slices.Equal(p.asked[0].Scopes, []string{"view"}) {
		t.Fatalf("%v %+v", counts, p.asked)
	}
	if _, err := w.Preview(t.Context(), w.carol, v.Key, itemIDs(v.Records)); !errors.Is(err, umaas.ErrNotFound) {
		t.Fatal(err)
	}
}
