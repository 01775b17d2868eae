package umaas_test

import (
	"errors"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func described(name, label string, scopes ...string) uma.ResourceDescription {
	return uma.ResourceDescription{Name: name, Scopes: scopes, Context: &uma.ResourceContext{Level: "record", Label: label, Patient: "p1"}}
}

var responder = umaas.Claim{Issuer: issuer, Name: "er", Value: "true"}

func emergencyShare(id umaas.ResourceID, scopes ...string) umaas.NewShare {
	n := give(umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Name: "er", Value: "true"}}, rule("", id, scopes...))
	n.BreakGlass = true
	return n
}

// TestH_20_BreakGlass: an emergency policy gives access, with btg, to who holds the claim and declared an emergency with a reason;
// the owner finds it first, and ends it.
func TestH_20_BreakGlass(t *testing.T) {
	eachStore(t, func(w *world) {
		declaring(w)
		ctx := t.Context()
		r := w.set(w.alice, rs1, "view", "edit", "btg")
		names := map[umaas.ResourceID]string{r: "r"}
		me := w.herself(w.alice)
		id, err := me.CreateShare(ctx, emergencyShare(r, "view"), "")
		w.must(err)
		w.claims(w.bob, responder)

		w.refused(c1, w.gatherFor(c1, w.ticket(perm(r, "view", "btg")), w.bob, "", "unconscious"), 403, "request_submitted", "") // no emergency
		w.refused(c2, w.emergency(c2, w.bob, "", perm(r, "view", "btg")), 403, "request_submitted", "")                          // no reason
		w.refused(c2, w.emergency(c2, w.carol, "unconscious", perm(r, "view", "btg")), 403, "request_submitted", "")             // not staff
		token := w.rpt(p1, w.emergency(p1, w.bob, "unconscious", perm(r, "view", "btg")))
		w.wantRights(token.AccessToken, "r{view,btg}", names)
		home, err := w.Home(ctx, w.alice)
		w.must(err)
		if len(home.Emergencies) != 1 {
			t.Fatalf("%d notices", len(home.Emergencies))
		}
		notice := home.Emergencies[0]
		if !notice.EmergencyNotice() || notice.Note != "unconscious" || notice.PartyName != "Bob Berg" || notice.Policy != id || !notice.Undo.IsZero() {
			t.Fatalf("%+v", notice.Request)
		}
		events := w.kinds(w.alice, umaas.EventEmergency)
		if len(events) != 1 || events[0].Policy != id || events[0].ActorName != "Bob Berg" || len(w.kinds(w.alice, umaas.EventRPTIssued)) != 1 {
			t.Fatalf("%+v", events)
		}
		answered, err := me.AnswerRequest(ctx, notice.Key, umaas.RequestAnswer{Allow: true, Digest: notice.Digest, Items: itemIDs(notice.Records)}, "")
		if err != nil || answered.By != "" {
			t.Fatalf("a notice was answered: %+v %v", answered.Request, err)
		}
		_, _, err = me.UndoAnswer(ctx, notice.Key, "")
		w.wantErr(err, umaas.ErrNothingToUndo)
		_, err = w.herself(w.carol).EndEmergency(ctx, notice.Key, "")
		w.wantErr(err, umaas.ErrNotFound)
		first, err := me.EndEmergency(ctx, notice.Key, "")
		w.must(err)
		w.sleep(time.Second)
		second, err := me.EndEmergency(ctx, notice.Key, "")
		w.must(err)
		if first != second {
			t.Fatalf("%v %v", first, second)
		}
		w.wantInactive(w.inspect(w.alice, rs1, token.AccessToken))
		if _, err := w.Token(ctx, umaas.TokenRequest{Form: form("grant_type", "refresh_token", "client_id", string(p1), "refresh_token", token.RefreshToken)}); err == nil {
			t.Fatal("the refresh token lives")
		}
		_, _, err = me.UndoAnswer(ctx, notice.Key, "")
		w.wantErr(err, umaas.ErrNothingToUndo)
	})
}

// TestH_20_EmergencyIsShort: access ends an hour after it was given, also by refresh, and is carried into no other token; stopping
// the policy, or losing the claim, ends it at once.
func TestH_20_EmergencyIsShort(t *testing.T) {
	w := declaring(inMemory(t))
	ctx := t.Context()
	r := w.set(w.alice, rs1, "view", "edit")
	other := w.set(w.alice, rs1, "look")
	me := w.herself(w.alice)
	id, err := me.CreateShare(ctx, emergencyShare(r, "view"), "")
	w.must(err)
	_, err = me.CreateShare(ctx, give(account(w.bob), rule("", other, "look")), "")
	w.must(err)
	w.claims(w.bob, responder)
	names := map[umaas.ResourceID]string{r: "r", other: "o"}
	get := func() uma.TokenResponse { return w.rpt(c1, w.emergency(c1, w.bob, "unconscious", perm(r, "view"))) }
	refresh := func(token string) (uma.TokenResponse, error) {
		return w.Token(ctx, umaas.TokenRequest{Form: form("grant_type", "refresh_token", "client_id", string(c1), "client_secret", secret, "refresh_token", token)})
	}
	token := get()
	upgraded := w.rpt(c1, w.gather(c1, w.ticket(perm(other, "look")), w.bob), "rpt", token.AccessToken)
	if upgraded.Upgraded {
		t.Fatal("emergency access was carried over")
	}
	w.wantRights(upgraded.AccessToken, "o{look}", names)
	w.sleep(59 * time.Minute)
	next, err := refresh(token.RefreshToken)
	w.must(err)
	w.wantRights(next.AccessToken, "r{view}", names)
	w.sleep(time.Minute)
	w.wantInactive(w.inspect(w.alice, rs1, next.AccessToken))
	if _, err := refresh(next.RefreshToken); err == nil {
		t.Fatal("refreshed after its hour")
	}
	token = get()
	w.claims(w.bob)
	w.wantInactive(w.inspect(w.alice, rs1, token.AccessToken))
	w.claims(w.bob, responder)
	w.wantRights(token.AccessToken, "r{view}", names)
	_, _, err = me.StopShare(ctx, id, "")
	w.must(err)
	w.wantInactive(w.inspect(w.alice, rs1, token.AccessToken))
	w.refused(c2, w.emergency(c2, w.bob, "unconscious", perm(r, "view")), 403, "request_submitted", "")
}

// TestBreakGlassScopeIsForEmergenciesAlone: nobody can tick, share or be granted btg otherwise; a declared emergency without such
// a policy is an ordinary request that says so.
func TestBreakGlassScopeIsForEmergenciesAlone(t *testing.T) {
	w := declaring(inMemory(t))
	ctx := t.Context()
	r := w.set(w.alice, rs1, "view", "btg")
	me := w.herself(w.alice)
	sets, err := me.Shareable(ctx)
	w.must(err)
	if ids := itemIDs(sets); len(ids) != 1 {
		t.Fatalf("%v", ids)
	}
	_, err = me.CreateShare(ctx, give(account(w.bob), rule("", r, "view", "btg")), "")
	w.wantErr(err, umaas.ErrBadAnswer)
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view", "btg")}) // even where one stands in the store
	ticket := w.refused(c1, w.emergency(c1, w.bob, "unconscious", perm(r, "view", "btg")), 403, "request_submitted", "").Ticket
	v := w.inbox(w.alice)[0]
	if !v.BreakGlass || v.EmergencyNotice() || len(itemIDs(v.Records)) != 1 {
		t.Fatalf("%+v", v.Request)
	}
	w.answer(w.alice, true)
	w.wantRights(w.rpt(c1, ticket).AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})
}

// TestEmergencyNeverOnDecoys: a decoy behaves like an owner who does not answer, whatever is declared (decisions 6).
func TestEmergencyNeverOnDecoys(t *testing.T) {
	w := declaring(inMemory(t))
	w.claims(w.bob, responder)
	decoy, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, uma.ResourceDescription{Name: "x", Type: "urn:umaas:resource:decoy", Scopes: []string{"view", "btg"}}, "")
	w.must(err)
	_, err = w.herself(w.alice).CreateShare(t.Context(), emergencyShare(decoy, "view"), "")
	w.wantErr(err, umaas.ErrNotFound)
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: responder}, []umaas.Rule{rule(rs1, decoy, "view", "btg")}, func(p *umaas.Policy) { p.BreakGlass = true })
	w.refused(c1, w.emergency(c1, w.bob, "unconscious", perm(decoy, "view")), 403, "request_submitted", "")
	if home, err := w.Home(t.Context(), w.alice); err != nil || len(home.Emergencies) != 0 || len(home.Waiting) != 0 {
		t.Fatal(home, err)
	}
	asked, err := w.Asked(t.Context(), w.bob)
	w.must(err)
	_, err = w.herself(w.alice).RequestView(t.Context(), asked[0].Key) // no way to it by its id either
	w.wantErr(err, umaas.ErrNotFound)
	_, err = w.herself(w.alice).AnswerRequest(t.Context(), asked[0].Key, umaas.RequestAnswer{Digest: "x"}, "")
	w.wantErr(err, umaas.ErrNotFound)
	_, _, err = w.herself(w.alice).UndoAnswer(t.Context(), asked[0].Key, "")
	w.wantErr(err, umaas.ErrNotFound)
}

// TestH_20_OrganizationDefault: records registered while it stands begin with the organization's emergency policy, which their
// owner sees and stops; other sets, other servers and earlier records do not.
func TestH_20_OrganizationDefault(t *testing.T) {
	eachStore(t, func(w *world) {
		declaring(w)
		ctx := t.Context()
		early := w.set(w.alice, rs1, "view")
		admin := umaas.Account{ID: "operator", Roles: []umaas.Role{umaas.RoleAdmin}}
		d := &umaas.EmergencyDefault{Who: umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Name: "er", Value: "true"}, Name: "Emergency staff"}, Scopes: []string{"view"}, Label: "Emergency access"}
		w.wantErr(w.SetEmergencyDefault(ctx, umaas.Account{ID: w.alice}, rs1, d), umaas.ErrNotFound)
		w.wantErr(w.SetEmergencyDefault(ctx, admin, rs2, d), umaas.ErrBadAnswer) // it acts for no organization
		w.wantErr(w.SetEmergencyDefault(ctx, admin, rs1, &umaas.EmergencyDefault{Who: account(w.bob)}), umaas.ErrBadAnswer)
		w.must(w.SetEmergencyDefault(ctx, admin, rs1, d))
		r := w.set(w.alice, rs1, "view", "edit", "btg")
		w.set(w.alice, rs2, "view")
		_, err := w.CreateResource(ctx, umaas.PAT{Owner: w.alice, RS: rs1}, uma.ResourceDescription{Name: "x", Type: "urn:umaas:resource:decoy", Scopes: []string{"view"}}, "")
		w.must(err)
		shares, err := w.Shares(ctx, w.alice)
		w.must(err)
		if len(shares) != 1 || !shares[0].BreakGlass || shares[0].By != w.org || len(shares[0].Rules) != 1 || shares[0].Rules[0].Resource != r || len(shares[0].Rules[0].Scopes) != 2 {
			t.Fatalf("%+v", shares)
		}
		w.claims(w.bob, responder)
		w.rpt(c1, w.emergency(c1, w.bob, "unconscious", perm(r, "view")))
		w.refused(c2, w.emergency(c2, w.bob, "unconscious", perm(early, "view")), 403, "request_submitted", "")
		_, _, err = w.herself(w.alice).StopShare(ctx, shares[0].ID, "")
		w.must(err)
		w.refused(c2, w.emergency(c2, w.bob, "unconscious", perm(r, "view")), 403, "request_submitted", "")
		w.must(w.SetEmergencyDefault(ctx, admin, rs1, nil))
		w.set(w.alice, rs1, "view")
		if shares, err = w.Shares(ctx, w.alice); err != nil || len(shares) != 1 {
			t.Fatalf("%d %v", len(shares), err)
		}
	})
}

// TestSEC_39_EmptyPoliciesPermitNothing: in every corner case without a policy that says yes the answer is no (G-128).
func TestSEC_39_EmptyPoliciesPermitNothing(t *testing.T) {
	w := declaring(inMemory(t))
	for name, change := range map[string]func(*umaas.Policy){
		"nobody":            func(p *umaas.Policy) { p.Who = umaas.Who{} },
		"empty claim":       func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoClaim} },
		"no rules":          func(p *umaas.Policy) { p.Rules = nil },
		"emergency":         func(p *umaas.Policy) { p.BreakGlass = true },
		"only btg":          func(p *umaas.Policy) { p.Rules[0].Scopes = []string{"btg"} },
		"made by the party": func(p *umaas.Policy) { p.By = w.bob },
		"claim without issuer": func(p *umaas.Policy) {
			p.Who = umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Name: "er", Value: "true"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.set(w.alice, rs1, "view", "btg")
			w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, change)
			_, err := w.redeem(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
			if !errors.Is(err, uma.ErrRequestSubmitted) {
				t.Fatalf("%v", err)
			}
		})
	}
}
