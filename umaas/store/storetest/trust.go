package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// testIdentities: issuer and subject together name one account, and follow it.
func testIdentities(t *testing.T, f *fixture) {
	one, two := umaas.Identity{Issuer: "https://a", Subject: "1"}, umaas.Identity{Issuer: "https://b", Subject: "1"}
	by := func(i umaas.Identity) func(umaas.Reader) (umaas.AccountID, error) {
		return func(r umaas.Reader) (umaas.AccountID, error) {
			a, err := r.AccountByIdentity(i)
			return a.ID, err
		}
	}
	f.update(func(tx umaas.Tx) error {
		return tx.PutAccount(umaas.Account{ID: "x", Identities: []umaas.Identity{one, two}})
	})
	f.refused(umaas.ErrExists, func(tx umaas.Tx) error {
		return tx.PutAccount(umaas.Account{ID: "y", Identities: []umaas.Identity{two}})
	})
	equal(f, "by identity", get(f, by(two)), "x")
	absent(f, "joined otherwise", by(umaas.Identity{Issuer: "https://a1", Subject: ""}))
	f.update(func(tx umaas.Tx) error {
		return tx.PutAccount(umaas.Account{ID: "x", Identities: []umaas.Identity{one}})
	})
	absent(f, "given up", by(two))
	f.update(func(tx umaas.Tx) error {
		return tx.PutAccount(umaas.Account{ID: "y", Identities: []umaas.Identity{two}})
	})
	equal(f, "of the next account", get(f, by(two)), "y")
	f.update(func(tx umaas.Tx) error { return tx.DeleteAccount("x") })
	absent(f, "of a deleted account", by(one))
	for _, half := range []umaas.Identity{{Issuer: "https://a"}, {Subject: "1"}} {
		err := f.store.Update(t.Context(), func(tx umaas.Tx) error {
			return tx.PutAccount(umaas.Account{ID: "z", Identities: []umaas.Identity{half}})
		})
		if err == nil {
			t.Errorf("identity %+v was stored", half)
		}
	}
}

func testIssuers(_ *testing.T, f *fixture) {
	f.update(func(tx umaas.Tx) error {
		return errors.Join(tx.PutTrustedIssuer(umaas.TrustedIssuer{Issuer: "https://b"}), tx.PutTrustedIssuer(umaas.TrustedIssuer{Issuer: "https://a"}),
			tx.PutTrustedIssuer(umaas.TrustedIssuer{Issuer: "https://a/x", Disabled: true}))
	})
	name := func(i umaas.TrustedIssuer) string { return i.Issuer }
	list := func(after string, limit int) []string {
		return ids(get(f, func(r umaas.Reader) ([]umaas.TrustedIssuer, error) { return r.TrustedIssuers(after, limit) }), name)
	}
	equal(f, "all", list("", 9), []string{"https://a", "https://a/x", "https://b"})
	equal(f, "a page", list("https://a", 1), []string{"https://a/x"})
	f.update(func(tx umaas.Tx) error { return tx.DeleteTrustedIssuer("https://a") })
	absent(f, "deleted", func(r umaas.Reader) (umaas.TrustedIssuer, error) { return r.TrustedIssuer("https://a") })
	absent(f, "prefix", func(r umaas.Reader) (umaas.TrustedIssuer, error) { return r.TrustedIssuer("https://") })
}

func testPCTs(_ *testing.T, f *fixture) {
	keys := []umaas.Key{f.key(1), f.key(2), f.key(3)}
	f.update(func(tx umaas.Tx) error {
		for _, k := range keys {
			if err := tx.PutPCT(umaas.PCT{Key: k, Party: umaas.Party{Account: "p"}, Expires: start.Add(100)}); err != nil {
				return err
			}
		}
		return tx.PutPCT(umaas.PCT{Key: f.key(4), Party: umaas.Party{Account: "q"}, Expires: start.Add(100)})
	})
	list := func(before umaas.Key) []umaas.Key {
		return ids(get(f, func(r umaas.Reader) ([]umaas.PCT, error) { return r.PartyPCTs("p", before, 2) }), func(p umaas.PCT) umaas.Key { return p.Key })
	}
	equal(f, "newest first", list(umaas.Key{}), []umaas.Key{keys[2], keys[1]})
	equal(f, "next page", list(keys[1]), []umaas.Key{keys[0]})
	f.update(func(tx umaas.Tx) error { return tx.DeletePCT(keys[1]) })
	equal(f, "without the deleted one", list(umaas.Key{}), []umaas.Key{keys[2], keys[0]})
	f.refused(umaas.ErrNotFound, func(tx umaas.Tx) error { return tx.DeletePCT(keys[1]) })
	f.clock.Store(start.Add(100).UnixNano())
	equal(f, "expired", list(umaas.Key{}), []umaas.Key{})
	absent(f, "expired PCT", func(r umaas.Reader) (umaas.PCT, error) { return r.PCT(keys[0], start.Add(100)) })
}

func testInvitations(_ *testing.T, f *fixture) {
	keys := []umaas.Key{f.key(1), f.key(2)}
	f.update(func(tx umaas.Tx) error {
		return errors.Join(tx.PutInvitation(umaas.Invitation{Key: keys[0], Owner: "o", Expires: start.Add(100)}),
			tx.PutInvitation(umaas.Invitation{Key: keys[1], Owner: "o", Expires: start.Add(100)}),
			tx.PutInvitation(umaas.Invitation{Key: f.key(3), Owner: "other", Expires: start.Add(100)}))
	})
	got := get(f, func(r umaas.Reader) ([]umaas.Invitation, error) { return r.Invitations("o", umaas.Key{}, 9) })
	equal(f, "newest first", ids(got, func(i umaas.Invitation) umaas.Key { return i.Key }), []umaas.Key{keys[1], keys[0]})
	absent(f, "at its end", func(r umaas.Reader) (umaas.Invitation, error) { return r.Invitation(keys[0], start.Add(100)) })
}

// testDelegations: found by exactly the party they name, and by no other.
func testDelegations(t *testing.T, f *fixture) {
	parent := umaas.Who{Kind: umaas.WhoAccount, Account: "parent", Name: "shown"}
	role := umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: "i", Name: "role", Value: "records"}}
	put := func(d umaas.Delegation) { f.update(func(tx umaas.Tx) error { return tx.PutDelegation(d) }) }
	put(umaas.Delegation{Owner: "child", ID: "1", Who: parent})
	put(umaas.Delegation{Owner: "other", ID: "1", Who: parent})
	put(umaas.Delegation{Owner: "clinic", ID: "1", Who: role})
	to := func(limit int, who ...umaas.Who) []umaas.AccountID {
		list := ids(get(f, func(r umaas.Reader) ([]umaas.Delegation, error) { return r.DelegatedTo(who, limit) }), func(d umaas.Delegation) umaas.AccountID { return d.Owner })
		slices.Sort(list)
		return list
	}
	parent.Name = "shown otherwise"
	equal(f, "of a parent", to(9, parent), []umaas.AccountID{"child", "other"})
	equal(f, "of both", to(9, parent, role), []umaas.AccountID{"child", "clinic", "other"})
	equal(f, "bounded", len(to(1, parent, role)), 1)
	equal(f, "of nobody", to(9, umaas.Who{Kind: umaas.WhoAccount, Account: "paren"}), []umaas.AccountID{})
	equal(f, "of no kind", to(9, umaas.Who{}), []umaas.AccountID{})
	if f.store.Update(t.Context(), func(tx umaas.Tx) error { return tx.PutDelegation(umaas.Delegation{Owner: "o", ID: "2"}) }) == nil {
		t.Error("a delegation to nobody was stored")
	}
	put(umaas.Delegation{Owner: "child", ID: "1", Who: role})
	equal(f, "after a change", to(9, parent), []umaas.AccountID{"other"})
	put(umaas.Delegation{Owner: "other", ID: "1", Who: parent, Revoked: start})
	equal(f, "after its end", to(9, parent), []umaas.AccountID{})
	all := get(f, func(r umaas.Reader) ([]umaas.Delegation, error) { return r.Delegations("other", "", 9) })
	equal(f, "kept", len(all), 1)
}
