// Package ours boots this project's authorization server in the process, for the suite to be run on it: on memory or on a
// file, as one service or as several over one store, with a clock that can be moved. It is wiring for tests and owns no
// check. The suite reaches the server through the handler, over HTTP semantics alone; people's decisions go through
// Hooks, which call the core as the server's own pages do.
package ours

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/httpapi"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// Issuer is what a server without a listener calls itself. Nothing listens there.
const Issuer = "http://127.0.0.1:9"

// Options of Start. The zero value is one service in memory without a listener.
type Options struct {
	Issuer   string                // "": Issuer
	Engine   kv.Engine             // nil: memory
	Services int                   // over the one engine; 0: 1
	Adjust   func(*umaas.Limits)   // shorter lifetimes
	Provider *conformance.Provider // an OpenID provider the server trusts
	Clock    *Clock                // nil: one of its own; a provider that shares it stays in step
	Logger   *slog.Logger          // nil: nothing is logged
	HEART    bool                  // under umaas.ProfileHEART: clients have keys in place of secrets, and none is public
}

// Server is one deployment of ours.
type Server struct {
	Issuer   string
	Handler  http.Handler // requests go to the services in turn
	Clock    *Clock
	services []*server.AS
	engine   kv.Engine
	people   map[string]umaas.Account
	profile  conformance.Profile
	provider *conformance.Provider
	heart    bool
}

// Clock is real time with an offset.
type Clock struct{ offset atomic.Int64 }

// Now is the clock's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Sleep moves the clock on at once.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.offset.Add(int64(d))
	return context.Cause(ctx)
}

// shared is a key ring made once per process: making RSA keys takes long.
var shared struct {
	sync.Mutex
	ring []byte
}

// cheap makes password hashing fast; it protects nobody here.
var cheap = signin.Cost{Memory: 64, Time: 1, Threads: 1}

// kept is an engine that one of several services does not close.
type kept struct{ kv.Engine }

func (kept) Close() error { return nil }

// Start boots the services, adds the people and clients of the suite, and returns when requests can be served.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	s := &Server{Issuer: o.Issuer, Clock: o.Clock, engine: o.Engine, people: map[string]umaas.Account{}, provider: o.Provider, heart: o.HEART}
	if s.Issuer == "" {
		s.Issuer = Issuer
	}
	if s.Clock == nil {
		s.Clock = &Clock{}
	}
	if s.engine == nil {
		s.engine = memkv.New(memkv.Options{})
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.ring(ctx); err != nil {
		return nil, err
	}
	for range max(o.Services, 1) {
		as, err := server.NewAS(ctx, s.config(o))
		if err != nil {
			return nil, fmt.Errorf("boot: %w", err)
		}
		s.services = append(s.services, as)
	}
	if err := s.keepRing(ctx); err != nil {
		return nil, err
	}
	s.Handler = inTurn(s.services)
	if err := s.populate(ctx); err != nil {
		return nil, err
	}
	if err := s.trust(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) config(o Options) server.ASConfig {
	many := httpapi.Rate{PerMinute: 1e9, Burst: 1 << 30}
	profile := umaas.ProfileNone
	if o.HEART {
		profile = umaas.ProfileHEART
	}
	return server.ASConfig{
		Profile: profile,
		Issuer:  s.Issuer, Name: "Conformance", Engine: kept{s.engine}, Cost: cheap, Now: s.Clock.Now, Logger: o.Logger, Adjust: o.Adjust,
		Rates: httpapi.RateLimits{Starts: many, Failures: many},
	}
}

// Close ends the services and the engine.
func (s *Server) Close() error {
	var errs []error
	for _, as := range s.services {
		errs = append(errs, as.Close())
	}
	return errors.Join(append(errs, s.engine.Close())...)
}

// Core is the first service's core.
func (s *Server) Core() *umaas.Service { return s.services[0].Service }

// inTurn gives each request to the next service.
func inTurn(list []*server.AS) http.Handler {
	if len(list) == 1 {
		return list[0].Handler
	}
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list[int(n.Add(1))%len(list)].Handler.ServeHTTP(w, r)
	})
}

// Transport sends requests to a handler without a network. The handler's own context and panics behave as net/http's do.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (res *http.Response, err error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr, in.Host = r.URL.RequestURI(), "127.0.0.1:40000", r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &recorder{header: http.Header{}}
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, fmt.Errorf("the server broke off: %v", p)
		}
	}()
	t.handler.ServeHTTP(w, in)
	if r.Body != nil {
		_ = r.Body.Close() // a round tripper closes it, read or not
	}
	return w.response(r), nil
}

// recorder is an http.ResponseWriter.
type recorder struct {
	header, sent http.Header
	status       int
	body         []byte
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

func (w *recorder) response(r *http.Request) *http.Response {
	w.WriteHeader(http.StatusOK)
	if w.sent.Get("Content-Type") == "" && len(w.body) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(w.body))
	}
	body := w.body
	if r.Method == http.MethodHead {
		body = nil
	}
	return &http.Response{
		StatusCode: w.status, Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(newReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

func (s *Server) ring(ctx context.Context) error {
	shared.Lock()
	defer shared.Unlock()
	if shared.ring == nil {
		return nil
	}
	return withStore(ctx, s.engine, func(st umaas.Store) error {
		return umaas.KeyStorage(st).Swap(ctx, nil, shared.ring)
	})
}

func (s *Server) keepRing(ctx context.Context) error {
	shared.Lock()
	defer shared.Unlock()
	if shared.ring != nil {
		return nil
	}
	var err error
	shared.ring, err = umaas.KeyStorage(s.services[0].Store).Load(ctx)
	return err
}

// grants are the grant types of clients that redeem tickets.
var grants = []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken, uma.GrantTypeAuthorizationCode}
