package outbound

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// statusFresh is how long a revocation list is good: the time in which a revoked token may still count.
const statusFresh = time.Minute

// maxStatusBytes bounds an unpacked list: eight million tokens.
const maxStatusBytes = 1 << 20

// StatusSource reads revocation lists: JSON {"status_list": {"bits": 1, "lst": base64url of a ZLIB-packed bit string}}, a set bit
// meaning revoked, the lowest bit of the first byte being index 0. Safe for concurrent use.
type StatusSource struct {
	get Getter
	now func() time.Time

	mu   sync.Mutex
	kept map[string]statusList
}

type statusList struct {
	bits    []byte
	fetched time.Time
}

// NewStatusSource makes an empty one.
func NewStatusSource(get Getter, now func() time.Time) *StatusSource {
	return &StatusSource{get: get, now: now, kept: map[string]statusList{}}
}

// Revoked reads one bit. A list that cannot be had, cannot be read or has no such bit is an error: the caller refuses.
func (s *StatusSource) Revoked(ctx context.Context, url string, index uint64) (bool, error) {
	now := s.now()
	s.mu.Lock()
	l, ok := s.kept[url]
	s.mu.Unlock()
	if age := now.Sub(l.fetched); !ok || age < 0 || age >= statusFresh {
		raw, err := s.get.GetJSON(ctx, url)
		if err != nil {
			return true, fmt.Errorf("revocation list: %w", err)
		}
		bits, err := ParseStatusList(raw)
		if err != nil {
			return true, err
		}
		l = statusList{bits: bits, fetched: now}
		s.mu.Lock()
		if len(s.kept) >= maxKept {
			clear(s.kept)
		}
		s.kept[url] = l
		s.mu.Unlock()
	}
	if index/8 >= uint64(len(l.bits)) {
		return true, fmt.Errorf("%w: the revocation list has no entry %d", ErrRefused, index)
	}
	return l.bits[index/8]&(1<<(index%8)) != 0, nil
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
