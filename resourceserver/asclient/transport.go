package asclient

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Bounds of one answer. Lists of resource ids of a custodian may be long; everything else is small.
const (
	maxAnswer = 1 << 20
	maxList   = 64 << 20
	attempts  = 3
)

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// call is one request to the authorization server, as a value, so that it can be sent again.
type call struct {
	method      string
	url         string
	bearer      string     // PAT, or
	basic       [2]string  // client id and secret
	form        url.Values // body as a form, or
	json        any        // body as JSON
	repeatable  bool       // true: may happen twice without harm
	limit       int64      // of the answer's body; 0: maxAnswer
	accept      []int      // statuses that are success
	emptyAnswer bool       // success carries no JSON
}

// do sends the call and decodes a successful answer into out (nil: ignored). Errors: ErrUnreachable, *uma.Error with the
// code the server gave, ErrUntrusted for an answer that is not what the specification says.
func (c *Client) do(ctx context.Context, k call, out any) error {
	body, contentType, err := k.body()
	if err != nil {
		return err
	}
	var last error
	for try := range attempts {
		if try > 0 {
			if err := pause(ctx, time.Duration(try*try)*50*time.Millisecond); err != nil {
				return fmt.Errorf("%w: %w", ErrUnreachable, last)
			}
		}
		sent, err := c.once(ctx, k, body, contentType, out)
		if err == nil || !errors.Is(err, ErrUnreachable) {
			return err
		}
		last = err
		// What never left this machine may always be tried again; what may have been received only if it is repeatable.
		if sent && !k.repeatable || ctx.Err() != nil {
			break
		}
	}
	return last
}

func (k call) body() (body []byte, contentType string, err error) {
	switch {
	case k.form != nil:
		return []byte(k.form.Encode()), "application/x-www-form-urlencoded", nil
	case k.json != nil:
		body, err = json.Marshal(k.json)
		return body, "application/json", err
	default:
		return nil, "", nil
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once makes one attempt. sent is false only where the connection could not be made.
func (c *Client) once(ctx context.Context, k call, body []byte, contentType string, out any) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, k.method, k.url, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	req.Header.Set("User-Agent", "umaas-resource-server")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	switch {
	case k.bearer != "":
		req.Header.Set("Authorization", "Bearer "+k.bearer)
	case k.basic[0] != "":
		req.Header.Set("Authorization", basicAuth(k.basic[0], k.basic[1]))
	}
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, ErrRefused) {
			return false, fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		var op *net.OpError
		dialing := errors.As(err, &op) && op.Op == "dial"
		return !dialing, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = res.Body.Close() }()
	return true, k.read(res, out)
}

func (k call) read(res *http.Response, out any) error {
	limit := k.limit
	if limit == 0 {
		limit = maxAnswer
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case errors.Is(err, ErrRefused):
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	case err != nil:
		return fmt.Errorf("%w: read answer: %w", ErrUnreachable, err)
	case int64(len(raw)) > limit:
		return fmt.Errorf("%w: answer larger than %d bytes", ErrUntrusted, limit)
	case res.StatusCode >= 500:
		return fmt.Errorf("%w: status %d", ErrUnreachable, res.StatusCode)
	}
	for _, status := range k.accept {
		if res.StatusCode != status {
			continue
		}
		if out == nil || k.emptyAnswer {
			return nil
		}
		if media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			return fmt.Errorf("%w: content type %q, want JSON", ErrUntrusted, res.Header.Get("Content-Type"))
		}
		if err := json.Unmarshal(raw, out); err != nil {
			return fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		return nil
	}
	return refusal(res.StatusCode, raw)
}

// refusal turns an error answer (RFC 6749 §5.2, FedAuthz §6) into a value with the code the server gave.
func refusal(status int, raw []byte) error {
	e := &uma.Error{}
	if err := json.Unmarshal(raw, e); err != nil || e.Code == "" {
		switch status {
		case http.StatusNotFound:
			return uma.ErrNotFound.With("the authorization server does not know this")
		case http.StatusUnauthorized:
			return uma.ErrInvalidToken
		case http.StatusTooManyRequests:
			return fmt.Errorf("%w: asked to slow down", ErrUnreachable)
		}
		return fmt.Errorf("%w: status %d without an error code", ErrUntrusted, status)
	}
	e.Status = status
	if status == http.StatusTooManyRequests {
		return fmt.Errorf("%w: %w", ErrUnreachable, e)
	}
	return e
}

// basicAuth is RFC 6749 §2.3.1: both parts form-encoded before they are joined.
func basicAuth(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// endpoint checks an address taken from metadata: absolute, https or loopback, no fragment.
func endpoint(name, raw string) (string, error) {
	u, err := url.Parse(raw)
	if raw == "" || err != nil || u.Host == "" || u.Fragment != "" || !secureOrLoopback(u) {
		return "", fmt.Errorf("%w: metadata member %s is %q", ErrUntrusted, name, raw)
	}
	return raw, nil
}

// join appends one path segment to an endpoint, whether or not that closes with a slash (FedAuthz §3.2).
func join(base, segment string) string {
	return strings.TrimSuffix(base, "/") + "/" + url.PathEscape(segment)
}
