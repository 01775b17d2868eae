package web

import (
	"net/http"
	"slices"

	"github.com/umaas/umaas/umaas"
)

// consentView is PG-03: an app asks the owner herself.
type consentView struct {
	Flow    umaas.FlowView
	Token   string
	Records []record
	Writes  bool // the app asks to add or change
	Deletes bool
	Manages bool // the app asks to manage her sharing (scope owner)
	Ends    []string
	answers
}

// consentEnds are the offered ends: the long ones only where the app may act while the person is away (PG-03).
func consentEnds(flow umaas.FlowView) []string {
	switch {
	case len(flow.Records) == 0:
		return nil
	case flow.Kind == umaas.FlowClaims || flow.Offline:
		return []string{"hour", "today", "quarter", "none"}
	}
	return []string{"hour", "today"}
}

func (s *Site) drawConsent(v *visit, status int, flow umaas.FlowView, a answers) error {
	d := consentView{
		Flow: flow, Token: v.formToken(string(flow.Step)+" "+flow.ID, flow.Digest), Records: recordsOf(flow.Records, a.Ticked),
		Ends: consentEnds(flow), answers: a,
	}
	for _, r := range d.Records {
		for _, b := range r.Blocks {
			d.Writes = d.Writes || b.ID == "add" || b.ID == "change" || b.ID == "delete"
			d.Deletes = d.Deletes || b.ID == "delete"
		}
	}
	d.Manages = slices.Contains(flow.Identity, umaas.ScopeOwner)
	page := "consent"
	if len(flow.Records) == 0 {
		page = "identity"
	}
	return s.render(v, status, page, flowFrame(flow, "consent.page", a), d)
}

// answerConsent takes the decision: item ids, an end and the digest, nothing else (PS-04, SEC-71).
func (s *Site) answerConsent(v *visit) error {
	if err := v.readForm(append([]string{"digest"}, untilFields...), "item"); err != nil {
		return err
	}
	flow, shown, err := s.current(v, umaas.StepConsent)
	if err != nil || !shown {
		return err
	}
	a := v.answers()
	switch v.form.Get("answer") {
	case "refuse":
		return s.refuse(v)
	case "all":
		a.Ticked = common(flow.Records)
		return s.drawConsent(v, http.StatusOK, flow, a)
	case "share":
	default:
		return errOutOfDate
	}
	answer := umaas.ConsentAnswer{Digest: flow.Digest, Items: v.form["item"]}
	if len(flow.Records) > 0 {
		if len(answer.Items) == 0 {
			a.Problems = append(a.Problems, problem{"items", "problem.nothing"})
		}
		end, problems := v.until(consentEnds(flow))
		answer.Until = end
		if a.Problems = append(a.Problems, problems...); len(a.Problems) > 0 {
			return s.drawConsent(v, http.StatusUnprocessableEntity, flow, a)
		}
	}
	r, err := s.Service.AnswerConsent(v.Request.Context(), flow.ID, v.browser(), *v.session, answer)
	if err != nil {
		return err
	}
	return s.goBack(v, flow.App, r)
}

// protectView is the variant for a resource server that asks to protect the person's record (PG-03, variants).
type protectView struct {
	Flow  umaas.FlowView
	Token string
}

func (s *Site) drawProtect(v *visit, status int, flow umaas.FlowView) error {
	d := protectView{Flow: flow, Token: v.formToken(string(flow.Step)+" "+flow.ID, flow.Digest)}
	return s.render(v, status, "protect", flowFrame(flow, "protect.page", answers{}), d)
}

func (s *Site) answerProtect(v *visit) error {
	if err := v.readForm([]string{"digest"}); err != nil {
		return err
	}
	flow, shown, err := s.current(v, umaas.StepProtect)
	if err != nil || !shown {
		return err
	}
	switch v.form.Get("answer") {
	case "refuse":
		return s.refuse(v)
	case "allow":
	default:
		return errOutOfDate
	}
	r, err := s.Service.AnswerConsent(v.Request.Context(), flow.ID, v.browser(), *v.session, umaas.ConsentAnswer{Digest: flow.Digest})
	if err != nil {
		return err
	}
	return s.goBack(v, flow.App, r)
}

// answers reads what the form held, for showing it again.
func (v *visit) answers() answers {
	a := answers{
		Ticked: map[string]bool{}, Until: v.form.Get("until"), Purpose: v.form.Get("purpose"), Note: v.form.Get("note"),
		Day: [3]string{v.form.Get("until-day"), v.form.Get("until-month"), v.form.Get("until-year")},
	}
	for _, id := range v.form["item"] {
		a.Ticked[id] = true
	}
	return a
}
