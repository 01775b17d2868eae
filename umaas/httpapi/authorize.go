package httpapi

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// authorize is the authorization endpoint (RFC 6749 §3.1): parameters in the query, or in a form body by POST.
func (a *api) authorize(c *gin.Context) {
	a.start(c, func() (umaas.Started, error) {
		q, err := authorizeParameters(c.Request)
		if err != nil {
			return umaas.Started{}, err
		}
		return a.Service.StartAuthorization(c.Request.Context(), q, a.browser(c), requestID(c))
	})
}

func authorizeParameters(r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost {
		return readForm(r)
	}
	return readQuery(r.URL)
}

// start runs a door with a person before it: whatever the core could not tell the client becomes a page (Grant §3.3.3,
// G-059, SEC-101); a stored flow becomes a clean address (303 to /flow/{id}) bound to this browser.
func (a *api) start(c *gin.Context, door func() (umaas.Started, error)) {
	c.Header("Cache-Control", "no-store")
	c.Header("Referrer-Policy", "no-referrer")
	err := a.mayStart(c)
	if err == nil {
		err = refuseCredentialsInQuery(c.Request.URL)
	}
	var flow umaas.Started
	if err == nil {
		flow, err = door()
	}
	if err != nil {
		a.failPage(c, err)
		return
	}
	if flow.Redirect != nil {
		seeOther(c, redirectURI(*flow.Redirect))
		return
	}
	if flow.Browser != "" {
		a.bind(c, flow.Browser)
	}
	seeOther(c, a.issuer.Path+"/flow/"+url.PathEscape(flow.ID))
}

func (a *api) failPage(c *gin.Context, err error) {
	if a.Pages == nil {
		a.fail(c, err)
		return
	}
	e := a.classify(c, err)
	if e.Status == http.StatusUnauthorized {
		e = uma.ErrInvalidRequest.With(e.Description) // nobody can answer a challenge on a page
	}
	a.Pages.ErrorPage(c, e)
}

func (a *api) browser(c *gin.Context) umaas.Browser {
	cookie, err := c.Request.Cookie(a.BrowserCookie)
	if err != nil {
		return ""
	}
	return umaas.Browser(cookie.Value)
}

// bind sets the browser-binding cookie. Lax: the way back from an app is a top-level navigation (PS-10).
func (a *api) bind(c *gin.Context, value string) {
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // not Secure on loopback http alone: New asks for __Host- over https
		Name: a.BrowserCookie, Value: value, Path: "/", Secure: a.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// redirectURI adds the answer's parameters to what the registered URI has already (RFC 6749 §3.1.2, Grant §3.3.3).
func redirectURI(r umaas.Redirect) string {
	u, err := url.Parse(r.URI)
	if err != nil {
		return r.URI // validated before it was stored; there is nothing to add to
	}
	if add := r.Query.Encode(); add != "" {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += add
	}
	return u.String()
}

// seeOther answers 303 without a body, so that nothing of the target stands in a page.
func seeOther(c *gin.Context, to string) {
	c.Header("Location", to)
	c.Status(http.StatusSeeOther)
	c.Writer.WriteHeaderNow()
}
