package umaas

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	feedPage    = 100              // changes told one by one in an answer
	feedBacklog = 2000
	feedPolls   = 32 // open at the same time, of one resource server
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
// wait. Every answer reaches up to the newest change there was when the store was read, so one without changes proves that there
// were none. Each change is a security event token (RFC 8417) in the manner of RFC 8936, with a cursor in place of
// acknowledgements, because every instance of a resource server needs every change. Reset tells that changes are missing, or
// are too many to tell one by one (a first poll, one away for too long, a store that was put back): what is remembered from
// before must be asked about again. Errors: uma.ErrInvalidRequest, uma.ErrTooMany.
func (s *Service) Feed(ctx context.Context, p PAT, f uma.FeedRequest) (uma.Feed, error) {
	wait := time.Duration(f.WaitMS) * time.Millisecond
	if wait < 0 || wait > feedMaxWait {
		return uma.Feed{}, uma.ErrInvalidRequest.With("wait_ms: want 0 to 20000")
	}
	after, known := s.openCursor(f.After)
	if f.After != "" && !known {
		return uma.Feed{}, uma.ErrInvalidRequest.With("after: want the value of the last answer, or none")
	}
	if !s.polls.enter(p.RS) {
		return uma.Feed{}, uma.ErrTooMany.With("too many polls of this resource server are open")
	}
	defer s.polls.leave(p.RS)
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
			wait = 0 // one look more: what was committed while this one slept belongs into its answer
		case <-ctx.Done():
			return uma.Feed{}, ctx.Err()
		}
	}
}

// position is a place in the order of changes. The mark belongs to the very change with that number: a store that was put back
// from a copy gives the number again, to another change.
type position struct {
	seq  uint64
	mark [6]byte
}

func (c Change) position() position {
	sum := sha256.Sum256([]byte(c.Time.UTC().Format(time.RFC3339Nano) + "\x00" + strings.Join(c.Tags, "\x00")))
	return position{seq: c.Seq, mark: [6]byte(sum[:6])}
}

type changes struct {
	changes []Change // for this resource server
	last    position // the newest there is
	reset   bool
}

// changesSince reads all changes behind a position, in one transaction.
func (s *Service) changesSince(ctx context.Context, rs ClientID, after position, known bool) (got changes, err error) {
	err = s.Store.View(ctx, func(r Reader) error {
		got = changes{last: after}
		head, err := r.LastChange()
		if err != nil {
			return err
		}
		if got.reset = !known || after.seq > head || head-after.seq > feedBacklog; got.reset {
			return got.start(r, head)
		}
		if stands, err := after.stands(r, head); err != nil {
			return err
		} else if !stands {
			got.reset = true
			return got.start(r, head)
		}
		for got.last.seq < head {
			page, err := r.Changes(got.last.seq, feedPage)
			if err != nil {
				return err
			}
			for _, c := range page {
				if got.reset = c.Seq != got.last.seq+1; got.reset { // collected meanwhile
					return got.start(r, head)
				}
				if got.last = c.position(); c.RS == "" || c.RS == rs {
					got.changes = append(got.changes, c)
				}
			}
			if got.reset = len(page) == 0 || len(got.changes) > feedPage; got.reset {
				return got.start(r, head)
			}
		}
		return nil
	})
	if err != nil {
		return changes{}, fmt.Errorf("read feed: %w", err)
	}
	return got, nil
}

// start makes the answer a reset that goes on from the newest change.
func (c *changes) start(r Reader, head uint64) error {
	c.changes, c.last = nil, position{seq: head}
	if head == 0 {
		return nil
	}
	newest, err := r.Changes(head-1, 1)
	if err == nil && len(newest) == 1 && newest[0].Seq == head {
		c.last = newest[0].position()
	}
	return err
}

// stands reports whether the change a cursor names is still the one it was made for. One that was collected since cannot be
// checked; then only the newest position stands, for nothing came after it.
func (p position) stands(r Reader, head uint64) (bool, error) {
	if p.seq == 0 {
		return true, nil
	}
	at, err := r.Changes(p.seq-1, 1)
	if err != nil {
		return false, err
	}
	if len(at) == 0 || at[0].Seq != p.seq {
		return p.seq == head, nil
	}
	return at[0].position() == p || p.mark == [6]byte{}, nil
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
			Iss: s.Issuer, Iat: c.Time.Unix(), JTI: s.cursor(c.position()), Aud: rs, Events: map[string]changeTags{eventChanged: {c.Tags}},
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

// cursor seals a position: how much happens at this server is nobody else's business.
func (s *Service) cursor(p position) string {
	var k Key
	copy(k[:], cursorKind)
	copy(k[2:], p.mark[:])
	binary.BigEndian.PutUint64(k[8:], p.seq)
	return s.handles.ID(k)
}

const cursorKind = "fd"

func (s *Service) openCursor(text string) (position, bool) {
	k, ok := s.handles.OpenID(text)
	return position{seq: binary.BigEndian.Uint64(k[8:]), mark: [6]byte(k[2:8])}, ok && string(k[:2]) == cursorKind
}

// polls counts those that wait, for each resource server.
type polls struct {
	mu   sync.Mutex
	open map[ClientID]int
}

func (p *polls) enter(rs ClientID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[ClientID]int{}
	}
	if p.open[rs] >= feedPolls {
		return false
	}
	p.open[rs]++
	return true
}

func (p *polls) leave(rs ClientID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[rs]--; p.open[rs] <= 0 {
		delete(p.open, rs)
	}
}
