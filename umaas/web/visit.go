package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
)

// visit is one request with the person who made it.
type visit struct {
	*gin.Context
	site      *Site
	cookie    string         // value of the session cookie when it is good
	session   *umaas.Session // nil: nobody is signed in
	person    *umaas.Account
	principal *principal // for whom the person acts; nil: herself
	form      url.Values // set by the reading of the form
	fresh     string     // value of the form cookie set by this answer
	extra     string     // a source for form-action (PS-02)
}

// page answers a visit or returns an error, never both.
type page func(*visit) error

// page is the only bridge from pages to gin: headers, session, errors.
func (s *Site) page(h page) gin.HandlerFunc {
	return func(c *gin.Context) {
		v := &visit{Context: c, site: s}
		s.headers(c.Writer.Header(), strings.HasPrefix(c.FullPath(), s.Base+"/me") || strings.HasPrefix(c.FullPath(), s.Base+"/for/"))
		err := v.findSession()
		if err == nil {
			err = h(v)
		}
		if err != nil {
			s.fail(v, err)
		}
	}
}

func (v *visit) findSession() error {
	value := v.cookieValue(v.site.SessionCookie)
	if value == "" {
		return nil
	}
	sess, person, err := v.site.Service.Session(v.Request.Context(), value)
	if errors.Is(err, umaas.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	v.cookie, v.session, v.person = value, &sess, &person
	return nil
}

// cookieValue is "" where there is no such cookie.
func (v *visit) cookieValue(name string) string {
	cookie, err := v.Request.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// signedIn sends everybody else to the sign-in page, which leads back to a page that may be seen, never to an action.
func (s *Site) signedIn(h page) page {
	return func(v *visit) error {
		if v.session != nil {
			return h(v)
		}
		to := v.Request.URL.Path
		if v.Request.Method == http.MethodPost {
			to = s.Base + "/me"
		}
		return v.seeOther("/login?to=" + url.QueryEscape(strings.TrimPrefix(to, s.Base)))
	}
}

// browser is the value of the browser-binding cookie, set where the flow began.
func (v *visit) browser() umaas.Browser { return umaas.Browser(v.cookieValue(v.site.BrowserCookie)) }

// seeOther answers 303 to a page of ours.
func (v *visit) seeOther(path string) error {
	v.Header("Location", v.site.Base+path)
	v.Status(http.StatusSeeOther)
	v.Writer.WriteHeaderNow()
	return nil
}

func (v *visit) setCookie(name, value string) {
	http.SetCookie(v.Writer, &http.Cookie{ //nolint:gosec // not Secure on loopback http alone: New asks for it over https
		Name: name, Value: value, Path: "/", Secure: v.site.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) dropCookie(name string) {
	http.SetCookie(v.Writer, &http.Cookie{ //nolint:gosec // as setCookie
		Name: name, Path: "/", Secure: v.site.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1,
	})
}

func (v *visit) requestID() string { return v.Writer.Header().Get("X-Request-Id") }
