package umaas_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// give is a share of whole sets' scopes by rules.
func give(who umaas.Who, rules ...umaas.Rule) umaas.NewShare {
	return umaas.NewShare{Who: who, Rules: rules}
}

func email(address string) umaas.Who { return umaas.Who{Kind: umaas.WhoEmail, Email: address} }

// herself is an owner at her own sharing.
func (w *world) herself(owner umaas.AccountID) umaas.Acting { return w.Acting(owner, owner) }

// delegated makes a delegation by the owner herself.
func (w *world) delegated(owner umaas.AccountID, who umaas.Who, rights ...umaas.DelegatedRight) umaas.PolicyID {
	w.t.Helper()
	id, err := w.herself(owner).Delegate(w.t.Context(), umaas.NewDelegation{Who: who, Rights: rights, Reason: "parent"}, "")
	w.must(err)
	return id
}

// claims gives an account claims of this server.
func (w *world) claims(id umaas.AccountID, claims ...umaas.Claim) {
	w.t.Helper()
	a, err := w.Account(w.t.Context(), id)
	w.must(err)
	a.Claims = claims
	_, err = w.PutAccount(w.t.Context(), a, "")
	w.must(err)
}

// emergency brings a process of a client and a party to a ticket in which she declared an emergency.
func (w *world) emergency(client umaas.ClientID, who umaas.AccountID, note string, perms ...uma.Permission) string {
	w.t.Helper()
	ticket := w.gatherFor(client, w.ticket(perms...), who, "", note)
	w.declare()
	return ticket
}

// declare marks all tickets, as the questionnaire will: the newest is found through the store's own handle.
func (w *world) declare() {
	w.t.Helper()
	declaring, ok := w.store.(*declaringStore)
	if !ok {
		w.t.Fatal("the world has no declaring store")
	}
	key := declaring.last
	w.put(func(tx umaas.Tx) error {
		t, err := tx.Ticket(key, w.now())
		if err != nil {
			return err
		}
		t.BreakGlass = true
		return tx.PutTicket(t)
	})
}

// declaringStore remembers the ticket written last.
type declaringStore struct {
	umaas.Store
	last umaas.Key
}

func (d *declaringStore) Update(ctx context.Context, fn func(umaas.Tx) error) error {
	return d.Store.Update(ctx, func(tx umaas.Tx) error { return fn(declaringTx{tx, d}) })
}

type declaringTx struct {
	umaas.Tx
	store *declaringStore
}

func (d declaringTx) PutTicket(t umaas.Ticket) error {
	d.store.last = t.Key
	return d.Tx.PutTicket(t)
}

// declaring puts a declaring store under a world.
func declaring(w *world) *world {
	w.store = &declaringStore{Store: w.store}
	w.Service = w.service()
	return w
}

// kinds lists what an owner's history says, newest first, of these kinds.
func (w *world) kinds(owner umaas.AccountID, kinds ...string) []umaas.HistoryEntry {
	w.t.Helper()
	page, err := w.herself(owner).History(w.t.Context(), umaas.HistoryFilter{Kinds: kinds, Limit: 500})
	w.must(err)
	return page.Entries
}

func (w *world) wantErr(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Fatalf("%v, want %v", err, want)
	}
}

func handleOf(t *testing.T, i umaas.Invited) string {
	t.Helper()
	handle, ok := strings.CutPrefix(i.Link, issuer+"/invite/")
	if !ok {
		t.Fatalf("link %q", i.Link)
	}
	return handle
}
