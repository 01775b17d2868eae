package asclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ErrRefused says that a request was not made because its target is not allowed, or that an answer was not taken.
var ErrRefused = errors.New("outbound request refused")

// GuardOptions choose what a Guard lets through; the zero value is the safe one (SEC-75).
type GuardOptions struct {
	// InsecureHTTP allows plain http on loopback. For development on one machine.
	InsecureHTTP bool
	// Private are address ranges beyond the public ones that may be reached.
	Private []netip.Prefix
	MaxBody int64         // bytes of an answer; default 256 kB
	Timeout time.Duration // of one exchange by Get, and of the wait for a header by Transport; default 2 s
	// Lookup resolves a host name; default is the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Base gives TLS settings, certificate authorities for example. Its dialling and proxy are replaced.
	Base *http.Transport
}

// LoopbackRanges are the ranges of this machine, for GuardOptions.Private in development.
func LoopbackRanges() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Guard makes requests to addresses that somebody outside chose: https, public addresses alone, the name resolved once and
// judged before it is dialled, no proxy, no redirect, no compression, bounded in size and time.
type Guard struct {
	o         GuardOptions
	transport *http.Transport
}

// NewGuard makes a guard.
func NewGuard(o GuardOptions) *Guard {
	if o.MaxBody <= 0 {
		o.MaxBody = 256 << 10
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	g := &Guard{o: o}
	t := &http.Transport{}
	if o.Base != nil {
		t = o.Base.Clone()
	}
	t.Proxy, t.DialTLSContext = nil, nil
	t.DialContext = g.dial
	t.DisableCompression = true // a small compressed answer cannot become a large one
	t.MaxResponseHeaderBytes = 32 << 10
	t.MaxIdleConnsPerHost = 4
	t.IdleConnTimeout = 30 * time.Second
	t.TLSHandshakeTimeout = o.Timeout
	t.ResponseHeaderTimeout = o.Timeout
	g.transport = t
	return g
}

// RoundTrip implements http.RoundTripper for a Client of a foreign server.
func (g *Guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.check(r); err != nil {
		return nil, err
	}
	res, err := g.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &bounded{ReadCloser: res.Body, left: g.o.MaxBody}
	return res, nil
}

// bounded fails a body that goes on beyond the bound, instead of cutting it.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("%w: the answer is too large", ErrRefused)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: the answer is too large", ErrRefused)
	}
	return n, err
}

// CloseIdleConnections lets http.Client do so.
func (g *Guard) CloseIdleConnections() { g.transport.CloseIdleConnections() }

// check judges the URL itself; addresses are judged when they are dialled.
func (g *Guard) check(r *http.Request) error {
	u := r.URL
	switch {
	case u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Fragment != "":
		return fmt.Errorf("%w: want an absolute URL without user information and fragment", ErrRefused)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && g.o.InsecureHTTP && secureOrLoopback(u):
		return nil
	default:
		return fmt.Errorf("%w: want https", ErrRefused)
	}
}

// Get fetches a document of one of the media types: 200, in time, within the bound, or an error. status is the answer's.
func (g *Guard) Get(ctx context.Context, target string, media ...string) (raw []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.Header.Set("Accept", strings.Join(media, ", "))
	req.Header.Set("User-Agent", "umaas-resource-server")
	res, err := g.RoundTrip(req) // no client: no cookies, no redirects
	if errors.Is(err, ErrRefused) {
		return nil, 0, err
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, res.StatusCode, fmt.Errorf("%w: status %d, want 200 (redirects are not followed)", ErrRefused, res.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || !slices.Contains(media, kind) {
		return nil, res.StatusCode, fmt.Errorf("%w: content type %q", ErrRefused, res.Header.Get("Content-Type"))
	}
	raw, err = io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, ErrRefused) {
		err = fmt.Errorf("%w: read answer: %w", ErrUnreachable, err)
	}
	return raw, res.StatusCode, err
}

// dial resolves a name once, judges every address of it, and connects to the first that answers.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var addrs []netip.Addr
	if literal, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{literal}
	} else if addrs, err = g.o.Lookup(ctx, host); err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	for _, a := range addrs {
		// One forbidden address refuses the name: a mixed answer is how a name is made to point inside.
		if !g.allowed(a) {
			return nil, fmt.Errorf("%w: %s is no public address", ErrRefused, host)
		}
	}
	dialer := net.Dialer{Timeout: g.o.Timeout}
	failed := fmt.Errorf("%w: %s has no address", ErrRefused, host)
	for _, a := range addrs {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, failed
}

func (g *Guard) allowed(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	for _, p := range g.o.Private {
		if p.Contains(a) {
			return true
		}
	}
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(notPublic[:], func(p netip.Prefix) bool { return p.Contains(a) })
}

// notPublic are the ranges that are unicast but not public: shared, test, benchmark and reserved ones, and those that carry
// an IPv4 address inside (translation, 6to4, Teredo).
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("fec0::/10"),
}
