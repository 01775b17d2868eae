package web

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/umaas"
)

// flowPage shows the step a flow is at; address and history hold only its id.
func (s *Site) flowPage(v *visit) error {
	flow, err := s.Service.Flow(v.Request.Context(), v.Param("id"), v.browser(), v.session)
	if err != nil {
		return err
	}
	return s.drawStep(v, http.StatusOK, flow, answers{})
}

// answers is what a form held, for showing it again with its problems.
type answers struct {
	Ticked   map[string]bool
	Until    string
	Day      [3]string // day, month, year
	Purpose  string
	Note     string
	Role     string
	Org      string
	Urgent   bool
	Agreed   map[string]bool
	Problems []problem
}

func (s *Site) drawStep(v *visit, status int, flow umaas.FlowView, a answers) error {
	v.extra = targetOf(flow)
	switch flow.Step {
	case umaas.StepSignIn:
		return s.drawSignIn(v, status, signInView{FlowID: flow.ID, App: &flow.App, Issuers: flow.Issuers, Problems: a.Problems})
	case umaas.StepConsent:
		return s.drawConsent(v, status, flow, a)
	case umaas.StepGather:
		return s.drawDetails(v, status, flow, a)
	case umaas.StepProtect:
		return s.drawProtect(v, status, flow)
	case umaas.StepStepUp, umaas.StepTerms, umaas.StepConfirm:
		return s.drawGathering(v, status, flow, a)
	case umaas.StepBack:
		return s.goBack(v, flow.App, umaas.Redirect{URI: flow.Redirect})
	}
	return umaas.ErrStep
}

// flowFrame is the frame of the page of a step.
func flowFrame(flow umaas.FlowView, title string, a answers) frame {
	return frame{Title: title, Flow: true, FlowID: flow.ID, IsError: len(a.Problems) > 0}
}

// targetOf is the source of form-action that lets the browser follow the answer to the app. A view that does not tell the
// whole address is read from its host.
func targetOf(flow umaas.FlowView) string {
	if source, ok := formTarget(flow.Redirect); ok {
		return source
	}
	host := flow.App.Host
	source, ok := formTarget("https://" + host)
	if !ok || host == "" {
		return ""
	}
	if u, err := url.Parse("http://" + host); err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1") {
		plain, _ := formTarget("http://" + host)
		return source + " " + plain
	}
	return source
}

// back is the page "Back to {App}" for addresses that a content policy cannot name (PS-02).
type back struct {
	App umaas.AppView
	To  template.URL
}

// goBack sends the browser to the app with the answer: by redirect where the form's content policy allowed that address,
// else by a page with a link that is followed at once.
func (s *Site) goBack(v *visit, app umaas.AppView, r umaas.Redirect) error {
	u, err := url.Parse(r.URI)
	if err != nil || scripting[strings.ToLower(u.Scheme)] || u.Scheme == "" {
		return errors.Join(umaas.ErrFlowGone, errors.New("redirect address cannot be used"))
	}
	if add := r.Query.Encode(); add != "" {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += add
	}
	if _, ok := formTarget(r.URI); ok && (u.Host != "" || v.Request.Method == http.MethodGet) {
		v.Header("Location", u.String())
		v.Status(http.StatusSeeOther)
		v.Writer.WriteHeaderNow()
		return nil
	}
	// The address was registered, compared exactly and stored before anyone was asked; its scheme runs no script.
	to := template.URL(u.String()) //nolint:gosec // see above
	v.Header("Refresh", "0; url="+u.String())
	return s.render(v, http.StatusOK, "back", frame{Title: "back.title", Flow: true}, back{App: app, To: to})
}

// cancelFlow is the person's no: the app learns access_denied and nothing else.
func (s *Site) cancelFlow(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	if err := v.checkToken("cancel", v.Param("id")); err != nil {
		return err
	}
	return s.refuse(v)
}

func (s *Site) refuse(v *visit) error {
	id := v.Param("id")
	flow, err := s.Service.Flow(v.Request.Context(), id, v.browser(), v.session)
	if err != nil {
		return err
	}
	r, err := s.Service.CancelFlow(v.Request.Context(), id, v.browser())
	if err != nil {
		return err
	}
	return s.goBack(v, flow.App, r)
}

// switchPerson is "Not you?": the sign-in ends. The flow belongs to whoever signed in first (SEC-24), so it ends too once
// it is bound; the page says so then.
func (s *Site) switchPerson(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	id := v.Param("id")
	if v.session == nil {
		return v.seeOther("/flow/" + url.PathEscape(id))
	}
	if err := v.checkToken("switch", id); err != nil {
		return err
	}
	r, err := s.Service.CancelFlow(v.Request.Context(), id, v.browser())
	if err != nil {
		return err
	}
	if err := s.endSession(v); err != nil {
		return err
	}
	return s.goBack(v, umaas.AppView{}, r)
}

// current reads the flow again and checks that the form belongs to just this page of it. When the page has changed since,
// it is shown again instead (SEC-47), so shown is false.
func (s *Site) current(v *visit, step umaas.FlowStep) (flow umaas.FlowView, shown bool, err error) {
	if v.session == nil {
		return flow, false, v.seeOther("/flow/" + url.PathEscape(v.Param("id")))
	}
	flow, err = s.Service.Flow(v.Request.Context(), v.Param("id"), v.browser(), v.session)
	if err != nil {
		return flow, false, err
	}
	if flow.Step != step {
		return flow, false, umaas.ErrStep
	}
	digest := v.form.Get("digest")
	if err := v.checkToken(string(step)+" "+flow.ID, digest); err != nil {
		return flow, false, err
	}
	if digest != flow.Digest {
		return flow, false, s.drawStep(v, http.StatusConflict, flow, answers{Problems: []problem{{"", "problem.changed"}}})
	}
	v.extra = targetOf(flow)
	return flow, true, nil
}
