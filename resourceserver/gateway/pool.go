package gateway

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/umaas/umaas/resourceserver"
)

// Idle connections are kept this long; before a request that must not be sent twice only a fresh one is taken.
const (
	idleLimit       = 60 * time.Second
	freshLimit      = 2 * time.Second
	dialTimeout     = 5 * time.Second
	maxInterimHeads = 5
)

// pool keeps connections to one upstream over plain http. A connection belongs to one request at a time, which writes and reads
// it itself: net/http's transport hands every request over to two further goroutines, which costs more than the rest of a
// small exchange.
type pool struct {
	address string
	host    string
	path    string
	slots   chan struct{}

	mu     sync.Mutex
	idle   []*conn // the most recently used last
	closed bool
}

type conn struct {
	net.Conn
	r     *bufio.Reader
	out   []byte
	since time.Time // idle since
}

func newPool(base *url.URL, limit int) *pool {
	address := base.Host
	if base.Port() == "" {
		address = net.JoinHostPort(base.Hostname(), "80")
	}
	return &pool{address: address, host: base.Host, path: base.EscapedPath(), slots: make(chan struct{}, limit)}
}

// do sends one request. A kept connection may have been closed by the other side meanwhile: then a request without effects is
// tried once more on a new one.
func (p *pool) do(ctx context.Context, q resourceserver.UpstreamRequest, credential string, limit int64) (resourceserver.UpstreamResponse, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return resourceserver.UpstreamResponse{}, ctx.Err()
	}
	safe := q.Method == http.MethodGet
	maxIdle := freshLimit
	if safe {
		maxIdle = idleLimit
	}
	if c := p.take(maxIdle); c != nil {
		resp, started, err := p.exchange(ctx, c, q, credential, limit)
		if err == nil || started || !safe || ctx.Err() != nil {
			return resp, err
		}
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	nc, err := dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return resourceserver.UpstreamResponse{}, err
	}
	resp, _, err := p.exchange(ctx, &conn{Conn: nc, r: bufio.NewReaderSize(nc, 4096)}, q, credential, limit)
	return resp, err
}

// exchange writes the request and reads the answer; started says that some of an answer had arrived. The connection goes
// back to the pool or is closed.
func (p *pool) exchange(ctx context.Context, c *conn, q resourceserver.UpstreamRequest, credential string, limit int64) (resp resourceserver.UpstreamResponse, started bool, err error) {
	keep := false
	defer func() {
		if keep {
			p.put(c)
		} else {
			_ = c.Close() // its error tells nothing that the exchange has not told
		}
	}()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return resp, false, err
	}
	// When the client gives up, the deadline moves to the past and the read below ends.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.out = p.request(c.out[:0], q, credential)
	if _, err := c.Write(c.out); err != nil {
		return resp, false, err
	}
	if _, err := c.r.Peek(1); err != nil {
		return resp, false, err
	}
	answer, err := p.head(c, q.Method)
	if err != nil {
		return resp, true, err
	}
	resp, err = readResponse(answer, limit)
	_ = answer.Body.Close() // read to its end already, or the connection is closed
	if err != nil {
		return resp, true, err
	}
	// stop() is false when the deadline may have been moved: such a connection is not used again.
	keep = !answer.Close && c.r.Buffered() == 0 && stop()
	return resp, true, nil
}

var (
	getRequest  = &http.Request{Method: http.MethodGet}
	postRequest = &http.Request{Method: http.MethodPost}
)

var errInterim = errors.New("the upstream switched protocols or sent too many interim answers")

// head reads up to the final answer's header, past interim ones (RFC 9110 §15.2).
func (p *pool) head(c *conn, method string) (*http.Response, error) {
	req := postRequest
	if method == http.MethodGet {
		req = getRequest
	}
	for range maxInterimHeads {
		resp, err := http.ReadResponse(c.r, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	return nil, errInterim
}

// request writes the request into b. Its parts were checked for control characters.
func (p *pool) request(b []byte, q resourceserver.UpstreamRequest, credential string) []byte {
	b = append(append(b, q.Method...), ' ')
	b = append(b, p.path...)
	if q.Path != "" || p.path == "" {
		b = append(append(b, '/'), q.Path...)
	}
	if q.Query != "" {
		b = append(append(b, '?'), q.Query...)
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), p.host...)
	b = append(b, "\r\n"...)
	eachHeader(q, credential, func(name, value string) {
		b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
	})
	if len(q.Body) > 0 || q.Method != http.MethodGet {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(len(q.Body)), 10), "\r\n"...)
	}
	return append(append(b, "\r\n"...), q.Body...)
}

// take gives the connection used last, if it has not been idle for too long; older ones are closed.
func (p *pool) take(maxIdle time.Duration) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	if age := time.Since(c.since); age <= maxIdle {
		return c
	} else if age > idleLimit {
		for _, old := range p.idle { // all others have been idle for longer still
			_ = old.Close()
		}
		clear(p.idle)
		p.idle = p.idle[:0]
	}
	_ = c.Close()
	return nil
}

func (p *pool) put(c *conn) {
	c.since = time.Now()
	if cap(c.out) > 64<<10 {
		c.out = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
}
