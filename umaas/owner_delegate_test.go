package umaas_test

import (
	"errors"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// TestSEC_43_DelegatesDoWhatTheyMay: method × right. Everything else is as if the owner was not there.
func TestSEC_43_DelegatesDoWhatTheyMay(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	ctx := t.Context()
	me := w.herself(w.alice)
	share, err := me.CreateShare(ctx, give(email("dora@example.org"), rule("", r, "view")), "")
	w.must(err)
	invited, err := me.Invite(ctx, give(email("dora@example.org"), rule("", r, "view")), "")
	w.must(err)
	w.ask(c1, w.bob, perm(r, "view"))
	request := w.inbox(w.alice)[0]
	people := map[umaas.DelegatedRight]umaas.AccountID{
		umaas.MayShare: w.person("sharer", "Sharer"), umaas.MayAnswer: w.person("answerer", "Answerer"), umaas.MayHistory: w.person("reader", "Reader"), "none": w.carol,
	}
	for right, who := range people {
		if right != "none" {
			w.delegated(w.alice, account(who), right)
		}
	}
	mine := w.delegated(w.alice, account(w.org), umaas.MayShare)
	for name, c := range map[string]struct {
		right umaas.DelegatedRight
		call  func(a umaas.Acting) error
	}{
		"Shares":    {umaas.MayShare, func(a umaas.Acting) error { _, err := a.Shares(ctx); return err }},
		"Share":     {umaas.MayShare, func(a umaas.Acting) error { _, err := a.Share(ctx, share); return err }},
		"Shareable": {umaas.MayShare, func(a umaas.Acting) error { _, err := a.Shareable(ctx); return err }},
		"CreateShare": {umaas.MayShare, func(a umaas.Acting) error {
			_, err := a.CreateShare(ctx, give(email("x@example.org"), rule("", r, "view")), "")
			return err
		}},
		"CheckShare": {umaas.MayShare, func(a umaas.Acting) error {
			_, err := a.CheckShare(ctx, give(email("x@example.org"), rule("", r, "view")))
			return err
		}},
		"NarrowShare": {umaas.MayShare, func(a umaas.Acting) error {
			_, err := a.NarrowShare(ctx, share, umaas.Narrowing{Until: w.now().Add(time.Hour)}, "")
			return err
		}},
		"Invite": {umaas.MayShare, func(a umaas.Acting) error {
			_, err := a.Invite(ctx, give(email("x@example.org"), rule("", r, "view")), "")
			return err
		}},
		"Invitations":      {umaas.MayShare, func(a umaas.Acting) error { _, err := a.Invitations(ctx); return err }},
		"RevokeInvitation": {umaas.MayShare, func(a umaas.Acting) error { _, err := a.RevokeInvitation(ctx, invited.Key, ""); return err }},
		"Inbox":            {umaas.MayAnswer, func(a umaas.Acting) error { _, err := a.Inbox(ctx, umaas.Key{}); return err }},
		"RequestView":      {umaas.MayAnswer, func(a umaas.Acting) error { _, err := a.RequestView(ctx, request.Key); return err }},
		"Preview": {umaas.MayAnswer, func(a umaas.Acting) error {
			_, err := a.Preview(ctx, request.Key, itemIDs(request.Records))
			if errors.Is(err, umaas.ErrNoPreview) {
				return nil
			}
			return err
		}},
		"History": {umaas.MayHistory, func(a umaas.Acting) error { _, err := a.History(ctx, umaas.HistoryFilter{}); return err }},
		"Delegate": {"", func(a umaas.Acting) error {
			_, err := a.Delegate(ctx, umaas.NewDelegation{Who: account(w.org), Rights: []umaas.DelegatedRight{umaas.MayShare}}, "")
			return err
		}},
		"Delegations":      {"", func(a umaas.Acting) error { _, err := a.Delegations(ctx); return err }},
		"RevokeDelegation": {"", func(a umaas.Acting) error { _, err := a.RevokeDelegation(ctx, mine, ""); return err }},
	} {
		for right, who := range people {
			if err := c.call(w.Acting(who, w.alice)); right == c.right && err != nil || right != c.right && !errors.Is(err, umaas.ErrNotFound) {
				t.Errorf("%s with %q: %v", name, right, err)
			}
		}
		for _, a := range []umaas.Acting{w.Acting("", w.alice), w.Acting(w.alice, ""), w.Acting("u_nobody", w.alice), w.Acting(w.alice, w.bob)} {
			if err := c.call(a); !errors.Is(err, umaas.ErrNotFound) {
				t.Errorf("%s of %q for %q: %v", name, a.Actor(), a.Owner(), err)
			}
		}
	}
	for right, who := range people { // what changes state for good, last
		_, err := w.Acting(who, w.alice).AnswerRequest(ctx, request.Key, umaas.RequestAnswer{Digest: request.Digest}, "")
		if right == umaas.MayAnswer && err != nil || right != umaas.MayAnswer && !errors.Is(err, umaas.ErrNotFound) {
			t.Errorf("AnswerRequest with %q: %v", right, err)
		}
		_, _, err = w.Acting(who, w.alice).StopShare(ctx, share, "")
		if right == umaas.MayShare && err != nil || right != umaas.MayShare && !errors.Is(err, umaas.ErrNotFound) {
			t.Errorf("StopShare with %q: %v", right, err)
		}
		home, err := w.Acting(who, w.alice).Home(ctx)
		if right == "none" && !errors.Is(err, umaas.ErrNotFound) || right != "none" && err != nil || right != umaas.MayShare && len(home.Shares) != 0 {
			t.Errorf("Home with %q: %v", right, err)
		}
	}
}

// TestDelegateActsByName: a parent shares for a child; each act stands in the child's history with the parent's name, and the
// parent gets no access by it: not by a share, not by an answer, not by a claim she gets later.
func TestDelegateActsByName(t *testing.T) {
	eachStore(t, func(w *world) {
		ctx := t.Context()
		r := w.set(w.alice, rs1, "view")
		id := w.delegated(w.alice, account(w.carol), umaas.MayShare, umaas.MayAnswer)
		parent := w.Acting(w.carol, w.alice)
		w.refused(c1, w.gather(c1, w.ticket(perm(r, "view")), w.carol), 403, "request_submitted", "")
		own := w.inbox(w.alice)[0]
		_, err := parent.AnswerRequest(ctx, own.Key, umaas.RequestAnswer{Allow: true, Digest: own.Digest, Items: itemIDs(own.Records)}, "")
		w.wantErr(err, umaas.ErrOwnInterest)
		role := umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: issuer, Name: "role", Value: "nurse"}}
		w.put(func(tx umaas.Tx) error { // an app that acts for the parent's account
			c, err := tx.Client(robot)
			if err != nil {
				return err
			}
			c.Account = w.carol
			return tx.PutClient(c)
		})
		for name, who := range map[string]umaas.Who{"account": account(w.carol), "address": email("carol@example.org"), "app": {Kind: umaas.WhoClient, Client: robot}} {
			if _, err := parent.CreateShare(ctx, give(who, rule("", r, "view")), ""); !errors.Is(err, umaas.ErrOwnInterest) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		nurses, err := parent.CreateShare(ctx, give(role, rule("", r, "view")), "")
		w.must(err)
		w.claims(w.carol, role.Claim)
		w.claims(w.bob, role.Claim)
		w.rpt(c2, w.gather(c2, w.ticket(perm(r, "view")), w.bob))
		w.refused(c2, w.gather(c2, w.ticket(perm(r, "view")), w.carol), 403, "request_submitted", "")
		p, err := parent.Share(ctx, nurses)
		w.must(err)
		events := w.kinds(w.alice, umaas.EventShareCreated)
		if p.By != w.carol || len(events) != 1 || events[0].Actor != w.carol || events[0].ActorName != "Carol Cole" {
			t.Fatalf("%+v %+v", p.Policy, events)
		}
		_, err = w.herself(w.alice).RevokeDelegation(ctx, id, "")
		w.must(err)
		_, err = w.herself(w.alice).RevokeDelegation(ctx, id, "")
		w.must(err)
		if _, err := parent.Shares(ctx); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatal(err)
		}
		if n := len(w.kinds(w.alice, umaas.EventDelegationMade, umaas.EventDelegationEnded)); n != 2 {
			t.Fatalf("%d events", n)
		}
	})
}

// TestRoleHoldersInbox: an approver can be a role: whoever holds it finds the requests, answers, and is named.
func TestRoleHoldersInbox(t *testing.T) {
	eachStore(t, func(w *world) {
		ctx := t.Context()
		r := w.set(w.alice, rs1, "view")
		role := umaas.Claim{Issuer: issuer, Name: "role", Value: "privacy-officer"}
		w.delegated(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Name: "role", Value: "privacy-officer"}}, umaas.MayAnswer)
		ticket := w.ask(c1, w.bob, perm(r, "view"))
		if list, err := w.DelegatedInbox(ctx, w.org); err != nil || len(list) != 0 {
			t.Fatal(list, err)
		}
		w.claims(w.org, role)
		list, err := w.DelegatedInbox(ctx, w.org)
		w.must(err)
		if len(list) != 1 || list[0].OwnerName != "Alice Ames" || list[0].PartyName != "Bob Berg" {
			t.Fatalf("%+v", list)
		}
		v, err := w.Acting(w.org, list[0].Owner).AnswerRequest(ctx, list[0].Key, umaas.RequestAnswer{Allow: true, Digest: list[0].Digest, Items: itemIDs(list[0].Records)}, "")
		w.must(err)
		if v.By != w.org {
			t.Fatalf("%+v", v.Request)
		}
		w.rpt(c1, ticket)
		events := w.kinds(w.alice, umaas.EventRequestAllowed)
		if len(events) != 1 || events[0].ActorName != "The Clinic" {
			t.Fatalf("%+v", events)
		}
		_, _, err = w.Acting(w.org, w.alice).UndoAnswer(ctx, list[0].Key, "")
		w.must(err) // her own answer
		w.claims(w.org)
		_, err = w.Acting(w.org, w.alice).Inbox(ctx, umaas.Key{})
		w.wantErr(err, umaas.ErrNotFound) // the role is gone
	})
}

// TestDelegationBounds: bad bodies, ends, disabled people, administrators.
func TestDelegationBounds(t *testing.T) {
	w := inMemory(t)
	ctx := t.Context()
	me := w.herself(w.alice)
	answer := []umaas.DelegatedRight{umaas.MayAnswer}
	for name, c := range map[string]struct {
		n    umaas.NewDelegation
		want error
	}{
		"nobody":          {umaas.NewDelegation{Rights: answer}, umaas.ErrBadAnswer},
		"herself":         {umaas.NewDelegation{Who: account(w.alice), Rights: answer}, umaas.ErrBadAnswer},
		"unknown account": {umaas.NewDelegation{Who: account("u_x"), Rights: answer}, umaas.ErrNotFound},
		"an app":          {umaas.NewDelegation{Who: umaas.Who{Kind: umaas.WhoClient, Client: c1}, Rights: answer}, umaas.ErrBadAnswer},
		"empty claim":     {umaas.NewDelegation{Who: umaas.Who{Kind: umaas.WhoClaim}, Rights: answer}, umaas.ErrBadAnswer},
		"no rights":       {umaas.NewDelegation{Who: account(w.bob)}, umaas.ErrBadAnswer},
		"unknown right":   {umaas.NewDelegation{Who: account(w.bob), Rights: []umaas.DelegatedRight{"owner"}}, umaas.ErrBadAnswer},
		"empty right":     {umaas.NewDelegation{Who: account(w.bob), Rights: []umaas.DelegatedRight{""}}, umaas.ErrBadAnswer},
		"right twice":     {umaas.NewDelegation{Who: account(w.bob), Rights: []umaas.DelegatedRight{umaas.MayShare, umaas.MayShare}}, umaas.ErrBadAnswer},
		"over":            {umaas.NewDelegation{Who: account(w.bob), Rights: answer, Until: w.now()}, umaas.ErrBadAnswer},
	} {
		if id, err := me.Delegate(ctx, c.n, ""); !errors.Is(err, c.want) || id != "" {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	n := umaas.NewDelegation{Who: account(w.bob), Rights: answer, Until: w.now().Add(time.Hour)}
	_, err := me.Delegate(ctx, n, "")
	w.must(err)
	bob := w.Acting(w.bob, w.alice)
	_, err = bob.Inbox(ctx, umaas.Key{})
	w.must(err)
	for _, id := range []umaas.AccountID{w.bob, w.alice} {
		a, err := w.Account(ctx, id)
		w.must(err)
		a.Disabled = true
		_, err = w.PutAccount(ctx, a, "")
		w.must(err)
		_, err = bob.Inbox(ctx, umaas.Key{})
		w.wantErr(err, umaas.ErrNotFound)
		a.Disabled = false
		_, err = w.PutAccount(ctx, a, "")
		w.must(err)
	}
	w.sleep(time.Hour)
	_, err = bob.Inbox(ctx, umaas.Key{})
	w.wantErr(err, umaas.ErrNotFound)
	if list, err := w.ActingFor(ctx, w.bob); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}

	admin := umaas.Account{ID: "operator", Roles: []umaas.Role{umaas.RoleAdmin}}
	_, err = w.AppointDelegate(ctx, admin, w.alice, umaas.NewDelegation{Who: account(w.carol), Rights: answer}, "")
	w.wantErr(err, umaas.ErrBadAnswer) // no reason
	n = umaas.NewDelegation{Who: account(w.carol), Rights: answer, Reason: "legal representative"}
	_, err = w.AppointDelegate(ctx, umaas.Account{ID: w.bob}, w.alice, n, "")
	w.wantErr(err, umaas.ErrNotFound)
	id, err := w.AppointDelegate(ctx, admin, w.alice, n, "")
	w.must(err)
	_, err = me.RevokeDelegation(ctx, id, "")
	w.wantErr(err, umaas.ErrBadAnswer)
	_, err = w.ResignDelegation(ctx, w.bob, w.alice, id, "")
	w.wantErr(err, umaas.ErrNotFound)
	_, err = w.EndDelegation(ctx, umaas.Account{ID: w.bob}, w.alice, id, "")
	w.wantErr(err, umaas.ErrNotFound)
	list, err := w.ActingFor(ctx, w.carol)
	w.must(err)
	if len(list) != 1 || list[0].OwnerName != "Alice Ames" || list[0].Reason != "legal representative" {
		t.Fatalf("%+v", list)
	}
	_, err = w.ResignDelegation(ctx, w.carol, w.alice, id, "")
	w.must(err)
	_, err = w.EndDelegation(ctx, admin, w.alice, id, "")
	w.must(err)
	if list, err := w.ActingFor(ctx, w.carol); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
}
