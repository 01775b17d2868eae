package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/control"
	"github.com/umaas/umaas/cmd/umaas/server"
	fhirstore "github.com/umaas/umaas/fhir/store"
	"github.com/umaas/umaas/umaas/config"
)

const exampleConfig = `# umaas.yaml: a hospital with its own FHIR server.
name: Harborview Clinic
data: /var/lib/umaas
roles: [as, gateway, resolver]        # add fhir for the embedded FHIR server
health: 127.0.0.1:9090                # /healthz and /readyz

as:
  issuer: https://auth.harborview.example
  listen: 0.0.0.0:8443
  tls_cert: /etc/umaas/tls.crt
  tls_key: /etc/umaas/tls.key

gateway:
  base: https://fhir.harborview.example
  listen: 0.0.0.0:8444
  tls_cert: /etc/umaas/tls.crt
  tls_key: /etc/umaas/tls.key
  upstream: https://ehr.internal.example/fhir/r4
  upstream_authorization: Basic …     # the gateway's own credential; better in UMAAS_UPSTREAM_AUTHORIZATION
  client_id: …                        # from: umaas client add 'Harborview FHIR' --scope uma_protection …
  client_secret: …                    # better in UMAAS_CLIENT_SECRET
`

func serveCommand() *cobra.Command {
	var file string
	var example bool
	c := &cobra.Command{
		Use: "serve", Short: "Run the roles of a configuration: as, gateway, resolver, fhir", Args: cobra.NoArgs,
		Long: `Runs authorization server, gateway, resolver and embedded FHIR server in one process or apart, as the
configuration says. The file is read first, then UMAAS_… variables, then flags; every mistake is reported at once.
Ctrl-C or SIGTERM lets running requests finish.`,
		Example: "  umaas serve --example > umaas.yaml\n  umaas serve --config umaas.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			if example {
				_, err := fmt.Fprint(c.OutOrStdout(), exampleConfig)
				return err
			}
			cfg, err := config.Load(file, os.Environ(), nil)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil))
			return serve(c.Context(), cfg, log)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (YAML)")
	c.Flags().BoolVar(&example, "example", false, "print a configuration to start from")
	return c
}

// serve is the wiring: open what the roles need, from the inside out; open the doors; wait; close in reverse.
func serve(ctx context.Context, c config.Config, log *slog.Logger) (err error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	var doors []server.Door
	var closers []func() error
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
	}()
	var embedded *fhirstore.Store
	if c.Runs("fhir") {
		embedded, err = fhirstore.Open(fhirstore.Options{Path: filepath.Join(c.Data, server.FHIRFile), Base: c.Gateway.Base + server.FHIRPath, Now: time.Now, Logger: log})
		if err != nil {
			return fmt.Errorf("FHIR store: %w", err)
		}
		closers = append(closers, embedded.Close)
		if !c.Runs("gateway") {
			door, err := open(ctx, "fhir", c.FHIR.Listener, server.Insist(c.FHIR.Credential, embedded.Handler()))
			if err != nil {
				return err
			}
			doors = append(doors, door)
		}
	}
	if c.Runs("as") {
		as, err := server.NewAS(ctx, server.ASConfig{Issuer: c.AS.Issuer, Name: c.Name, Data: c.Data, NoSync: c.AS.NoSync, RPTLife: c.AS.RPTLife, Now: time.Now, Logger: log})
		if err != nil {
			return err
		}
		closers = append(closers, as.Close)
		door, err := open(ctx, "as", c.AS.Listener, as.Handler)
		if err != nil {
			return err
		}
		doors = append(doors, door)
		listening, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- control.Serve(listening, c.Data, as.Operations(), as.Streams()) }()
		closers = append(closers, func() error { stop(); return <-done })
	}
	if c.Runs("gateway") {
		rs, err := server.NewRS(ctx, gatewayConfig(c, embedded, log))
		if err != nil {
			return err
		}
		closers = append(closers, rs.Close)
		door, err := open(ctx, "gateway", c.Gateway.Listener, rs.Handler)
		if err != nil {
			return err
		}
		doors = append(doors, door)
	}
	return doorsOpen(ctx, c, log, doors)
}

// doorsOpen answers until the process is told to stop. Readiness follows the doors.
func doorsOpen(ctx context.Context, c config.Config, log *slog.Logger, doors []server.Door) error {
	var ready atomic.Bool
	if c.Health != "" {
		door, err := open(ctx, "health", config.Listener{Address: c.Health}, health(&ready))
		if err != nil {
			return err
		}
		doors = append(doors, door)
	}
	ready.Store(true)
	stopping := context.AfterFunc(ctx, func() { ready.Store(false) })
	defer stopping()
	log.InfoContext(ctx, "ready", "version", version(), "roles", c.Roles)
	return server.Serve(ctx, log, doors...)
}

func gatewayConfig(c config.Config, embedded *fhirstore.Store, log *slog.Logger) server.RSConfig {
	issuer := c.Gateway.Issuer
	if issuer == "" {
		issuer = c.AS.Issuer
	}
	key, err := hex.DecodeString(c.Gateway.StateKey)
	if err != nil || len(key) == 0 {
		key = nil // checked by the configuration; empty means: kept in the data folder
	}
	r := server.RSConfig{
		Base: c.Gateway.Base, Name: c.Name, Data: c.Data, Issuer: issuer, ClientID: c.Gateway.ClientID, Secret: c.Gateway.Secret,
		StateKey: key, Upstream: c.Gateway.Upstream, Credential: c.Gateway.Credential, Now: time.Now, Logger: log,
	}
	if r.Upstream == "" {
		r.Embedded = embedded
	}
	return r
}

func open(ctx context.Context, name string, l config.Listener, h http.Handler) (server.Door, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", l.Address)
	if err != nil {
		return server.Door{}, fmt.Errorf("%s: %w", name, err)
	}
	return server.Door{Name: name, Listener: listener, Handler: h, CertFile: l.TLSCert, KeyFile: l.TLSKey}, nil
}

// health tells an orchestrator whether the process lives and whether it wants requests.
func health(ready *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
