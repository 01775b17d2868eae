package resourceserver

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

var _ Facts = (*call)(nil)

// Now implements Facts.
func (c *call) Now() time.Time { return c.EnforcerConfig.Now() }

// maxLookups bounds what one request, with all entries of a bundle, may make the upstream read: resources beside its own rows, and
// pages of rows.
const maxLookups = 1000

// lookUp counts one such reading.
func (c *call) lookUp() error {
	if c.lookups++; c.lookups > maxLookups {
		return ErrTooCostly
	}
	return nil
}

// MaySee implements Facts: each relation is asked for once per request.
func (c *call) MaySee(ctx context.Context, user, patient string) (scopes.Set, error) {
	key := [2]string{user, patient}
	if held, ok := c.maySee[key]; ok {
		return held, nil
	}
	held, ok, err := c.Relations.MaySee(ctx, user, patient)
	if err != nil {
		return nil, fmt.Errorf("relation: %w", err)
	}
	if !ok {
		held = nil
	}
	if c.maySee == nil {
		c.maySee = map[[2]string]scopes.Set{}
	}
	c.maySee[key] = held
	return held, nil
}

// Stored implements Facts: each resource is read once per request.
func (c *call) Stored(ctx context.Context, resourceType, id string) (*fhir.Resource, bool, error) {
	key := resourceType + "/" + id
	if r, ok := c.stored[key]; ok {
		return r, r != nil, nil
	}
	if err := c.lookUp(); err != nil {
		return nil, false, err
	}
	r, err := c.fetch(ctx, key)
	if err != nil {
		return nil, false, err
	}
	c.remember(key, r)
	return r, r != nil, nil
}

func (c *call) remember(key string, r *fhir.Resource) {
	if c.stored == nil {
		c.stored = map[string]*fhir.Resource{}
	}
	c.stored[key] = r
}

// forget drops what is remembered of a resource that was just written.
func (c *call) forget(key string) { delete(c.stored, key) }

// fetch reads one resource from the upstream; nil where there is none, or it was deleted.
func (c *call) fetch(ctx context.Context, path string) (*fhir.Resource, error) {
	resp, err := c.do(ctx, UpstreamRequest{Method: http.MethodGet, Path: path})
	if err != nil {
		return nil, err
	}
	switch resp.Status {
	case http.StatusOK:
		return c.parse(resp.Body)
	case http.StatusNotFound, http.StatusGone:
		return nil, nil
	}
	return nil, fmt.Errorf("%w: status %d for a read", ErrUpstream, resp.Status)
}

func (c *call) do(ctx context.Context, r UpstreamRequest) (UpstreamResponse, error) {
	r.RequestID = c.requestID
	return c.Upstream.Do(ctx, r)
}

// parse reads a body of the upstream. Its references are made relative first, so that the judge sees what they mean.
func (c *call) parse(body []byte) (*fhir.Resource, error) {
	r, err := fhir.Parse(rewriteUpstream(body, c.classifier.UpstreamBase))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUpstream, err)
	}
	return r, nil
}

// rewriteUpstream is rewriteReferences for bytes of the upstream, which writes its base plainly.
func rewriteUpstream(body []byte, base string) []byte {
	if base == "" {
		return body
	}
	return rewriteReferences(body, []string{base})
}

// rightsCache keeps compiled grants, so that a token seen before costs no parsing. It is an optimisation alone: a value is
// used only for an equal grant, and the verifier is asked every time.
type rightsCache struct {
	seed maphash.Seed
	mu   sync.RWMutex
	kept map[uint64]*Rights
}

const maxRightsKept = 4096

func newRightsCache() *rightsCache {
	return &rightsCache{seed: maphash.MakeSeed(), kept: map[uint64]*Rights{}}
}

func (rc *rightsCache) of(g Grant) *Rights {
	var h maphash.Hash
	h.SetSeed(rc.seed)
	_, _ = h.WriteString(g.Issuer) // a hash write cannot fail
	_, _ = h.WriteString("\x00" + g.JTI)
	key := h.Sum64()
	rc.mu.RLock()
	r := rc.kept[key]
	rc.mu.RUnlock()
	if r != nil && g.JTI != "" && sameGrant(r.Grant, g) {
		return r
	}
	r = NewRights(g)
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if len(rc.kept) >= maxRightsKept {
		clear(rc.kept)
	}
	rc.kept[key] = r
	return r
}

func sameGrant(a, b Grant) bool {
	return a.Issuer == b.Issuer && a.JTI == b.JTI && a.Kind == b.Kind && a.ClientID == b.ClientID && a.Sub == b.Sub && a.Expires.Equal(b.Expires) &&
		slices.EqualFunc(a.Permissions, b.Permissions, func(x, y Permitted) bool {
			return x.Set == y.Set && x.Expires.Equal(y.Expires) && slices.Equal(x.Scopes, y.Scopes) &&
				slices.EqualFunc(x.Constraints, y.Constraints, func(m, n uma.Constraint) bool { return m == n })
		})
}
