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
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// TestF_070_EndsStayApart: of two shares of one record the shorter one's end is told with its own scopes, at introspection and
// in the token, so that no cache serves them longer.
func TestF_070_EndsStayApart(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		soon := w.now().Add(time.Minute)
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, func(p *umaas.Policy) { p.NotAfter = soon })
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "edit")})
		token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view", "edit")), w.bob)).AccessToken
		ends := map[string]int64{}
		for _, p := range w.inspect(w.alice, rs1, token).Permissions {
			for _, s := range p.Scopes {
				ends[s] = p.Exp
			}
		}
		if ends["view"] != soon.Unix() || ends["edit"] != w.now().Add(umaas.DefaultLimits().RPT).Unix() {
			t.Fatalf("ends %v at %d", ends, w.now().Unix())
		}
		w.sleep(time.Minute)
		w.wantRights(token, "r{edit}", map[umaas.ResourceID]string{r: "r"})
	})
}

func (w *world) decoy() umaas.ResourceID {
	w.t.Helper()
	id, err := w.CreateResource(w.t.Context(), umaas.PAT{Owner: w.org, RS: rs1}, uma.ResourceDescription{
		Type: "urn:umaas:resource:decoy", Scopes: []string{"view"}, Context: &uma.ResourceContext{Level: "decoy"},
	}, "")
	w.must(err)
	return id
}

// TestDecisions06_ThePartysListTellsNothing: what is hidden stands in the party's own list like what is there, can be taken
// back like it, and neither names an owner. No inbox shows it.
func TestDecisions06_ThePartysListTellsNothing(t *testing.T) {
	eachStore(t, func(w *world) {
		real, decoy := w.set(w.alice, rs1, "view"), w.decoy()
		custodian := umaas.PAT{Owner: w.org, RS: rs1}
		for _, ticket := range []string{w.ticket(perm(real, "view")), w.ticketOf(custodian, perm(decoy, "view"))} {
			w.refused(c1, w.gather(c1, ticket, w.bob), 403, "request_submitted", "")
		}
		asked, err := w.Asked(t.Context(), w.bob)
		w.must(err)
		if len(asked) != 2 || len(w.inbox(w.org)) != 0 || len(w.inbox(w.alice)) != 1 {
			t.Fatalf("asked %d, inboxes %d and %d", len(asked), len(w.inbox(w.org)), len(w.inbox(w.alice)))
		}
		a, b := asked[0], asked[1]
		if a.Owner != "" || b.Owner != "" || !a.Process.IsZero() || a.State != b.State || !a.Expires.Equal(b.Expires) || a.App != b.App ||
			len(a.Records) != 1 || len(b.Records) != 1 || a.Records[0].Items[0].Words != b.Records[0].Items[0].Words {
			t.Fatalf("they differ: %+v %+v", a, b)
		}
		for _, v := range asked {
			if err := w.WithdrawRequest(t.Context(), w.carol, v.Key); !errors.Is(err, umaas.ErrNotFound) {
				t.Fatal(err)
			}
			w.must(w.WithdrawRequest(t.Context(), w.bob, v.Key))
		}
		for _, ticket := range []string{w.ticket(perm(real, "view")), w.ticketOf(custodian, perm(decoy, "view"))} {
			w.refused(c1, w.gather(c1, ticket, w.bob), 403, "request_denied", "")
		}
	})
}

// TestDecisions06_WithdrawnDecoyIsDenied: a poll after taking back is denied for what is hidden too.
func TestDecisions06_WithdrawnDecoyIsDenied(t *testing.T) {
	w := inMemory(t)
	next := w.refused(c1, w.gather(c1, w.ticketOf(umaas.PAT{Owner: w.org, RS: rs1}, perm(w.decoy(), "view")), w.bob), 403, "request_submitted", "").Ticket
	asked, err := w.Asked(t.Context(), w.bob)
	w.must(err)
	w.must(w.WithdrawRequest(t.Context(), w.bob, asked[0].Key))
	w.refused(c1, next, 403, "request_denied", "")
}

// TestSEC_46_DecoysOfUncheckedApps: what many people ask of hidden records through one unchecked app fills no inbox, and so
// never makes a hidden record look different from a silent owner.
func TestSEC_46_DecoysOfUncheckedApps(t *testing.T) {
	w := inMemory(t)
	decoy := w.decoy()
	for i := range 5 {
		who := w.person("asker"+string(rune('a'+i)), "Asker")
		w.refused(wild, w.gather(wild, w.ticketOf(umaas.PAT{Owner: w.org, RS: rs1}, perm(decoy, "view")), who), 403, "request_submitted", "")
	}
}

// TestLastConsentDecidesItsEnd: for good, then for an hour, then for good again: the last answer counts, and each is told.
func TestLastConsentDecidesItsEnd(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		var last uma.TokenResponse
		for _, until := range []time.Duration{0, time.Hour, 0} {
			end := time.Time{}
			if until != 0 {
				end = w.now().Add(until)
			}
			last = w.rpt(c1, w.consent(c1, w.ticket(perm(r, "view")), w.alice, end))
			w.sleep(time.Second)
		}
		w.sleep(time.Hour)
		fresh, err := w.refresh(c1, last.RefreshToken)
		w.must(err)
		w.wantRights(fresh.AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})
		if n := w.told(w.alice, umaas.EventConsentGiven); n != 3 {
			t.Errorf("%d consents in the history, want 3", n)
		}
	})
}

// told counts the events of a type in an owner's history.
func (w *world) told(owner umaas.AccountID, kind string) (n int) {
	w.t.Helper()
	events, err := w.History(w.t.Context(), owner, umaas.Key{}, 500)
	w.must(err)
	for _, e := range events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// TestConsentIsToldEachTime: the same answer again is a decision too, and so is what it takes out of earlier ones.
func TestConsentIsToldEachTime(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view", "edit")
	for range 2 {
		w.consent(c1, w.ticket(perm(r, "view", "edit")), w.alice, time.Time{})
		w.sleep(time.Second)
	}
	w.consent(c1, w.ticket(perm(r, "view", "edit")), w.alice, time.Time{}, ".view")
	if given, narrowed := w.told(w.alice, umaas.EventConsentGiven), w.told(w.alice, umaas.EventShareNarrowed); given != 3 || narrowed != 1 {
		t.Errorf("%d consents and %d narrowings told, want 3 and 1", given, narrowed)
	}
}

// TestSEC_109_NewPasswordEndsRefreshOfRPTs: what was reached with the old password cannot be renewed; somebody else's can.
func TestSEC_109_NewPasswordEndsRefreshOfRPTs(t *testing.T) {
	eachStore(t, func(w *world) {
		r, _, _, _ := w.shared()
		bobs := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		alices := w.rpt(c1, w.consent(c1, w.ticket(perm(r, "view")), w.alice, time.Time{}))
		w.sleep(time.Second)
		w.must(w.SetPassword(t.Context(), w.bob, "x", w.bob))
		got, err := w.refresh(c1, bobs.RefreshToken)
		w.wantError(got, err, 400, "invalid_grant", "")
		w.wantInactive(w.inspect(w.alice, rs1, bobs.AccessToken)) // the grant ended with it
		_, err = w.refresh(c1, alices.RefreshToken)
		w.must(err)
		w.sleep(time.Second)
		w.sessions[w.bob] = w.fresh(w.bob)
		again := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		_, err = w.refresh(c1, again.RefreshToken)
		w.must(err)
	})
}

// brokenStore fails to write once it is told to.
type brokenStore struct {
	umaas.Store
	broken bool
}

func (b *brokenStore) Update(ctx context.Context, fn func(umaas.Tx) error) error {
	if b.broken {
		return errors.New("disk full")
	}
	return b.Store.Update(ctx, fn)
}

// TestSEC_56_RevocationHidesNoFailure: what could not be stored is no success, and the token still counts.
func TestSEC_56_RevocationHidesNoFailure(t *testing.T) {
	w := newWorld(t, memkv.New(memkv.Options{}))
	r, _, names, _ := w.shared()
	token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob)).AccessToken
	disk := &brokenStore{Store: w.store}
	w.store = disk
	s := w.service()
	disk.broken = true
	request := umaas.TokenRequest{Form: form("client_id", string(c1), "client_secret", secret, "token", token)}
	w.wantError(nil, s.Revoke(t.Context(), request), 503, "temporarily_unavailable", "")
	w.wantRights(token, "r{view}", names)
	disk.broken = false
	w.must(s.Revoke(t.Context(), request))
	w.wantInactive(w.inspect(w.alice, rs1, token))
}

// TestIntrospectionNamesTheOnePatient, also beside a set that is about no patient.
func TestIntrospectionNamesTheOnePatient(t *testing.T) {
	w := inMemory(t)
	var ids []umaas.ResourceID
	for _, c := range []uma.ResourceContext{{Level: "record", Patient: "p1"}, {Level: "user"}, {Level: "record", Patient: "p2"}} {
		id, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, uma.ResourceDescription{Scopes: []string{"view"}, Context: &c}, "")
		w.must(err)
		ids = append(ids, id)
	}
	for n, want := range map[int]string{1: "p1", 2: "p1", 3: ""} {
		perms := []uma.Permission{}
		for _, id := range ids[:n] {
			perms = append(perms, perm(id, "view"))
		}
		token := w.rpt(c1, w.consent(c1, w.ticket(perms...), w.alice, time.Time{})).AccessToken
		if got := w.inspect(w.alice, rs1, token).Patient; got != want {
			t.Errorf("%d sets: patient %q, want %q", n, got, want)
		}
	}
}

// TestFlowTellsTheWayBack at every step, so that a page can name it in form-action.
func TestFlowTellsTheWayBack(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	started, err := w.StartClaims(t.Context(), form("client_id", string(c1), "ticket", w.ticket(perm(r, "view")), "claims_redirect_uri", back1), "", "")
	w.must(err)
	var steps []umaas.FlowStep
	for _, sess := range []*umaas.Session{nil, new(umaas.Session)} {
		if sess != nil {
			*sess = w.sessions[w.alice]
		}
		v, err := w.Flow(t.Context(), started.ID, umaas.Browser(started.Browser), sess)
		w.must(err)
		if steps = append(steps, v.Step); v.Redirect != back1 {
			t.Errorf("%s: %q", v.Step, v.Redirect)
		}
	}
	if !slices.Equal(steps, []umaas.FlowStep{umaas.StepSignIn, umaas.StepConsent}) {
		t.Error(steps)
	}
}

// TestSEC_48_WhatOneProcessAsks is bounded at each place where it grows: the permission request, scopes of the token request, an
// ask that joins an open one, an upgrade. Never a fault of the store.
func TestSEC_48_WhatOneProcessAsks(t *testing.T) {
	eachStore(t, func(w *world) {
		long := strings.Repeat("x", 500)
		var scopes []string
		for i := range 200 {
			scopes = append(scopes, fmt.Sprintf("%s%d", long, i)) // 100 kB
		}
		pat := umaas.PAT{Owner: w.alice, RS: rs1}
		a, b := w.set(w.alice, rs1, scopes...), w.set(w.alice, rs1, scopes...)
		got, err := w.RequestPermission(t.Context(), pat, []uma.Permission{perm(a, scopes...), perm(b, scopes...)}, "", "")
		w.wantError(got, err, 400, "invalid_request", "the permissions hold more than 131072 bytes of scopes and constraints; ask for them in several requests")

		for _, id := range []umaas.ResourceID{a, b} {
			w.policy(w.alice, account(w.carol), []umaas.Rule{rule(rs1, id, scopes...)})
		}
		first := w.rpt(c1, w.gather(c1, w.ticket(perm(a, scopes...)), w.carol))
		second := w.rpt(c1, w.gather(c1, w.ticket(perm(b, scopes...)), w.carol), "rpt", first.AccessToken)
		if second.Upgraded {
			t.Error("upgraded beyond what a grant holds")
		}
		w.rpt(c1, w.gather(c1, w.ticket(perm(a, scopes[:3]...)), w.carol), "rpt", second.AccessToken)

		w.ask(c1, w.bob, perm(a, scopes...))
		again := w.gather(c1, w.ticket(limited(perm(a, scopes...), uma.ConstraintQuery, "category=laboratory")), w.bob)
		w.refused(c1, again, 403, "request_denied", "")
	})
}

// TestSignInsAreTold: signing in and out stand in the person's history, a wrong password in the server's own stream alone.
func TestSignInsAreTold(t *testing.T) {
	w := inMemory(t)
	cookie, _, err := w.CreateSession(t.Context(), w.bob, []string{"pwd"})
	w.must(err)
	w.must(w.EndSession(t.Context(), cookie))
	w.must(w.EndSession(t.Context(), cookie)) // signed out already: nothing more to tell
	w.must(w.SignInFailed(t.Context(), w.bob))
	if in, out, failed := w.told(w.bob, "signed-in"), w.told(w.bob, "signed-out"), w.told(w.bob, "sign-in-failed"); in != 2 || out != 1 || failed != 0 {
		t.Errorf("told %d, %d, %d; want 2, 1, 0", in, out, failed)
	}
	w.must(w.store.View(t.Context(), func(r umaas.Reader) error {
		events, err := r.Audit("", umaas.Key{}, 1)
		if err == nil && (len(events) != 1 || events[0].Type != "sign-in-failed" || events[0].Actor != w.bob || events[0].Outcome != umaas.OutcomeRefused) {
			t.Errorf("%+v", events)
		}
		return err
	}))
}

// TestSEC_20_OrganizationOfItsOwnNaming: a client that registered itself, with whatever name, is nobody's organization: a
// person has to stand behind what it asks.
func TestSEC_20_OrganizationOfItsOwnNaming(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	info, err := w.Register(t.Context(), umaas.ClientMetadata{
		Name: "General Hospital", AuthMethod: umaas.AuthSecretPost, Scope: uma.ScopeProtection, GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeClientCredentials},
	}, "")
	w.must(err)
	redeem := func(ticket string) error {
		_, err := w.Token(t.Context(), umaas.TokenRequest{Form: form(
			"grant_type", uma.GrantTypeTicket, "ticket", ticket, "client_id", string(info.ClientID), "client_secret", info.ClientSecret)})
		return err
	}
	w.wantError(nil, redeem(w.ticket(perm(r, "view"))), 403, "need_info", "")
	if n := len(w.inbox(w.alice)); n != 0 {
		t.Errorf("%d requests in the inbox", n)
	}
	w.must(w.VouchForClient(t.Context(), info.ClientID, "Test", ""))
	w.wantError(nil, redeem(w.ticket(perm(r, "view"))), 403, "request_submitted", "")
}

// TestSEC_46_AskingAndTakingBack: a party with ever new unchecked apps gets no further into the inbox than one that leaves its
// requests standing, and an honest request that waits stays in sight behind any number of settled ones.
func TestSEC_46_AskingAndTakingBack(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	w.ask(c1, w.carol, perm(r, "view"))
	for i := range 40 {
		id := umaas.ClientID(fmt.Sprintf("c-bot%d", i))
		w.put(func(tx umaas.Tx) error {
			c, err := tx.Client(wild)
			c.ID = id
			return errors.Join(err, tx.PutClient(c))
		})
		ticket := w.gather(id, w.ticket(perm(r, "view")), w.bob)
		_, err := w.Token(t.Context(), umaas.TokenRequest{Form: form("grant_type", uma.GrantTypeTicket, "client_id", string(id), "ticket", ticket)})
		w.wantError(nil, err, 403, "request_submitted", "")
		asked, err := w.Asked(t.Context(), w.bob)
		w.must(err)
		w.must(w.WithdrawRequest(t.Context(), w.bob, asked[0].Key))
		w.sleep(time.Second)
	}
	all, err := w.Inbox(t.Context(), w.alice, umaas.Key{})
	w.must(err)
	if len(all) != 31 {
		t.Errorf("%d of 41 came before the owner, want 31", len(all))
	}
	for i := range 450 { // what a patient flood, or many years, may leave behind
		w.sleep(time.Millisecond)
		w.put(func(tx umaas.Tx) error {
			key, err := umaas.ParseKey(fmt.Sprintf("%012x%020x", w.now().UnixMilli(), i))
			return errors.Join(err, tx.PutRequest(umaas.Request{
				Key: key, Owner: w.alice, RS: rs1, Client: c2, Party: umaas.Party{Account: w.bob}, State: umaas.RequestAllowed,
				Permissions: []uma.Permission{perm(r, "view")}, Created: w.now(), Expires: w.now().Add(time.Hour),
			}))
		})
	}
	waiting := 0
	for _, v := range w.inbox(w.alice) {
		if v.State == umaas.RequestWaiting && v.Party.Account == w.carol {
			waiting++
		}
	}
	home, err := w.Home(t.Context(), w.alice)
	w.must(err)
	if waiting != 1 || len(home.Waiting) != 1 {
		t.Errorf("the honest request stands %d times in the inbox, %d times on the first page", waiting, len(home.Waiting))
	}
}

// TestSEC_31_ClientIDAlone: a confidential client authenticates on every grant and at revocation; a try without leaves ticket
// and tokens as they are.
func TestSEC_31_ClientIDAlone(t *testing.T) {
	w := inMemory(t)
	r, _, names, _ := w.shared()
	ticket := w.gather(c1, w.ticket(perm(r, "view")), w.bob)
	got := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
	for _, f := range [][]string{
		{"grant_type", uma.GrantTypeTicket, "ticket", ticket},
		{"grant_type", uma.GrantTypeRefreshToken, "refresh_token", got.RefreshToken},
		{"grant_type", uma.GrantTypeAuthorizationCode, "code", "x", "code_verifier", "y"},
		{"grant_type", uma.GrantTypeClientCredentials},
	} {
		answer, err := w.Token(t.Context(), umaas.TokenRequest{Form: form(append(f, "client_id", string(c1))...)})
		w.wantError(answer, err, 401, "invalid_client", "client authentication failed")
	}
	w.wantError(nil, w.Revoke(t.Context(), umaas.TokenRequest{Form: form("token", got.AccessToken, "client_id", string(c1))}), 401, "invalid_client", "")
	w.wantRights(got.AccessToken, "r{view}", names)
	w.rpt(c1, ticket)
	_, err := w.refresh(c1, got.RefreshToken)
	w.must(err)
}
