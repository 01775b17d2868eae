package resolver

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
)

// flow is one resolution an app asked for, bound to the browser it began in. Its redirect URI is known to be good.
type flow struct {
	Level       rs.Level
	RedirectURI string
	State       string
	ClientID    string // the app's own word, "" none: then the URL is bound to nobody (flows.md A3.3)
	AppName     string
	AppChecked  bool
	Browser     [32]byte
}

const (
	flowLife    = 15 * time.Minute
	browserLife = 24 * time.Hour
	maxState    = 1024
)

// start takes an app's request (flows.md A3.1). Nobody is sent anywhere until the address is known to be the app's.
func (s *Resolver) start(level rs.Level) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return errBadRequest
		}
		for _, name := range []string{"redirect_uri", "client_id"} {
			if len(q[name]) > 1 {
				return errBadRequest // SEC-63, and no address is trusted
			}
		}
		app, err := rs.AppFor(r.Context(), s.cfg.State, q.Get("redirect_uri"), q.Get("client_id"))
		if errors.Is(err, rs.ErrUnknownApp) {
			return errBadReturn
		}
		if err != nil {
			return err
		}
		f := flow{
			Level: level, RedirectURI: q.Get("redirect_uri"), ClientID: q.Get("client_id"), State: q.Get("state"),
			AppName: app.Name, AppChecked: app.Checked,
		}
		if len(q["state"]) != 1 || f.State == "" || len(f.State) > maxState {
			if len(q["state"]) != 1 || len(f.State) > maxState {
				f.State = ""
			}
			return s.back(w, r, f, url.Values{"error": {"invalid_request"}})
		}
		browser, err := s.browser(w, r)
		if err != nil {
			return err
		}
		f.Browser = sha256.Sum256([]byte(browser))
		handle, err := s.cfg.State.Keep(r.Context(), rs.KindResolve, f, s.cfg.Now().Add(flowLife))
		if err != nil {
			return fmt.Errorf("keep flow: %w", err)
		}
		http.Redirect(w, r, "/resolve/"+handle, http.StatusSeeOther)
		return nil
	}
}

// browser is the value of this browser's own cookie, made on first need. It is no sign-in: it only ties steps together.
func (s *Resolver) browser(w http.ResponseWriter, r *http.Request) (string, error) {
	if c, err := r.Cookie(s.cookieName("browser")); err == nil && len(c.Value) == 43 {
		return c.Value, nil
	}
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", err
	}
	value := base64.RawURLEncoding.EncodeToString(raw[:])
	s.setCookie(w, "browser", value, browserLife)
	return value, nil
}

// flow finds a living flow of this very browser. Another browser's, an old and an unknown one are the same page.
func (s *Resolver) flow(r *http.Request) (f flow, handle, browser string, err error) {
	handle = r.PathValue("flow")
	err = s.cfg.State.Look(r.Context(), rs.KindResolve, handle, &f)
	if errors.Is(err, rs.ErrNotKept) {
		return flow{}, "", "", errTooOld
	}
	if err != nil {
		return flow{}, "", "", fmt.Errorf("read flow: %w", err)
	}
	c, err := r.Cookie(s.cookieName("browser"))
	if err != nil {
		return flow{}, "", "", errTooOld
	}
	sum := sha256.Sum256([]byte(c.Value))
	if subtle.ConstantTimeCompare(sum[:], f.Browser[:]) != 1 {
		return flow{}, "", "", errTooOld // SEC-04
	}
	return f, handle, c.Value, nil
}

// flowPage is PG-19: who asks, what it is, and the record chooser PG-04.
type flowPage struct {
	frame
	Flow      string
	App       string
	Host      string
	Unchecked bool
	Patient   bool // a record is to be chosen
	SignedIn  bool
	FormToken string
	Records   []recordCard
	Search    bool // more records than are shown
	Searched  bool
	Error     string
	Places    []place
}

func (s *Resolver) showFlow(w http.ResponseWriter, r *http.Request) error {
	f, handle, browser, err := s.flow(r)
	if err != nil {
		return err
	}
	return s.renderFlow(w, r, f, handle, browser, "", "", http.StatusOK)
}

func (s *Resolver) renderFlow(w http.ResponseWriter, r *http.Request, f flow, handle, browser, search, problem string, status int) error {
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	p := flowPage{
		frame: s.frame("Connect an app"), Flow: handle, App: f.AppName, Host: addressHost(f.RedirectURI), Unchecked: !f.AppChecked,
		Patient: f.Level == rs.LevelPatient, SignedIn: signedIn, Error: problem, Places: s.places(),
	}
	if !signedIn {
		p.FormToken = s.formToken(browser, "signin", handle)
		s.headers(w, s.formAction(f))
		s.render(w, r, status, "signin.html", p)
		return nil
	}
	p.Person = u.Name
	if p.Patient {
		if p.Records, p.Search, err = s.choice(r, u.Key, search); err != nil {
			return err
		}
		p.Searched = search != ""
	}
	p.FormToken = s.formToken(cookie, "resolve", handle, u.Key)
	s.headers(w, s.formAction(f))
	s.render(w, r, status, "resolve.html", p)
	return nil
}

// choice is what the record chooser shows: all records of a person, or with many of them those of one full name.
func (s *Resolver) choice(r *http.Request, user, search string) (cards []recordCard, many bool, err error) {
	all, err := s.records(r.Context(), user)
	if err != nil || len(all) <= maxCards {
		return all, false, err
	}
	for _, c := range all {
		if search != "" && strings.EqualFold(strings.TrimSpace(search), c.Name) && len(cards) < maxCards {
			cards = append(cards, c)
		}
	}
	return cards, true, nil
}

// answerFlow is Connect, Cancel or a search. Connect makes a new context URL each time; a second press finds the flow gone.
func (s *Resolver) answerFlow(w http.ResponseWriter, r *http.Request) error {
	f, handle, browser, err := s.flow(r)
	if err != nil {
		return err
	}
	form, err := s.form(r, "answer", "patient", "name")
	if err != nil {
		return err
	}
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	if !signedIn {
		// Somebody who has not signed in can only leave; the form for that is bound to the browser.
		if form.Get("answer") == "cancel" && tokenEqual(form.Get("token"), s.formToken(browser, "signin", handle)) {
			return s.finish(w, r, handle, url.Values{"error": {"access_denied"}})
		}
		return errStaleForm
	}
	if !tokenEqual(form.Get("token"), s.formToken(cookie, "resolve", handle, u.Key)) {
		return errStaleForm
	}
	switch form.Get("answer") {
	case "cancel":
		return s.finish(w, r, handle, url.Values{"error": {"access_denied"}})
	case "search":
		return s.renderFlow(w, r, f, handle, browser, form.Get("name"), "", http.StatusOK)
	case "connect":
		return s.connect(w, r, f, handle, browser, u, form.Get("patient"))
	default:
		return errStaleForm
	}
}

func (s *Resolver) connect(w http.ResponseWriter, r *http.Request, f flow, handle, browser string, u rs.User, patient string) error {
	if f.Level == rs.LevelUser {
		patient = ""
	} else if patient == "" {
		return s.renderFlow(w, r, f, handle, browser, "", "Choose whose record this is about.", http.StatusUnprocessableEntity)
	}
	// The flow ends first: of two presses one makes a link.
	if err := s.cfg.State.Take(r.Context(), rs.KindResolve, handle, &flow{}); errors.Is(err, rs.ErrNotKept) {
		return errTooOld
	} else if err != nil {
		return fmt.Errorf("end flow: %w", err)
	}
	link, err := s.cfg.Contexts.Mint(r.Context(), u.Key, patient, f.ClientID, f.AppName)
	switch {
	case errors.Is(err, rs.ErrNotKept):
		return s.back(w, r, f, url.Values{"error": {"access_denied"}})
	case errors.Is(err, rs.ErrUnreachable), errors.Is(err, rs.ErrBusy):
		return s.back(w, r, f, url.Values{"error": {"temporarily_unavailable"}})
	case err != nil:
		s.cfg.Logger.ErrorContext(r.Context(), "mint context URL", "err", err)
		return s.back(w, r, f, url.Values{"error": {"server_error"}})
	}
	return s.back(w, r, f, url.Values{"resolved": {link}})
}

// finish ends a flow and goes back to the app with what is given.
func (s *Resolver) finish(w http.ResponseWriter, r *http.Request, handle string, answer url.Values) error {
	var f flow
	err := s.cfg.State.Take(r.Context(), rs.KindResolve, handle, &f)
	if errors.Is(err, rs.ErrNotKept) {
		return errTooOld
	}
	if err != nil {
		return fmt.Errorf("end flow: %w", err)
	}
	return s.back(w, r, f, answer)
}

// back sends the browser to the app with resolved or error, state as it came, and iss (flows.md A3.3, A3.4; RFC 9207).
// The address was checked when the flow began. Where a browser's form rules cannot express it, a page with a link does.
func (s *Resolver) back(w http.ResponseWriter, r *http.Request, f flow, answer url.Values) error {
	to := f.RedirectURI
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	if f.State != "" {
		answer.Set("state", f.State)
	}
	answer.Set("iss", s.cfg.Base)
	// In this order, each percent-encoded: + for a blank is a matter of forms, not of every app's decoder.
	for _, name := range []string{"resolved", "error", "state", "iss"} {
		if answer.Has(name) {
			to += separator + name + "=" + strings.ReplaceAll(url.QueryEscape(answer.Get(name)), "+", "%20")
			separator = "&"
		}
	}
	if _, ok := originSource(f.RedirectURI); !ok {
		s.render(w, r, http.StatusOK, "back.html", backPage{frame: s.frame("Back to the app"), App: f.AppName, To: to})
		return nil
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

type backPage struct {
	frame
	App string
	To  string
}
