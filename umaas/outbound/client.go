package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// ErrRefused is wrapped when a request was not made because its target is not allowed, or an answer was not taken.
var ErrRefused = errors.New("outbound request refused")

// Options of a client; the zero value is the safe one.
type Options struct {
	// InsecureHTTP allows plain http. For development on one machine.
	InsecureHTTP bool
	// Private are address ranges beyond the public ones that may be reached: the deployment's own network, or loopback for
	// development.
	Private []netip.Prefix
	Timeout time.Duration // whole exchange; default 2 s
	MaxBody int64         // bytes of an answer; default 256 kB
	// Lookup resolves a host name; default is the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Transport gives TLS settings, certificate authorities for example. Its dialling, proxy, compression and redirects are
	// replaced.
	Transport *http.Transport
}

// Loopback are the ranges of this machine, for Options.Private in development.
func Loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Client makes guarded requests. It is safe for concurrent use.
type Client struct {
	o    Options
	http *http.Client
}

// New makes a client.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 256 << 10
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	c := &Client{o: o}
	t := &http.Transport{}
	if o.Transport != nil {
		t = o.Transport.Clone()
	}
	t.Proxy = nil
	t.DialContext = c.dial
	t.DialTLSContext = nil
	t.DisableCompression = true // a small compressed answer cannot become a large one
	t.MaxResponseHeaderBytes = 32 << 10
	t.MaxIdleConnsPerHost = 2
	t.IdleConnTimeout = 30 * time.Second
	c.http = &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// GetJSON fetches a JSON document: 200 and a JSON media type, or an error.
func (c *Client) GetJSON(ctx context.Context, target string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, target, nil)
}

func (c *Client) do(ctx context.Context, method, target string, body io.Reader) ([]byte, error) {
	u, err := c.check(target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", u.Host, err)
	}
	defer func() { _ = resp.Body.Close() }() // what was read is judged by itself
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s answered %d, want 200 (redirects are not followed)", ErrRefused, u.Host, resp.StatusCode)
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return nil, fmt.Errorf("%w: %s answered something else than JSON", ErrRefused, u.Host)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, c.o.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", u.Host, err)
	}
	if int64(len(raw)) > c.o.MaxBody {
		return nil, fmt.Errorf("%w: the answer of %s is larger than %d bytes", ErrRefused, u.Host, c.o.MaxBody)
	}
	return raw, nil
}

// check judges the URL itself; addresses are judged when they are dialled.
func (c *Client) check(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Fragment != "" || strings.ContainsAny(target, "\\ \t\r\n"):
		return nil, fmt.Errorf("%w: want an absolute URL without user information and fragment", ErrRefused)
	case u.Scheme != "https" && (u.Scheme != "http" || !c.o.InsecureHTTP):
		return nil, fmt.Errorf("%w: want https", ErrRefused)
	}
	return u, nil
}

// dial resolves a name once, judges every address of it, and connects to the first that answers.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var addrs []netip.Addr
	if literal, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{literal}
	} else if addrs, err = c.o.Lookup(ctx, host); err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	for _, a := range addrs {
		// One forbidden address refuses the name: a mixed answer is how a name is made to point inside.
		if !c.allowed(a) {
			return nil, fmt.Errorf("%w: %s is no public address", ErrRefused, host)
		}
	}
	var dialer net.Dialer
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

func (c *Client) allowed(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	for _, p := range c.o.Private {
		if p.Contains(a) {
			return true
		}
	}
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// special are the ranges that are unicast but not public: shared, test, benchmark and reserved ones, and those that carry
// an IPv4 address inside (translation, 6to4, Teredo).
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("fec0::/10"),
}
