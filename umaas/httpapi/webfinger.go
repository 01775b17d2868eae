package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas/uma"
)

const (
	wellKnownWebFinger = "/.well-known/webfinger"
	relIssuer          = "http://openid.net/specs/connect/1.0/issuer"
)

// webFinger tells a resource server which issuer an address belongs to (RFC 7033 §4, OpenID Connect Discovery §2): any
// acct: of this host, and any URL below the issuer. Whether there is such an account is not looked up and never told.
func (a *api) webFinger(c *gin.Context) error {
	q, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil || len(q["resource"]) != 1 || q.Get("resource") == "" {
		return uma.ErrInvalidRequest.With("name one resource: acct:name@host or a URL (RFC 7033 §4.2)")
	}
	resource := q.Get("resource")
	if !a.ours(resource) {
		return uma.ErrNotFound.With("nothing is known here of this resource")
	}
	type link struct {
		Rel  string `json:"rel"`
		Href string `json:"href"`
	}
	links := []link{}
	if len(q["rel"]) == 0 || slices.Contains(q["rel"], relIssuer) {
		links = append(links, link{relIssuer, a.Service.Metadata().Issuer})
	}
	c.Header("Cache-Control", "public, max-age=300")
	raw, err := json.Marshal(struct {
		Subject string `json:"subject"`
		Links   []link `json:"links"`
	}{resource, links})
	if err != nil {
		return fmt.Errorf("encode descriptor: %w", err)
	}
	c.Header("Content-Type", "application/jrd+json") // RFC 7033 §10.2
	c.Status(http.StatusOK)
	_, err = c.Writer.Write(raw)
	return err
}

// ours holds for an account at the issuer's host, whatever its name, and for the issuer and what lies below it.
func (a *api) ours(resource string) bool {
	if account, ok := strings.CutPrefix(resource, "acct:"); ok {
		name, host, ok := strings.Cut(account, "@")
		return ok && name != "" && strings.EqualFold(host, a.issuer.Host)
	}
	u, err := url.Parse(resource)
	if err != nil || u.Scheme != a.issuer.Scheme || !strings.EqualFold(u.Host, a.issuer.Host) || u.User != nil {
		return false
	}
	path := strings.TrimSuffix(u.Path, "/")
	return path == a.issuer.Path || strings.HasPrefix(path, a.issuer.Path+"/")
}
