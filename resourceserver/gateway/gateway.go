package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

// Config is what a Gateway is made of.
type Config struct {
	// Enforcer is the judge's configuration; its ResourceMetadata is filled in here.
	Enforcer resourceserver.EnforcerConfig
	// Issuers are the authorization servers whose tokens are taken, the first one by default.
	Issuers []string
	// Metadata reads the first issuer's discovery document, for smart-configuration; nil: the document names the issuer only.
	Metadata func(ctx context.Context) (uma.Metadata, error)
	// ContextResolver is the resolution service's address without its last segment, "{rs}/resolve-uma-context"; "" none.
	ContextResolver string
	// Capabilities are further SMART capabilities, for example "launch-standalone".
	Capabilities []string
	// CertificateBound says that clients' certificates reach this server, so that tokens bound to them can be used here.
	CertificateBound bool
}

// Gateway serves a FHIR base and the public documents about it.
type Gateway struct {
	*resourceserver.Enforcer
	cfg        Config
	origin     string
	basePath   string
	capability *capability
	resource   []byte
}

// New checks the configuration. The handler serves the paths of the base and of the protected resource metadata.
func New(c Config) (*Gateway, error) {
	base, err := url.Parse(strings.TrimSuffix(c.Enforcer.Base, "/"))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("gateway: Base must be an absolute URL, not %q", c.Enforcer.Base)
	}
	if len(c.Issuers) == 0 {
		return nil, errors.New("gateway: name at least one authorization server in Issuers")
	}
	g := &Gateway{cfg: c, origin: base.Scheme + "://" + base.Host, basePath: base.EscapedPath()}
	c.Enforcer.ResourceMetadata = g.MetadataURL()
	if g.Enforcer, err = resourceserver.NewEnforcer(c.Enforcer); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.capability = &capability{upstream: c.Enforcer.Upstream, base: g.Base, now: g.Now}
	if g.resource, err = g.protectedResource(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g, nil
}

const wellKnownResource = "/.well-known/oauth-protected-resource"

// MetadataURL is where the protected resource metadata stands: the well-known segment before the base's path (RFC 9728 §3.1).
func (g *Gateway) MetadataURL() string { return g.origin + wellKnownResource + g.basePath }

// ServeHTTP answers the fixed public list to anybody alike (GW-41) and leaves the rest to the enforcer.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if cors(w, r) {
		return
	}
	path := r.URL.EscapedPath()
	switch path {
	case wellKnownResource, wellKnownResource + g.basePath, g.basePath + wellKnownResource:
		g.public(w, r, "application/json", func(context.Context) ([]byte, error) { return g.resource, nil })
	case g.basePath + "/.well-known/smart-configuration":
		g.public(w, r, "application/json", g.smartConfiguration)
	case g.basePath + "/metadata":
		g.public(w, r, "application/fhir+json", g.capability.statement)
	default:
		g.Enforcer.ServeHTTP(w, r)
	}
}

// public writes one of the public documents. A token on the request changes nothing.
func (g *Gateway) public(w http.ResponseWriter, r *http.Request, media string, make func(context.Context) ([]byte, error)) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET")
		fail(w, http.StatusMethodNotAllowed, "not-supported", "This method is not offered here, only GET.")
		return
	}
	body, err := make(r.Context())
	if err != nil {
		g.Logger.ErrorContext(r.Context(), "public document", "path", r.URL.Path, "error", err)
		h.Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, "transient", "The document cannot be made just now.")
		return
	}
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "public, max-age=60")
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the client may have gone
	}
}

func fail(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/fhir+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(fhir.Outcome(fhir.Issue{Code: code, Text: text})) // the client may have gone
}

// Healthy asks the upstream for its capability statement, unremembered: readiness of the gateway.
func (g *Gateway) Healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	resp, err := g.cfg.Enforcer.Upstream.Do(ctx, resourceserver.UpstreamRequest{Method: http.MethodGet, Path: "metadata"})
	if err != nil {
		return err
	}
	if resp.Status != http.StatusOK {
		return fmt.Errorf("%w: status %d for metadata", resourceserver.ErrUpstream, resp.Status)
	}
	return nil
}

// cors lets browser apps of any origin call with a bearer token; no cookie means anything here (SMART S-022). It reports
// whether the request was a preflight and is answered.
func cors(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Origin") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Warning, ETag, Last-Modified, Location, X-Request-Id, Retry-After, DPoP-Nonce")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, DPoP, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-None-Exist, X-Request-Id")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
