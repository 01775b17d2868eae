package resourceserver

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// AddressLimiter bounds how often one address may ask (flows.md A2: flood ⇒ 429). An IPv6 /64 counts as one address. It
// remembers a bounded number of addresses; the count is per process and only a brake, never an authority.
type AddressLimiter struct {
	every rate.Limit
	burst int
	now   func() time.Time
	// Address says whom a request comes from; nil: the connection's peer. Behind a proxy that is to be trusted, give its
	// own reading of the forwarded address.
	Address func(*http.Request) string

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

const limiterAddresses = 10_000

// NewAddressLimiter allows burst requests at once and perSecond in the long run.
func NewAddressLimiter(perSecond float64, burst int, now func() time.Time) *AddressLimiter {
	return &AddressLimiter{every: rate.Limit(perSecond), burst: burst, now: now, young: map[string]*rate.Limiter{}}
}

// Allow takes one request of an address into account and says whether it may go on.
func (l *AddressLimiter) Allow(r *http.Request) bool {
	address := r.RemoteAddr
	if l.Address != nil {
		address = l.Address(r)
	}
	return l.limiter(network(address)).AllowN(l.now(), 1)
}

func (l *AddressLimiter) limiter(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.young[key]; ok {
		return b
	}
	if len(l.young) >= limiterAddresses {
		l.old, l.young = l.young, map[string]*rate.Limiter{}
	}
	b, ok := l.old[key]
	if !ok {
		b = rate.NewLimiter(l.every, l.burst)
	}
	l.young[key] = b
	return b
}

func network(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is6() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
