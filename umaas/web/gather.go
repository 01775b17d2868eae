package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas"
)

// detailsView is PG-05, the questions: what somebody who asks for another's record tells about herself.
type detailsView struct {
	Flow  umaas.FlowView
	Token string
	answers
}

const (
	maxNote  = 280
	maxWords = 80
)

func (s *Site) drawDetails(v *visit, status int, flow umaas.FlowView, a answers) error {
	if len(a.Problems) == 0 || a.Problems[0].Key == "problem.changed" { // what she answered before, when she comes back to it
		m := flow.Mine
		a.Purpose, a.Note, a.Role, a.Org, a.Urgent = m.Purpose, m.Note, m.Role, m.Org, m.Emergency
	}
	d := detailsView{Flow: flow, Token: stepToken(v, flow), answers: a}
	return s.render(v, status, "details", flowFrame(flow, "details.page", a), d)
}

func stepToken(v *visit, flow umaas.FlowView) string {
	return v.formToken(string(flow.Step)+" "+flow.ID, flow.Digest)
}

// gatheringView is any of the later steps.
type gatheringView struct {
	Flow  umaas.FlowView
	Token string
	Login string // step-up: token of the password form
	Away  string // step-up: token of the forms that lead to issuers
	Level string // step-up: text key
	answers
}

var levels = map[string]string{
	umaas.ACRPassword: "stepup.password", umaas.ACRMultiFactor: "stepup.multi-factor", umaas.ACRPhishingResistant: "stepup.phishing-resistant",
}

// drawGathering draws the steps around the questions.
func (s *Site) drawGathering(v *visit, status int, flow umaas.FlowView, a answers) error {
	d := gatheringView{Flow: flow, Token: stepToken(v, flow), answers: a}
	switch flow.Step {
	case umaas.StepTerms:
		return s.render(v, status, "terms", flowFrame(flow, "terms.page", a), d)
	case umaas.StepConfirm:
		return s.render(v, status, "send", flowFrame(flow, "send.page", a), d)
	}
	d.Login, d.Away = v.formToken("login", flow.ID), v.formToken("away", flow.ID)
	if d.Level = levels[flow.StepUp.ACR]; d.Level == "" {
		d.Level = "stepup.other"
	}
	if s.Upstream == nil {
		d.Flow.StepUp.Issuers = nil
	}
	v.allow(d.Flow.StepUp.Issuers)
	return s.render(v, status, "stepup", flowFrame(flow, "stepup.title", a), d)
}

// gathering reads a form of a step: false where the browser was sent elsewhere. A form of a step that is over, from another tab
// or by the way back, changes nothing: the browser is led to where the flow stands.
func (s *Site) gathering(v *visit, step umaas.FlowStep, single []string, many ...string) (umaas.FlowView, bool, error) {
	if err := v.readForm(append(single, "digest"), many...); err != nil {
		return umaas.FlowView{}, false, err
	}
	flow, shown, err := s.current(v, step)
	if errors.Is(err, umaas.ErrStep) {
		return flow, false, v.seeOther("/flow/" + url.PathEscape(v.Param("id")))
	}
	if err == nil && shown && v.form.Get("answer") == "refuse" {
		return flow, false, s.refuse(v)
	}
	return flow, shown && err == nil, err
}

// onward shows the next step, also where another tab took this one meanwhile.
func (s *Site) onward(v *visit, err error) error {
	if err != nil && !errors.Is(err, umaas.ErrStep) && !errors.Is(err, umaas.ErrChanged) {
		return err
	}
	return v.seeOther("/flow/" + url.PathEscape(v.Param("id")))
}

func (s *Site) answerDetails(v *visit) error {
	flow, here, err := s.gathering(v, umaas.StepGather, []string{"purpose", "note", "role", "org", "emergency"})
	if err != nil || !here {
		return err
	}
	if v.form.Get("answer") != "next" {
		return errOutOfDate
	}
	a := v.answers()
	a.Role, a.Org, a.Urgent = v.form.Get("role"), v.form.Get("org"), v.form.Get("emergency") == "yes"
	if len(flow.Purposes) > 0 && !slices.Contains(flow.Purposes, a.Purpose) {
		a.Problems = append(a.Problems, problem{"purpose", "problem.purpose"})
	}
	if utf8.RuneCountInString(a.Note) > maxNote {
		a.Problems = append(a.Problems, problem{"note", "problem.note"})
	}
	for field, text := range map[string]string{"role": a.Role, "org": a.Org} {
		if utf8.RuneCountInString(text) > maxWords {
			a.Problems = append(a.Problems, problem{field, "problem.words"})
		}
	}
	if a.Urgent && strings.TrimSpace(a.Note) == "" {
		a.Problems = append(a.Problems, problem{"note", "problem.emergency"})
	}
	if len(a.Problems) > 0 {
		return s.drawDetails(v, http.StatusUnprocessableEntity, flow, a)
	}
	return s.onward(v, s.Service.AnswerGather(v.Request.Context(), flow.ID, v.browser(), *v.session, umaas.GatherAnswer{
		Digest: flow.Digest, Purpose: a.Purpose, Note: a.Note, Role: a.Role, Org: a.Org, Emergency: a.Urgent,
	}))
}

func (s *Site) answerTerms(v *visit) error {
	flow, here, err := s.gathering(v, umaas.StepTerms, nil, "agreed")
	if err != nil || !here {
		return err
	}
	if v.form.Get("answer") != "next" {
		return errOutOfDate
	}
	return s.onward(v, s.Service.AnswerTerms(v.Request.Context(), flow.ID, v.browser(), *v.session,
		umaas.TermsAnswer{Digest: flow.Digest, Agreed: v.form["agreed"]}))
}

func (s *Site) answerStepUp(v *visit) error {
	flow, here, err := s.gathering(v, umaas.StepStepUp, nil)
	if err != nil || !here {
		return err
	}
	if v.form.Get("answer") != "without" {
		return errOutOfDate
	}
	return s.onward(v, s.Service.SkipStepUp(v.Request.Context(), flow.ID, v.browser(), *v.session, flow.Digest))
}

func (s *Site) answerSend(v *visit) error {
	flow, here, err := s.gathering(v, umaas.StepConfirm, []string{"remember"})
	if err != nil || !here {
		return err
	}
	switch v.form.Get("answer") {
	case "change":
		return s.onward(v, s.Service.ReopenGather(v.Request.Context(), flow.ID, v.browser(), *v.session, flow.Digest))
	case "send":
	default:
		return errOutOfDate
	}
	r, err := s.Service.ConfirmGather(v.Request.Context(), flow.ID, v.browser(), *v.session,
		umaas.ConfirmAnswer{Digest: flow.Digest, Remember: v.form.Get("remember") == "yes"})
	if err != nil {
		return err
	}
	return s.goBack(v, flow.App, r)
}

// lines keeps a text word by word with its line ends, without characters that could hide or turn parts of it (IX-04).
func lines(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}
