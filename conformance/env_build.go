package conformance

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Env is what all checks of a run share: the profile, what the server said of itself, and fixtures that are made when a
// check first asks for them. It is safe for use by several goroutines.
type Env struct {
	Issuer   string
	Metadata uma.Metadata   // as far as the document could be read
	Raw      map[string]any // the discovery document as it came
	Profile  Profile

	http     http.RoundTripper
	hooks    Hooks
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error
	warps    bool // time only seems to pass
	random   io.Reader
	pace     *pacer
	provided *Provider
	owned    bool // the provider was started here

	mu       sync.Mutex
	fixtures map[string]*fixture
	sessions map[string]*jar
	closing  []func() error
	pats     map[string]string // PAT to the resource server it was got for
}

// Options are what a program may put in place of the outside world. All may be left out.
type Options struct {
	Transport http.RoundTripper // how the server is reached; nil: the network, with the profile's TLS settings
	Hooks     Hooks             // acts for people; nil: the profile's hooks
	Provider  *Provider         // already running; nil: started when the profile asks for one
	Alone     bool              // no authorization server is examined, and the issuer is not asked for its discovery document
	Now       func() time.Time
	Random    io.Reader

	// Sleep lets time pass; nil: really. A test that holds the server's clock moves it on instead.
	Sleep func(context.Context, time.Duration) error
}

// ErrUnreachable says that the server under test does not answer or is no UMA authorization server.
var ErrUnreachable = errors.New("the server under test cannot be examined")

// NewEnv reads the server's discovery document (Grant §2) and makes ready what the profile describes. Errors wrap
// ErrUnreachable when the server is the reason. Close ends what NewEnv started.
func NewEnv(ctx context.Context, p Profile, o Options) (*Env, error) {
	e := &Env{
		Issuer: p.Issuer, Profile: p, http: o.Transport, hooks: o.Hooks, now: o.Now, random: o.Random, provided: o.Provider,
		sleep: o.Sleep, warps: o.Sleep != nil,
		fixtures: map[string]*fixture{}, sessions: map[string]*jar{}, pats: map[string]string{},
	}
	if e.sleep == nil {
		e.sleep = sleep
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.random == nil {
		e.random = rand.Reader
	}
	if e.http == nil {
		var err error
		if e.http, err = network(p.TLS); err != nil {
			return nil, err
		}
	}
	if p.Pace > 0 {
		e.pace = &pacer{gap: time.Second / time.Duration(p.Pace), now: e.now}
	}
	if e.hooks == nil {
		e.hooks = &profileHooks{env: e}
	}
	if !o.Alone {
		if err := e.discover(ctx); err != nil {
			return nil, err
		}
	}
	if e.provided == nil && p.Push.Listen != "" {
		provider, err := NewProvider(ctx, p.Push.Listen, p.Push.Issuer, e.now, e.random)
		if err != nil {
			return nil, err
		}
		e.provided, e.owned = provider, true
	}
	return e, nil
}

// Close ends what NewEnv started.
func (e *Env) Close() error {
	var errs []error
	if e.owned {
		errs = append(errs, e.provided.Close())
	}
	e.mu.Lock()
	closing := e.closing
	e.closing = nil
	e.mu.Unlock()
	for _, c := range slices.Backward(closing) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

func (e *Env) discover(ctx context.Context) error {
	where := e.Issuer + uma.WellKnownUMA
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	req.Header.Set("Accept", "application/json")
	x := &Exchange{Label: "discovery"}
	e.send(ctx, req, x)
	switch {
	case x.Err != nil:
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, where, x.Err)
	case x.Status != http.StatusOK:
		return fmt.Errorf("%w: %s answered %d; is issuer right?", ErrUnreachable, where, x.Status)
	}
	if err := json.Unmarshal(x.Body, &e.Raw); err != nil || e.Raw == nil {
		return fmt.Errorf("%w: %s is no JSON object", ErrUnreachable, where)
	}
	e.Metadata = readMetadata(e.Raw)
	if e.Metadata.TokenEndpoint == "" {
		return fmt.Errorf("%w: %s names no token_endpoint", ErrUnreachable, where)
	}
	return nil
}

// readMetadata reads the document member by member, so that one of a wrong type does not hide the others.
func readMetadata(raw map[string]any) uma.Metadata {
	var m uma.Metadata
	for name, value := range raw {
		one, err := json.Marshal(map[string]any{name: value})
		if err != nil {
			continue
		}
		var probe uma.Metadata
		if json.Unmarshal(one, &probe) == nil {
			_ = json.Unmarshal(one, &m) // the same bytes went into probe
		}
	}
	return m
}

func network(t TLS) (http.RoundTripper, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure} //nolint:gosec // the profile allows it for loopback issuers alone
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no certificate", t.CAFile)
		}
	}
	return &http.Transport{
		TLSClientConfig: c, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second,
	}, nil
}

// send makes one exchange: no redirect is followed, at most maxBody bytes are read.
func (e *Env) send(ctx context.Context, req *http.Request, x *Exchange) {
	ctx, cancel := context.WithTimeout(ctx, e.Profile.timeout())
	defer cancel()
	for name, value := range e.Profile.Sends {
		if req.Header.Get(name) == "" {
			req.Header.Set(name, value)
		}
	}
	if err := e.pace.wait(ctx); err != nil {
		x.Err = err
		return
	}
	res, err := e.http.RoundTrip(req.WithContext(ctx))
	if err != nil {
		x.Err = err
		return
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is wanted
	x.Status, x.Header = res.StatusCode, res.Header
	x.Body, x.Err = io.ReadAll(io.LimitReader(res.Body, maxBody))
}

func (p *Profile) timeout() time.Duration {
	if p.Timeout == 0 {
		return 20 * time.Second
	}
	return p.Timeout.Duration()
}

// Fresh is a random name, for what must not meet anything that exists: states, resource names.
func (e *Env) Fresh(prefix string) string {
	var b [9]byte
	if _, err := io.ReadFull(e.random, b[:]); err != nil {
		return prefix + e.now().UTC().Format("150405.000000000")
	}
	return prefix + hex.EncodeToString(b[:])
}

// Hook acts at the server for people, as the profile says. ErrNoHook: it has no way.
func (e *Env) Hook(ctx context.Context, q HookRequest) (HookAnswer, error) {
	return e.hooks.Hook(ctx, q)
}

// Scopes are n different scope names of the profile, n at most 4.
func (e *Env) Scopes(n int) []string { return append([]string(nil), e.Profile.Scopes[:n]...) }

// pacer spaces requests.
type pacer struct {
	gap  time.Duration
	now  func() time.Time
	mu   sync.Mutex
	next time.Time
}

func (p *pacer) wait(ctx context.Context) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	at := p.now()
	if p.next.After(at) {
		at = p.next
	}
	p.next = at.Add(p.gap)
	p.mu.Unlock()
	return sleep(ctx, at.Sub(p.now()))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
