package web

import (
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas"
)

// detailsView is PG-05: what somebody who asks for another's record tells about herself.
type detailsView struct {
	Flow  umaas.FlowView
	Token string
	answers
}

const maxNote = 280

func (s *Site) drawDetails(v *visit, status int, flow umaas.FlowView, a answers) error {
	d := detailsView{Flow: flow, Token: v.formToken(string(flow.Step)+" "+flow.ID, flow.Digest), answers: a}
	return s.render(v, status, "details", flowFrame(flow, "details.page", a), d)
}

func (s *Site) answerDetails(v *visit) error {
	if err := v.readForm([]string{"digest", "purpose", "note"}); err != nil {
		return err
	}
	flow, shown, err := s.current(v, umaas.StepGather)
	if err != nil || !shown {
		return err
	}
	switch v.form.Get("answer") {
	case "refuse":
		return s.refuse(v)
	case "send":
	default:
		return errOutOfDate
	}
	a := v.answers()
	if len(flow.Purposes) > 0 && !slices.Contains(flow.Purposes, a.Purpose) {
		a.Problems = append(a.Problems, problem{"purpose", "problem.purpose"})
	}
	if utf8.RuneCountInString(a.Note) > maxNote {
		a.Problems = append(a.Problems, problem{"note", "problem.note"})
	}
	if len(a.Problems) > 0 {
		return s.drawDetails(v, http.StatusUnprocessableEntity, flow, a)
	}
	r, err := s.Service.AnswerGather(v.Request.Context(), flow.ID, v.browser(), *v.session,
		umaas.GatherAnswer{Digest: flow.Digest, Purpose: a.Purpose, Note: a.Note})
	if err != nil {
		return err
	}
	return s.goBack(v, flow.App, r)
}
