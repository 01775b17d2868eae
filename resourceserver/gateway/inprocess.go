package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/resourceserver"
)

// InProcess is an upstream in the same process: an http.Handler rooted at "/", for example the embedded FHIR server's.
type InProcess struct {
	Handler http.Handler
	// BaseURL is the FHIR base that the handler writes into its links.
	BaseURL         string
	HasCompartments bool
}

var _ resourceserver.Upstream = (*InProcess)(nil)

// Base implements resourceserver.Upstream.
func (u *InProcess) Base() string { return strings.TrimSuffix(u.BaseURL, "/") }

// Compartments implements resourceserver.Upstream.
func (u *InProcess) Compartments() bool { return u.HasCompartments }

// Do implements resourceserver.Upstream.
func (u *InProcess) Do(ctx context.Context, q resourceserver.UpstreamRequest) (resp resourceserver.UpstreamResponse, err error) {
	path, err := url.PathUnescape(q.Path)
	if err != nil {
		return resp, fmt.Errorf("%w: %w", resourceserver.ErrUpstream, err)
	}
	req := (&http.Request{
		Method: q.Method, URL: &url.URL{Path: "/" + path, RawQuery: q.Query}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 6), Body: io.NopCloser(bytes.NewReader(q.Body)), ContentLength: int64(len(q.Body)), Host: "localhost",
	}).WithContext(ctx)
	eachHeader(q, "", func(name, value string) { req.Header[http.CanonicalHeaderKey(name)] = []string{value} })
	w := &capture{header: make(http.Header, 6), status: http.StatusOK}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the handler panicked: %v", resourceserver.ErrUpstream, r)
		}
	}()
	u.Handler.ServeHTTP(w, req)
	return resourceserver.UpstreamResponse{
		Status: w.status, Body: w.body, ContentType: w.header.Get("Content-Type"), ETag: w.header.Get("Etag"),
		LastModified: w.header.Get("Last-Modified"), Location: w.header.Get("Location"),
	}, nil
}

// capture keeps an answer in memory.
type capture struct {
	header http.Header
	status int
	wrote  bool
	body   []byte
}

func (c *capture) Header() http.Header { return c.header }

func (c *capture) WriteHeader(status int) {
	if !c.wrote && status >= 200 {
		c.status, c.wrote = status, true
	}
}

func (c *capture) Write(p []byte) (int, error) {
	c.wrote = true
	if c.body == nil {
		c.body = make([]byte, 0, len(p))
	}
	c.body = append(c.body, p...)
	return len(p), nil
}
