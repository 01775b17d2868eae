package resolver

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	rs "github.com/umaas/umaas/resourceserver"
)

// guardPage is who guards a person's record, and the way to change that.
type guardPage struct {
	frame
	FormToken string
	View      rs.GuardView
	Host      string // of who guards now
	HomeHost  string
	Since     string
	Places    []place
	Done      string // what has just happened
	Error     string
	Typed     string
	NoRecord  bool
}

// guardCheckPage is what will happen, before it does (UI-12).
type guardCheckPage struct {
	frame
	FormToken string
	Handle    string
	Issuer    string
	Host      string
	Old       string
	Stranger  bool // nobody here has checked it
	Again     bool // it guards already: she only gives her permission again
	Related   bool // there are people who see the record by the hospital's own rules
}

// guardDone are the notices after a step. The word stands in the address; the text never comes from there.
var guardDone = map[string]string{
	"moved":  "Done. From now on this server alone decides who may look at your record here.",
	"back":   "Done. Your record is guarded where it was before. What you shared elsewhere has stopped.",
	"kept":   "Nothing was changed.",
	"let":    "Done. This person can ask again, within the rules here.",
	"stop":   "Done. This person cannot look any more.",
	"signin": "You are signed in again.",
}

// guardTexts say what came in the way and what to do.
var guardTexts = map[string]string{
	rs.GuardNoRecord:  "No record of your own is linked to you here.",
	rs.GuardAddress:   "Write an address such as alice@example.org or https://guard.example.org.",
	rs.GuardNotFound:  "We found no server there that can guard a record. Check the address.",
	rs.GuardNotHere:   "We do not work with that server. Nothing was changed.",
	rs.GuardAway:      "That server does not answer right now. Nothing was changed. Try again later.",
	rs.GuardUnsound:   "That server answered in a way we cannot trust. Nothing was changed.",
	rs.GuardSame:      "That server guards your record already.",
	rs.GuardTooMany:   "Too many tries. Wait a minute.",
	rs.GuardTooOld:    "This step is too old or was already used. Nothing was changed. Start again.",
	rs.GuardSaidNo:    "You did not let us ask there. Nothing was changed.",
	rs.GuardHeld:      "Another account here holds this record. The people who run this server can put that right. Nothing was changed.",
	rs.GuardTaken:     "Your account there belongs to somebody else here. Nothing was changed.",
	rs.GuardSignIn:    "Sign out and sign in again, then try once more. Nothing was changed.",
	rs.GuardWorking:   "We are just working on your record. Nothing was changed. Try again in a few minutes.",
	rs.GuardImpatient: "The server did not answer in time. Nothing was changed. Try again in a few minutes.",
}

// guarded is the person for whom the page is made; ok is false where the answer is written already.
func (s *Resolver) guarded(w http.ResponseWriter, r *http.Request) (u rs.User, cookie string, ok bool, err error) {
	if s.cfg.Guardian == nil {
		return rs.User{}, "", false, errNotFound
	}
	u, cookie, signedIn, err := s.person(r)
	if err == nil && !signedIn {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
	}
	return u, cookie, err == nil && signedIn, err
}

func (s *Resolver) showGuard(w http.ResponseWriter, r *http.Request) error {
	u, cookie, ok, err := s.guarded(w, r)
	if !ok {
		return err
	}
	return s.renderGuard(w, r, u, cookie, guardPage{Done: guardDone[r.URL.Query().Get("now")]}, http.StatusOK)
}

func (s *Resolver) renderGuard(w http.ResponseWriter, r *http.Request, u rs.User, cookie string, p guardPage, status int) error {
	p.frame, p.FormToken = s.signedInFrame("Who guards my record", u, cookie), s.formToken(cookie, "guard")
	v, err := s.cfg.Guardian.View(r.Context(), u)
	if errors.Is(err, rs.ErrNotKept) {
		p.NoRecord, err = true, nil
	}
	if err != nil {
		return err
	}
	p.View, p.Host, p.HomeHost, p.Since = v, addressHost(v.Issuer), addressHost(v.Home), day(v.Since)
	for _, issuer := range v.Listed {
		p.Places = append(p.Places, place{Issuer: issuer, Host: addressHost(issuer)})
	}
	s.render(w, r, status, "guard.html", p)
	return nil
}

// guardForm reads a form of these pages for the person who is signed in.
func (s *Resolver) guardForm(r *http.Request, about []string, fields ...string) (u rs.User, cookie string, form url.Values, err error) {
	if s.cfg.Guardian == nil {
		return rs.User{}, "", nil, errNotFound
	}
	if form, err = s.form(r, fields...); err != nil {
		return rs.User{}, "", nil, err
	}
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return rs.User{}, "", nil, err
	}
	if !signedIn || !tokenEqual(form.Get("token"), s.formToken(cookie, about...)) {
		return rs.User{}, "", nil, errStaleForm
	}
	return u, cookie, form, nil
}

// findGuard looks up what she typed or chose.
func (s *Resolver) findGuard(w http.ResponseWriter, r *http.Request) error {
	u, cookie, form, err := s.guardForm(r, []string{"guard"}, "address", "issuer")
	if err != nil {
		return err
	}
	typed := strings.TrimSpace(form.Get("address"))
	if issuer := form.Get("issuer"); issuer != "" {
		typed = issuer
	}
	handle, err := s.cfg.Guardian.Find(r.Context(), u, typed)
	if err != nil {
		return s.guardProblem(w, r, u, cookie, guardPage{Typed: form.Get("address")}, err)
	}
	http.Redirect(w, r, "/guard/check/"+handle, http.StatusSeeOther) //nolint:gosec // a path of these pages and a handle of this server
	return nil
}

// guardProblem shows the page with what came in the way; other errors are the error page's.
func (s *Resolver) guardProblem(w http.ResponseWriter, r *http.Request, u rs.User, cookie string, p guardPage, err error) error {
	var failed *rs.GuardError
	if !errors.As(err, &failed) || guardTexts[failed.Code] == "" {
		return err
	}
	s.cfg.Logger.InfoContext(r.Context(), "who guards a record was not changed", "err", err)
	p.Error = guardTexts[failed.Code]
	status := http.StatusUnprocessableEntity
	switch failed.Code {
	case rs.GuardAway, rs.GuardWorking, rs.GuardImpatient:
		status = http.StatusServiceUnavailable
	case rs.GuardTooMany:
		status = http.StatusTooManyRequests
	}
	return s.renderGuard(w, r, u, cookie, p, status)
}

func (s *Resolver) renewGuard(w http.ResponseWriter, r *http.Request) error {
	u, cookie, _, err := s.guardForm(r, []string{"guard"})
	if err != nil {
		return err
	}
	handle, err := s.cfg.Guardian.Renew(r.Context(), u)
	if err != nil {
		return s.guardProblem(w, r, u, cookie, guardPage{}, err)
	}
	http.Redirect(w, r, "/guard/check/"+handle, http.StatusSeeOther) //nolint:gosec // a path of these pages and a handle of this server
	return nil
}

func (s *Resolver) showGuardCheck(w http.ResponseWriter, r *http.Request) error {
	u, cookie, ok, err := s.guarded(w, r)
	if !ok {
		return err
	}
	handle := r.PathValue("step")
	found, err := s.cfg.Guardian.Proposal(r.Context(), u, handle)
	if err != nil {
		return s.guardProblem(w, r, u, cookie, guardPage{}, err)
	}
	v, err := s.cfg.Guardian.View(r.Context(), u)
	if err != nil {
		return err
	}
	if _, err := s.browser(w, r); err != nil {
		return err
	}
	if source, ok := originSource(found.Issuer); ok {
		s.headers(w, "'self' "+source) // the form's answer leads there (PS-02)
	}
	p := guardCheckPage{
		frame: s.signedInFrame("Let this server guard your record?", u, cookie), FormToken: s.formToken(cookie, "guard-check", handle), Handle: handle,
		Issuer: found.Issuer, Host: addressHost(found.Issuer), Old: addressHost(v.Issuer), Stranger: found.Stranger, Again: found.Issuer == v.Issuer,
		Related: found.Related,
	}
	s.render(w, r, http.StatusOK, "guard-check.html", p)
	return nil
}

func (s *Resolver) answerGuardCheck(w http.ResponseWriter, r *http.Request) error {
	handle := r.PathValue("step")
	u, cookie, form, err := s.guardForm(r, []string{"guard-check", handle}, "answer")
	if err != nil {
		return err
	}
	if form.Get("answer") != "go" {
		http.Redirect(w, r, "/guard?now=kept", http.StatusSeeOther)
		return nil
	}
	browser, err := s.browser(w, r)
	if err != nil {
		return err
	}
	to, err := s.cfg.Guardian.Begin(r.Context(), u, handle, browser)
	if err != nil {
		return s.guardProblem(w, r, u, cookie, guardPage{}, err)
	}
	if source, ok := originSource(to); ok {
		s.headers(w, "'self' "+source)
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // the authorization endpoint of the server she has just confirmed
	return nil
}

// guardBack takes an authorization response: at this issuer's own path, or at the common one for the operator's own servers.
func (s *Resolver) guardBack(w http.ResponseWriter, r *http.Request) error {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errNoSignIn
	}
	u, cookie, ok, err := s.guarded(w, r)
	if !ok {
		return err
	}
	browser := ""
	if c, err := r.Cookie(s.cookieName("browser")); err == nil {
		browser = c.Value
	}
	if err := s.cfg.Guardian.Finish(r.Context(), u, r.URL.Path, q, browser); err != nil {
		return s.guardProblem(w, r, u, cookie, guardPage{}, err)
	}
	http.Redirect(w, r, "/guard?now=moved", http.StatusSeeOther)
	return nil
}

func (s *Resolver) returnGuard(w http.ResponseWriter, r *http.Request) error {
	u, cookie, _, err := s.guardForm(r, []string{"guard"})
	if err != nil {
		return err
	}
	if err := s.cfg.Guardian.Return(r.Context(), u); err != nil {
		return s.guardProblem(w, r, u, cookie, guardPage{}, err)
	}
	http.Redirect(w, r, "/guard?now=back", http.StatusSeeOther)
	return nil
}

// guardPeople keeps her word about a person of another server.
func (s *Resolver) guardPeople(w http.ResponseWriter, r *http.Request) error {
	u, _, form, err := s.guardForm(r, []string{"guard"}, "person", "patient", "answer")
	if err != nil {
		return err
	}
	yes := form.Get("answer") == "let"
	err = s.cfg.Guardian.Allow(r.Context(), u, form.Get("patient"), form.Get("person"), yes)
	if errors.Is(err, rs.ErrNotKept) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	word := "stop"
	if yes {
		word = "let"
	}
	http.Redirect(w, r, "/guard?now="+word, http.StatusSeeOther)
	return nil
}

// alarm is what every page of the portal says while nobody can get at a person's record.
func (s *Resolver) alarm(r *http.Request, u rs.User) (string, error) {
	if s.cfg.Guardian == nil {
		return "", nil
	}
	broken, err := s.cfg.Guardian.Broken(r.Context(), u)
	if err != nil || !broken {
		return "", err
	}
	return "The server that guards your record no longer lets us ask it. Nobody gets in.", nil
}
