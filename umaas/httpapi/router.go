package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// Config is what the transport needs; New checks it.
type Config struct {
	Service Service
	Pages   Pages  // nil: protocol only, errors at /authorize and /claims are JSON
	Issuer  string // the same as the core's; its path is the root of all routes

	// BrowserCookie is the name of the cookie that binds a flow to its browser. Over https it must begin with "__Host-"
	// (PS-10); on loopback http every role of a machine needs a name of its own, because cookies ignore ports.
	BrowserCookie string

	Consents Consents // nil: the policy API speaks no FHIR

	TrustedProxies []string // addresses or CIDR whose X-Forwarded-For counts; none by default (SEC-117)
	Limits         RateLimits

	// Certificates finds clients' certificates; by default those of this process's own connections (RFC 8705, RFC 9440).
	Certificates pop.Certificates

	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}

type api struct {
	Config
	issuer *url.URL
	secure bool
	starts *limiter // flows and registrations
	failed *limiter // failed authentications
	lists  statusLists
}

// New builds the server's handler. It serves everything under the issuer's path, and discovery at the host's root too.
func New(c Config) (http.Handler, error) {
	issuer, err := url.Parse(c.Issuer)
	switch {
	case err != nil || issuer.Host == "" || strings.HasSuffix(c.Issuer, "/"):
		return nil, errors.New("httpapi: Issuer must be an absolute URL without a closing slash")
	case c.Service == nil || c.Now == nil || c.Random == nil || c.Logger == nil:
		return nil, errors.New("httpapi: Service, Now, Random and Logger are required")
	case c.BrowserCookie == "":
		return nil, errors.New("httpapi: BrowserCookie is required")
	case issuer.Scheme == "https" && !strings.HasPrefix(c.BrowserCookie, "__Host-"):
		return nil, errors.New(`httpapi: over https BrowserCookie must begin with "__Host-"`)
	}
	c.Limits = c.Limits.withDefaults()
	a := &api{Config: c, issuer: issuer, secure: issuer.Scheme == "https"}
	a.starts, a.failed = newLimiter(c.Limits.Starts), newLimiter(c.Limits.Failures)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	if err := engine.SetTrustedProxies(c.TrustedProxies); err != nil {
		return nil, fmt.Errorf("httpapi: trusted proxies: %w", err)
	}
	engine.Use(a.identify, a.recoverPanic)
	engine.NoRoute(a.noRoute)
	engine.NoMethod(a.handle(func(*gin.Context) error {
		return uma.ErrUnsupportedMethod.With("see the Allow header for the methods of this address")
	}))
	a.routes(engine)
	return engine, nil
}

// routes is the whole table: method, path, what it does.
func (a *api) routes(engine *gin.Engine) {
	for _, path := range wellKnownPaths(a.issuer.Path) {
		a.open(engine, http.MethodGet, path, a.metadata)
	}
	a.open(engine, http.MethodGet, wellKnownWebFinger, a.webFinger)
	r := engine.Group(a.issuer.Path)

	// open to programs in browsers too (SEC-114)
	a.open(r, http.MethodGet, "/jwks", a.jwks)
	a.open(r, http.MethodGet, "/status/:number", a.statusList)
	a.open(r, http.MethodPost, "/token", a.token)
	a.open(r, http.MethodPost, "/register", a.register)

	// for clients
	r.POST("/revoke", a.handle(a.revoke))
	r.GET("/userinfo", a.handle(a.userInfo))
	r.POST("/userinfo", a.handle(a.userInfo))

	// for resource servers, with a PAT (FedAuthz §1.3)
	r.POST("/introspect", a.handle(a.introspect))
	r.POST("/permission", a.protected(a.permission))
	r.POST("/events", a.protected(a.feed))
	r.POST("/access-events", a.protected(a.accessEvents))
	r.POST("/grants/consume", a.protected(a.consume))
	for _, root := range []string{"/resource_set", "/resource_set/"} {
		r.POST(root, a.protected(a.createResource))
		r.GET(root, a.protected(a.listResources))
	}
	r.GET("/resource_set/:id", a.protected(a.readResource))
	r.PUT("/resource_set/:id", a.protected(a.updateResource))
	r.DELETE("/resource_set/:id", a.protected(a.deleteResource))

	// for owners' programs, with a token of the scope owner
	a.ownerRoutes(r)

	// for people, through their browsers
	r.GET("/authorize", a.authorize)
	r.POST("/authorize", a.authorize) // OpenID Connect Core §3.1.2.1 asks for both
	r.GET("/claims", a.claims)

	if a.Pages != nil {
		a.Pages.Mount(r)
	}
}

// wellKnownPaths lists every address of the one discovery document: appended after the issuer's path (Grant §2, OpenID
// Connect Discovery §4), inserted before it (RFC 8414 §3), and at the host's root for clients that drop the path.
func wellKnownPaths(issuerPath string) []string {
	var paths []string
	seen := map[string]bool{}
	for _, name := range []string{uma.WellKnownUMA, uma.WellKnownOAuth, uma.WellKnownOpenID} {
		for _, p := range []string{issuerPath + name, name + issuerPath, name} {
			if !seen[p] {
				seen[p] = true
				paths = append(paths, p)
			}
		}
	}
	return paths
}

func (a *api) noRoute(c *gin.Context) {
	if a.Pages != nil && strings.Contains(c.GetHeader("Accept"), "text/html") {
		a.Pages.ErrorPage(c, uma.ErrNotFound)
		return
	}
	a.fail(c, uma.ErrNotFound.With("there is nothing at this address"))
}
