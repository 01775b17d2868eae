package pop

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Transport gives every request of an http.Client a proof of its own. Token requests through it give key-bound tokens;
// requests with "Authorization: DPoP token" use them. A server's nonce is remembered per origin, and a request refused for
// the lack of one is repeated once (RFC 9449 §8). It suits any OAuth library that sends token_type as the scheme.
type Transport struct {
	Key  *Key
	Base http.RoundTripper // nil: http.DefaultTransport
	Now  func() time.Time  // nil: time.Now

	mu     sync.Mutex
	nonces map[string]string
}

var _ http.RoundTripper = (*Transport)(nil)

const (
	maxOrigins = 1000
	maxRefusal = 64 << 10
)

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.Key == nil {
		return nil, errors.New("pop.Transport: Key is required")
	}
	origin := r.URL.Scheme + "://" + r.URL.Host
	nonce := t.nonce(origin)
	res, err := t.send(r, nonce)
	if err != nil {
		return nil, err
	}
	fresh := res.Header.Get(NonceHeader)
	if fresh == "" || fresh == nonce {
		return res, nil
	}
	t.keep(origin, fresh)
	if !asksForNonce(res) || r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return res, nil
	}
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return res, nil //nolint:nilerr // the refusal itself is the answer then
		}
	}
	_ = res.Body.Close() // its answer is not wanted any more
	return t.send(again, fresh)
}

func (t *Transport) send(r *http.Request, nonce string) (*http.Response, error) {
	now, base := t.Now, t.Base
	if now == nil {
		now = time.Now
	}
	if base == nil {
		base = http.DefaultTransport
	}
	token := ""
	if scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "DPoP") {
		token = value
	}
	proof, err := t.Key.Prove(Statement{Method: r.Method, URL: r.URL.String(), Token: token, Nonce: nonce, Now: now()})
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes the body also where it fails
		}
		return nil, err
	}
	proven := r.Clone(r.Context())
	proven.Header.Set(Header, proof)
	return base.RoundTrip(proven)
}

func (t *Transport) nonce(origin string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nonces[origin]
}

func (t *Transport) keep(origin, nonce string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nonces == nil || len(t.nonces) >= maxOrigins {
		t.nonces = map[string]string{}
	}
	t.nonces[origin] = nonce
}

// asksForNonce recognises use_dpop_nonce of a resource server (401, §9) and of a token endpoint (400, §8). The body stays
// readable.
func asksForNonce(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return strings.Contains(strings.Join(res.Header.Values("WWW-Authenticate"), ","), `"use_dpop_nonce"`)
	case http.StatusBadRequest:
		raw, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		rest := res.Body
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(raw), rest), rest}
		var e struct {
			Code string `json:"error"`
		}
		return err == nil && json.Unmarshal(raw, &e) == nil && e.Code == "use_dpop_nonce"
	}
	return false
}
