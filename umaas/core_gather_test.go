package umaas_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// stage is a flow in one person's browser.
type stage struct {
	w    *world
	id   string
	b    umaas.Browser
	who  umaas.AccountID
	sess umaas.Session
}

func (w *world) stage(client umaas.ClientID, ticket string, who umaas.AccountID) *stage {
	w.t.Helper()
	v, b := w.visit(client, ticket, who)
	return &stage{w, v.ID, b, who, w.sessions[who]}
}

// at wants the flow at a step and returns its view.
func (s *stage) at(step umaas.FlowStep) umaas.FlowView {
	s.w.t.Helper()
	v, err := s.w.Flow(s.w.t.Context(), s.id, s.b, &s.sess)
	s.w.must(err)
	if v.Step != step {
		s.w.t.Fatalf("step %q, want %q", v.Step, step)
	}
	return v
}

func (s *stage) questions(a umaas.GatherAnswer) error {
	s.w.t.Helper()
	a.Digest = s.at(umaas.StepGather).Digest
	return s.w.AnswerGather(s.w.t.Context(), s.id, s.b, s.sess, a)
}

func (s *stage) terms(agree bool) {
	s.w.t.Helper()
	v := s.at(umaas.StepTerms)
	a := umaas.TermsAnswer{Digest: v.Digest}
	for _, t := range v.Terms {
		if agree {
			a.Agreed = append(a.Agreed, t.ID)
		}
	}
	s.w.must(s.w.AnswerTerms(s.w.t.Context(), s.id, s.b, s.sess, a))
}

func (s *stage) confirm(remember bool) string {
	s.w.t.Helper()
	v := s.at(umaas.StepConfirm)
	r, err := s.w.ConfirmGather(s.w.t.Context(), s.id, s.b, s.sess, umaas.ConfirmAnswer{Digest: v.Digest, Remember: remember})
	s.w.must(err)
	return s.w.back(r)
}

// signIn makes a session of now with these methods the one the person uses.
func (w *world) signIn(who umaas.AccountID, amr ...string) umaas.Session {
	w.t.Helper()
	_, sess, err := w.CreateSession(w.t.Context(), who, amr)
	w.must(err)
	w.sessions[who] = sess
	return sess
}

func minACR(acr string) func(*umaas.Policy)  { return func(p *umaas.Policy) { p.MinACR = acr } }
func withTerms(t string) func(*umaas.Policy) { return func(p *umaas.Policy) { p.Terms = t } }
func forPurposes(codes ...string) func(*umaas.Policy) {
	return func(p *umaas.Policy) { p.Purposes = codes }
}

const houseRules = "Use this for my treatment only.\nDo not pass it on.  \u00a7 1"

// TestGatherMachine walks the whole table: what a policy asks for is asked, in its order, and the answers make it count.
func TestGatherMachine(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, minACR(umaas.ACRMultiFactor), withTerms(houseRules), forPurposes("TREAT"))
		w.signIn(w.bob, "pwd")
		s := w.stage(c1, w.ticket(perm(r, "view")), w.bob)
		v := s.at(umaas.StepStepUp)
		if v.StepUp.ACR != umaas.ACRMultiFactor || v.StepUp.Password || len(v.StepUp.Issuers) != 0 || len(v.Terms) != 0 || v.Purposes != nil {
			t.Fatalf("%+v", v)
		}
		s.sess = w.signIn(w.bob, "pwd", "otp")
		w.must(s.questions(umaas.GatherAnswer{Purpose: "TREAT", Note: "tomorrow", Role: "  physio\u202etherapist ", Org: "Rehab"}))
		v = s.at(umaas.StepTerms)
		if len(v.Terms) != 1 || v.Terms[0].Text != houseRules {
			t.Fatalf("terms are not word by word: %q", v.Terms)
		}
		s.terms(true)
		v = s.at(umaas.StepConfirm)
		if want := (umaas.GatherAnswer{Purpose: "TREAT", Note: "tomorrow", Role: "physiotherapist", Org: "Rehab"}); v.Mine != want {
			t.Fatalf("%+v", v.Mine)
		}
		resp := w.rpt(c1, s.confirm(false))
		w.wantRights(resp.AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})
		if resp.PCT != "" {
			t.Fatal("a PCT without a yes") // G-057, SEC-23
		}
		var agreed int
		for _, e := range w.audit(w.alice) {
			if e.Type == umaas.EventTermsAgreed && e.Actor == w.bob && e.Policy != "" {
				agreed++
			}
		}
		if agreed != 1 {
			t.Fatalf("%d agreements in the owner's history", agreed)
		}
	})
}

func (w *world) audit(owner umaas.AccountID) []umaas.AuditEvent {
	w.t.Helper()
	var out []umaas.AuditEvent
	w.must(w.store.View(w.t.Context(), func(r umaas.Reader) error {
		var err error
		out, err = r.Audit(owner, umaas.Key{}, 500)
		return err
	}))
	return out
}

// TestGatherNeeds: a known party is sent back to the pages for what she has not said, once; what she leaves out leads to the
// owner (Grant §3.3.4, §3.3.6).
func TestGatherNeeds(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*umaas.Policy)
		step   umaas.FlowStep
		say    func(s *stage)
		refuse func(s *stage)
	}{
		{"purpose", forPurposes("TREAT", "HPAYMT"), umaas.StepGather,
			func(s *stage) { s.w.must(s.questions(umaas.GatherAnswer{Purpose: "TREAT"})) },
			func(s *stage) { s.w.must(s.questions(umaas.GatherAnswer{Purpose: "HRESCH"})) }},
		{"no purpose at all", forPurposes("TREAT"), umaas.StepGather,
			func(s *stage) { s.w.must(s.questions(umaas.GatherAnswer{Purpose: "TREAT"})) },
			func(s *stage) { s.w.must(s.questions(umaas.GatherAnswer{})) }},
		{"terms", withTerms(houseRules), umaas.StepGather,
			func(s *stage) { s.w.must(s.questions(umaas.GatherAnswer{})); s.terms(true) },
			func(s *stage) { s.w.must(s.questions(umaas.GatherAnswer{})); s.terms(false) }},
		{"step-up", minACR(umaas.ACRPhishingResistant), umaas.StepStepUp,
			func(s *stage) { s.sess = s.w.signIn(s.who, "hwk"); s.w.must(s.questions(umaas.GatherAnswer{})) },
			func(s *stage) {
				s.w.must(s.w.SkipStepUp(s.w.t.Context(), s.id, s.b, s.sess, s.at(umaas.StepStepUp).Digest))
				s.w.must(s.questions(umaas.GatherAnswer{}))
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachStore(t, func(w *world) {
				r := w.set(w.alice, rs1, "view", "edit")
				// The party is known before the policy is made, as from pushed claims or a PCT.
				known := w.remembered(c1, w.bob)
				w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, c.change)
				e := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", known)
				if e.RedirectUser == "" || e.Ticket == "" || len(e.RequiredClaims) != 0 {
					t.Fatalf("%+v", e)
				}
				s := w.stage(c1, e.Ticket, w.bob)
				s.at(c.step)
				c.say(s)
				w.wantRights(w.rpt(c1, s.confirm(false)).AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})

				e = w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", known)
				s = w.stage(c1, e.Ticket, w.bob)
				if c.step == umaas.StepStepUp {
					s.sess = w.signIn(w.bob, "pwd")
				}
				c.refuse(s)
				e = w.refused(c1, s.confirm(false), 403, "request_submitted", "") // asked once, not again
				w.refused(c1, e.Ticket, 403, "request_submitted", "")

				// A policy on something else asks nothing.
				w.refused(c1, w.ticket(perm(r, "edit")), 403, "request_submitted", "", "pct", known)
			})
		})
	}
}

// remembered is a PCT of who at a client, from a process of its own.
func (w *world) remembered(client umaas.ClientID, who umaas.AccountID) string {
	w.t.Helper()
	return w.rememberedFor(client, who, "")
}

func (w *world) rememberedFor(client umaas.ClientID, who umaas.AccountID, purpose string) string {
	w.t.Helper()
	r := w.set(w.carol, rs1, "view")
	w.policy(w.carol, account(who), []umaas.Rule{rule(rs1, r, "view")})
	ticket := w.ticketOf(umaas.PAT{Owner: w.carol, RS: rs1}, perm(r, "view"))
	s := w.stage(client, ticket, who)
	w.must(s.questions(umaas.GatherAnswer{Purpose: purpose}))
	pct := w.rpt(client, s.confirm(true)).PCT
	if pct == "" {
		w.t.Fatal("no PCT after a yes")
	}
	return pct
}

// TestStepUpIsFresh: a policy that asks for a class of sign-in asks for one of now (max_age), also of that very class.
func TestStepUpIsFresh(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, minACR(umaas.ACRPassword))
		w.put(func(tx umaas.Tx) error {
			a, err := tx.Account(w.bob)
			a.PasswordHash = "x"
			return errors.Join(err, tx.PutAccount(a))
		})
		w.signIn(w.bob, "pwd")
		w.sleep(5*time.Minute + time.Second)
		s := w.stage(c1, w.ticket(perm(r, "view")), w.bob)
		if v := s.at(umaas.StepStepUp); !v.StepUp.Password {
			t.Fatalf("%+v", v.StepUp)
		}
		s.sess = w.signIn(w.bob, "pwd")
		w.sleep(9 * time.Minute) // the pages take as long as they take
		w.must(s.questions(umaas.GatherAnswer{}))
		ticket := s.confirm(false)
		w.sleep(4 * time.Minute)
		resp := w.rpt(c1, ticket)
		w.wantRights(resp.AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})

		// The class is the grant's for good: a policy that asks for more later reaches the live token.
		for _, p := range []struct {
			acr    string
			active bool
		}{{umaas.ACRMultiFactor, false}, {umaas.ACRPassword, true}, {"urn:other", false}} {
			w.put(func(tx umaas.Tx) error {
				list, err := tx.Policies(w.alice, "", 10)
				if err != nil {
					return err
				}
				list[0].MinACR = p.acr
				return tx.PutPolicy(list[0])
			})
			if got := w.inspect(w.alice, rs1, resp.AccessToken).Active; got != p.active {
				t.Fatalf("%s: active %v", p.acr, got)
			}
		}
	})
}

// TestGatherSteps: no step can be skipped, answered twice, answered from a page that has changed, from another browser or by
// another person, or after the end (PS-04, SEC-04, SEC-24, SEC-71).
func TestGatherSteps(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		id := w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")}, withTerms(houseRules))
		ctx := t.Context()
		s := w.stage(c1, w.ticket(perm(r, "view", "edit")), w.bob)
		first := s.at(umaas.StepGather)

		// Every answer that is not the questions' is refused at the questions.
		_, err := w.ConfirmGather(ctx, s.id, s.b, s.sess, umaas.ConfirmAnswer{Digest: first.Digest})
		for name, err := range map[string]error{
			"confirm": err,
			"terms":   w.AnswerTerms(ctx, s.id, s.b, s.sess, umaas.TermsAnswer{Digest: first.Digest}),
			"step-up": w.SkipStepUp(ctx, s.id, s.b, s.sess, first.Digest),
			"reopen":  w.ReopenGather(ctx, s.id, s.b, s.sess, first.Digest),
		} {
			if !errors.Is(err, umaas.ErrStep) {
				t.Fatalf("%s at the questions: %v", name, err)
			}
		}
		if _, err := w.AnswerConsent(ctx, s.id, s.b, s.sess, umaas.ConsentAnswer{Digest: first.Digest}); !errors.Is(err, umaas.ErrStep) {
			t.Fatal(err)
		}
		good := umaas.GatherAnswer{Digest: first.Digest, Purpose: "TREAT"}
		carol := w.sessions[w.carol]
		_, other := w.visit(c1, w.ticket(perm(r, "view")), w.carol)
		for name, c := range map[string]struct {
			err  error
			want error
		}{
			"no digest":         {w.AnswerGather(ctx, s.id, s.b, s.sess, umaas.GatherAnswer{}), umaas.ErrChanged},
			"another digest":    {w.AnswerGather(ctx, s.id, s.b, s.sess, umaas.GatherAnswer{Digest: "x"}), umaas.ErrChanged},
			"unknown purpose":   {w.AnswerGather(ctx, s.id, s.b, s.sess, umaas.GatherAnswer{Digest: first.Digest, Purpose: "BTG"}), umaas.ErrBadAnswer},
			"long words":        {w.AnswerGather(ctx, s.id, s.b, s.sess, umaas.GatherAnswer{Digest: first.Digest, Role: strings.Repeat("ä", 81)}), umaas.ErrBadAnswer},
			"no text":           {w.AnswerGather(ctx, s.id, s.b, s.sess, umaas.GatherAnswer{Digest: first.Digest, Org: "\xff"}), umaas.ErrBadAnswer},
			"emergency unasked": {w.AnswerGather(ctx, s.id, s.b, s.sess, umaas.GatherAnswer{Digest: first.Digest, Note: "now", Emergency: true}), umaas.ErrBadAnswer},
			"other browser":     {w.AnswerGather(ctx, s.id, other, s.sess, good), umaas.ErrOtherBrowser},
			"no browser":        {w.AnswerGather(ctx, s.id, "", s.sess, good), umaas.ErrOtherBrowser},
			"other person":      {w.AnswerGather(ctx, s.id, s.b, carol, good), umaas.ErrOtherPerson},
			"nobody":            {w.AnswerGather(ctx, s.id, s.b, umaas.Session{}, good), umaas.ErrOtherPerson},
			"another flow":      {w.AnswerGather(ctx, s.id+"A", s.b, s.sess, good), umaas.ErrFlowGone},
		} {
			if !errors.Is(c.err, c.want) {
				t.Fatalf("%s: %v, want %v", name, c.err, c.want)
			}
		}
		w.must(w.AnswerGather(ctx, s.id, s.b, s.sess, good))
		if err := w.AnswerGather(ctx, s.id, s.b, s.sess, good); !errors.Is(err, umaas.ErrStep) { // replay, or a second tab
			t.Fatal(err)
		}
		terms := s.at(umaas.StepTerms)
		if err := w.AnswerTerms(ctx, s.id, s.b, s.sess, umaas.TermsAnswer{Digest: terms.Digest, Agreed: []string{terms.Terms[0].ID, "x"}}); !errors.Is(err, umaas.ErrBadAnswer) {
			t.Fatal(err)
		}
		s.at(umaas.StepTerms) // a refused answer has stored nothing
		w.put(func(tx umaas.Tx) error {
			p, err := tx.Policy(w.alice, id)
			p.Terms = "Other words."
			return errors.Join(err, tx.PutPolicy(p))
		})
		if err := w.AnswerTerms(ctx, s.id, s.b, s.sess, umaas.TermsAnswer{Digest: terms.Digest, Agreed: []string{terms.Terms[0].ID}}); !errors.Is(err, umaas.ErrChanged) {
			t.Fatal("agreed to words she has not read:", err)
		}
		s.terms(true)

		// Going back is possible from the last page, with the answers in place; it forgets none of the terms.
		last := s.at(umaas.StepConfirm)
		w.must(w.ReopenGather(ctx, s.id, s.b, s.sess, last.Digest))
		if v := s.at(umaas.StepGather); v.Mine.Purpose != "TREAT" {
			t.Fatalf("%+v", v.Mine)
		}
		if _, err := w.ConfirmGather(ctx, s.id, s.b, s.sess, umaas.ConfirmAnswer{Digest: last.Digest}); !errors.Is(err, umaas.ErrStep) {
			t.Fatal("an old last page sends:", err)
		}
		w.must(s.questions(umaas.GatherAnswer{Purpose: "PATRQT", Note: "new"}))
		if _, err := w.ConfirmGather(ctx, s.id, s.b, s.sess, umaas.ConfirmAnswer{Digest: last.Digest}); !errors.Is(err, umaas.ErrChanged) {
			t.Fatal("sends what was not shown:", err)
		}
		last = s.at(umaas.StepConfirm)

		// What is asked changes under the page, though it does not show it.
		w.put(func(tx umaas.Tx) error {
			set, err := tx.Resource(w.alice, rs1, r)
			set.Description.Scopes = []string{"view"}
			return errors.Join(err, tx.PutResource(set))
		})
		if _, err := w.ConfirmGather(ctx, s.id, s.b, s.sess, umaas.ConfirmAnswer{Digest: last.Digest}); !errors.Is(err, umaas.ErrChanged) {
			t.Fatal(err)
		}
		last = s.at(umaas.StepConfirm)
		answer := umaas.ConfirmAnswer{Digest: last.Digest}
		if _, err := w.ConfirmGather(ctx, s.id, other, s.sess, answer); !errors.Is(err, umaas.ErrOtherBrowser) {
			t.Fatal(err)
		}
		if _, err := w.ConfirmGather(ctx, s.id, s.b, carol, answer); !errors.Is(err, umaas.ErrOtherPerson) {
			t.Fatal(err)
		}
		back, err := w.ConfirmGather(ctx, s.id, s.b, s.sess, answer)
		w.must(err)
		if _, err := w.ConfirmGather(ctx, s.id, s.b, s.sess, answer); !errors.Is(err, umaas.ErrFlowGone) {
			t.Fatal("double click:", err)
		}
		w.rpt(c1, w.back(back))

		late := w.stage(c1, w.ticket(perm(r, "view")), w.bob)
		w.must(late.questions(umaas.GatherAnswer{}))
		v := late.at(umaas.StepTerms)
		w.sleep(10 * time.Minute)
		if err := w.AnswerTerms(ctx, late.id, late.b, late.sess, umaas.TermsAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrFlowGone) {
			t.Fatal(err)
		}
	})
}

// TestGatherLeaksNothing: without a policy that names her, and for a decoy, a party sees the same steps and gets the same
// answers; self-stated words are nobody's claims.
func TestGatherLeaksNothing(t *testing.T) {
	eachStore(t, func(w *world) {
		plain := w.set(w.alice, rs1, "view")
		others := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(w.carol), []umaas.Rule{rule(rs1, others, "view")}, withTerms(houseRules), minACR(umaas.ACRMultiFactor), forPurposes("TREAT"))
		w.policy(w.alice, umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: issuer, Name: "role", Value: "physician"}}, []umaas.Rule{rule(rs1, others, "view")})
		for _, ticket := range []string{
			w.ticket(perm(plain, "view")), w.ticket(perm(others, "view")), w.ticketOf(umaas.PAT{Owner: w.org, RS: rs1}, perm(w.decoy(), "view")),
		} {
			s := w.stage(c1, ticket, w.bob)
			w.must(s.questions(umaas.GatherAnswer{Purpose: "TREAT", Role: "physician", Org: "org"}))
			w.refused(c1, s.confirm(false), 403, "request_submitted", "")
		}
		pct := w.remembered(c1, w.bob)
		var shapes []string
		for _, ticket := range []string{
			w.ticket(perm(w.set(w.alice, rs1, "view"), "view")), w.ticket(perm(others, "view")), w.ticketOf(umaas.PAT{Owner: w.org, RS: rs1}, perm(w.decoy(), "view")),
		} {
			e := w.refused(c1, ticket, 403, "request_submitted", "", "pct", pct)
			shapes = append(shapes, fmt.Sprint(len(e.Ticket), e.Interval, e.RedirectUser, e.RequiredClaims, e.Description))
		}
		if slices.Sort(shapes); len(slices.Compact(shapes)) != 1 {
			t.Fatalf("%v", shapes)
		}
		for _, v := range w.inbox(w.alice) {
			if v.Purpose != "" && !slices.Contains(v.Says, umaas.Claim{Name: "role", Value: "physician"}) || len(v.Party.Claims) != 0 {
				t.Fatalf("%+v %+v", v.Says, v.Party.Claims)
			}
		}
		if slices.ContainsFunc(w.sessions[w.bob].Claims, func(umaas.Claim) bool { return true }) {
			t.Fatal("claims from nowhere")
		}
	})
}

// TestGatherEmergency: the page offers it only where an owner's policy for emergencies names the party, and with a reason.
func TestGatherEmergency(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view", "edit")
	w.policy(w.alice, account(w.carol), []umaas.Rule{rule(rs1, r, "view")}, func(p *umaas.Policy) { p.BreakGlass = true; p.Purposes = []string{"ETREAT"} })
	if v := w.stage(c1, w.ticket(perm(r, "view")), w.bob).at(umaas.StepGather); v.Urgent {
		t.Fatal("offered to somebody else")
	}
	s := w.stage(c1, w.ticket(perm(r, "view")), w.carol)
	if v := s.at(umaas.StepGather); !v.Urgent {
		t.Fatal("not offered")
	}
	if err := s.questions(umaas.GatherAnswer{Emergency: true}); !errors.Is(err, umaas.ErrBadAnswer) {
		t.Fatal("without a reason:", err)
	}
	w.must(s.questions(umaas.GatherAnswer{Emergency: true, Note: "unconscious"}))
	if v := s.at(umaas.StepConfirm); !v.Mine.Emergency {
		t.Fatalf("%+v", v.Mine)
	}
}
