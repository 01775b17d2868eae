package outbound

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/outbound/reach"
)

// ErrRefused is wrapped when a request was not made because its target is not allowed, or an answer was not taken.
var ErrRefused = reach.ErrRefused

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
	t.DialContext = reach.Dialer{Private: c.o.Private, Lookup: c.o.Lookup, Timeout: c.o.Timeout}.DialContext
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
