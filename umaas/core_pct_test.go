package umaas_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// TestG_031_PCT: a party who agreed is not asked again, also for other resources, owners and resource servers (G-033); the same
// PCT stays good and none is issued again silently (SEC-23, G-057, G-069).
func TestG_031_PCT(t *testing.T) {
	eachStore(t, func(w *world) {
		pct := w.remembered(c1, w.bob)
		r1, r2 := w.set(w.alice, rs1, "view"), w.set(w.alice, rs2, "view")
		for _, id := range []umaas.ResourceID{r1, r2} {
			rs := map[umaas.ResourceID]umaas.ClientID{r1: rs1, r2: rs2}[id]
			w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs, id, "view")})
			resp := w.rpt(c1, w.ticketOf(umaas.PAT{Owner: w.alice, RS: rs}, perm(id, "view")), "pct", pct)
			if resp.PCT != "" {
				t.Fatal("issued again without asking")
			}
		}
		// The process keeps its party over the polls, with or without the PCT.
		r3 := w.set(w.alice, rs1, "view")
		e := w.refused(c1, w.ticket(perm(r3, "view")), 403, "request_submitted", "", "pct", pct)
		w.sleep(10 * time.Second)
		e = w.refused(c1, e.Ticket, 403, "request_submitted", "")
		w.answer(w.alice, true)
		w.sleep(10 * time.Second)
		w.rpt(c1, e.Ticket, "pct", "garbage")

		// The reason she gave this app is remembered with her; another one is asked for.
		treat, research := w.set(w.alice, rs1, "view"), w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, treat, "view")}, forPurposes("TREAT"))
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, research, "view")}, forPurposes("HRESCH"))
		treating := w.rememberedFor(c1, w.bob, "TREAT")
		w.refused(c1, w.ticket(perm(treat, "view")), 403, "need_info", "", "pct", pct)
		w.rpt(c1, w.ticket(perm(treat, "view")), "pct", treating)
		w.refused(c1, w.ticket(perm(research, "view")), 403, "request_submitted", "", "pct", treating)
		w.must(w.Revoke(t.Context(), umaas.TokenRequest{Form: form("token", treating, "client_id", string(c1), "client_secret", secret)}))

		// A page without a yes gives none, though the RPT comes.
		s := w.stage(c1, w.ticket(perm(r1, "view")), w.bob)
		w.must(s.questions(umaas.GatherAnswer{}))
		if resp := w.rpt(c1, s.confirm(false)); resp.PCT != "" {
			t.Fatal("a PCT without a yes")
		}
		// A yes gives none without an RPT (Grant §3.3.5).
		s = w.stage(c1, w.ticket(perm(w.set(w.alice, rs1, "view"), "view")), w.bob)
		w.must(s.questions(umaas.GatherAnswer{}))
		w.refused(c1, s.confirm(true), 403, "request_submitted", "")
		list, err := w.Remembered(t.Context(), w.bob)
		w.must(err)
		if len(list) != 1 {
			t.Fatalf("%d PCTs", len(list))
		}
	})
}

// TestG_070_PCTForm: 160 random bits that say nothing (G-070, G-071, G-072, H-09); the store has only their hash (G-117, G-134).
func TestG_070_PCTForm(t *testing.T) {
	w := inMemory(t)
	seen := map[string]bool{}
	for range 4 {
		pct := w.remembered(c1, w.bob)
		if seen[pct] {
			t.Fatal("twice")
		}
		seen[pct] = true
		id, tail, ok := strings.Cut(pct, ".")
		if !ok || len(tail) != base64.RawURLEncoding.EncodedLen(20) {
			t.Fatalf("form %q", pct)
		}
		for _, part := range []string{id, tail, pct} {
			raw, _ := base64.RawURLEncoding.DecodeString(part)
			if json.Valid(raw) || strings.Contains(string(raw), "bob") || strings.Contains(string(raw), string(w.bob)) {
				t.Fatalf("%q tells something", raw)
			}
		}
		w.must(w.store.View(t.Context(), func(r umaas.Reader) error {
			list, err := r.PartyPCTs(w.bob, umaas.Key{}, 10)
			if err != nil || len(list) == 0 {
				return fmt.Errorf("%d PCTs: %w", len(list), err)
			}
			secret, _ := base64.RawURLEncoding.DecodeString(tail)
			found := 0
			for _, p := range list {
				if p.Secret.Matches(secret) {
					found++
				}
				if strings.Contains(string(p.Secret[:]), string(secret)) {
					t.Fatal("the secret is stored")
				}
			}
			if found != 1 {
				t.Fatalf("%d records match", found)
			}
			if life := list[0].Expires.Sub(list[0].Created); life != 30*24*time.Hour {
				t.Fatalf("lives %s", life)
			}
			return nil
		}))
	}
}

// TestSEC_25_PCT: what is not good is as if none was sent, whatever the reason: byte for byte the same answer.
func TestSEC_25_PCT(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		shape := func(e *uma.Error) string {
			c := *e
			c.Ticket = strings.Repeat("x", len(c.Ticket))
			raw, err := json.Marshal(c)
			w.must(err)
			return string(raw)
		}
		none := shape(w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", ""))
		ignored := func(name, pct string) {
			t.Helper()
			if got := shape(w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", pct)); got != none {
				t.Fatalf("%s: %s, want %s", name, got, none)
			}
		}
		honoured := func(name, pct string) {
			t.Helper()
			w.refused(c1, w.ticket(perm(r, "view")), 403, "request_submitted", "", "pct", pct)
		}
		pct := w.remembered(c1, w.bob)
		honoured("good", pct)
		foreign := w.remembered(c2, w.bob)
		ignored("another client's (G-119)", foreign)
		for _, bad := range []string{"x", pct + "A", pct[:len(pct)-1], strings.ToUpper(pct), "." + pct, strings.Repeat("a", 5000)} {
			ignored("garbage", bad)
		}
		ignored("the right record with another secret", pct[:len(pct)-27]+foreign[len(foreign)-27:])
		ignored("a ticket", w.ticket(perm(r, "view")))
		ignored("an RPT", w.rpt(c1, w.consent(c1, w.ticket(perm(r, "view")), w.alice, time.Time{})).AccessToken)

		// A process that knows its party takes no other one from a PCT (H-09).
		carols := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.org), []umaas.Rule{rule(rs1, carols, "view")})
		other := w.remembered(c1, w.org)
		w.refused(c1, w.gather(c1, w.ticket(perm(carols, "view")), w.bob), 403, "request_submitted", "", "pct", other)

		// The owner of what is asked decides on her own page.
		mine := w.remembered(c1, w.alice)
		ignored("the owner's", mine)

		// Keys: a bound PCT counts with its key alone.
		bind := func(c umaas.Confirmation) {
			w.put(func(tx umaas.Tx) error {
				list, err := tx.PartyPCTs(w.bob, umaas.Key{}, 10)
				if err != nil {
					return err
				}
				for _, p := range list {
					p.Confirm = c
					if err := tx.PutPCT(p); err != nil {
						return err
					}
				}
				return nil
			})
		}
		bind(umaas.Confirmation{JKT: "thumbprint"})
		ignored("bound to a key that is not shown", pct)
		bind(umaas.Confirmation{})
		honoured("unbound", pct)

		// Lock: for good.
		w.disable(w.bob)
		ignored("party locked (SEC-38)", pct)
		w.put(func(tx umaas.Tx) error {
			a, err := tx.Account(w.bob)
			a.Disabled = false
			return errors.Join(err, tx.PutAccount(a))
		})
		w.sleep(time.Second)
		honoured("a lock that left no mark", pct)
		a, err := w.Account(t.Context(), w.bob)
		w.must(err)
		for _, locked := range []bool{true, false} {
			a.Disabled = locked
			_, err := w.PutAccount(t.Context(), a, "")
			w.must(err)
		}
		ignored("after a lock it does not come back", pct)
		w.sleep(time.Second)
		w.signIn(w.bob, "pwd")
		pct = w.remembered(c1, w.bob)
		w.must(w.SetPassword(t.Context(), w.bob, "hash", ""))
		ignored("password changed", pct)
		w.sleep(time.Second)
		w.signIn(w.bob, "pwd")

		// An issuer that stated something about her.
		pct = w.remembered(c1, w.bob)
		state := func(disabled bool) {
			w.put(func(tx umaas.Tx) error {
				return tx.PutTrustedIssuer(umaas.TrustedIssuer{Issuer: "https://h.example", Name: "H", Uses: []umaas.IssuerUse{umaas.UseIDToken}, Claims: []string{"org"}, Disabled: disabled})
			})
		}
		state(false)
		w.put(func(tx umaas.Tx) error {
			list, err := tx.PartyPCTs(w.bob, umaas.Key{}, 1)
			if err != nil {
				return err
			}
			list[0].Party.Claims = []umaas.Claim{{Issuer: "https://h.example", Name: "org", Value: "H"}}
			return tx.PutPCT(list[0])
		})
		honoured("issuer trusted", pct)
		state(true)
		ignored("issuer disabled (SEC-17)", pct)
		w.put(func(tx umaas.Tx) error { return tx.DeleteTrustedIssuer("https://h.example") })
		ignored("issuer removed (SEC-17)", pct)

		pct = w.remembered(c1, w.bob)
		w.sleep(30*24*time.Hour - time.Second)
		honoured("in its last second", pct)
		w.sleep(time.Second)
		ignored("expired", pct)
	})
}

// TestG_066_StalePCT: a policy that asks for a class of sign-in asks for a fresh one; what is remembered is not.
func TestG_066_StalePCT(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		w.signIn(w.bob, "pwd")
		pct := w.remembered(c1, w.bob)
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, minACR(umaas.ACRPassword))
		w.sleep(20 * time.Minute)
		w.rpt(c1, w.ticket(perm(r, "view")), "pct", pct)
		w.sleep(time.Second)
		w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", pct)
	})
}

// TestG_103_RevokePCT: by its client at the revocation endpoint with any hint (G-104), by the party on her page (G-120); another
// client or person cannot. Introspection tells nothing of it (G-118).
func TestG_103_RevokePCT(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		revoke := func(client umaas.ClientID, pct string, more ...string) {
			t.Helper()
			f := form(append([]string{"token", pct, "client_id", string(client), "client_secret", secret}, more...)...)
			w.must(w.Revoke(t.Context(), umaas.TokenRequest{Form: f}))
		}
		good := func(pct string) bool {
			_, err := w.redeem(c1, w.ticket(perm(r, "view")), "pct", pct)
			var e *uma.Error
			return errors.As(err, &e) && e.Code == "request_submitted"
		}
		for _, hint := range [][]string{{"token_type_hint", "pct"}, nil, {"token_type_hint", "refresh_token"}, {"token_type_hint", "nonsense"}} {
			pct := w.remembered(c1, w.bob)
			w.wantInactive(w.inspect(w.alice, rs1, pct))
			revoke(c2, pct, hint...)
			if !good(pct) {
				t.Fatal("another client ended it")
			}
			revoke(c1, pct[:len(pct)-1]+"A", hint...)
			revoke(c1, pct, hint...)
			revoke(c1, pct, hint...)
			if good(pct) {
				t.Fatalf("hint %v: still good", hint)
			}
		}
		pct := w.remembered(c1, w.bob)
		list, err := w.Remembered(t.Context(), w.bob)
		w.must(err)
		if len(list) != 1 || list[0].App.Name != "App One" || list[0].Expires.Sub(list[0].Created) != 30*24*time.Hour {
			t.Fatalf("%+v", list)
		}
		for _, who := range []umaas.AccountID{w.alice, w.carol, ""} {
			if err := w.Forget(t.Context(), who, list[0].Key, ""); !errors.Is(err, umaas.ErrNotFound) {
				t.Fatalf("%s: %v", who, err)
			}
		}
		w.must(w.Forget(t.Context(), w.bob, list[0].Key, ""))
		if err := w.Forget(t.Context(), w.bob, list[0].Key, ""); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatal(err)
		}
		if good(pct) {
			t.Fatal("forgotten and still good")
		}
		// Its client is removed.
		w.remembered(c2, w.bob)
		w.put(func(tx umaas.Tx) error { return tx.DeleteClient(c2) })
		if list, err = w.Remembered(t.Context(), w.bob); err != nil || len(list) != 0 {
			t.Fatalf("%+v %v", list, err)
		}
	})
}

// TestPCTsPerClient: one party has at most five of one client, the newest.
func TestPCTsPerClient(t *testing.T) {
	w := inMemory(t)
	for range 8 {
		w.remembered(c1, w.bob)
		w.sleep(time.Second)
	}
	w.remembered(c2, w.bob)
	list, err := w.Remembered(t.Context(), w.bob)
	w.must(err)
	if len(list) != 6 {
		t.Fatalf("%d", len(list))
	}
}

// TestPCTRace: 64 presentations of one ticket with a PCT give one RPT; 64 tickets with one PCT give 64, while the store makes
// transactions conflict.
func TestPCTRace(t *testing.T) {
	var turns atomic.Int64
	w := newWorld(t, memkv.New(memkv.Options{Conflict: func() bool { return turns.Add(1)%3 == 0 }}))
	r := w.set(w.alice, rs1, "view")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
	pct := w.remembered(c1, w.bob)
	const n = 64
	run := func(ticket func(i int) string) (won, dead int) {
		tickets := make([]string, n)
		for i := range tickets {
			tickets[i] = ticket(i)
		}
		var good, bad atomic.Int32
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, err := redeemAt(t.Context(), w.Service, c1, tickets[i], "pct", pct)
				switch {
				case err == nil:
					good.Add(1)
				case errors.Is(err, uma.ErrInvalidGrant):
					bad.Add(1)
				default:
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		return int(good.Load()), int(bad.Load())
	}
	one := w.ticket(perm(r, "view"))
	if won, dead := run(func(int) string { return one }); won != 1 || dead != n-1 {
		t.Fatalf("one ticket: %d won, %d dead", won, dead)
	}
	if won, dead := run(func(int) string { return w.ticket(perm(r, "view")) }); won != n || dead != 0 {
		t.Fatalf("64 tickets: %d won, %d dead", won, dead)
	}
}

// TestSEC_23_NoPCTWithoutAYes: the pages work, and only a yes on them, in this very process, gives a PCT; for pushed claims too.
func TestSEC_23_NoPCTWithoutAYes(t *testing.T) {
	w := inMemory(t)
	i := w.trust()
	r := w.set(w.alice, rs1, "view")
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: says("org", "clinic")}, []umaas.Rule{rule(rs1, r, "view")})
	push := []string{"claim_token", i.idToken(t, "nora", w.now()), "claim_token_format", idTokenFormat}
	resp := w.rpt(c1, w.ticket(perm(r, "view")), push...)
	if resp.PCT != "" {
		t.Error("a PCT for pushed claims, and nobody was asked")
	}
	nora := umaas.AccountID(w.inspect(w.alice, rs1, resp.AccessToken).Sub)
	w.signIn(nora, "pwd")
	for _, yes := range []bool{false, true} {
		s := w.stage(c1, w.ticket(perm(r, "view")), nora)
		w.must(s.questions(umaas.GatherAnswer{}))
		if resp := w.rpt(c1, s.confirm(yes), push...); (resp.PCT != "") != yes {
			t.Errorf("said %v, PCT %v", yes, resp.PCT != "")
		}
		if n := len(w.rememberedViews(nora)); (n == 1) != yes {
			t.Errorf("said %v, %d apps remember her", yes, n)
		}
	}
	if resp := w.rpt(c1, w.ticket(perm(r, "view")), push...); resp.PCT != "" {
		t.Error("a yes of another process gives a PCT")
	}
}
