package signin

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of guessing. They count tries per address, per (account, address) and per account.
//
// One person cannot lock another out: an address runs into its own limits long before it exhausts an account's, and an
// address from which an account has signed in before is not held to the account's limit at all.
var (
	perAddress = bucket{rate.Every(2 * time.Second), 60}
	perPair    = bucket{rate.Every(30 * time.Second), 8}
	perAccount = bucket{rate.Every(5 * time.Second), 100}
	perTrip    = bucket{rate.Every(time.Second), 60} // sign-ins at issuers begun from one address
)

type bucket struct {
	every rate.Limit
	burst int
}

// maxLimiters bounds memory. It is a protection of this process, not a record: forgetting an entry forgives some tries.
const maxLimiters = 50_000

type limits struct {
	mu       sync.Mutex
	limiters map[string]*limiter
	known    map[string]time.Time // (account, address) pairs that have signed in
}

type limiter struct {
	*rate.Limiter
	full time.Duration // time from empty to full
	last time.Time
}

func newLimits() *limits {
	return &limits{limiters: map[string]*limiter{}, known: map[string]time.Time{}}
}

// allow takes one try, and reports whether there was one to take.
func (l *limits) allow(account, address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.get("a "+address, perAddress, now).AllowN(now, 1) {
		return false
	}
	pair := account + " " + address
	if !l.get("p "+pair, perPair, now).AllowN(now, 1) {
		return false
	}
	if _, known := l.known[pair]; known {
		return true
	}
	return l.get("u "+account, perAccount, now).AllowN(now, 1)
}

// succeeded forgives the tries of a person who typed it right in the end.
func (l *limits) succeeded(account, address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pair := account + " " + address
	delete(l.limiters, "p "+pair)
	if len(l.known) >= maxLimiters {
		clear(l.known)
	}
	l.known[pair] = now
}

func (l *limits) get(key string, b bucket, now time.Time) *limiter {
	if x, ok := l.limiters[key]; ok {
		x.last = now
		return x
	}
	if len(l.limiters) >= maxLimiters {
		l.sweep(now)
	}
	full := time.Duration(float64(b.burst) / float64(b.every) * float64(time.Second))
	x := &limiter{Limiter: rate.NewLimiter(b.every, b.burst), full: full, last: now}
	l.limiters[key] = x
	return x
}

// sweep drops those that have filled up again, and some others when that is not enough.
func (l *limits) sweep(now time.Time) {
	for key, x := range l.limiters {
		if now.Sub(x.last) >= x.full {
			delete(l.limiters, key)
		}
	}
	for key := range l.limiters {
		if len(l.limiters) < maxLimiters*3/4 {
			return
		}
		delete(l.limiters, key)
	}
}

// addressKey is the address to count by: an IPv6 network of one customer (/64) counts as one address.
func addressKey(remote string) string {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		remote = ap.Addr().String()
	}
	a, err := netip.ParseAddr(remote)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// mayBegin takes one beginning of a sign-in at an issuer: each stores a record.
func (l *limits) mayBegin(address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.get("t "+address, perTrip, now).AllowN(now, 1)
}
