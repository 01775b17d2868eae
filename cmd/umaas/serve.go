package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/control"
	"github.com/umaas/umaas/cmd/umaas/server"
	fhirstore "github.com/umaas/umaas/fhir/store"
	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/config"
	"github.com/umaas/umaas/umaas/pop"
)

const exampleConfig = `# umaas.yaml: a hospital with its own FHIR server.
name: Harborview Clinic
data: /var/lib/umaas
roles: [as, gateway, resolver]        # add fhir for the embedded FHIR server
health: 127.0.0.1:9090                # /healthz and /readyz
# profile: heart                      # HEART UMA2 and FHIR-UMA2: private keys for every client, signed tokens

as:
  issuer: https://auth.harborview.example
  listen: 0.0.0.0:8443
  tls_cert: /etc/umaas/tls.crt
  tls_key: /etc/umaas/tls.key
  # trusted_issuers:                  # whose word about people counts, and for what; also: umaas issuer add
  #   - issuer: https://login.hospital.example
  #     uses: [id-token]              # id-token, claims, permission-ticket, sign-in
  #     claims: [org, email]          # what it is believed on
  #     jwks_uri: https://login.hospital.example/jwks    # from: umaas issuer scan
  # mtls:                             # tokens bound to client certificates (RFC 8705), at a door of their own
  #   base: https://mtls.auth.harborview.example
  #   listen: 0.0.0.0:8445
  #   tls_cert: /etc/umaas/tls.crt
  #   tls_key: /etc/umaas/tls.key
  #   client_cas: /etc/umaas/client-cas.pem

gateway:
  base: https://fhir.harborview.example
  listen: 0.0.0.0:8444
  tls_cert: /etc/umaas/tls.crt
  tls_key: /etc/umaas/tls.key
  upstream: https://ehr.internal.example/fhir/r4
  upstream_authorization: Basic …     # the gateway's own credential; better in UMAAS_UPSTREAM_AUTHORIZATION
  client_id: …                        # from: umaas client add 'Harborview FHIR' --scope uma_protection …
  client_secret: …                    # better in UMAAS_CLIENT_SECRET
  foreign_issuers: none               # may a patient let another server guard her record? none, listed, any
  # issuers:                          # authorization servers beside the one above
  #   - issuer: https://guard.example.org        # with foreign_issuers: listed, patients can choose it
  #   - issuer: https://staff.harborview.example
  #     sign_in: true                            # people sign in with it at the gateway's pages
  #     fhir_user: true                          # and it may say who they are
`

func serveCommand() *cobra.Command {
	var file string
	var example bool
	var set config.Config
	c := &cobra.Command{
		Use: "serve", Short: "Run the roles of a configuration: as, gateway, resolver, fhir", Args: cobra.NoArgs,
		Long: `Runs authorization server, gateway, resolver and embedded FHIR server in one process or apart, as the
configuration says. The file is read first, then UMAAS_… variables, then flags; every mistake is reported at once.
Secrets belong in the file or in variables: flags can be seen by everybody on the machine.

Ctrl-C or SIGTERM lets running requests finish. The log goes to standard error, a JSON object a line.`,
		Example: `  umaas serve --example > umaas.yaml
  umaas serve --config umaas.yaml
  UMAAS_CLIENT_SECRET=… umaas serve --config umaas.yaml --roles gateway,resolver --health 127.0.0.1:9090`,
		RunE: func(c *cobra.Command, _ []string) error {
			if example {
				_, err := fmt.Fprint(c.OutOrStdout(), exampleConfig)
				return err
			}
			cfg, err := config.Load(file, os.Environ(), func(to *config.Config) { override(c, to, &set) })
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil))
			return serve(c.Context(), cfg, log)
		},
	}
	f := c.Flags()
	f.StringVar(&file, "config", "", "configuration file (YAML)")
	f.BoolVar(&example, "example", false, "print a configuration to start from")
	f.StringSliceVar(&set.Roles, "roles", nil, "roles of this process: as, gateway, resolver, fhir")
	for _, s := range settings(&set) {
		f.StringVar(s.value, s.flag, "", s.says)
	}
	return c
}

type setting struct {
	flag, says string
	value      *string
}

// settings are what flags can set: nothing secret.
func settings(c *config.Config) []setting {
	return []setting{
		{"name", "the deployment, as people read it", &c.Name},
		{"data", "folder of the stores", &c.Data},
		{"health", "address of /healthz and /readyz", &c.Health},
		{"issuer", "the authorization server's address, as apps use it", &c.AS.Issuer},
		{"as-listen", "where the authorization server listens", &c.AS.Address},
		{"gateway-base", "the gateway's origin, as apps use it", &c.Gateway.Base},
		{"gateway-listen", "where the gateway listens", &c.Gateway.Address},
		{"gateway-issuer", "which authorization server protects the records, where another process runs it", &c.Gateway.Issuer},
		{"upstream", "FHIR base URL behind the gateway", &c.Gateway.Upstream},
		{"fhir-listen", "where the embedded FHIR server listens, apart from the gateway", &c.FHIR.Address},
	}
}

// override puts what was given as flags over the rest.
func override(c *cobra.Command, to, given *config.Config) {
	from := settings(given)
	for i, s := range settings(to) {
		if c.Flags().Changed(s.flag) {
			*s.value = *from[i].value
		}
	}
	if c.Flags().Changed("roles") {
		to.Roles = given.Roles
	}
}

// process is what one `umaas serve` runs: doors to the outside, and what is to be closed in reverse order.
type process struct {
	config.Config
	log     *slog.Logger
	doors   []server.Door
	closers []func() error
}

// serve is the wiring: open what the roles need, from the inside out; open the doors; wait; close in reverse.
func serve(ctx context.Context, c config.Config, log *slog.Logger) (err error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	p := &process{Config: c, log: log}
	defer func() {
		for _, d := range p.doors {
			_ = d.Listener.Close() // closed already where they were served
		}
		for i := len(p.closers) - 1; i >= 0; i-- {
			err = errors.Join(err, p.closers[i]())
		}
	}()
	var embedded *fhirstore.Store
	if c.Runs("fhir") {
		if embedded, err = p.fhir(ctx); err != nil {
			return err
		}
	}
	if c.Runs("as") {
		if err := p.as(ctx); err != nil {
			return err
		}
	}
	if c.Runs("gateway") {
		if err := p.gateway(ctx, embedded); err != nil {
			return err
		}
	}
	return doorsOpen(ctx, c, log, p.doors)
}

func (p *process) fhir(ctx context.Context) (*fhirstore.Store, error) {
	embedded, err := openEmbedded(p.Config, p.log)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, embedded.Close)
	if p.Runs("gateway") {
		return embedded, nil
	}
	return embedded, p.open(ctx, "fhir", p.FHIR.Listener, server.Insist(p.FHIR.Credential, embedded.Handler()))
}

func openEmbedded(c config.Config, log *slog.Logger) (*fhirstore.Store, error) {
	s, err := fhirstore.Open(fhirstore.Options{Path: filepath.Join(c.Data, server.FHIRFile), Base: fhirBase(c), Now: time.Now, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("open FHIR store (does another process have it?): %w", err)
	}
	return s, nil
}

// fhirBase is the base in the embedded server's links: as the gateway addresses it.
func fhirBase(c config.Config) string {
	switch {
	case c.FHIR.Base != "":
		return c.FHIR.Base
	case c.Runs("gateway") || c.FHIR.Address == "":
		return c.Gateway.Base + server.FHIRPath
	case c.FHIR.TLSCert != "":
		return "https://" + c.FHIR.Address
	default:
		return "http://" + c.FHIR.Address
	}
}

func (p *process) as(ctx context.Context) error {
	binding, certificates, err := binding(p.Config)
	if err != nil {
		return err
	}
	as, err := server.NewAS(ctx, server.ASConfig{
		Profile: umaas.Profile(p.Profile), Binding: binding, Certificates: certificates,
		Issuer: p.AS.Issuer, Name: p.Name, Data: p.Data, NoSync: p.AS.NoSync, RPTLife: p.AS.RPTLife, Now: time.Now, Logger: p.log,
		Push: server.PushRule(p.AS.Claims), Issuers: server.Issuers(p.AS.TrustedIssuers),
		Undo: p.AS.Undo, Attention: umaas.Attention{
			PerClient: p.AS.Attention.PerClient, Unchecked: p.AS.Attention.Unchecked, PerParty: p.AS.Attention.PerParty,
			PerDay: p.AS.Attention.PerDay, Invites: p.AS.Attention.Invitations,
		},
	})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, as.Close)
	if err := p.open(ctx, "as", p.AS.Listener, as.Handler); err != nil {
		return err
	}
	if p.AS.MTLS.Address != "" {
		if err := p.open(ctx, "as-mtls", p.AS.MTLS.Listener, as.Handler); err != nil {
			return err
		}
		p.doors[len(p.doors)-1].AskCertificate = true
	}
	return p.control(ctx, control.AS, as.Operations(), as.Streams())
}

func (p *process) gateway(ctx context.Context, embedded *fhirstore.Store) error {
	c, err := gatewayConfig(p.Config, embedded, p.log)
	if err != nil {
		return err
	}
	rs, err := server.NewRS(ctx, c)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, rs.Close)
	if err := p.open(ctx, "gateway", p.Gateway.Listener, rs.Handler); err != nil {
		return err
	}
	p.doors[len(p.doors)-1].AskCertificate = p.Gateway.AskCerts
	return p.control(ctx, control.Gateway, rs.Operations(), nil)
}

// control opens the operator's socket of a role whose store this process holds.
func (p *process) control(ctx context.Context, socket string, ops control.Operations, streams map[string]control.Stream) error {
	l, err := control.Listen(ctx, p.Data, socket)
	if err != nil {
		return err
	}
	answering, stop := context.WithCancel(context.WithoutCancel(ctx)) // until the store closes, also while requests finish
	done := make(chan error, 1)
	go func() { done <- control.Serve(answering, l, ops, streams) }()
	p.closers = append(p.closers, func() error { stop(); return <-done })
	return nil
}

func (p *process) open(ctx context.Context, name string, l config.Listener, h http.Handler) error {
	door, err := open(ctx, name, l, h)
	if err != nil {
		return err
	}
	p.doors = append(p.doors, door)
	return nil
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

func gatewayConfig(c config.Config, embedded *fhirstore.Store, log *slog.Logger) (server.RSConfig, error) {
	issuer := c.Gateway.Issuer
	if issuer == "" {
		issuer = c.AS.Issuer
	}
	key, err := hex.DecodeString(c.Gateway.StateKey)
	if err != nil || len(key) == 0 {
		key = nil // checked by the configuration; empty means: kept in the data folder
	}
	certificates, err := pop.NewCertificates(c.Gateway.Proxies)
	if err != nil {
		return server.RSConfig{}, fmt.Errorf("gateway: %w", err)
	}
	r := server.RSConfig{
		Certificates: certificates, CertificateBound: c.Gateway.AskCerts || len(c.Gateway.Proxies) > 0, HEART: c.Profile == "heart", Nonces: c.Gateway.Nonces == "all" || c.Gateway.Nonces == "public",
		Base: c.Gateway.Base, Name: c.Name, Data: c.Data, Issuer: issuer, ClientID: c.Gateway.ClientID, Secret: c.Gateway.Secret,
		StateKey: key, Upstream: c.Gateway.Upstream, Credential: c.Gateway.Credential, Now: time.Now, Logger: log,
	}
	if r.Key, err = clientKey(c.Gateway.Key); err != nil {
		return server.RSConfig{}, err
	}
	if r.Upstream == "" {
		r.Embedded = embedded
	}
	for _, i := range c.Gateway.Issuers {
		r.Issuers = append(r.Issuers, server.FurtherIssuer(i))
	}
	r.Foreign = resourceserver.ForeignPolicy(c.Gateway.Foreign)
	for _, network := range c.Gateway.ForeignPrivate {
		if p, err := netip.ParsePrefix(network); err == nil { // checked by the configuration
			r.Private = append(r.Private, p)
		}
	}
	return r, nil
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
