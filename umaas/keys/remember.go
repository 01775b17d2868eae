package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"sync"
)

// remembered keeps the hashes of values this process has lately signed or verified: a value is proved once. It is a cache
// and no authority: what it does not know is verified, and a key that is gone takes its values with it. Two generations
// bound it: when the younger one is full, the older one is forgotten.
type remembered struct {
	mu           sync.Mutex
	young, older map[[sha256.Size]byte]header
}

const generation = 8192

func (m *remembered) put(raw string, h header) {
	sum := sha256.Sum256([]byte(raw))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= generation {
		m.young, m.older = make(map[[sha256.Size]byte]header, generation/8), m.young
	}
	m.young[sum] = h
}

func (m *remembered) get(raw string) (header, bool) {
	sum := sha256.Sum256([]byte(raw))
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.young[sum]
	if !ok {
		h, ok = m.older[sum]
	}
	return h, ok
}

// payload is the middle part of a compact JWS that is known to be one.
func payload(raw string) ([]byte, error) {
	_, rest, _ := strings.Cut(raw, ".")
	middle, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.DecodeString(middle)
}
