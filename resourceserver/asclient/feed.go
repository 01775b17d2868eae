package asclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"github.com/umaas/umaas/umaas/uma"
)

// ErrNoFeed says that the authorization server tells of no changes: introspection answers stay fresh for a moment only.
var ErrNoFeed = errors.New("the authorization server has no event feed")

// Changes are what a poll of the feed brought: tags that introspection answers name (uma.Introspection.Tags). All says that
// anything may have changed. After is the cursor of the next poll.
type Changes struct {
	Tags  []string
	All   bool
	After string
}

const (
	eventChanged = "urn:umaas:event:changed"
	tagAll       = "*"
	maxFeed      = 4 << 20
)

// Feed polls for changes (a documented extension, decisions 4) and waits up to wait for one, which is to be well below
// Config.Timeout. Each security event token must be signed by the issuer, of type secevent+jwt, from the issuer and for
// this client (RFC 8417 §2.2, §2.3); one that is not spoils the answer: ErrUntrusted. Without the endpoint: ErrNoFeed.
func (c *Client) Feed(ctx context.Context, pat, after string, wait time.Duration) (Changes, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return Changes{}, err
	}
	if m.EventFeedEndpoint == "" {
		return Changes{}, ErrNoFeed
	}
	to, err := endpoint("urn:umaas:event_feed_endpoint", m.EventFeedEndpoint)
	if err != nil {
		return Changes{}, err
	}
	var got uma.Feed
	err = c.do(ctx, call{
		method: http.MethodPost, url: to, bearer: pat, accept: []int{http.StatusOK}, limit: maxFeed,
		json: uma.FeedRequest{After: after, WaitMS: int(wait / time.Millisecond)},
	}, &got)
	if err != nil {
		return Changes{}, fmt.Errorf("poll feed: %w", err)
	}
	if got.After == "" {
		return Changes{}, fmt.Errorf("%w: feed without a cursor", ErrUntrusted)
	}
	out := Changes{All: got.Reset, After: got.After}
	for _, set := range got.Sets {
		tags, err := c.securityEvent(ctx, set)
		if err != nil {
			return Changes{}, fmt.Errorf("security event: %w", err)
		}
		out.Tags = append(out.Tags, tags...)
	}
	out.All = out.All || slices.Contains(out.Tags, tagAll)
	return out, nil
}

func (c *Client) securityEvent(ctx context.Context, raw string) ([]string, error) {
	payload, typ, err := c.keys.verify(ctx, raw, jwa.ES256)
	if err != nil {
		return nil, err
	}
	var event struct {
		Iss    string    `json:"iss"`
		Aud    audiences `json:"aud"`
		Events map[string]struct {
			Tags []string `json:"tags"`
		} `json:"events"`
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	changed, known := event.Events[eventChanged]
	me, err := c.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.TrimPrefix(strings.ToLower(typ), "application/") != "secevent+jwt":
		return nil, fmt.Errorf("%w: token type %q, want secevent+jwt", ErrUntrusted, typ)
	case event.Iss != c.cfg.Issuer || !slices.Contains(event.Aud, me.ClientID):
		return nil, fmt.Errorf("%w: not of this issuer for this client", ErrUntrusted)
	case !known:
		return nil, nil // an event of another kind (RFC 8417 §2.2: not understood, left alone)
	}
	return changed.Tags, nil
}
