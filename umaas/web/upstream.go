package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/uma"
)

// offerIssuers adds the buttons that lead to trusted issuers.
func (s *Site) offerIssuers(v *visit, d *signInView) error {
	if s.Upstream == nil {
		d.Issuers = nil
		return nil
	}
	if d.Issuers == nil {
		var err error
		if d.Issuers, err = s.Service.SignInIssuers(v.Request.Context()); err != nil {
			return err
		}
	}
	d.Away = v.formToken("away", d.FlowID)
	v.allow(d.Issuers)
	return nil
}

// allow names the issuers' origins in form-action: the browser follows our answer to a form there (PS-02).
func (v *visit) allow(issuers []umaas.SignInIssuer) {
	for _, i := range issuers {
		if source, ok := formTarget(i.Origin); ok {
			if v.extra != "" {
				v.extra += " "
			}
			v.extra += source
		}
	}
}

// signInAway sends the browser to an issuer: from the sign-in page, a step-up, or to link an identity.
func (s *Site) signInAway(v *visit) error {
	if err := v.readForm([]string{"issuer", "flow", "to", "link"}); err != nil {
		return err
	}
	if s.Upstream == nil {
		return errNoPage
	}
	flow, to, link := v.form.Get("flow"), v.form.Get("to"), v.form.Get("link") != ""
	purpose := "away"
	if link {
		purpose = "link"
	}
	if err := v.checkToken(purpose, flow); err != nil {
		return err
	}
	switch {
	case link:
		to = linkPage
	case !returnable.MatchString(to):
		to = ""
	}
	d, err := s.Upstream.Depart(v.Request.Context(), umaas.TripRequest{Issuer: v.form.Get("issuer"), Flow: flow, To: to, Session: v.session, Link: link}, v.browser(), v.ClientIP())
	switch {
	case errors.Is(err, umaas.ErrUntrusted):
		v.leaveNotice("untrusted")
		return s.backFrom(v, signin.Arrival{Flow: flow, To: to}, link)
	case link && errors.Is(err, umaas.ErrNotFresh): // signed out, so that she signs in anew, and back here
		if err := s.endSession(v); err != nil {
			return err
		}
		v.leaveNotice("sign-in-again")
		return v.seeOther("/login?to=" + url.QueryEscape(linkPage))
	case errors.Is(err, signin.ErrSlowDown):
		return uma.ErrTooMany.Because(err)
	case errors.Is(err, umaas.ErrStep): // another tab has done it meanwhile
		return s.backFrom(v, signin.Arrival{Flow: flow, To: to}, link)
	case err != nil:
		return err
	}
	v.setCookie(s.BrowserCookie, d.Browser)
	v.Header("Location", d.URL)
	v.Status(http.StatusSeeOther)
	v.Writer.WriteHeaderNow()
	return nil
}

// signInBack takes an issuer's answer. Whatever it says, the address with code and state is left at once.
func (s *Site) signInBack(v *visit) error {
	if s.Upstream == nil || v.Request.Method == http.MethodHead {
		return errNoPage
	}
	q, err := url.ParseQuery(v.Request.URL.RawQuery)
	if err != nil || len(v.Request.URL.RawQuery) > 8<<10 {
		return errors.Join(umaas.ErrFlowGone, err)
	}
	at, err := s.Upstream.Arrive(v.Request.Context(), v.Param("issuer"), q, v.browser(), v.session)
	link := at.Flow == "" && at.To == linkPage
	if trouble := troubleOf(err); trouble != "" {
		s.Logger.LogAttrs(v.Request.Context(), slog.LevelInfo, "sign-in at an issuer", slog.String("request_id", v.requestID()), slog.String("error", err.Error()))
		v.leaveNotice(trouble)
		return s.backFrom(v, at, link)
	}
	if err != nil {
		return err
	}
	if at.Cookie == "" {
		v.leaveNotice("linked")
		return v.seeOther(linkPage)
	}
	if v.session != nil { // the sign-in before this one ends with it (PS-10)
		if err := s.endSession(v); err != nil {
			return err
		}
	}
	v.setCookie(s.SessionCookie, at.Cookie)
	v.dropCookie(v.preName())
	return v.seeOther(afterSignIn(at.Flow, at.To))
}

const linkPage = "/me/sign-in"

// troubleOf is the notice for what can go wrong at an issuer; "" is for a page of its own.
func troubleOf(err error) string {
	switch {
	case errors.Is(err, signin.ErrDeclined):
		return "declined"
	case errors.Is(err, umaas.ErrNotFresh):
		return "not-fresh"
	case errors.Is(err, umaas.ErrUntrusted), errors.Is(err, umaas.ErrNotFound) && !errors.Is(err, umaas.ErrFlowGone):
		return "untrusted"
	case errors.Is(err, umaas.ErrExists):
		return "linked-elsewhere"
	case errors.Is(err, signin.ErrUpstream):
		return "upstream"
	}
	return ""
}

// backFrom leads back to where the sign-in was asked for.
func (s *Site) backFrom(v *visit, at signin.Arrival, link bool) error {
	switch {
	case at.Flow != "":
		return v.seeOther("/flow/" + url.PathEscape(at.Flow))
	case link:
		return v.seeOther(linkPage)
	case at.To != "":
		return v.seeOther("/login?to=" + url.QueryEscape(at.To))
	}
	return v.seeOther("/login")
}
