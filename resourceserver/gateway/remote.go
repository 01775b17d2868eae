package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/resourceserver"
)

// RemoteConfig describes a FHIR server reached over HTTP.
type RemoteConfig struct {
	// Base is its FHIR base URL, http or https, without query.
	Base string
	// Credential gives the value of the Authorization header, the gateway's own; nil sends none. It is called per request and
	// should remember.
	Credential func(ctx context.Context) (string, error)
	// HasCompartments says that the server answers Patient/{id}/Type searches.
	HasCompartments bool
	Timeout         time.Duration // per request; default 30 s
	MaxResponse     int64         // bytes of a body; default 64 MiB
	MaxConns        int           // open connections; default 256
	// Client serves https upstreams; nil: a tuned one. It must not follow redirects; the gateway's copy never does.
	Client *http.Client
}

// Remote is an upstream over HTTP. Plain http goes over the gateway's own connections, driven synchronously by the goroutine
// that serves the client; https over net/http's transport.
type Remote struct {
	cfg    RemoteConfig
	base   *url.URL
	plain  *pool
	client *http.Client
}

var _ resourceserver.Upstream = (*Remote)(nil)

// NewRemote checks the configuration. It opens no connection.
func NewRemote(c RemoteConfig) (*Remote, error) {
	c.Base = strings.TrimSuffix(c.Base, "/")
	u, err := url.Parse(c.Base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("upstream: Base must be an absolute http or https URL without user, query and fragment, not %q", c.Base)
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.MaxResponse <= 0 {
		c.MaxResponse = 64 << 20
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 256
	}
	r := &Remote{cfg: c, base: u}
	if u.Scheme == "http" && c.Client == nil {
		r.plain = newPool(u, c.MaxConns)
		return r, nil
	}
	client := http.Client{Transport: &http.Transport{
		MaxIdleConns: c.MaxConns, MaxIdleConnsPerHost: c.MaxConns, MaxConnsPerHost: c.MaxConns, IdleConnTimeout: idleLimit,
		TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true, DisableCompression: true,
	}}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // GW-40
	r.client = &client
	return r, nil
}

// Base implements resourceserver.Upstream.
func (r *Remote) Base() string { return r.cfg.Base }

// Compartments implements resourceserver.Upstream.
func (r *Remote) Compartments() bool { return r.cfg.HasCompartments }

// Close ends idle connections.
func (r *Remote) Close() {
	if r.plain != nil {
		r.plain.close()
		return
	}
	r.client.CloseIdleConnections()
}

// Do implements resourceserver.Upstream.
func (r *Remote) Do(ctx context.Context, q resourceserver.UpstreamRequest) (resourceserver.UpstreamResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	credential := ""
	if r.cfg.Credential != nil {
		var err error
		if credential, err = r.cfg.Credential(ctx); err != nil {
			return resourceserver.UpstreamResponse{}, fmt.Errorf("%w: own credential: %w", resourceserver.ErrUpstream, err)
		}
	}
	if !safeParts(q.Path, q.Query, q.ContentType, q.IfMatch, q.Prefer, q.RequestID, credential) {
		return resourceserver.UpstreamResponse{}, fmt.Errorf("%w: a part of the request cannot stand in a header", resourceserver.ErrUpstream)
	}
	var resp resourceserver.UpstreamResponse
	var err error
	if r.plain != nil {
		resp, err = r.plain.do(ctx, q, credential, r.cfg.MaxResponse)
	} else {
		resp, err = r.overClient(ctx, q, credential)
	}
	if err != nil {
		return resourceserver.UpstreamResponse{}, fmt.Errorf("%w: %w", resourceserver.ErrUpstream, err)
	}
	return resp, nil
}

// safeParts refuses control characters: nothing of a request may end a line.
func safeParts(parts ...string) bool {
	for _, p := range parts {
		for i := range len(p) {
			if p[i] < 0x20 || p[i] == 0x7f {
				return false
			}
		}
	}
	return true
}

var errTooLarge = errors.New("the answer is larger than allowed")

func (r *Remote) overClient(ctx context.Context, q resourceserver.UpstreamRequest, credential string) (resourceserver.UpstreamResponse, error) {
	target := r.cfg.Base
	if q.Path != "" {
		target += "/" + q.Path
	}
	if q.Query != "" {
		target += "?" + q.Query
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, target, strings.NewReader(string(q.Body)))
	if err != nil {
		return resourceserver.UpstreamResponse{}, err
	}
	eachHeader(q, credential, func(name, value string) { req.Header.Set(name, value) })
	resp, err := r.client.Do(req)
	if err != nil {
		return resourceserver.UpstreamResponse{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return readResponse(resp, r.cfg.MaxResponse)
}

// eachHeader is the allow-list towards the upstream: its own credential, what the gateway itself understands of the request,
// and nothing the client sent (GW-45, GW-47).
func eachHeader(q resourceserver.UpstreamRequest, credential string, set func(name, value string)) {
	set("Accept", "application/fhir+json") // the judge reads JSON
	set("User-Agent", "umaas-gateway")
	for _, h := range [...][2]string{
		{"Authorization", credential},
		{"Content-Type", q.ContentType},
		{"If-Match", q.IfMatch}, // the judged version (GW-49)
		{"Prefer", q.Prefer},
		{"X-Request-Id", q.RequestID}, // to find the same request in both logs
	} {
		if h[1] != "" {
			set(h[0], h[1])
		}
	}
}

// readResponse takes the allowed headers and the whole body.
func readResponse(resp *http.Response, limit int64) (resourceserver.UpstreamResponse, error) {
	out := resourceserver.UpstreamResponse{
		Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), ETag: resp.Header.Get("Etag"),
		LastModified: resp.Header.Get("Last-Modified"), Location: resp.Header.Get("Location"),
	}
	if resp.ContentLength > limit {
		return out, errTooLarge
	}
	if resp.ContentLength > 0 {
		out.Body = make([]byte, resp.ContentLength)
		if _, err := io.ReadFull(resp.Body, out.Body); err != nil {
			return out, err
		}
		return out, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return out, err
	}
	if int64(len(body)) > limit {
		return out, errTooLarge
	}
	out.Body = body
	return out, nil
}
