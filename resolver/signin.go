package resolver

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
)

// signInFlow sends a person of a running flow to her authorization server; "other" asks it for another account.
func (s *Resolver) signInFlow(w http.ResponseWriter, r *http.Request) error {
	f, handle, browser, err := s.flow(r)
	if err != nil {
		return err
	}
	form, err := s.form(r, "other", "issuer")
	if err != nil {
		return err
	}
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	want := s.formToken(browser, "signin", handle)
	if signedIn {
		want = s.formToken(cookie, "resolve", handle, u.Key)
	}
	if !tokenEqual(form.Get("token"), want) {
		return errStaleForm
	}
	prompt := ""
	if form.Get("other") != "" {
		prompt = "login"
	}
	to, err := s.cfg.SignIn.Start(r.Context(), form.Get("issuer"), browser, "/resolve/"+handle, prompt)
	var failed *rs.SignInError
	if errors.As(err, &failed) {
		s.cfg.Logger.WarnContext(r.Context(), "sign-in could not begin", "err", err)
		return s.finish(w, r, handle, url.Values{"error": {failed.Code}})
	}
	if err != nil {
		return err
	}
	s.headers(w, s.formAction(f))
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

type signInPage struct {
	frame
	FormToken string
	Places    []place
}

// place is one authorization server a person can choose to sign in at.
type place struct {
	Issuer  string
	Host    string
	Default bool
}

// places is what the sign-in form offers: nothing where there is no choice.
func (s *Resolver) places() []place {
	issuers := s.cfg.SignIn.Issuers()
	if len(issuers) < 2 {
		return nil
	}
	list := make([]place, len(issuers))
	for i, issuer := range issuers {
		list[i] = place{Issuer: issuer, Host: addressHost(issuer), Default: i == 0}
	}
	return list
}

// showSignIn is the way to /connect for somebody who is not signed in.
func (s *Resolver) showSignIn(w http.ResponseWriter, r *http.Request) error {
	if _, _, signedIn, err := s.person(r); err != nil {
		return err
	} else if signedIn {
		http.Redirect(w, r, "/connect", http.StatusSeeOther)
		return nil
	}
	browser, err := s.browser(w, r)
	if err != nil {
		return err
	}
	s.headers(w, s.formAction(flow{}))
	s.render(w, r, http.StatusOK, "portal-signin.html", signInPage{frame: s.frame("Sign in"), FormToken: s.formToken(browser, "signin", "connect"), Places: s.places()})
	return nil
}

func (s *Resolver) signInConnect(w http.ResponseWriter, r *http.Request) error {
	form, err := s.form(r, "issuer")
	if err != nil {
		return err
	}
	c, err := r.Cookie(s.cookieName("browser"))
	if err != nil || !tokenEqual(form.Get("token"), s.formToken(c.Value, "signin", "connect")) {
		return errStaleForm
	}
	to, err := s.cfg.SignIn.Start(r.Context(), form.Get("issuer"), c.Value, "/connect", "")
	if err != nil {
		return signInPageError(err)
	}
	s.headers(w, s.formAction(flow{}))
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// callback ends a sign-in: back into the flow or to the portal. A flow whose person did not sign in goes back to its app.
func (s *Resolver) callback(w http.ResponseWriter, r *http.Request) error {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errNoSignIn
	}
	if s.cfg.Guardian != nil && s.cfg.Guardian.Began(r.Context(), q.Get("state")) {
		return s.guardBack(w, r) // one of the operator's own servers shall guard a record
	}
	browser := ""
	if c, err := r.Cookie(s.cookieName("browser")); err == nil {
		browser = c.Value
	}
	cookie, to, err := s.cfg.SignIn.Finish(r.Context(), q, browser)
	var failed *rs.SignInError
	if errors.As(err, &failed) {
		if handle, ok := strings.CutPrefix(failed.Return, "/resolve/"); ok {
			s.cfg.Logger.InfoContext(r.Context(), "sign-in did not come about", "err", err)
			return s.finish(w, r, handle, url.Values{"error": {failed.Code}})
		}
		return signInPageError(err)
	}
	if err != nil {
		return err
	}
	if old, err := r.Cookie(s.cookieName("session")); err == nil { // a new id at every sign-in (PS-10)
		if err := s.cfg.SignIn.End(r.Context(), old.Value); err != nil {
			return err
		}
	}
	s.setCookie(w, "session", cookie, 12*time.Hour)
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // a path of these pages, kept by this server behind the state
	return nil
}

func signInPageError(err error) error {
	var failed *rs.SignInError
	if !errors.As(err, &failed) {
		return err
	}
	switch failed.Code {
	case "temporarily_unavailable":
		return errors.Join(errAway, err)
	case "access_denied":
		return errors.Join(errSaidNo, err)
	case "login_required", "invalid_request":
		return errors.Join(errNoSignIn, err)
	default:
		return errors.Join(errFault, err)
	}
}

func (s *Resolver) signOut(w http.ResponseWriter, r *http.Request) error {
	form, err := s.form(r)
	if err != nil {
		return err
	}
	_, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	if signedIn {
		if !tokenEqual(form.Get("token"), s.formToken(cookie, "signout")) {
			return errStaleForm
		}
		if err := s.cfg.SignIn.End(r.Context(), cookie); err != nil {
			return err
		}
	}
	s.setCookie(w, "session", "", 0)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}
