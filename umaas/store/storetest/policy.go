package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
)

func rules(resources ...umaas.ResourceID) []umaas.Rule {
	var out []umaas.Rule
	for _, id := range resources {
		out = append(out, umaas.Rule{RS: "rs", Resource: id, Scopes: []string{"read"}})
	}
	return out
}

// policiesFor gives the ids found, sorted.
func policiesFor(f *fixture, rs umaas.ClientID, id umaas.ResourceID, parties ...umaas.Who) string {
	f.t.Helper()
	got := get(f, func(r umaas.Reader) ([]umaas.Policy, error) { return r.PoliciesFor("ann", rs, id, parties) })
	words := ids(got, func(p umaas.Policy) string { return string(p.ID) })
	slices.Sort(words)
	return strings.Join(words, " ")
}

func testPoliciesFor(_ *testing.T, f *fixture) {
	parties := map[umaas.PolicyID]umaas.Who{
		"account": {Kind: umaas.WhoAccount, Account: "bob", Name: "Bob"},
		"email":   {Kind: umaas.WhoEmail, Email: "bob@example.org"},
		"claim":   {Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: "https://i", Name: "org", Value: "clinic"}},
		"own":     {Kind: umaas.WhoClaim, Claim: umaas.Claim{Name: "org", Value: "clinic"}}, // issued by this server
		"client":  {Kind: umaas.WhoClient, Client: "bob"},                                   // the same word as an account
		"nobody":  {},
		"empty":   {Kind: umaas.WhoAccount},
		"unknown": {Kind: "group", Account: "bob"},
	}
	for id, who := range parties {
		f.update(func(tx umaas.Tx) error {
			for _, owner := range []umaas.AccountID{"ann", "other"} {
				if err := tx.PutPolicy(umaas.Policy{ID: id, Owner: owner, Who: who, Rules: rules("set")}); err != nil {
					return err
				}
			}
			return nil
		})
		alone := umaas.Who{Kind: who.Kind, Account: who.Account, Email: who.Email, Claim: who.Claim, Client: who.Client, Name: "known otherwise"}
		want := string(id)
		if slices.Contains([]string{"nobody", "empty", "unknown"}, want) {
			want = ""
		}
		equal(f, want+" alone", policiesFor(f, "rs", "set", alone), want)
		equal(f, want+" twice", policiesFor(f, "rs", "set", alone, who), want)
		equal(f, want+" on another resource", policiesFor(f, "rs", "other", alone), "")
		equal(f, want+" at another server", policiesFor(f, "other", "set", alone), "")
	}
	all := []umaas.Who{parties["account"], parties["email"], parties["claim"], parties["own"], parties["client"], parties["nobody"], parties["empty"]}
	equal(f, "everyone", policiesFor(f, "rs", "set", all...), "account claim client email own")
	equal(f, "no party", policiesFor(f, "rs", "set"), "")
	for _, near := range []umaas.Who{
		{Kind: umaas.WhoAccount, Account: "Bob"}, {Kind: umaas.WhoEmail, Email: "bob@example.or"}, {Kind: umaas.WhoEmail, Account: "bob"},
		{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: "https://j", Name: "org", Value: "clinic"}},
		{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: "https://io", Name: "rg", Value: "clinic"}},
	} {
		equal(f, fmt.Sprintf("%+v", near), policiesFor(f, "rs", "set", near), "")
	}
	page := get(f, func(r umaas.Reader) ([]umaas.Policy, error) { return r.Policies("ann", "client", 2) })
	equal(f, "page of policies", ids(page, func(p umaas.Policy) umaas.PolicyID { return p.ID }), []umaas.PolicyID{"email", "empty"})
}

func testPolicyChanges(_ *testing.T, f *fixture) {
	bob, eve := umaas.Who{Kind: umaas.WhoAccount, Account: "bob"}, umaas.Who{Kind: umaas.WhoAccount, Account: "eve"}
	p := umaas.Policy{ID: "p", Owner: "ann", Who: bob, Rules: rules("a", "b", "a")}
	put := func() { f.t.Helper(); f.update(func(tx umaas.Tx) error { return tx.PutPolicy(p) }) }
	put()
	put()
	equal(f, "first resource", policiesFor(f, "rs", "a", bob), "p")
	equal(f, "second resource", policiesFor(f, "rs", "b", bob), "p")
	p.Rules = rules("b", "c")
	put()
	equal(f, "resource taken out", policiesFor(f, "rs", "a", bob), "")
	equal(f, "resource kept", policiesFor(f, "rs", "b", bob), "p")
	equal(f, "resource taken in", policiesFor(f, "rs", "c", bob), "p")
	p.Who = eve
	put()
	equal(f, "former party", policiesFor(f, "rs", "b", bob), "")
	equal(f, "new party", policiesFor(f, "rs", "b", eve), "p")
	p.Revoked = start
	put()
	equal(f, "revoked", policiesFor(f, "rs", "b", bob, eve), "")
	equal(f, "revoked, for the history", get(f, func(r umaas.Reader) (umaas.Policy, error) { return r.Policy("ann", "p") }), p)
	q := p
	q.ID, q.Revoked = "q", p.NotAfter
	f.update(func(tx umaas.Tx) error { return tx.PutPolicy(q) })
	equal(f, "SEC_35 a new policy beside a revoked one", policiesFor(f, "rs", "b", eve), "q")
}

// testWidePolicy: however many resources a policy has, storing, narrowing and revoking it is one transaction.
func testWidePolicy(_ *testing.T, f *fixture) {
	bob := umaas.Who{Kind: umaas.WhoAccount, Account: "bob"}
	for _, n := range []int{1, 24, 25, 256, 30, 3} {
		var all []umaas.ResourceID
		for i := range n {
			all = append(all, umaas.ResourceID(fmt.Sprintf("set-%d", i)))
		}
		p := umaas.Policy{ID: "p", Owner: "ann", Who: bob, Rules: rules(all...)}
		f.update(func(tx umaas.Tx) error { return tx.PutPolicy(p) })
		equal(f, fmt.Sprintf("%d: first", n), policiesFor(f, "rs", "set-0", bob), "p")
		equal(f, fmt.Sprintf("%d: last", n), policiesFor(f, "rs", all[n-1], bob), "p")
		equal(f, fmt.Sprintf("%d: one more", n), policiesFor(f, "rs", umaas.ResourceID(fmt.Sprintf("set-%d", n)), bob), "")
		equal(f, fmt.Sprintf("%d: another server", n), policiesFor(f, "other", "set-0", bob), "")
	}
	f.update(func(tx umaas.Tx) error {
		return tx.PutPolicy(umaas.Policy{ID: "p", Owner: "ann", Who: bob, Rules: rules("set-0"), Revoked: start})
	})
	equal(f, "revoked", policiesFor(f, "rs", "set-0", bob), "")
}
