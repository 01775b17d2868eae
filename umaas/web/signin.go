package web

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
)

// signInView is PG-01, alone or inside a flow.
type signInView struct {
	Action   string
	Token    string
	FlowID   string
	App      *umaas.AppView // in a flow: to continue to
	Cancel   string         // token of the way out of a flow
	To       string
	Login    string
	Hint     string // text key: why to sign in, outside a flow
	Issuers  []umaas.SignInIssuer
	Away     string // token of the forms that lead to issuers
	Problems []problem
}

// returnable are the pages a sign-in may lead back to: our own, read only (SEC-101: no open redirect).
var returnable = regexp.MustCompile(`^/(me|for/[A-Za-z0-9_-]{1,64})(/[A-Za-z0-9_-]{1,64}){0,2}$|^/invite$`)

func (s *Site) loginPage(v *visit) error {
	if v.session != nil {
		return v.seeOther("/me")
	}
	to := v.Query("to")
	if !returnable.MatchString(to) {
		to = ""
	}
	return s.drawSignIn(v, http.StatusOK, signInView{To: to})
}

func (s *Site) drawSignIn(v *visit, status int, d signInView) error {
	if err := v.ensureBinding(); err != nil {
		return err
	}
	d.Action, d.Token = s.Base+"/login", v.formToken("login", d.FlowID)
	if d.FlowID != "" {
		d.Cancel = v.formToken("cancel", d.FlowID)
	}
	if err := s.offerIssuers(v, &d); err != nil {
		return err
	}
	return s.render(v, status, "signin", frame{Title: "signin.title", Flow: true, IsError: len(d.Problems) > 0}, d)
}

// login checks the password. The answer is the same for unknown people and wrong passwords (SEC-44, TX-24).
func (s *Site) login(v *visit) error {
	if err := v.readForm([]string{"login", "password", "flow", "to"}); err != nil {
		return err
	}
	flow := v.form.Get("flow")
	if again, err := s.asksAgain(v, flow); err != nil {
		return err
	} else if v.session != nil && !again { // a second click of the first form, or a form of before: nothing to do again
		return v.seeOther(afterSignIn(flow, ""))
	}
	if err := v.checkToken("login", flow); err != nil {
		return err
	}
	d := signInView{FlowID: flow, To: v.form.Get("to"), Login: v.form.Get("login")}
	if d.Login == "" || v.form.Get("password") == "" {
		d.Problems = []problem{{"login", "problem.login"}}
		return s.again(v, http.StatusUnprocessableEntity, d)
	}
	cookie, _, err := s.SignIn.Password(v.Request.Context(), d.Login, v.form.Get("password"), v.ClientIP())
	switch {
	case err == nil:
		if v.session != nil { // the sign-in before this one ends with it (PS-10)
			if err := s.endSession(v); err != nil {
				return err
			}
		}
		v.setCookie(s.SessionCookie, cookie)
		v.dropCookie(v.preName())
		return v.seeOther(afterSignIn(flow, d.To))
	case errors.Is(err, signin.ErrSlowDown):
		d.Problems = []problem{{"login", "problem.paused"}}
		v.Header("Retry-After", "60")
		return s.again(v, http.StatusTooManyRequests, d)
	case errors.Is(err, signin.ErrWrong):
		d.Problems = []problem{{"login", "problem.signin"}}
		return s.again(v, http.StatusUnprocessableEntity, d)
	}
	return err
}

// asksAgain reports a flow that wants a fresh sign-in of somebody who is signed in (OpenID Connect Core §3.1.2.1: prompt,
// max_age).
func (s *Site) asksAgain(v *visit, flow string) (bool, error) {
	if v.session == nil || flow == "" {
		return false, nil
	}
	f, err := s.Service.Flow(v.Request.Context(), flow, v.browser(), v.session)
	return err == nil && (f.Step == umaas.StepSignIn || f.Step == umaas.StepStepUp), err
}

// again shows the form with what went wrong, and in a flow with the app it leads to.
func (s *Site) again(v *visit, status int, d signInView) error {
	if d.FlowID != "" {
		flow, err := s.Service.Flow(v.Request.Context(), d.FlowID, v.browser(), v.session)
		if err != nil {
			return err
		}
		if flow.Step == umaas.StepStepUp {
			return s.drawStep(v, status, flow, answers{Problems: []problem{{"password", d.Problems[0].Key}}})
		}
		d.App = &flow.App
		v.extra = targetOf(flow)
	}
	if !returnable.MatchString(d.To) {
		d.To = ""
	}
	if d.To == "/invite" {
		d.Hint = "invite.signin"
	}
	return s.drawSignIn(v, status, d)
}

func afterSignIn(flow, to string) string {
	switch {
	case flow != "":
		return "/flow/" + url.PathEscape(flow)
	case returnable.MatchString(to):
		return to
	}
	return "/me"
}

// logout ends the sign-in everywhere this browser could show something from (PS-07).
func (s *Site) logout(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	if v.session == nil {
		return v.seeOther("/login")
	}
	if err := v.checkToken("logout", ""); err != nil {
		return err
	}
	if err := s.endSession(v); err != nil {
		return err
	}
	v.Header("Clear-Site-Data", `"cache"`)
	v.leaveNotice("signed-out")
	return v.seeOther("/login")
}

func (s *Site) endSession(v *visit) error {
	if err := s.Service.EndSession(v.Request.Context(), v.cookie); err != nil {
		return err
	}
	v.dropCookie(s.SessionCookie)
	return nil
}
