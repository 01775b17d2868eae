package httpapi

import (
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/umaas/umaas/umaas/uma"
)

// Rate is a number of tries per minute, with how many may come at once.
type Rate struct {
	PerMinute float64
	Burst     int
}

// RateLimits bound what one address may do. Answers to good credentials are never counted: a resource server introspects
// from one address as often as it needs. Zero members mean the defaults, 300 a minute and 600 at once; IPv6 addresses
// count by their /64.
type RateLimits struct {
	Starts   Rate // registrations, and flows begun
	Failures Rate // wrong client credentials, tokens, codes and tickets
}

func (l RateLimits) withDefaults() RateLimits {
	usual := Rate{PerMinute: 300, Burst: 600}
	if l.Starts == (Rate{}) {
		l.Starts = usual
	}
	if l.Failures == (Rate{}) {
		l.Failures = usual
	}
	return l
}

const (
	retryAfter   = 60 // seconds told with 429
	maxAddresses = 20_000
	forgetAfter  = 10 * time.Minute
)

// limiter holds one token bucket per address in bounded memory.
type limiter struct {
	rate  Rate
	mu    sync.Mutex
	known map[netip.Prefix]*bucket
}

type bucket struct {
	*rate.Limiter
	last time.Time
}

func newLimiter(r Rate) *limiter { return &limiter{rate: r, known: map[netip.Prefix]*bucket{}} }

// take spends one try and reports whether there was one.
func (l *limiter) take(now time.Time, address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket(now, address).AllowN(now, 1)
}

// has reports whether a try is left, without spending it.
func (l *limiter) has(now time.Time, address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket(now, address).TokensAt(now) >= 1
}

func (l *limiter) bucket(now time.Time, address string) *bucket {
	key := addressKey(address)
	b, ok := l.known[key]
	if !ok {
		l.makeRoom(now)
		b = &bucket{Limiter: rate.NewLimiter(rate.Limit(l.rate.PerMinute/60), l.rate.Burst)}
		l.known[key] = b
	}
	b.last = now
	return b
}

func (l *limiter) makeRoom(now time.Time) {
	if len(l.known) < maxAddresses {
		return
	}
	for key, b := range l.known {
		if now.Sub(b.last) > forgetAfter {
			delete(l.known, key)
		}
	}
	for key := range l.known { // all are fresh: forget any, in the map's random order
		if len(l.known) < maxAddresses {
			return
		}
		delete(l.known, key)
	}
}

// addressKey groups IPv6 by /64, what one subscriber has; what is no address shares one bucket.
func addressKey(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// mayTry refuses an address that failed too often.
func (a *api) mayTry(c *gin.Context) error {
	if !a.failed.has(a.Now(), c.ClientIP()) {
		return uma.ErrTooMany
	}
	return nil
}

func (a *api) mayStart(c *gin.Context) error {
	if !a.starts.take(a.Now(), c.ClientIP()) {
		return uma.ErrTooMany
	}
	return nil
}
