// Package server puts the parts together: the authorization server, the resource server, the embedded FHIR server. It is
// wiring, read top to bottom; every decision lives in the package it belongs to.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/fhirview"
	"github.com/umaas/umaas/umaas/httpapi"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/outbound"
	"github.com/umaas/umaas/umaas/policy"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/web"
)

// ASConfig is what an authorization server needs.
type ASConfig struct {
	Issuer       string
	Name         string    // the deployment, as people read it
	Data         string    // folder; empty with Engine
	Engine       kv.Engine // nil: a file in Data
	NoSync       bool
	RPTLife      time.Duration       // zero: the default
	Adjust       func(*umaas.Limits) // nil: the defaults; tests shorten lifetimes
	Rates        httpapi.RateLimits  // zero: the defaults
	CookieName   string              // distinguishes the roles of one loopback machine
	Cost         signin.Cost         // zero: the default
	Push         umaas.PushRule
	Formats      []umaas.Format        // claim token formats beside the server's own
	Issuers      []umaas.TrustedIssuer // of the configuration; others are administered
	Undo         time.Duration         // zero: the default
	Attention    umaas.Attention
	Profile      umaas.Profile
	Binding      umaas.Binding // key-bound tokens
	Certificates pop.Certificates
	Now          func() time.Time
	Logger       *slog.Logger
}

// AS is a running authorization server without its listener.
type AS struct {
	Service *umaas.Service
	Keys    *keys.Ring
	Handler http.Handler
	Store   umaas.Store

	cost   signin.Cost
	fetch  *outbound.Client
	store  *store.Store
	engine kv.Engine
	stop   context.CancelFunc
	done   chan struct{}
}

// StoreFile is the authorization server's file in its data folder.
const StoreFile = "as.db"

// NewAS opens the store and puts core, transport and pages over it.
func NewAS(ctx context.Context, c ASConfig) (_ *AS, err error) {
	engine := c.Engine
	if engine == nil {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
		if engine, err = boltkv.Open(filepath.Join(c.Data, StoreFile), boltkv.Options{InsecureNoSync: c.NoSync}); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	st, err := store.New(ctx, engine, store.Options{Now: c.Now})
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	ring, err := keys.Open(ctx, keys.Options{Storage: umaas.KeyStorage(st), Now: c.Now, Random: rand.Reader})
	if err != nil {
		return nil, err
	}
	limits := umaas.DefaultLimits()
	if c.RPTLife > 0 {
		limits.RPT = c.RPTLife
	}
	if c.Undo > 0 {
		limits.Undo = c.Undo
	}
	limits.Attention = c.Attention.WithDefaults()
	if c.Adjust != nil {
		c.Adjust(&limits)
	}
	client := outbound.New(fetchOptions(c.Issuer))
	preview, err := umaas.NewPreviewer(c.Issuer, st, ring, c.Now, client.Preview)
	if err != nil {
		return nil, err
	}
	core, err := umaas.New(ctx, umaas.Deps{
		Issuer: c.Issuer, Store: st, Keys: ring, Scopes: policy.SMART{}, Now: c.Now, Random: rand.Reader, Logger: c.Logger, Limits: limits,
		Preview: preview, Binding: c.Binding, Profile: c.Profile, Push: c.Push, Formats: c.Formats,
		IssuerKeys: outbound.NewKeySource(client, c.Now), Statuses: outbound.NewStatusSource(client, c.Now),
	})
	if err != nil {
		return nil, err
	}
	if err := trust(ctx, core, c.Issuers, c.Logger); err != nil {
		return nil, err
	}
	handler, err := pages(ctx, c, core, st)
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	as := &AS{Service: core, Keys: ring, Handler: handler, Store: core.Store, cost: c.Cost, fetch: client, store: st, engine: engine, stop: stop, done: make(chan struct{})}
	go as.housekeeping(background, c.Logger)
	return as, nil
}

// fetchOptions: a server on plain http is development on one machine.
func fetchOptions(issuer string) outbound.Options {
	if u, err := url.Parse(issuer); err == nil && u.Scheme == "http" {
		return outbound.Options{InsecureHTTP: true, Private: outbound.Loopback()}
	}
	return outbound.Options{}
}

func pages(ctx context.Context, c ASConfig, core *umaas.Service, st *store.Store) (http.Handler, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	secure := u.Scheme == "https"
	session, browser := "umaas_session"+c.CookieName, "umaas_flow"+c.CookieName
	if secure {
		session, browser = "__Host-"+session, "__Host-"+browser
	}
	csrf, err := setting(ctx, st, "csrf-key")
	if err != nil {
		return nil, err
	}
	sign, err := signin.New(signin.Config{Accounts: core, Random: rand.Reader, Now: c.Now, Logger: c.Logger, Cost: c.Cost})
	if err != nil {
		return nil, err
	}
	upstream, err := signin.NewUpstream(signin.UpstreamConfig{Trips: core, Issuer: c.Issuer, HTTP: outbound.New(fetchOptions(c.Issuer)).HTTP(), Now: c.Now, Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	consents := fhirview.View{Core: core, Issuer: c.Issuer, Now: c.Now}
	site, err := web.New(web.Config{
		Service: core, Consents: consents, SignIn: sign, Upstream: upstream, Issuer: c.Issuer, Base: u.Path, SessionCookie: session, BrowserCookie: browser, Secure: secure,
		DeploymentName: c.Name, CSRFKey: csrf, Now: c.Now, Random: rand.Reader, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)       // its debug mode prints the route table
	return httpapi.New(httpapi.Config{ //nolint:contextcheck // requests bring their own
		Service: core, Pages: site, Consents: consents, Issuer: c.Issuer, BrowserCookie: browser, Certificates: c.Certificates, Limits: c.Rates,
		Now: c.Now, Random: rand.Reader, Logger: c.Logger,
	})
}

// housekeeping removes what has expired and rotates keys that are due, until Close.
func (a *AS) housekeeping(ctx context.Context, log *slog.Logger) {
	defer close(a.done)
	rotation := time.NewTicker(time.Hour)
	defer rotation.Stop()
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		a.store.KeepClean(ctx, time.Minute, func(c store.Collected, err error) {
			if err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "garbage collection", "err", err)
			}
		})
	}()
	for {
		select {
		case <-ctx.Done():
			<-collected
			return
		case <-rotation.C:
			if err := a.Keys.Maintain(ctx); err != nil {
				log.ErrorContext(ctx, "key rotation", "err", err)
			}
		}
	}
}

// Close stops housekeeping and gives the store back.
func (a *AS) Close() error {
	a.stop()
	<-a.done
	return a.store.Close()
}

// Backup writes a copy of the store as it stands now; requests go on meanwhile.
func (a *AS) Backup(_ context.Context, w io.Writer) error {
	b, ok := a.engine.(interface{ Backup(io.Writer) error })
	if !ok {
		return errors.New("this store has no file to copy")
	}
	return b.Backup(w)
}

// setting reads a 32-byte secret of the deployment, making it once.
func setting(ctx context.Context, st umaas.Store, name string) ([]byte, error) {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	var value []byte
	err := st.Update(ctx, func(tx umaas.Tx) error {
		var err error
		if value, err = tx.Setting(name); !errors.Is(err, umaas.ErrNotFound) {
			return err
		}
		value = fresh
		return tx.PutSetting(name, fresh)
	})
	return value, err
}
