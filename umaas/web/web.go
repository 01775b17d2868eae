package web

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// Config is what the pages need; New checks it.
type Config struct {
	Service  Service
	SignIn   SignIn
	Upstream Upstream // nil: people sign in here alone
	Consents Consents // nil: shares neither leave nor come as files

	Issuer string // this server's address, as links to it begin; "" takes no invitations
	Base   string // path of the issuer, "" for none: all addresses begin with it

	// Cookie names. With Secure they must begin with "__Host-" (PS-10); on loopback http every role of a machine has names
	// of its own, because cookies ignore ports. BrowserCookie is the one the authorization and claims endpoints set.
	SessionCookie string
	BrowserCookie string
	Secure        bool

	DeploymentName string         // shown on every page
	Help           string         // one line: whom to ask; "" none
	CSRFKey        []byte         // 32 bytes or more, the same on all servers of a deployment
	Zone           *time.Location // of the dates people read; nil: UTC

	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}

// Site is the set of pages.
type Site struct {
	Config
	texts     texts
	templates pages
	static    statics
	cross     *http.CrossOriginProtection
}

// New checks the configuration and parses templates and texts, so that nothing can be missing later.
func New(c Config) (*Site, error) {
	switch {
	case c.Service == nil || c.SignIn == nil || c.Now == nil || c.Random == nil || c.Logger == nil:
		return nil, errors.New("web: Service, SignIn, Now, Random and Logger are required")
	case c.SessionCookie == "" || c.BrowserCookie == "" || c.SessionCookie == c.BrowserCookie:
		return nil, errors.New("web: SessionCookie and BrowserCookie are required and differ")
	case c.Secure && (!strings.HasPrefix(c.SessionCookie, "__Host-") || !strings.HasPrefix(c.BrowserCookie, "__Host-")):
		return nil, errors.New(`web: over https cookie names must begin with "__Host-"`)
	case len(c.CSRFKey) < 32:
		return nil, errors.New("web: CSRFKey needs at least 32 bytes")
	case c.DeploymentName == "":
		return nil, errors.New("web: DeploymentName is required")
	case strings.HasSuffix(c.Base, "/"):
		return nil, errors.New("web: Base has no closing slash")
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	c.CSRFKey = bytes.Clone(c.CSRFKey)
	s := &Site{Config: c, cross: http.NewCrossOriginProtection()}
	var err error
	if s.texts, err = loadTexts(); err != nil {
		return nil, err
	}
	if s.static, err = loadStatics(); err != nil {
		return nil, err
	}
	if s.templates, err = s.loadTemplates(); err != nil {
		return nil, err
	}
	return s, nil
}

// Mount adds the pages under r: method, address, what it shows or does.
func (s *Site) Mount(r gin.IRouter) {
	see := func(path string, h page) { r.GET(path, s.page(h)); r.HEAD(path, s.page(h)) }
	do := func(path string, h page) { r.POST(path, s.page(s.sameOrigin(h))) }

	r.GET("/static/:version/:file", s.staticFile)

	see("/", func(v *visit) error { return v.seeOther("/me") })
	see("/login", s.loginPage)
	do("/login", s.login)
	do("/logout", s.logout)
	do("/signin/away", s.signInAway)
	see("/signin/back/:issuer", s.signInBack)

	see("/flow/:id", s.flowPage)
	do("/flow/:id/consent", s.answerConsent)
	do("/flow/:id/details", s.answerDetails)
	do("/flow/:id/step-up", s.answerStepUp)
	do("/flow/:id/terms", s.answerTerms)
	do("/flow/:id/send", s.answerSend)
	do("/flow/:id/protect", s.answerProtect)
	do("/flow/:id/cancel", s.cancelFlow)
	do("/flow/:id/switch", s.switchPerson)

	see("/invite", s.invitePage)
	see("/invite/:handle", s.openInvite)
	do("/invite", s.acceptInvite)

	s.mountOwner("/me", s.signedIn, see, do)
	s.mountOwner("/for/:owner", s.forSomebody, see, do)

	see("/me/people", s.signedIn(s.people))
	see("/me/people/new", s.signedIn(s.delegatePage))
	do("/me/people/new", s.signedIn(s.delegate))
	do("/me/people/:id/end", s.signedIn(s.endDelegation))
	do("/me/people/:id/:entry/resign", s.signedIn(s.resign))
	see("/me/asked", s.signedIn(s.asked))
	see("/me/sign-in", s.signedIn(s.signIns))
	do("/me/sign-in/unlink", s.signedIn(s.unlink))
	see("/me/remembered", s.signedIn(s.remembered))
	do("/me/remembered/:key/forget", s.signedIn(s.forget))
	do("/me/asked/:key/withdraw", s.signedIn(s.withdraw))
}

// mountOwner adds the owner's pages, for herself and for who acts for her.
func (s *Site) mountOwner(me string, as func(page) page, see, do func(string, page)) {
	see(me, as(s.home))
	see(me+"/requests", as(s.requests))
	see(me+"/requests/:key", as(s.request))
	do(me+"/requests/:key", as(s.answerRequest))
	do(me+"/requests/:key/undo", as(s.undoAnswer))
	do(me+"/requests/:key/end", as(s.endEmergency))
	see(me+"/sharing", as(s.sharing))
	see(me+"/sharing/import", as(s.importPage))
	do(me+"/sharing/import", as(s.takeIn))
	see(me+"/sharing/export", as(s.exportShares))
	see(me+"/sharing/:id", as(s.share))
	see(me+"/sharing/:id/file", as(s.exportShare))
	see(me+"/sharing/:id/stop", as(s.stopPage))
	do(me+"/sharing/:id/stop", as(s.stop))
	do(me+"/sharing/:id/restore", as(s.restore))
	see(me+"/sharing/:id/change", as(s.changePage))
	do(me+"/sharing/:id/change", as(s.change))
	see(me+"/share", as(s.newSharePage))
	do(me+"/share", as(s.newShare))
	see(me+"/history", as(s.history))
	see(me+"/history/export", as(s.exportHistory))
	see(me+"/invitations", as(s.invitations))
	see(me+"/invitations/:key", as(s.invitation))
	do(me+"/invitations/:key/end", as(s.uninvite))
}
