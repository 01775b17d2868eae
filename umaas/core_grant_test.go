package umaas_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// shared gives bob r{view,edit} and s{view} with app c1 and returns them.
func (w *world) shared() (r, s umaas.ResourceID, names map[umaas.ResourceID]string, policy umaas.PolicyID) {
	w.t.Helper()
	r, s = w.set(w.alice, rs1, "view", "edit"), w.set(w.alice, rs1, "view")
	policy = w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view", "edit"), rule(rs1, s, "view")})
	return r, s, map[umaas.ResourceID]string{r: "r", s: "s"}, policy
}

func (w *world) refresh(client umaas.ClientID, token string) (uma.TokenResponse, error) {
	f := form("grant_type", "refresh_token", "client_id", string(client), "refresh_token", token)
	if client != p1 && client != wild {
		f.Set("client_secret", secret)
	}
	return w.Token(w.t.Context(), umaas.TokenRequest{Form: f})
}

// TestG_073_Upgrade: same client, party, resource server and owner (G-073…G-082).
func TestG_073_Upgrade(t *testing.T) {
	eachStore(t, func(w *world) {
		r, s, names, _ := w.shared()
		old := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		up := w.rpt(c1, w.gather(c1, w.ticket(perm(s, "view")), w.bob), "rpt", old.AccessToken)
		if !up.Upgraded {
			t.Fatal("not upgraded")
		}
		w.wantRights(up.AccessToken, "r{view} s{view}", names)
		w.wantInactive(w.inspect(w.alice, rs1, old.AccessToken)) // G-080
		if again, err := w.refresh(c1, old.RefreshToken); err == nil {
			t.Fatalf("the old refresh token lives: %+v", again)
		}
		again, err := w.refresh(c1, up.RefreshToken)
		w.must(err)
		w.wantRights(again.AccessToken, "r{view} s{view}", names)

		apart := w.rpt(c1, w.gather(c1, w.ticket(perm(s, "view")), w.bob))
		if apart.Upgraded {
			t.Fatal("upgraded without rpt") // G-074
		}
		w.wantRights(apart.AccessToken, "s{view}", names)
		w.wantRights(up.AccessToken, "r{view} s{view}", names) // G-082
	})
}

// TestSEC_26_ForeignRPT: nothing is merged and nothing revoked.
func TestSEC_26_ForeignRPT(t *testing.T) {
	eachStore(t, func(w *world) {
		r, s, names, _ := w.shared()
		w.policy(w.alice, account(w.carol), []umaas.Rule{rule(rs1, s, "view")})
		other := w.set(w.alice, rs2, "view")
		theirs := w.set(w.carol, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs2, other, "view")})
		w.policy(w.carol, account(w.bob), []umaas.Rule{rule(rs1, theirs, "view")})
		mine := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		try := func(name string, client umaas.ClientID, ticket, rpt string) {
			t.Helper()
			resp := w.rpt(client, ticket, "rpt", rpt)
			if resp.Upgraded {
				t.Fatalf("%s: upgraded", name)
			}
			w.wantRights(mine.AccessToken, "r{view}", names)
		}
		try("another client", c2, w.gather(c2, w.ticket(perm(s, "view")), w.bob), mine.AccessToken)
		try("another party", c1, w.gather(c1, w.ticket(perm(s, "view")), w.carol), mine.AccessToken)
		try("another resource server", c1, w.gather(c1, w.ticketOf(umaas.PAT{Owner: w.alice, RS: rs2}, perm(other, "view")), w.bob), mine.AccessToken)
		try("another owner", c1, w.gather(c1, w.ticketOf(umaas.PAT{Owner: w.carol, RS: rs1}, perm(theirs, "view")), w.bob), mine.AccessToken)
		for _, garbage := range []string{"x", "a.b.c", mine.RefreshToken, mine.AccessToken[:len(mine.AccessToken)-1], mine.AccessToken + "A"} {
			try("garbage", c1, w.gather(c1, w.ticket(perm(s, "view")), w.bob), garbage)
		}
	})
}

// TestSEC_27_UpgradeRevivesNothing: withdrawn and expired parts stay behind; of two upgrades at once one carries.
func TestSEC_27_UpgradeRevivesNothing(t *testing.T) {
	eachStore(t, func(w *world) {
		r, s := w.set(w.alice, rs1, "view", "edit"), w.set(w.alice, rs1, "view")
		names := map[umaas.ResourceID]string{r: "r", s: "s"}
		gone := w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "edit")}, func(p *umaas.Policy) { p.NotAfter = w.now().Add(time.Minute) })
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, s, "view")})
		old := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view", "edit"), perm(s, "view")), w.bob))
		w.wantRights(old.AccessToken, "r{edit} r{view} s{view}", names) // they end at different times
		_, err := w.StopShare(t.Context(), w.alice, gone, "")
		w.must(err)
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}) // SEC-35: given again, to new grants
		w.sleep(time.Minute)
		up := w.rpt(c1, w.gather(c1, w.ticket(perm(s, "view")), w.bob), "rpt", old.AccessToken)
		w.wantRights(up.AccessToken, "s{view}", names)

		tickets := []string{w.gather(c1, w.ticket(perm(s, "view")), w.bob), w.gather(c1, w.ticket(perm(s, "view")), w.bob)}
		carried := make([]bool, 2)
		var wg sync.WaitGroup
		for i, ticket := range tickets {
			wg.Go(func() {
				resp, err := redeemAt(t.Context(), w.Service, c1, ticket, "rpt", up.AccessToken)
				carried[i] = err == nil && resp.Upgraded
			})
		}
		wg.Wait()
		if carried[0] == carried[1] {
			t.Fatalf("two upgrades of one RPT: %v", carried)
		}
	})
}

// TestSEC_29_NothingBeyondTheAssessment: a partial policy never lets the rest of the ticket in.
func TestSEC_29_NothingBeyondTheAssessment(t *testing.T) {
	eachStore(t, func(w *world) {
		r, s := w.set(w.alice, rs1, "view", "edit"), w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
		ticket := w.ask(c1, w.bob, perm(r, "view", "edit"), perm(s, "view"))
		w.answer(w.alice, false)
		w.wantRights(w.rpt(c1, ticket).AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r", s: "s"})
	})
}

// TestSEC_32_RefreshAssessesNothing: widened adds nothing, withdrawn ends it (G-102, G-133).
func TestSEC_32_RefreshAssessesNothing(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		names := map[umaas.ResourceID]string{r: "r"}
		first := w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
		resp := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		wider := w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view", "edit")})
		resp, err := w.refresh(c1, resp.RefreshToken)
		w.must(err)
		w.wantRights(resp.AccessToken, "r{view}", names)
		_, err = w.StopShare(t.Context(), w.alice, first, "")
		w.must(err)
		w.wantInactive(w.inspect(w.alice, rs1, resp.AccessToken))
		_ = wider // in force, and yet it carries nothing that was granted before it
		again, err := w.refresh(c1, resp.RefreshToken)
		w.wantError(again, err, 400, "invalid_grant", "")
	})
}

// TestG_133_NarrowedAtOnce: fewer scopes, an end, fewer registered scopes; and never more again.
func TestG_133_NarrowedAtOnce(t *testing.T) {
	eachStore(t, func(w *world) {
		r, s, names, policy := w.shared()
		token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view", "edit"), perm(s, "view")), w.bob)).AccessToken
		w.wantRights(token, "r{view,edit} s{view}", names)
		share, err := w.Share(t.Context(), w.alice, policy)
		w.must(err)
		w.must(w.NarrowShare(t.Context(), w.alice, policy, itemIDs(share.Records, ".view"), time.Time{}, ""))
		w.wantRights(token, "r{view} s{view}", names)
		if err := w.NarrowShare(t.Context(), w.alice, policy, itemIDs(share.Records), time.Time{}, ""); !errors.Is(err, umaas.ErrBadAnswer) {
			t.Fatal("widened by narrowing:", err)
		}
		if err := w.NarrowShare(t.Context(), w.alice, policy, nil, time.Time{}, ""); !errors.Is(err, umaas.ErrNothingChosen) {
			t.Fatal(err)
		}
		w.must(w.UpdateResource(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, s, uma.ResourceDescription{Scopes: []string{"other"}}, ""))
		w.wantRights(token, "r{view}", names)
		w.must(w.NarrowShare(t.Context(), w.alice, policy, itemIDs(share.Records, ".view"), w.now().Add(time.Minute), ""))
		if err := w.NarrowShare(t.Context(), w.alice, policy, itemIDs(share.Records, ".view"), w.now().Add(time.Hour), ""); !errors.Is(err, umaas.ErrBadAnswer) {
			t.Fatal("made longer:", err)
		}
		w.sleep(time.Minute)
		w.wantInactive(w.inspect(w.alice, rs1, token))
	})
}

// TestSEC_35_SharingAgainRevivesNothing.
func TestSEC_35_SharingAgainRevivesNothing(t *testing.T) {
	eachStore(t, func(w *world) {
		r, _, _, policy := w.shared()
		resp := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		v, err := w.StopShare(t.Context(), w.alice, policy, "")
		w.must(err)
		w.sleep(time.Second)
		again, err := w.StopShare(t.Context(), w.alice, policy, "")
		w.must(err)
		if v.Revoked.IsZero() || !again.Revoked.Equal(v.Revoked) {
			t.Fatal("stopping twice changed something")
		}
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view", "edit")})
		w.wantInactive(w.inspect(w.alice, rs1, resp.AccessToken))
		refreshed, err := w.refresh(c1, resp.RefreshToken)
		w.wantError(refreshed, err, 400, "invalid_grant", "")
		w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
	})
}

// TestSEC_38_ClosedAccountsEndGrants: owner, party, client, resource server.
func TestSEC_38_ClosedAccountsEndGrants(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"owner":           func(w *world) { w.disable(w.alice) },
		"party":           func(w *world) { w.disable(w.bob) },
		"client":          func(w *world) { w.disableClient(c1) },
		"resource server": func(w *world) { w.disableClient(rs1) },
		"party deleted":   func(w *world) { w.put(func(tx umaas.Tx) error { return tx.DeleteAccount(w.bob) }) },
	} {
		t.Run(name, func(t *testing.T) {
			w := inMemory(t)
			r, _, names, _ := w.shared()
			resp := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
			w.wantRights(resp.AccessToken, "r{view}", names)
			end(w)
			w.wantInactive(w.inspect(w.alice, rs1, resp.AccessToken))
			if again, err := w.refresh(c1, resp.RefreshToken); err == nil {
				t.Fatalf("%+v", again)
			}
		})
	}
}

// TestDerivedSetEndsWithItsBase: the record owner's withdrawal ends what rests on it (decisions 2).
func TestDerivedSetEndsWithItsBase(t *testing.T) {
	eachStore(t, func(w *world) {
		record := w.set(w.carol, rs1, "view", "edit")
		access, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, uma.ResourceDescription{
			Scopes: []string{"view", "edit"}, DerivedFrom: &uma.DerivedFrom{ResourceID: string(record)},
			Context: &uma.ResourceContext{Level: "patient", Label: "Carol", Patient: "p7"},
		}, "")
		w.must(err)
		names := map[umaas.ResourceID]string{access: "access"}

		v, _ := w.visit(c1, w.ticket(perm(access, "view", "edit")), w.alice)
		if len(v.Records) != 1 || len(v.Records[0].Items) != 0 || v.Records[0].Label != "Carol" {
			t.Fatalf("offers what alice has no right to: %+v", v.Records)
		}
		standing := w.policy(w.carol, account(w.alice), []umaas.Rule{rule(rs1, record, "view")})
		resp := w.rpt(c1, w.consent(c1, w.ticket(perm(access, "view", "edit")), w.alice, time.Time{}))
		w.wantRights(resp.AccessToken, "access{view}", names)
		if i := w.inspect(w.alice, rs1, resp.AccessToken); i.Patient != "p7" || i.Owner != string(w.alice) {
			t.Fatalf("%+v", i)
		}
		_, err = w.StopShare(t.Context(), w.carol, standing, "")
		w.must(err)
		w.wantInactive(w.inspect(w.alice, rs1, resp.AccessToken))
		w.policy(w.carol, account(w.alice), []umaas.Rule{rule(rs1, record, "view")})
		w.wantInactive(w.inspect(w.alice, rs1, resp.AccessToken))
		w.must(w.DeleteResource(t.Context(), umaas.PAT{Owner: w.carol, RS: rs1}, record, ""))
		v, b := w.visit(c1, w.ticket(perm(access, "view")), w.alice)
		if _, err := w.AnswerConsent(t.Context(), v.ID, b, w.sessions[w.alice], umaas.ConsentAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrNothingChosen) {
			t.Fatal(err)
		}
	})
}

// TestClientForItself: an organization's client without a way back for a browser speaks for the organization; an app can
// also be named itself.
func TestClientForItself(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		names := map[umaas.ResourceID]string{r: "r"}
		e := w.refused(robot, w.ticket(perm(r, "view")), 403, "request_submitted", "")
		w.answer(w.alice, true)
		token := w.rpt(robot, e.Ticket).AccessToken
		w.wantRights(token, "r{view}", names)
		if i := w.inspect(w.alice, rs1, token); i.Sub != string(w.org) || i.ClientID != string(robot) {
			t.Fatalf("%+v", i)
		}
		w.refused(c2, w.ticket(perm(r, "view")), 403, "need_info", "")
		w.policy(w.alice, umaas.Who{Kind: umaas.WhoClient, Client: c2}, []umaas.Rule{rule(rs1, r, "view")})
		i := w.inspect(w.alice, rs1, w.rpt(c2, w.ticket(perm(r, "view"))).AccessToken)
		if i.Sub != "" || i.ClientID != string(c2) || len(i.Permissions) != 1 {
			t.Fatalf("%+v", i)
		}
	})
}

// TestOnce: a single-use grant is spent by one of 64 parallel uses, has no refresh token and is inactive afterwards
// (decisions 8).
func TestOnce(t *testing.T) {
	n := 0
	var mu sync.Mutex
	conflicting := func(t *testing.T) *world {
		return newWorld(t, memkv.New(memkv.Options{Conflict: func() bool { mu.Lock(); defer mu.Unlock(); n++; return n%2 == 0 }}))
	}
	eachStore(t, once)
	t.Run("conflicting", func(t *testing.T) { once(conflicting(t)) })
}

func once(w *world) {
	r, _, names, _ := w.shared()
	resp := w.rpt(c1, w.gather(c1, w.ticket(limited(perm(r, "edit"), uma.ConstraintOnce, "")), w.bob))
	if resp.RefreshToken != "" {
		w.t.Fatal("a single-use grant with a refresh token")
	}
	w.wantRights(resp.AccessToken, "r{edit}[once=]", names)
	pat := umaas.PAT{Owner: w.alice, RS: rs1}
	for name, p := range map[string]umaas.PAT{"other owner": {Owner: w.carol, RS: rs1}, "other server": {Owner: w.alice, RS: rs2}, "nobody": {}} {
		if err := w.ConsumeGrant(w.t.Context(), p, resp.AccessToken); !errors.Is(err, uma.ErrInvalidGrant) {
			w.t.Fatalf("%s: %v", name, err)
		}
	}
	services := []*umaas.Service{w.Service, w.service(), w.service()}
	results := make(chan error, 64)
	for i := range 64 {
		go func() { results <- services[i%3].ConsumeGrant(w.t.Context(), pat, resp.AccessToken) }()
	}
	winners := 0
	for range 64 {
		if err := <-results; err == nil {
			winners++
		} else {
			w.wantError(nil, err, 400, "invalid_grant", "the grant is not valid, or was used already")
		}
	}
	if winners != 1 {
		w.t.Fatalf("%d winners", winners)
	}
	w.wantInactive(w.inspect(w.alice, rs1, resp.AccessToken))
	many := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "edit")), w.bob)).AccessToken
	w.wantError(nil, w.ConsumeGrant(w.t.Context(), pat, many), 400, "invalid_request", "the grant is not for a single use")
	w.wantRights(many, "r{edit}", names)
	for _, junk := range []string{"", "x", "a.b", "a.b.c"} {
		w.wantError(nil, w.ConsumeGrant(w.t.Context(), pat, junk), 400, "invalid_grant", "")
	}
}
