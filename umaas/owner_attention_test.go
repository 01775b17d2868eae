package umaas_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_46_AttentionLimits: each limit is a setting; above the party's own one the answer is no, and alike for records that are
// not there; above one owner's, the request waits in no inbox.
func TestSEC_46_AttentionLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limit  func(*umaas.Attention)
		client umaas.ClientID
		filed  int
	}{
		"per unchecked client": {func(a *umaas.Attention) { a.PerClient = 2 }, wild, 2},
		"all unchecked":        {func(a *umaas.Attention) { a.Unchecked = 1 }, wild, 1},
		"per party":            {func(a *umaas.Attention) { a.PerParty = 3 }, c1, 3},
		"per day":              {func(a *umaas.Attention) { a.PerDay = 2 }, c1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory(t)
			c.limit(&w.Limits.Attention)
			for i := range 5 { // each on another record: another ask
				kind := ""
				if i%2 == 1 && !strings.Contains(name, "unchecked") {
					kind = "urn:umaas:resource:decoy"
				}
				id, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, uma.ResourceDescription{Name: "x", Type: kind, Scopes: []string{"view"}}, "")
				w.must(err)
				_, err = w.redeem(c.client, w.gather(c.client, w.ticket(perm(id, "view")), w.bob))
				want := uma.ErrRequestSubmitted
				if i >= c.filed && name == "per party" {
					want = uma.ErrRequestDenied
				}
				if !errors.Is(err, want) {
					t.Fatalf("ask %d: %v, want %v", i, err, want)
				}
			}
			shown := c.filed
			if !strings.Contains(name, "unchecked") {
				shown-- // one was a decoy
			}
			if n := len(w.inbox(w.alice)); n != shown {
				t.Errorf("%d in the inbox, want %d", n, shown)
			}
		})
	}
	w := inMemory(t)
	deps := w.Deps
	for _, bad := range []umaas.Attention{{}, {PerClient: 201, Unchecked: 1, PerParty: 1, PerDay: 1, Invites: 1}, {PerClient: -1, Unchecked: 1, PerParty: 1, PerDay: 1, Invites: 1}} {
		deps.Limits.Attention = bad
		if _, err := umaas.New(t.Context(), deps); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if got := (umaas.Attention{PerDay: 7}).WithDefaults(); got.PerDay != 7 || got.PerClient != 3 || got.Invites != 50 {
		t.Errorf("%+v", got)
	}
}

// TestQuietRepeats: what one party goes on asking within a day calls the owner once; another day, or another party, is news.
func TestQuietRepeats(t *testing.T) {
	w := inMemory(t)
	quiet := func() (out []bool) {
		t.Helper()
		for _, v := range w.inbox(w.alice) {
			out = append(out, v.Quiet)
		}
		return out
	}
	w.ask(c1, w.bob, perm(w.set(w.alice, rs1, "view"), "view"))
	w.sleep(time.Minute)
	w.ask(c2, w.bob, perm(w.set(w.alice, rs1, "view"), "view"))
	w.sleep(time.Minute)
	w.ask(c1, w.carol, perm(w.set(w.alice, rs1, "view"), "view"))
	if got := fmt.Sprint(quiet()); got != "[false true false]" {
		t.Fatal(got)
	}
	w.sleep(24 * time.Hour)
	w.ask(c1, w.bob, perm(w.set(w.alice, rs1, "view"), "view"))
	if got := fmt.Sprint(quiet()); got != "[false false true false]" {
		t.Fatal(got)
	}
}

// TestSEC_41_ExactNamesOnly: a share names a record by its whole id; prefixes, suffixes, other case, look-alikes, types and
// wildcards name nothing.
func TestSEC_41_ExactNamesOnly(t *testing.T) {
	w := inMemory(t)
	id := string(w.set(w.alice, rs1, "view"))
	me := w.herself(w.alice)
	try := func(name string) error {
		_, err := me.CheckShare(t.Context(), give(account(w.bob), rule("", umaas.ResourceID(name), "view")))
		return err
	}
	w.must(try(id))
	for _, name := range []string{"", "*", id + "*", id[:8] + "*", strings.ToUpper(id), strings.ToLower(id), id + " ", " " + id, "Health record", "urn:umaas:resource:record", id + "\u200b", strings.ReplaceAll(id, "a", "а")} {
		if name != id {
			w.wantErr(try(name), umaas.ErrNotFound)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.OneOf(
			rapid.Custom(func(rt *rapid.T) string { return id[:rapid.IntRange(0, len(id)-1).Draw(rt, "prefix")] }),
			rapid.Custom(func(rt *rapid.T) string { return id[rapid.IntRange(1, len(id)).Draw(rt, "suffix"):] }),
			rapid.Custom(func(rt *rapid.T) string { return id + rapid.StringN(1, 3, -1).Draw(rt, "more") }),
			rapid.String(),
		).Draw(rt, "name")
		if err := try(name); !errors.Is(err, umaas.ErrNotFound) {
			rt.Fatalf("%q: %v", name, err)
		}
	})
}

// TestSEC_42_NamesDoNotIdentify: ten owners with one name for their records share disjoint scopes; each token has its own alone.
func TestSEC_42_NamesDoNotIdentify(t *testing.T) {
	w := inMemory(t)
	scopes := []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"}
	for i := range 10 {
		owner := w.person(fmt.Sprint("owner", i), "Same Name")
		id := w.set(owner, rs1, scopes...)
		_, err := w.herself(owner).CreateShare(t.Context(), give(account(w.bob), rule("", id, scopes[i])), "")
		w.must(err)
		pat := umaas.PAT{Owner: owner, RS: rs1}
		token := w.rpt(c1, w.gather(c1, w.ticketOf(pat, perm(id, scopes[i])), w.bob))
		if got := rights(w.inspect(owner, rs1, token.AccessToken), map[umaas.ResourceID]string{id: "r"}); got != "r{"+scopes[i]+"}" {
			t.Fatal(got)
		}
		w.refused(c2, w.gather(c2, w.ticketOf(pat, perm(id, scopes[(i+1)%10])), w.bob), 403, "request_submitted", "")
	}
}

// TestH_18_SharesOnEveryClaim: every claim of HEART × a scope of the record, stated by this server or by another one, with
// further claims; what is shown says so (H-18, H-19).
func TestH_18_SharesOnEveryClaim(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view", "edit")
	me := w.herself(w.alice)
	for _, name := range []string{"org", "pro", "email", "er", "role"} {
		for _, by := range []string{"", "https://idp.example"} {
			for _, scope := range []string{"view", "edit"} {
				n := give(umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: by, Name: name, Value: "v"}}, rule("", r, scope))
				n.Also = []umaas.Claim{{Name: "role", Value: "nurse"}}
				n.Purposes, n.MinACR, n.Terms = []string{"TREAT"}, "mfa", "Do not copy."
				id, err := me.CreateShare(t.Context(), n, "")
				w.must(err)
				v, err := me.Share(t.Context(), id)
				w.must(err)
				wantIssuer := by
				if by == "" {
					wantIssuer = issuer
				}
				if v.Policy.Who.Claim != (umaas.Claim{Issuer: wantIssuer, Name: name, Value: "v"}) || v.Also[0] != (umaas.Claim{Issuer: issuer, Name: "role", Value: "nurse"}) ||
					v.Rules[0].Scopes[0] != scope || v.MinACR != "mfa" || v.Terms != "Do not copy." || v.Purposes[0] != "TREAT" {
					t.Errorf("%s by %q: %+v", name, by, v.Policy)
				}
			}
		}
	}
	all, err := me.Shares(t.Context())
	w.must(err)
	if len(all) != 20 {
		t.Errorf("%d in effect", len(all))
	}
}
