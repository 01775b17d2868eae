package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/umaas/umaas/cmd/umaas/server"
	fhirstore "github.com/umaas/umaas/fhir/store"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/uma"
)

// Options of a demo.
type Options struct {
	Data      string        // folder; one that holds a demo already goes on where it stopped
	Load      string        // folder of FHIR bundles; empty: the demo's own people
	Port      int           // of the authorization server; the next two are the resource server and the app. 0: any free ones
	RPTFormat string        // "", "opaque" or "jwt"
	RPTLife   time.Duration // zero: the server's default
	DPoP      bool          // the app binds its tokens to a key
	Sync      bool          // sync every write, as a real server does
	Second    string        // "listed" or "stranger": a second authorization server, which one patient lets guard her record
	Logger    *slog.Logger
	Progress  func(string) // told what is being done; nil: nobody
}

// Demo is everything running on loopback.
type Demo struct {
	World World
	AS    *server.AS
	RS    *server.RS
	FHIR  *fhirstore.Store
	// Second is the second authorization server, nil where there is none.
	Second *server.AS
	// SecondAway makes the second authorization server break off every connection, as one that is down does.
	SecondAway atomic.Bool

	serving chan error
	cancel  context.CancelFunc
}

// worldFile keeps what a data folder's demo printed, so that it can go on.
const worldFile = "demo.json"

// Start brings everything up; when it returns, all doors answer and every adult has let the hospital protect her record.
func Start(ctx context.Context, o Options) (_ *Demo, err error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	d := &Demo{serving: make(chan error, 1)}
	known, err := d.recall(o.Data)
	if err != nil {
		return nil, err
	}
	doors, err := d.listen(ctx, o, known)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.open(ctx, o, doors); err != nil {
		return nil, err
	}
	seed := seeding{Demo: d, o: o}
	if !known {
		if err := seed.records(ctx); err != nil {
			return nil, fmt.Errorf("records: %w", err)
		}
		if err := seed.accounts(ctx); err != nil {
			return nil, fmt.Errorf("accounts: %w", err)
		}
	}
	if err := d.openRS(ctx, o); err != nil {
		return nil, err
	}
	if err := d.serve(ctx, o, doors); err != nil {
		return nil, err
	}
	if known {
		return d, nil
	}
	if err := seed.relations(ctx); err != nil {
		return nil, fmt.Errorf("relations: %w", err)
	}
	if err := seed.claims(ctx); err != nil {
		return nil, fmt.Errorf("first sign-ins: %w", err)
	}
	if err := seed.second(ctx); err != nil {
		return nil, fmt.Errorf("second authorization server: %w", err)
	}
	return d, d.remember(o.Data)
}

// recall reads the world of a data folder that was used before.
func (d *Demo) recall(folder string) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(folder, worldFile)) //nolint:gosec // the folder the person named
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(folder, server.StoreFile)); err == nil {
			return false, fmt.Errorf("%s holds a store that is no finished demo; name another folder", folder)
		}
		return false, os.MkdirAll(folder, 0o700)
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(raw, &d.World)
}

func (d *Demo) remember(folder string) error {
	raw, err := json.Marshal(d.World)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, worldFile), raw, 0o600)
}

// doors are the listeners: authorization server, resource server, app, and the second authorization server if there is one.
// Each is an origin of its own.
type doors []net.Listener

func (d *Demo) listen(ctx context.Context, o Options, known bool) (doors, error) {
	var lc net.ListenConfig
	origins := []string{d.World.Issuer, d.World.RS, d.World.Clinic}
	if !known && o.Second != "" {
		d.World.Second = &Second{Listed: o.Second == "listed"}
	}
	if d.World.Second != nil {
		origins = append(origins, d.World.Second.Issuer)
	}
	out := make(doors, len(origins))
	for i := range out {
		port := 0
		switch {
		case known:
			port, _ = strconv.Atoi(origins[i][strings.LastIndexByte(origins[i], ':')+1:]) // we wrote it
		case o.Port != 0:
			port = o.Port + i
		}
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			for _, opened := range out[:i] {
				err = errors.Join(err, opened.Close())
			}
			return nil, fmt.Errorf("%w (choose other ports with --port)", err)
		}
		out[i] = l
		origins[i] = "http://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	d.World.Issuer, d.World.RS, d.World.Clinic = origins[0], origins[1], origins[2]
	if d.World.Second != nil {
		d.World.Second.Issuer = origins[3]
	}
	d.World.FHIRBase = d.World.RS + server.FHIRPath
	d.World.Resolver = Resolvers{User: d.World.RS + "/resolve-uma-context/user", Patient: d.World.RS + "/resolve-uma-context/patient"}
	d.World.Data = o.Data
	return out, nil
}

// open opens the embedded FHIR server and the authorization server.
func (d *Demo) open(ctx context.Context, o Options, _ doors) error {
	o.Progress("opening the stores")
	var err error
	d.FHIR, err = fhirstore.Open(fhirstore.Options{Path: filepath.Join(o.Data, server.FHIRFile), Base: d.World.FHIRBase, Now: time.Now, NoSync: !o.Sync, Logger: o.Logger})
	if err != nil {
		return fmt.Errorf("FHIR store: %w", err)
	}
	d.AS, err = server.NewAS(ctx, server.ASConfig{
		Issuer: d.World.Issuer, Name: Organizations[0].Name, Data: o.Data, NoSync: !o.Sync, RPTLife: o.RPTLife, Cost: signin.DemoCost(), Now: time.Now, Logger: o.Logger,
	})
	if err != nil || d.World.Second == nil {
		return err
	}
	return d.openSecond(ctx, o)
}

func (d *Demo) openRS(ctx context.Context, o Options) (err error) {
	c := server.RSConfig{
		Base: d.World.RS, Name: Organizations[0].Name, Data: o.Data, NoSync: !o.Sync, Issuer: d.World.Issuer, ClientID: d.World.Server.ClientID,
		Secret: d.World.Server.ClientSecret, RPTFormat: o.RPTFormat, Embedded: d.FHIR, Now: time.Now, Logger: o.Logger,
	}
	if d.World.Second != nil {
		d.World.Second.allow(&c)
	}
	d.RS, err = server.NewRS(ctx, c)
	return err
}

// serve opens the doors and waits until each answers.
func (d *Demo) serve(ctx context.Context, o Options, l doors) error {
	app := App{
		ClientID: d.World.App.ClientID, Secret: d.World.App.ClientSecret, ClaimsURI: d.World.App.ClaimsRedirectURI,
		HTTP: &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	issuers := d.World.Issuer
	all := []server.Door{
		{Name: "authorization server", Listener: l[0], Handler: d.AS.Handler}, {Name: "resource server", Listener: l[1], Handler: d.RS.Handler},
	}
	ready := []string{d.World.Issuer + uma.WellKnownUMA, d.World.RS + "/.well-known/oauth-protected-resource"}
	if s := d.World.Second; s != nil {
		app.Elsewhere = map[string]AppIdentity{s.Issuer: s.App}
		issuers += " " + s.Issuer
		all = append(all, server.Door{Name: "second authorization server", Listener: l[3], Handler: d.breakable(d.Second.Handler)})
		ready = append(ready, s.Issuer+uma.WellKnownUMA)
	}
	if o.DPoP {
		key, err := pop.NewKey(rand.Reader)
		if err != nil {
			return err
		}
		app.Key = key
	}
	clinic, err := NewClinic(app, d.World.Clinic, d.World.RS, issuers, time.Now)
	if err != nil {
		return err
	}
	all = append(all, server.Door{Name: "flu clinic", Listener: l[2], Handler: clinic.Handler()})
	ready = append(ready, d.World.Clinic+"/")
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		d.serving <- server.Serve(ctx, o.Logger, all...)
	}()
	for _, address := range ready {
		_, _, err := (&App{HTTP: app.HTTP}).do(ctx, http.MethodGet, address, nil, "")
		if err != nil {
			return fmt.Errorf("not ready: %w", err)
		}
	}
	return nil
}

// Wait returns when ctx ends or a door fails.
func (d *Demo) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.serving:
		d.serving <- err
		return err
	}
}

// Close stops the doors, finishes background work and closes the stores.
func (d *Demo) Close() error {
	var errs []error
	if d.cancel != nil {
		http.DefaultClient.CloseIdleConnections() // the visitors' own; a server waits a while for connections that said nothing yet
		d.cancel()
		errs = append(errs, <-d.serving)
	}
	if d.RS != nil {
		errs = append(errs, d.RS.Close())
	}
	for _, as := range []*server.AS{d.AS, d.Second} {
		if as != nil {
			errs = append(errs, as.Close())
		}
	}
	if d.FHIR != nil {
		errs = append(errs, d.FHIR.Close())
	}
	return errors.Join(errs...)
}
