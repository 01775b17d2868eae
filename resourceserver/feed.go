package resourceserver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
)

// feedWait is how long one poll of a feed may last. Each answer proves the state of a moment, so it bounds, with the time a
// poll takes, how old that proof gets; it stays well below maxStaleness.
const feedWait = time.Second

// maxChanged bounds the tags remembered of one feed; beyond it everything remembered is asked about again.
const maxChanged = 10_000

// feeds remembers, for each authorization server, what its event feed told: while the feed is alive, an introspection answer
// serves until it ends or something it rests on has changed (decisions 4, GW-38).
type feeds struct {
	mu sync.Mutex
	of map[string]*feedState
}

type feedState struct {
	alive   time.Time            // when the last answered poll was sent: all that had happened by then is known here
	reset   time.Time            // answers asked for before this moment do not count
	changed map[string]time.Time // tag → when its change became known
}

func newFeeds() *feeds { return &feeds{of: map[string]*feedState{}} }

// current reports whether an answer still says the truth, and as of when that is known: asked for at a moment since which nothing it rests on has changed, as
// far as a feed that is alive tells. Absent means no: without tags, without a feed, an answer is only as good as it is fresh.
func (f *feeds) current(issuer string, tags []string, asked, now time.Time) (proved time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.of[issuer]
	if s == nil || len(tags) == 0 || s.alive.IsZero() || now.Sub(s.alive) >= maxStaleness || s.touches(tags, asked) {
		return time.Time{}, false
	}
	if s.alive.After(asked) {
		return s.alive, true
	}
	return asked, true
}

// changedSince reports whether something an answer rests on has changed, as far as it is known, at or after a moment. It needs no
// feed that is alive: what was heard was heard.
func (f *feeds) changedSince(issuer string, tags []string, since time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.of[issuer]
	return s != nil && s.touches(tags, since)
}

// touches needs the lock.
func (s *feedState) touches(tags []string, since time.Time) bool {
	if !s.reset.IsZero() && !since.After(s.reset) {
		return true
	}
	for _, tag := range tags {
		if at, ok := s.changed[tag]; ok && !since.After(at) {
			return true
		}
	}
	return false
}

// told takes in the answer to a poll that was sent at a moment.
func (f *feeds) told(issuer string, c asclient.Changes, sent, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.of[issuer]
	if s == nil {
		s = &feedState{changed: map[string]time.Time{}}
		f.of[issuer] = s
	}
	if c.All || len(s.changed)+len(c.Tags) > maxChanged {
		s.reset = now
		clear(s.changed)
	} else {
		for _, tag := range c.Tags {
			s.changed[tag] = now
		}
	}
	s.alive = sent
}

// Follow polls the event feed of one authorization server until ctx ends. An authorization server without a feed, or out of
// reach, is tried again later; meanwhile answers are used for Fresh alone.
func (v *Verifier) Follow(ctx context.Context, issuer string) {
	after := ""
	for ctx.Err() == nil {
		sent := v.cfg.Now()
		c, err := v.poll(ctx, issuer, after)
		if err == nil {
			v.feeds.told(issuer, c, sent, v.cfg.Now())
			after = c.After
			continue
		}
		if ctx.Err() != nil {
			return
		}
		pause := feedWait
		if errors.Is(err, asclient.ErrNoFeed) {
			pause = 10 * time.Minute
		} else {
			v.cfg.Logger.WarnContext(ctx, "event feed lost, tokens are asked about each time", slog.String("issuer", issuer), slog.Any("err", err))
		}
		if errors.Is(err, asclient.ErrUntrusted) {
			after = "" // what came with it may be lost
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (v *Verifier) poll(ctx context.Context, issuer, after string) (c asclient.Changes, err error) {
	err = v.cfg.Tokens.With(ctx, Owner{Issuer: issuer}, func(client *asclient.Client, pat string) (err error) {
		c, err = client.Feed(ctx, pat, after, feedWait)
		return err
	})
	return c, err
}
