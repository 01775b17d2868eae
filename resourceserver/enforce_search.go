package resourceserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/umaas/umaas/scopes"
)

// Bounds of walking the upstream for one answer (GW-10).
const (
	maxPulls      = 20
	maxCounted    = 10_000
	maxNarrow     = 40   // patients named in a narrowing parameter
	longestQuery  = 3000 // bytes of a query in a URL; longer searches go by POST
	suppressedMsg = "Some related resources are of types that the token does not cover; they were not asked for."
	droppedMsg    = "Some search parameters are unknown here and were left out: "
)

// cursor is where in the upstream's pages an answer goes on: a request, and how many of its entries were given already.
type cursor struct {
	Path, Query string
	Skip        int
	Then        []cursor `json:",omitempty"` // what follows after the last page
	Optional    bool     `json:",omitempty"` // a follow-up that the upstream may not support
}

// after is where to go on when a page was the last one of its request.
func (at cursor) after() (cursor, bool) {
	if len(at.Then) == 0 {
		return cursor{}, false
	}
	next := at.Then[0]
	next.Then = at.Then[1:]
	return next, true
}

// rows is a page of judged rows.
type rows struct {
	matches, includes []*Shown
	entries           []wireEntry // histories: the entry each match came with
	next              *cursor
}

// search answers a search on a type. The client's own parameters and the judge's narrowing are both sent upstream; every row
// is judged when it comes back, whatever the upstream made of them (GW-04, GW-13).
func (c *call) search(ctx context.Context, f Filter) (answer, error) {
	s := &c.access.Search
	notes, refused := c.suppress()
	if refused {
		return c.refuse(ctx, Deny{Row: RowScope, Reason: "scope", Asked: c.access.asked(LevelRecord)}), nil
	}
	if len(s.Dropped) > 0 {
		notes = append(notes, droppedMsg+strings.Join(s.Dropped, ", ")+".")
	}
	first, ok, err := c.searchRequest(ctx, f)
	if err != nil {
		return answer{}, err
	}
	if !ok { // nobody's data can match: no upstream call (GW-36)
		c.noteNothing(f.entries)
		return c.searchset(&rows{}, notes, 0)
	}
	if s.CountOnly {
		return c.count(ctx, f, first)
	}
	page, err := c.pull(ctx, f, first, s.Count)
	if err != nil {
		return answer{}, err
	}
	return c.finishPage(ctx, f, page, notes)
}

// finishPage records what is shown and writes the Bundle with a link to go on.
func (c *call) finishPage(ctx context.Context, f Filter, page *rows, notes []string) (answer, error) {
	c.note(page.matches...)
	c.note(page.includes...)
	c.noteNothing(f.entries)
	if page.next != nil {
		if err := c.keepPage(ctx, page); err != nil {
			return answer{}, err
		}
	}
	return c.searchset(page, notes, -1)
}

// suppress takes out includes whose types no entry covers; refused is true where the client wants that told as an error
// (GW-08).
func (c *call) suppress() (notes []string, refused bool) {
	s := &c.access.Search
	now := c.Now()
	covered := func(t string) bool { return len(c.rights.granting(t, scopes.Read|scopes.Search, now)) > 0 }
	kept := s.Includes[:0:0]
	for _, in := range s.Includes {
		ok := slices.ContainsFunc(in.Targets, covered)
		if in.Reverse {
			ok = len(c.rights.granting(in.Source, scopes.Search, now)) > 0
		} else if in.Source != c.access.Type {
			ok = ok && covered(in.Source)
		}
		if ok {
			kept = append(kept, in)
			continue
		}
		if c.access.Prefer.Strict {
			return nil, true
		}
		notes = []string{suppressedMsg}
	}
	s.Includes = kept
	return notes, false
}

// count answers _summary=count: the gateway counts visible rows itself (GW-10).
func (c *call) count(ctx context.Context, f Filter, first cursor) (answer, error) {
	total := 0
	at := &first
	for pulls := 0; at != nil; pulls++ {
		if pulls*c.classifier.maxCount() >= maxCounted {
			return answer{}, ErrTooCostly
		}
		page, err := c.pull(ctx, f, *at, c.classifier.maxCount())
		if err != nil {
			return answer{}, err
		}
		total += len(page.matches)
		c.note(page.matches...)
		at = page.next
	}
	c.noteNothing(f.entries)
	return c.searchset(&rows{}, nil, total)
}

// pull fills a page of a search or of $everything. A row that does not fit any more is the first of the next page; includes stand
// after the matches of an upstream page, and those of the matches shown go with them.
func (c *call) pull(ctx context.Context, f Filter, at cursor, want int) (*rows, error) {
	out := &rows{}
	err := c.fill(ctx, at, out, want, func(page []wireEntry) (full bool, err error) {
		e := page[0]
		if len(e.Resource) == 0 {
			return false, nil
		}
		mode := "match"
		if e.Search != nil && e.Search.Mode != "" {
			mode = e.Search.Mode
		}
		if mode == "match" && len(out.matches) >= want {
			return true, c.collectIncludes(ctx, out, page)
		}
		return false, c.collect(ctx, f, out, mode, e)
	})
	return out, err
}

// fill reads upstream pages until there are want visible rows, or the end (GW-10). take gets the rest of a page and judges its first
// row; full says that this one is not taken and the page is complete.
func (c *call) fill(ctx context.Context, at cursor, out *rows, want int, take func(rest []wireEntry) (full bool, err error)) error {
	for range maxPulls {
		page, err := c.upstreamPage(ctx, at)
		if err != nil {
			return err
		}
		for i := at.Skip; i < len(page.Entry); i++ {
			full, err := take(page.Entry[i:])
			if err != nil {
				return err
			}
			if full {
				at.Skip = i
				out.next = &at
				return nil
			}
		}
		next, more := c.nextLink(ctx, page)
		if next.Then, next.Optional = at.Then, at.Optional; !more {
			next, more = at.after()
		}
		if !more {
			return nil
		}
		if at = next; len(out.matches) >= want {
			break
		}
	}
	out.next = &at
	return nil
}

// collect judges one row: matches by the letter asked for, included ones by r or s (GW-08). Outcomes of the upstream are its
// own words and are left out (GW-45).
func (c *call) collect(ctx context.Context, f Filter, out *rows, mode string, e wireEntry) error {
	if mode != "match" && mode != "include" {
		return nil
	}
	res, err := c.parse(e.Resource)
	if err != nil {
		return err
	}
	if mode == "include" {
		shown, err := c.rights.visible(ctx, scopes.Read|scopes.Search, res, c, 0)
		if err == nil && shown != nil {
			out.addInclude(shown)
		}
		return err
	}
	if c.access.Operation == "" && res.Type() != c.access.Type {
		return fmt.Errorf("%w: a %s among matches of another type", ErrUpstream, res.Type())
	}
	shown, err := f.Show(ctx, c.rights, res, c)
	if err == nil && shown != nil {
		out.matches = append(out.matches, shown)
	}
	return err
}

func (c *call) collectIncludes(ctx context.Context, out *rows, entries []wireEntry) error {
	for _, e := range entries {
		if e.Search == nil || e.Search.Mode != "include" || len(e.Resource) == 0 {
			continue
		}
		if err := c.collect(ctx, Filter{}, out, "include", e); err != nil {
			return err
		}
	}
	return nil
}

// addInclude keeps each included resource once per page.
func (o *rows) addInclude(s *Shown) {
	for _, have := range o.includes {
		if have.Resource.Type() == s.Resource.Type() && have.Resource.ID() == s.Resource.ID() {
			return
		}
	}
	o.includes = append(o.includes, s)
}

// upstreamPage reads one Bundle. Parameters that the upstream does not know must not silently vanish, so handling is strict.
func (c *call) upstreamPage(ctx context.Context, at cursor) (*wireBundle, error) {
	if err := c.lookUp(); err != nil {
		return nil, err
	}
	r := UpstreamRequest{Method: http.MethodGet, Path: at.Path, Query: at.Query, Prefer: "handling=strict"}
	if len(at.Query) > longestQuery {
		r.Method, r.Path, r.Query, r.Body = http.MethodPost, at.Path+"/_search", "", []byte(at.Query)
		r.ContentType = "application/x-www-form-urlencoded"
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	switch resp.Status {
	case http.StatusOK:
		return c.parseBundle(resp.Body)
	case http.StatusBadRequest:
		if at.Optional {
			return &wireBundle{}, nil
		}
		return nil, unserved(http.StatusBadRequest, "not-supported", "The data server does not support this combination of parameters.")
	case http.StatusNotFound, http.StatusGone:
		return &wireBundle{}, nil
	}
	return nil, fmt.Errorf("%w: status %d for a search", ErrUpstream, resp.Status)
}

func (c *call) parseBundle(body []byte) (*wireBundle, error) {
	var b wireBundle
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, fmt.Errorf("%w: bundle: %w", ErrUpstream, err)
	}
	if b.ResourceType != "Bundle" {
		return nil, fmt.Errorf("%w: a Bundle was expected", ErrUpstream)
	}
	return &b, nil
}

// nextLink takes the continuation if it stays under the upstream's own base; any other is dropped and told to the operator
// (GW-11).
func (c *call) nextLink(ctx context.Context, b *wireBundle) (cursor, bool) {
	for _, l := range b.Link {
		if l.Relation != "next" {
			continue
		}
		base := c.classifier.UpstreamBase
		rest, ok := strings.CutPrefix(l.URL, base)
		if !ok || rest == "" || rest[0] != '/' && rest[0] != '?' || strings.ContainsAny(rest, "#\\\r\n ") {
			c.Logger.ErrorContext(ctx, "upstream next link leaves its base and was dropped", "request_id", c.requestID)
			return cursor{}, false
		}
		path, query, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "?")
		if strings.Contains(path, "..") || strings.Contains(path, "//") || strings.Contains(path, "%") {
			c.Logger.ErrorContext(ctx, "upstream next link is not well formed and was dropped", "request_id", c.requestID)
			return cursor{}, false
		}
		return cursor{Path: path, Query: query}, true
	}
	return cursor{}, false
}
