package umaas_test

import (
	"errors"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func says(name, value string) umaas.Claim {
	return umaas.Claim{Issuer: hospitalIssuer, Name: name, Value: value}
}

// signInThere gives a person an identity at the hospital and a session of now by it, with what it states.
func (w *world) signInThere(who umaas.AccountID, claims ...umaas.Claim) umaas.Session {
	w.t.Helper()
	id := umaas.Identity{Issuer: hospitalIssuer, Subject: "there"}
	w.put(func(tx umaas.Tx) error {
		a, err := tx.Account(who)
		if err != nil {
			return err
		}
		a.Identities, a.PasswordHash = []umaas.Identity{id}, "hash"
		return tx.PutAccount(a)
	})
	sess := w.signIn(who, "pwd")
	sess.Upstream, sess.Claims = id, append(claims, says("urn:umaas:sign-in", id.Subject))
	w.sessions[who] = sess
	return sess
}

func (w *world) trustSignIn() claimsIssuer {
	w.t.Helper()
	i := w.trust()
	w.trustMore(func(i *umaas.TrustedIssuer) {
		i.Uses = append(i.Uses, umaas.UseSignIn)
		i.Claims = append(i.Claims, "er")
	})
	return i
}

// TestSEC_25_NewerWordReplaces: what an issuer says at a sign-in replaces what a PCT recalls of it; what it did not say again
// ends 30 days after it was said, however often a PCT is made of it in between.
func TestSEC_25_NewerWordReplaces(t *testing.T) {
	org := says("org", "clinic")
	const day = 24 * time.Hour
	staff := func(w *world) umaas.ResourceID {
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, withTerms(houseRules), func(p *umaas.Policy) { p.Also = []umaas.Claim{org} })
		return r
	}
	t.Run("said no more", func(t *testing.T) {
		w := inMemory(t)
		w.trustSignIn()
		w.signInThere(w.bob, org)
		pct := w.remembered(c1, w.bob)
		w.sleep(20 * day)
		w.signInThere(w.bob)
		r := staff(w)
		e := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", pct)
		s := w.stage(c1, e.Ticket, w.bob)
		w.must(s.questions(umaas.GatherAnswer{}))
		w.refused(c1, s.confirm(true), 403, "request_submitted", "")
	})
	t.Run("never younger", func(t *testing.T) {
		w := inMemory(t)
		w.trustSignIn()
		with := w.signInThere(w.bob, org)
		with.Upstream, with.Claims = umaas.Identity{}, []umaas.Claim{org}
		w.sessions[w.bob] = with
		pct := w.remembered(c1, w.bob)
		w.sleep(20 * day)
		w.signIn(w.bob, "pwd") // here, where the hospital says nothing
		r := staff(w)
		e := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", pct)
		s := w.stage(c1, e.Ticket, w.bob)
		w.must(s.questions(umaas.GatherAnswer{}))
		s.terms(true)
		pct = w.rpt(c1, s.confirm(true)).PCT
		for _, v := range w.rememberedViews(w.bob) {
			if v.Created.Add(10*day+time.Minute).Before(v.Expires) && v.Created.Equal(w.now()) {
				t.Errorf("remembered until %v", v.Expires)
			}
		}
		w.sleep(20 * day)
		w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", pct)
		if n := len(w.rememberedViews(w.bob)); n != 0 {
			t.Errorf("%d apps remember her", n)
		}
	})
	t.Run("emergency staff", func(t *testing.T) {
		w := inMemory(t)
		w.trustSignIn()
		er := says("er", "true")
		w.signInThere(w.bob, er)
		pct := w.remembered(c1, w.bob)
		w.sleep(time.Hour)
		w.signIn(w.bob, "pwd")
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: er}, []umaas.Rule{rule(rs1, r, "view")}, func(p *umaas.Policy) { p.BreakGlass = true })
		e := w.refused(c1, w.ticket(perm(r, "view")), 403, "request_submitted", "", "pct", pct)
		s := w.stage(c1, e.Ticket, w.bob)
		if err := s.questions(umaas.GatherAnswer{Emergency: true, Note: "urgent"}); !errors.Is(err, umaas.ErrBadAnswer) {
			t.Errorf("an emergency by what was said an hour ago: %v", err)
		}
	})
}

func (w *world) rememberedViews(who umaas.AccountID) []umaas.RememberedView {
	w.t.Helper()
	list, err := w.Remembered(w.t.Context(), who)
	w.must(err)
	return list
}

// resting is an RPT, a refresh token and a PCT of bob's, and a check that all three are as good, or as dead, as told.
func (w *world) resting() (dead func(t *testing.T, want bool)) {
	w.t.Helper()
	r := w.set(w.alice, rs1, "view")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
	s := w.stage(c1, w.ticket(perm(r, "view")), w.bob)
	w.must(s.questions(umaas.GatherAnswer{}))
	resp := w.rpt(c1, s.confirm(true))
	if resp.PCT == "" || resp.RefreshToken == "" {
		w.t.Fatalf("%+v", resp)
	}
	return func(t *testing.T, want bool) {
		t.Helper()
		if active := w.inspect(w.alice, rs1, resp.AccessToken).Active; active == want {
			t.Errorf("RPT active: %v", active)
		}
		if _, err := w.redeem(c1, w.ticket(perm(r, "view")), "pct", resp.PCT); (err != nil) != want {
			t.Errorf("PCT: %v", err)
		}
		fresh, err := w.Token(t.Context(), umaas.TokenRequest{Form: form("grant_type", uma.GrantTypeRefreshToken, "refresh_token", resp.RefreshToken, "client_id", string(c1), "client_secret", secret)})
		if (err != nil) != want {
			t.Errorf("refresh token: %v", err)
		}
		resp.RefreshToken = fresh.RefreshToken
	}
}

// TestSEC_38_UnlinkEndsWhatRestsOnIt: with an identity end the RPTs, refresh tokens and PCTs that came of a sign-in by it.
func TestSEC_38_UnlinkEndsWhatRestsOnIt(t *testing.T) {
	w := inMemory(t)
	w.trustSignIn()
	here := w.resting()
	sess := w.signInThere(w.bob, says("org", "clinic"))
	there := w.resting()
	here(t, false)
	there(t, false)
	v, err := w.SignIns(t.Context(), sess)
	w.must(err)
	w.must(w.Unlink(t.Context(), w.bob, v.Identities[0].ID, ""))
	there(t, true)
	here(t, false)
}

// TestSEC_17_NarrowedUse: what came of a pushed token ends when its issuer is no longer trusted for that kind of token, though it
// is for others.
func TestSEC_17_NarrowedUse(t *testing.T) {
	w := inMemory(t)
	i := w.trust()
	r := w.set(w.alice, rs1, "view")
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: says("org", "clinic")}, []umaas.Rule{rule(rs1, r, "view")})
	push := func(ticket string) (uma.TokenResponse, error) {
		return w.redeem(c1, ticket, "claim_token", i.idToken(t, "nora", w.now()), "claim_token_format", idTokenFormat)
	}
	resp, err := push(w.ticket(perm(r, "view")))
	w.must(err)
	for _, c := range []struct {
		uses []umaas.IssuerUse
		live bool
	}{
		{[]umaas.IssuerUse{umaas.UseIDToken}, true},
		{[]umaas.IssuerUse{umaas.UseClaims, umaas.UsePermissionTicket, umaas.UseSignIn}, false},
		{[]umaas.IssuerUse{umaas.UsePermissionTicket, umaas.UseIDToken}, true},
	} {
		w.trustMore(func(i *umaas.TrustedIssuer) { i.Uses = c.uses })
		if active := w.inspect(w.alice, rs1, resp.AccessToken).Active; active != c.live {
			t.Errorf("trusted for %v: active %v", c.uses, active)
		}
	}
	// A PCT of what was pushed goes the same way.
	nora := umaas.AccountID(w.inspect(w.alice, rs1, resp.AccessToken).Sub)
	_, sess, err := w.CreateSession(t.Context(), nora, []string{"pwd"})
	w.must(err)
	w.sessions[nora] = sess
	terms := w.set(w.alice, rs1, "view")
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: says("org", "clinic")}, []umaas.Rule{rule(rs1, terms, "view")}, withTerms(houseRules))
	w.sleep(time.Second)
	_, err = push(w.ticket(perm(terms, "view")))
	e := w.wantError(nil, err, 403, "need_info", "")
	s := w.stage(c1, e.Ticket, nora)
	w.must(s.questions(umaas.GatherAnswer{}))
	s.terms(true)
	pct := w.rpt(c1, s.confirm(true)).PCT
	w.rpt(c1, w.ticket(perm(r, "view")), "pct", pct)
	w.trustMore(func(i *umaas.TrustedIssuer) { i.Uses = []umaas.IssuerUse{umaas.UseClaims} })
	w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", pct)
}

// TestPushedACR: what a pushed token says of a sign-in counts as the operator mapped it, and unmapped for nothing.
func TestPushedACR(t *testing.T) {
	for _, c := range []struct {
		acr  string
		acrs []string
		good bool
	}{
		{"loa3", []string{"loa3=" + umaas.ACRMultiFactor}, true},
		{"loa3", []string{"loa3=" + umaas.ACRPassword}, false},
		{"loa3", []string{"loa3"}, false},
		{umaas.ACRPhishingResistant, nil, false},
		{umaas.ACRPhishingResistant, []string{umaas.ACRPhishingResistant}, true},
		{"", []string{"=" + umaas.ACRMultiFactor}, false},
	} {
		t.Run(c.acr, func(t *testing.T) {
			w := inMemory(t)
			i := w.trust()
			w.trustMore(func(i *umaas.TrustedIssuer) { i.ACRs = c.acrs })
			r := w.set(w.alice, rs1, "view")
			w.policy(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: says("org", "clinic")}, []umaas.Rule{rule(rs1, r, "view")}, minACR(umaas.ACRMultiFactor))
			_, err := w.redeem(c1, w.ticket(perm(r, "view")), "claim_token_format", idTokenFormat, "claim_token", i.idToken(t, "nora", w.now(), func(m map[string]any) {
				m["acr"], m["auth_time"] = c.acr, w.now().Unix()
			}))
			if c.good {
				w.must(err)
				return
			}
			w.wantError(nil, err, 403, "need_info", "")
		})
	}
}
