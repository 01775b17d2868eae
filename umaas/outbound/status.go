package outbound

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// statusFresh is how long a revocation list is good: the time in which a revoked token may still count.
const statusFresh = time.Minute

// maxStatusBytes bounds an unpacked list: eight million tokens.
const maxStatusBytes = 1 << 20

// maxStatusKept bounds what all kept lists hold together; the longest unused make room.
const maxStatusKept = 32 << 20

// statusFailed is how long a list that could not be had is not asked for again: whoever names such a list costs one request.
const statusFailed = 5 * time.Second

// maxStatusFailures bounds the failures that are kept.
const maxStatusFailures = 1000

// StatusSource reads revocation lists: JSON {"status_list": {"bits": 1, "lst": base64url of a ZLIB-packed bit string}}, a set bit
// meaning revoked, the lowest bit of the first byte being index 0. What it keeps is bounded in bytes; of several questions for one
// list at once one asks and the others wait for its answer. Safe for concurrent use.
type StatusSource struct {
	get Getter
	now func() time.Time

	mu     sync.Mutex
	kept   map[string]*statusList
	failed map[string]statusFailure
	asking map[string]*statusAsk
	bytes  int // of all kept lists
}

type statusList struct {
	bits    []byte
	fetched time.Time
	used    time.Time
}

type statusFailure struct {
	err error
	at  time.Time
}

// statusAsk is one request under way; done is closed when bits and err stand.
type statusAsk struct {
	done chan struct{}
	bits []byte
	err  error
}

// NewStatusSource makes an empty one.
func NewStatusSource(get Getter, now func() time.Time) *StatusSource {
	return &StatusSource{get: get, now: now, kept: map[string]*statusList{}, failed: map[string]statusFailure{}, asking: map[string]*statusAsk{}}
}

// Revoked reads one bit. A list that cannot be had, cannot be read or has no such bit is an error: the caller refuses.
func (s *StatusSource) Revoked(ctx context.Context, url string, index uint64) (bool, error) {
	bits, err := s.list(ctx, url)
	if err != nil {
		return true, err
	}
	if index/8 >= uint64(len(bits)) {
		return true, fmt.Errorf("%w: the revocation list has no entry %d", ErrRefused, index)
	}
	return bits[index/8]&(1<<(index%8)) != 0, nil
}

// list answers from what is kept, waits for a request under way, or makes one.
func (s *StatusSource) list(ctx context.Context, url string) ([]byte, error) {
	now := s.now()
	s.mu.Lock()
	if l, ok := s.kept[url]; ok && within(now, l.fetched, statusFresh) {
		l.used = now
		s.mu.Unlock()
		return l.bits, nil
	}
	if f, ok := s.failed[url]; ok && within(now, f.at, statusFailed) {
		s.mu.Unlock()
		return nil, f.err
	}
	if ask, ok := s.asking[url]; ok {
		s.mu.Unlock()
		select {
		case <-ask.done:
			return ask.bits, ask.err
		case <-ctx.Done():
			return nil, fmt.Errorf("revocation list: %w", ctx.Err())
		}
	}
	ask := &statusAsk{done: make(chan struct{}), err: errors.New("revocation list: the request broke off")}
	s.asking[url] = ask
	s.mu.Unlock()
	defer s.settle(url, ask, now)
	// The others that wait must not fail because the first of them went away; the getter has a time limit of its own.
	ask.bits, ask.err = s.fetch(context.WithoutCancel(ctx), url)
	return ask.bits, ask.err
}

func (s *StatusSource) fetch(ctx context.Context, url string) ([]byte, error) {
	raw, err := s.get.GetJSON(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	return ParseStatusList(raw)
}

// settle keeps an answer and lets go who waits for it.
func (s *StatusSource) settle(url string, ask *statusAsk, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asking, url)
	s.drop(url)
	if ask.err != nil {
		if len(s.failed) >= maxStatusFailures {
			clear(s.failed)
		}
		s.failed[url] = statusFailure{ask.err, now}
	} else {
		delete(s.failed, url)
		s.keep(url, ask.bits, now)
	}
	close(ask.done)
}

// keep makes room first. Every list counts with its address and something for the table, so that empty lists fill it too.
func (s *StatusSource) keep(url string, bits []byte, now time.Time) {
	for s.bytes+weightOf(url, bits) > maxStatusKept && len(s.kept) > 0 {
		var oldest string
		for u, l := range s.kept {
			if oldest == "" || l.used.Before(s.kept[oldest].used) {
				oldest = u
			}
		}
		s.drop(oldest)
	}
	s.kept[url] = &statusList{bits: bits, fetched: now, used: now}
	s.bytes += weightOf(url, bits)
}

func (s *StatusSource) drop(url string) {
	if l, ok := s.kept[url]; ok {
		s.bytes -= weightOf(url, l.bits)
		delete(s.kept, url)
	}
}

const statusEntryWeight = 32 << 10 // at most a thousand lists

func weightOf(url string, bits []byte) int { return max(cap(bits)+len(url), statusEntryWeight) }

func within(now, since time.Time, life time.Duration) bool {
	age := now.Sub(since)
	return age >= 0 && age < life
}

// ParseStatusList unpacks a revocation list, within bounds.
func ParseStatusList(raw []byte) ([]byte, error) {
	var doc struct {
		List *struct {
			Bits   int    `json:"bits"`
			Packed string `json:"lst"`
		} `json:"status_list"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil || doc.List == nil || doc.List.Bits != 1 {
		return nil, fmt.Errorf("%w: want a status_list with one bit for each entry", ErrRefused)
	}
	packed, err := base64.RawURLEncoding.DecodeString(doc.List.Packed)
	if err != nil {
		return nil, fmt.Errorf("%w: status list: %w", ErrRefused, err)
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: status list: %w", ErrRefused, err)
	}
	bits, err := io.ReadAll(io.LimitReader(z, maxStatusBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: status list: %w", ErrRefused, err)
	}
	if len(bits) > maxStatusBytes {
		return nil, fmt.Errorf("%w: status list is longer than %d bytes", ErrRefused, maxStatusBytes)
	}
	return bits, nil
}
