package resolver

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	rs "github.com/umaas/umaas/resourceserver"
)

// pageError is a page of the TX table: what the person reads. Nothing from the request is ever shown.
type pageError struct {
	status int
	title  string
	text   string
}

func (e *pageError) Error() string { return e.title }

// The error pages (pages.md TX-16…TX-22).
var (
	errNotFound   = &pageError{http.StatusNotFound, "Page not found", "This page does not exist or is not yours."}                                                                                  // TX-20
	errTooOld     = &pageError{http.StatusGone, "Too old", "This request is too old or was already used. Nothing was shared. Go back to the app and start again."}                                  // TX-16
	errBadReturn  = &pageError{http.StatusBadRequest, "We cannot send you back", "We cannot send you back: the app gave an address we do not know. Nothing was shared. Its maker needs this code:"} // TX-18
	errBadRequest = &pageError{http.StatusBadRequest, "This does not work", "The app asked in a way we do not understand. Nothing was shared. Its maker needs this code:"}
	errStaleForm  = &pageError{http.StatusBadRequest, "Out of date", "This form is out of date. Nothing was done. Open it again."}                                             // TX-21
	errTooMany    = &pageError{http.StatusTooManyRequests, "Too many tries", "Too many tries. Wait a minute."}                                                                 // TX-22
	errAway       = &pageError{http.StatusServiceUnavailable, "Not now", "This does not work right now. Nothing was changed."}                                                 // TX-22
	errFault      = &pageError{http.StatusInternalServerError, "Something went wrong", "Something went wrong on our side. Code:"}                                              // TX-22
	errNoSignIn   = &pageError{http.StatusBadRequest, "Sign-in did not work", "You are not signed in. This sign-in is too old, was already used, or began in another window."} // TX-16
	errSaidNo     = &pageError{http.StatusForbidden, "Not signed in", "You did not let this site look after your record, so nothing can be connected. Nothing was shared."}
)

// fail writes the one error page. The code on it stands in the log beside what really happened.
func (s *Resolver) fail(w http.ResponseWriter, r *http.Request, err error) {
	var shown *pageError
	if !errors.As(err, &shown) {
		shown = errFault
		if errors.Is(err, rs.ErrUnreachable) || errors.Is(err, rs.ErrBusy) {
			shown = errAway
		}
	}
	code := ""
	if strings.HasSuffix(shown.text, "code:") || strings.HasSuffix(shown.text, "Code:") {
		code = shortCode()
	}
	if shown.status >= http.StatusInternalServerError {
		s.cfg.Logger.ErrorContext(r.Context(), "page", "status", shown.status, "code", code, "err", err)
	} else {
		s.cfg.Logger.InfoContext(r.Context(), "page", "status", shown.status, "code", code, "err", err)
	}
	s.headers(w, "'self'")
	s.render(w, r, shown.status, "error.html", errorPage{frame: s.frame(shown.title), Text: shown.text, Code: code})
}

func shortCode() string {
	var b [5]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// headers are PS-01 and PS-07. formAction is where forms of this page may lead (PS-02).
func (s *Resolver) headers(w http.ResponseWriter, formAction string) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "+
		"form-action "+formAction+"; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
	if s.secure {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}

// frame is what every page has. Titles are fixed (PS-06).
type frame struct {
	Title  string
	Site   string
	Style  string
	Person string // who is signed in, "" nobody
	Token  string // of the sign-out form
	Alarm  string // what she must know on every page, "" nothing
}

func (s *Resolver) frame(title string) frame {
	return frame{Title: title, Site: s.cfg.Name, Style: s.style.path}
}

type errorPage struct {
	frame
	Text string
	Code string
}

// render executes a page into memory first: a fault in a template never leaves half a page.
func (s *Resolver) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var page bytes.Buffer
	if err := s.pages.ExecuteTemplate(&page, name, data); err != nil {
		s.cfg.Logger.ErrorContext(r.Context(), "template", "name", name, "err", err)
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// formToken binds a form to the person's session and to what the form is about and shows (PS-03).
func (s *Resolver) formToken(session string, about ...string) string {
	mac := hmac.New(sha256.New, s.cfg.FormKey)
	for _, part := range append([]string{session}, about...) {
		sum := sha256.Sum256([]byte(part))
		mac.Write(sum[:])
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// maxForm bounds a posted form.
const maxForm = 16 << 10

// form reads a posted form: declared fields, each at most once (PS-04), with the token of what was shown.
func (s *Resolver) form(r *http.Request, fields ...string) (url.Values, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, errStaleForm
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil || len(raw) > maxForm {
		return nil, errStaleForm
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, errStaleForm
	}
	for name, list := range values {
		known := name == "token"
		for _, f := range fields {
			known = known || f == name
		}
		if !known || len(list) > 1 {
			return nil, errStaleForm
		}
	}
	return values, nil
}

func tokenEqual(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// asset is the one style sheet, under a name that changes with its content (PS-07).
type asset struct {
	path string
	name string
	body []byte
}

const staticPath = "/resolver-static/"

func loadAsset(from embed.FS, file string) (asset, error) {
	body, err := from.ReadFile(file)
	if err != nil {
		return asset{}, err
	}
	sum := sha256.Sum256(body)
	name := hex.EncodeToString(sum[:8]) + ".css"
	return asset{path: staticPath + name, name: name, body: body}, nil
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("name") != a.name {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(a.body)
}
