package umaas

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Interactive gathering (Grant §3.3.2, §3.3.3) as a machine. A flow of a requesting party who is not the owner stands at the
// first row whose condition holds, recomputed at every visit from what the flow has stored, so that no step can be skipped:
//
//	step      page                 entered when                                     next
//	sign-in   /flow/{id}           nobody is signed in, here or at a trusted issuer step-up
//	step-up   /flow/{id}/step-up   a policy asks for another class of sign-in       questions
//	gather    /flow/{id}/details   the questions are not answered                   terms
//	terms     /flow/{id}/terms     a policy wants a text agreed to                  confirm
//	confirm   /flow/{id}/send      all else is done                                 the app, with a new ticket
//
// Every step is bound to the request (the flow), the browser (its cookie), the person (Flow.Account) and to what was shown
// (the digest). An answer to another step than the flow's is ErrStep and changes nothing; one to a page that has changed
// since is ErrChanged. Only ReopenGather goes back, from confirm to the questions. The last answer deletes the flow and
// stores the successor ticket in one transaction; nothing gathered leaves this server before (G-056).

const maxWords = 80 // characters of what she says about herself

// partyOf is the requesting party as she signed in, with what was stated about her in this process before.
func partyOf(t Ticket, a Account, sess Session) *Party {
	p := &Party{Account: a.ID, AuthTime: sess.AuthTime, AMR: sess.AMR, ACR: sess.ACR}
	known := t.Party
	if known != nil && known.Account != a.ID {
		known = nil
	}
	p.Claims, p.Stated = heard(known, sess)
	return p
}

// gatherView fills the page of the step a party is at.
func (s *Service) gatherView(r Reader, f Flow, t Ticket, resources map[ResourceID]Resource, a Account, sess Session, v *FlowView) error {
	q, err := s.gatherQuestion(r, f, t, resources)
	if err != nil {
		return err
	}
	need, _ := q.lacking()
	v.Mine = answersOf(t)
	if v.Told, err = s.toldWith(r, a, sess, v.App); err != nil {
		return err
	}
	switch v.Step = f.gatherStep(need); v.Step {
	case StepStepUp:
		v.StepUp, err = s.stepUpView(r, a, need.StepUp)
	case StepGather:
		v.Purposes, v.Urgent = purposes, q.urgent()
	case StepTerms:
		for _, text := range need.Terms {
			v.Terms = append(v.Terms, TermsView{ID: termsID(text), Text: text})
		}
	}
	v.permissions = t.Permissions
	return err
}

// gatherQuestion is the assessment's own question, so that a page asks for just what the token endpoint would miss. A
// sign-in of up to stepUpMaxAge before the flow began is fresh, however long the pages take.
func (s *Service) gatherQuestion(r Reader, f Flow, t Ticket, resources map[ResourceID]Resource) (Question, error) {
	client, err := r.Client(f.Client)
	if err != nil {
		return Question{}, fmt.Errorf("read client: %w", err)
	}
	now := s.Now()
	q, err := s.question(r, t, client, resources, now)
	q.StepUpAge = now.Sub(f.Key.Time()) + stepUpMaxAge
	return q, err
}

// gatherStep is the machine's table.
func (f Flow) gatherStep(need NeedInfo) FlowStep {
	switch {
	case need.StepUp != "":
		return StepStepUp
	case !slices.Contains(f.Answered, StepGather):
		return StepGather
	case len(need.Terms) > 0:
		return StepTerms
	default:
		return StepConfirm
	}
}

// urgent reports whether an owner lets this party declare an emergency on what is asked.
func (q Question) urgent() bool {
	q.supposed, q.BreakGlass = true, true
	for _, a := range q.Asked {
		for _, p := range a.Policies {
			if p.BreakGlass && q.counts(p) && q.gives(a, p) {
				return true
			}
		}
	}
	return false
}

// asked is the part of a gathering page that its digest covers (SEC-47): the request too, though it is not shown.
func (v FlowView) asked() any {
	return []any{v.permissions, v.Mine, v.StepUp, v.Terms, v.Urgent}
}

// answersOf reads back what she has said so far.
func answersOf(t Ticket) GatherAnswer {
	a := GatherAnswer{Purpose: t.Purpose, Note: t.Note, Emergency: t.BreakGlass}
	for _, c := range t.Answers {
		switch c.Name {
		case answerRole:
			a.Role = c.Value
		case answerOrg:
			a.Org = c.Value
		}
	}
	return a
}

// ownWords are those answers that an owner reads as the party's own words.
func ownWords(answers []Claim) []Claim {
	var out []Claim
	for _, c := range answers {
		if c.Name == answerRole || c.Name == answerOrg {
			out = append(out, c)
		}
	}
	return out
}

// withAnswer replaces the answers of a name.
func withAnswer(answers []Claim, name, value string) []Claim {
	out := slices.DeleteFunc(slices.Clone(answers), func(c Claim) bool { return c.Name == name })
	if value != "" {
		out = append(out, Claim{Name: name, Value: value})
	}
	return out
}

// cleaned brings a questionnaire into its one form. Errors: ErrBadAnswer.
func (a GatherAnswer) cleaned() (GatherAnswer, error) {
	var err error
	if a.Note, err = cleanNote(a.Note); err != nil {
		return a, err
	}
	if a.Purpose != "" && !contains(purposes, a.Purpose) {
		return a, fmt.Errorf("%w: unknown purpose", ErrBadAnswer)
	}
	for _, words := range []*string{&a.Role, &a.Org} {
		if !utf8.ValidString(*words) {
			return a, fmt.Errorf("%w: an answer is no text", ErrBadAnswer)
		}
		if *words = cleanText(*words); utf8.RuneCountInString(*words) > maxWords {
			return a, fmt.Errorf("%w: an answer has more than %d characters", ErrBadAnswer, maxWords)
		}
	}
	if a.Emergency && a.Note == "" {
		return a, fmt.Errorf("%w: an emergency needs a reason in words", ErrBadAnswer)
	}
	return a, nil
}

// AnswerGather takes the questionnaire: purpose, note, what she says about herself, an emergency where the owner lets her
// declare one. Errors: ErrFlowGone, ErrOtherBrowser, ErrOtherPerson, ErrStep, ErrChanged, ErrBadAnswer.
func (s *Service) AnswerGather(ctx context.Context, id string, b Browser, sess Session, a GatherAnswer) error {
	a, err := a.cleaned()
	if err != nil {
		return err
	}
	return s.gatherStep(ctx, id, b, sess, a.Digest, StepGather, func(_ Tx, f *Flow, v FlowView) error {
		if a.Emergency && !v.Urgent {
			return fmt.Errorf("%w: an emergency cannot be declared here", ErrBadAnswer)
		}
		t := f.Ticket
		t.Purpose, t.Note, t.BreakGlass = a.Purpose, a.Note, a.Emergency
		t.Answers = withAnswer(t.Answers, answerRole, a.Role)
		t.Answers = withAnswer(t.Answers, answerOrg, a.Org)
		t.Answers = withAnswer(t.Answers, answerAsked, askedPurpose)
		return nil
	})
}

// AnswerTerms takes her answer to the texts shown. A declined text only makes the policies that ask for it not count.
func (s *Service) AnswerTerms(ctx context.Context, id string, b Browser, sess Session, a TermsAnswer) error {
	return s.gatherStep(ctx, id, b, sess, a.Digest, StepTerms, func(tx Tx, f *Flow, v FlowView) error {
		shown := map[string]bool{}
		for _, text := range v.Terms {
			shown[text.ID] = true
			name := answerNoTerms
			if contains(a.Agreed, text.ID) {
				name = answerTerms
			}
			f.Ticket.Answers = append(f.Ticket.Answers, Claim{Name: name, Value: text.ID})
		}
		for _, id := range a.Agreed {
			if !shown[id] {
				return fmt.Errorf("%w: a text that was not shown", ErrBadAnswer)
			}
		}
		return s.tellTerms(tx, *f, a.Agreed, v.Person.ID)
	})
}

// tellTerms writes into the owner's history who agreed to which policy's terms.
func (s *Service) tellTerms(tx Tx, f Flow, agreed []string, party AccountID) error {
	t, resources, err := s.standing(tx, *f.Ticket)
	if err != nil {
		return err
	}
	t.Party = &Party{Account: party}
	q, err := s.gatherQuestion(tx, f, t, resources)
	if err != nil {
		return err
	}
	told := map[PolicyID]bool{}
	for _, a := range q.Asked {
		for _, p := range a.Policies {
			if p.Terms == "" || told[p.ID] || !contains(agreed, termsID(p.Terms)) {
				continue
			}
			told[p.ID] = true
			e := AuditEvent{
				Type: EventTermsAgreed, Owner: t.Owner, Actor: party, Client: f.Client, RS: t.RS, Resource: a.Resource.ID, Process: f.process(), Policy: p.ID,
			}
			if err := s.tell(tx, s.Now(), e); err != nil {
				return err
			}
		}
	}
	return nil
}

// SkipStepUp goes on without the sign-in that a policy asks for: that policy does not count in this process, and the owner may
// be asked instead.
func (s *Service) SkipStepUp(ctx context.Context, id string, b Browser, sess Session, shown string) error {
	return s.gatherStep(ctx, id, b, sess, shown, StepStepUp, func(_ Tx, f *Flow, v FlowView) error {
		f.Ticket.Answers = append(f.Ticket.Answers, Claim{Name: answerNoStepUp, Value: v.StepUp.ACR})
		return nil
	})
}

// ReopenGather goes back from confirm to the questions, with what she has answered in place. Terms she answered stay answered:
// they are shown again only if other ones come to count.
func (s *Service) ReopenGather(ctx context.Context, id string, b Browser, sess Session, shown string) error {
	return s.gatherStep(ctx, id, b, sess, shown, StepConfirm, func(_ Tx, f *Flow, _ FlowView) error {
		f.Answered = slices.DeleteFunc(f.Answered, func(step FlowStep) bool { return step == StepGather || step == StepConfirm })
		return nil
	})
}

// gatherStep stores one answered step of the machine.
func (s *Service) gatherStep(ctx context.Context, id string, b Browser, sess Session, shown string, step FlowStep, work func(Tx, *Flow, FlowView) error) error {
	return s.Store.Update(ctx, func(tx Tx) error {
		f, v, _, err := s.answered(tx, id, b, sess, shown, step)
		if err != nil {
			return err
		}
		if f.Ticket == nil {
			return ErrStep
		}
		f.Answered = append(f.Answered, step)
		if err := work(tx, &f, v); err != nil {
			return err
		}
		return tx.PutFlow(f)
	})
}

// ConfirmGather sends the details: the flow ends, the party goes back with a new ticket (G-053, G-054). Whether access follows
// is not said (G-056).
func (s *Service) ConfirmGather(ctx context.Context, id string, b Browser, sess Session, a ConfirmAnswer) (Redirect, error) {
	now := s.Now()
	var back Redirect
	err := s.Store.Update(ctx, func(tx Tx) error {
		f, _, account, err := s.answered(tx, id, b, sess, a.Digest, StepConfirm)
		if err != nil {
			return err
		}
		if err := tx.DeleteFlow(f.Key); err != nil {
			return gone(err)
		}
		f.Ticket.Remember = a.Remember
		if back, err = s.backWithTicket(tx, f, account, sess, now); err != nil {
			return err
		}
		return s.tell(tx, now, AuditEvent{
			Type: EventClaimsGiven, Owner: account.ID, Actor: account.ID, Client: f.Client, Process: f.process(),
		})
	})
	if err != nil {
		return Redirect{}, err
	}
	return back, nil
}
