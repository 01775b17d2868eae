package resourceserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// read answers GET Type/id. One upstream call, whether the resource is visible, hidden or absent (IM-06); a deleted one is
// absent.
func (c *call) read(ctx context.Context, f Filter) (answer, error) {
	a := c.access
	resp, err := c.do(ctx, UpstreamRequest{Method: http.MethodGet, Path: a.Type + "/" + a.ID})
	if err != nil {
		return answer{}, err
	}
	switch resp.Status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return c.hidden(ctx), nil
	default:
		return answer{}, fmt.Errorf("%w: status %d for a read", ErrUpstream, resp.Status)
	}
	res, err := c.parse(resp.Body)
	if err != nil {
		return answer{}, err
	}
	if res.Type() != a.Type || res.ID() != a.ID {
		return answer{}, fmt.Errorf("%w: another resource than asked for", ErrUpstream)
	}
	shown, err := f.Show(ctx, c.rights, res, c)
	if err != nil {
		return answer{}, err
	}
	if shown == nil {
		c.hide(res)
		return c.hidden(ctx), nil
	}
	return c.show(shown, resp.ETag), nil
}

// vread answers a version: it is visible iff its own body and the current one are, so that a version from before a corrected
// subject does not leak (GW-15).
func (c *call) vread(ctx context.Context, f Filter) (answer, error) {
	a := c.access
	path := a.Type + "/" + a.ID
	resp, err := c.do(ctx, UpstreamRequest{Method: http.MethodGet, Path: path + "/_history/" + a.Version})
	if err != nil {
		return answer{}, err
	}
	// The last body is looked for either way, so that hidden, deleted and absent versions cost the same calls (IM-06).
	last, err := c.lastVersion(ctx, a.Type, a.ID)
	if err != nil {
		return answer{}, err
	}
	switch resp.Status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return c.hidden(ctx), nil
	default:
		return answer{}, fmt.Errorf("%w: status %d for a version", ErrUpstream, resp.Status)
	}
	if last == nil {
		return c.hidden(ctx), nil
	}
	res, err := c.parse(resp.Body)
	if err != nil {
		return answer{}, err
	}
	for _, r := range []*fhir.Resource{last, res} {
		shown, err := f.Show(ctx, c.rights, r, c)
		if err != nil {
			return answer{}, err
		}
		if shown == nil {
			c.hide(r)
			return c.hidden(ctx), nil
		}
		if r == res {
			return c.show(shown, resp.ETag), nil
		}
	}
	return c.hidden(ctx), nil
}

// lastBody gives the current version, or the last one before a deletion; nil where there never was one. It is for many resources at
// once: most are there, and were read already.
func (c *call) lastBody(ctx context.Context, resourceType, id string) (*fhir.Resource, error) {
	if r, ok := c.stored[lastKey(resourceType, id)]; ok {
		return r, nil
	}
	r, ok, err := c.Stored(ctx, resourceType, id)
	if ok || err != nil {
		return r, err
	}
	return c.lastVersion(ctx, resourceType, id)
}

func lastKey(resourceType, id string) string { return resourceType + "/" + id + "/last" }

// lastVersion is lastBody in one call, whether the resource is there, deleted, or never was.
func (c *call) lastVersion(ctx context.Context, resourceType, id string) (*fhir.Resource, error) {
	key := lastKey(resourceType, id)
	if r, ok := c.stored[key]; ok {
		return r, nil
	}
	if err := c.lookUp(); err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, UpstreamRequest{Method: http.MethodGet, Path: resourceType + "/" + id + "/_history", Query: "_count=10"})
	if err != nil {
		return nil, err
	}
	c.remember(key, nil)
	if resp.Status != http.StatusOK {
		return nil, nil
	}
	page, err := c.parseBundle(resp.Body)
	if err != nil {
		return nil, err
	}
	for _, e := range page.Entry {
		if len(e.Resource) == 0 {
			continue
		}
		r, err := c.parse(e.Resource)
		if err != nil {
			return nil, err
		}
		c.remember(key, r)
		return r, nil
	}
	return nil, nil
}

// show is the answer with one resource. A client that has this version already gets 304, after judging (GW-44).
func (c *call) show(s *Shown, etag string) answer {
	c.note(s)
	a := answer{status: http.StatusOK, etag: etagOf(s.Resource, etag), lastModified: modifiedOf(s.Resource)}
	if inm := c.access.IfNoneMatch; inm != "" && a.etag != "" && tagListed(inm, a.etag) {
		a.status = http.StatusNotModified
		return a
	}
	a.body = s.Resource.Raw()
	return a
}

func etagOf(r *fhir.Resource, upstream string) string {
	if v := r.VersionID(); v != "" {
		return `W/"` + v + `"`
	}
	return upstream
}

func modifiedOf(r *fhir.Resource) string {
	if t, ok := r.LastUpdated(); ok {
		return t.UTC().Format(http.TimeFormat)
	}
	return ""
}

// tagListed compares weakly (RFC 9110 §8.8.3.2).
func tagListed(list, etag string) bool {
	want := strings.TrimPrefix(etag, "W/")
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == want {
			return true
		}
	}
	return false
}
