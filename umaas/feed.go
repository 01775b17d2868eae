package umaas

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// Change says that something live grants rest on has changed: a policy was narrowed or withdrawn, a person, app or issuer
// closed, a resource altered, a grant ended. Resource servers hear of it by the feed (decisions 4) and ask again. It names what
// changed by tags that an introspection answer names too (uma.Introspection.Tags), never how.
type Change struct {
	Seq     uint64 // order of commit, from 1 on, without gaps
	RS      ClientID
	Tags    []string
	Time    time.Time
	Expires time.Time
}

// FeedReader reads changes in their order.
type FeedReader interface {
	Changes(after uint64, limit int) ([]Change, error)
	LastChange() (uint64, error) // 0: there was none
}

// FeedWriter appends; the store gives the number, so that no reader can see a later one without the earlier.
type FeedWriter interface {
	AppendChange(c Change) error
}

// Bounds of the feed.
const (
	feedMemory  = 10 * time.Minute // whoever was away longer has to ask about everything again
	feedPage    = 100
	feedMaxWait = 20 * time.Second
	feedLook    = 200 * time.Millisecond // how often the store is looked at for changes made by other servers
	maxTags     = 64
	tagAll      = "*"
)

const (
	typeSET      = "secevent+jwt"            // RFC 8417 §2.3
	eventChanged = "urn:umaas:event:changed" // RFC 8417 §2: events are named by URI
)

// tag names one thing that grants rest on, the same in answers and in the feed.
func tag(kind string, id string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// tagsOf lists what a grant rests on beside itself: people, app and resource server, records under its sets, issuers.
func (s *Service) tagsOf(g Grant) []string {
	tags := []string{tag("grant", g.Key.String()), tag("client", string(g.Client)), tag("client", string(g.RS))}
	add := func(kind, id string) {
		if t := tag(kind, id); id != "" && !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	add("account", string(g.Owner))
	add("account", string(g.Party))
	for _, p := range g.Permissions {
		if p.Base != nil {
			add("account", string(p.Base.Owner))
		}
	}
	for _, c := range g.Claims {
		add("issuer", c.Issuer)
	}
	return tags
}

// Feed answers a resource server's poll: what has changed since its last one, at once or as soon as something does within
// wait. An answer without changes proves that there were none up to the moment it was asked for. Each change is a security event
// token (RFC 8417) in the manner of RFC 8936, with a cursor in place of acknowledgements, because every instance of a
// resource server needs every change. Reset tells that changes are missing (a first poll, one away for too long): what is
// remembered from before must be asked about again.
func (s *Service) Feed(ctx context.Context, p PAT, f uma.FeedRequest) (uma.Feed, error) {
	wait := time.Duration(f.WaitMS) * time.Millisecond
	if wait < 0 || wait > feedMaxWait {
		return uma.Feed{}, uma.ErrInvalidRequest.With("wait_ms: want 0 to 20000")
	}
	after, known := s.openCursor(f.After)
	if f.After != "" && !known {
		return uma.Feed{}, uma.ErrInvalidRequest.With("after: want the value of the last answer, or none")
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(feedLook)
	defer look.Stop()
	for {
		woken := s.changed.wait()
		got, err := s.changesSince(ctx, p.RS, after, known)
		if err != nil {
			return uma.Feed{}, err
		}
		if got.reset || len(got.changes) > 0 || wait == 0 {
			return s.feedAnswer(p.RS, got)
		}
		after = got.last // changes for other resource servers
		select {
		case <-woken:
		case <-look.C:
		case <-over.C:
			return s.feedAnswer(p.RS, got)
		case <-ctx.Done():
			return uma.Feed{}, ctx.Err()
		}
	}
}

type changes struct {
	changes []Change
	last    uint64
	reset   bool
}

func (s *Service) changesSince(ctx context.Context, rs ClientID, after uint64, known bool) (got changes, err error) {
	err = s.Store.View(ctx, func(r Reader) error {
		head, err := r.LastChange()
		if err != nil {
			return err
		}
		got = changes{last: head}
		if got.reset = !known || after > head; got.reset || after == head {
			return nil
		}
		list, err := r.Changes(after, feedPage)
		if err != nil {
			return err
		}
		if got.reset = len(list) == 0 || list[0].Seq != after+1; got.reset {
			return nil // collected meanwhile
		}
		got.last = list[len(list)-1].Seq
		got.changes = slices.DeleteFunc(list, func(c Change) bool { return c.RS != "" && c.RS != rs })
		return nil
	})
	if err != nil {
		return changes{}, fmt.Errorf("read feed: %w", err)
	}
	return got, nil
}

// securityEvent is the payload of RFC 8417 §2.2.
type securityEvent struct {
	Iss    string                `json:"iss"`
	Iat    int64                 `json:"iat"`
	JTI    string                `json:"jti"`
	Aud    ClientID              `json:"aud"`
	Events map[string]changeTags `json:"events"`
}

type changeTags struct {
	Tags []string `json:"tags"`
}

func (s *Service) feedAnswer(rs ClientID, got changes) (uma.Feed, error) {
	answer := uma.Feed{Sets: []string{}, After: s.cursor(got.last), Reset: got.reset}
	for _, c := range got.changes {
		payload, err := json.Marshal(securityEvent{
			Iss: s.Issuer, Iat: c.Time.Unix(), JTI: s.cursor(c.Seq), Aud: rs, Events: map[string]changeTags{eventChanged: {c.Tags}},
		})
		if err != nil {
			return uma.Feed{}, fmt.Errorf("encode security event: %w", err)
		}
		set, err := s.Keys.Sign(keys.ES256, typeSET, payload)
		if err != nil {
			return uma.Feed{}, fmt.Errorf("sign security event: %w", err)
		}
		answer.Sets = append(answer.Sets, set)
	}
	return answer, nil
}

// cursor seals a sequence number: how much happens at this server is nobody else's business.
func (s *Service) cursor(seq uint64) string {
	var k Key
	copy(k[:], "feed")
	binary.BigEndian.PutUint64(k[8:], seq)
	return s.handles.ID(k)
}

func (s *Service) openCursor(text string) (uint64, bool) {
	k, ok := s.handles.OpenID(text)
	return binary.BigEndian.Uint64(k[8:]), ok && string(k[:8]) == "feed\x00\x00\x00\x00"
}
