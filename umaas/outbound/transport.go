package outbound

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// HTTP is this client for libraries that want a *http.Client: the same judgement of targets and addresses, the same bounds on
// time and size, no redirects. An answer is read whole before it is handed on.
func (c *Client) HTTP() *http.Client {
	return &http.Client{
		Transport: guarded{c}, Timeout: c.o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type guarded struct{ c *Client }

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := g.c.check(r.URL.String()); err != nil {
		return nil, err
	}
	res, err := g.c.http.Transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", r.URL.Host, err)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, g.c.o.MaxBody+1))
	_ = res.Body.Close() // what was read is judged by itself
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", r.URL.Host, err)
	}
	if int64(len(raw)) > g.c.o.MaxBody {
		return nil, fmt.Errorf("%w: the answer of %s is larger than %d bytes", ErrRefused, r.URL.Host, g.c.o.MaxBody)
	}
	res.Body = io.NopCloser(bytes.NewReader(raw))
	return res, nil
}
