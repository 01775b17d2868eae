package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/umaas/umaas/fhir"
	fhirstore "github.com/umaas/umaas/fhir/store"
	"github.com/umaas/umaas/resolver"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/state"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
)

// Files of the resource server in its data folder, and the path of the FHIR base below its origin.
const (
	StateFile = "rs.db"
	FHIRFile  = "fhir.db"
	FHIRPath  = "/fhir"
)

// RSConfig is what a resource server needs.
type RSConfig struct {
	Base             string // {rs}
	Name             string
	Data             string
	NoSync           bool
	Issuer           string
	Issuers          []FurtherIssuer  // beside Issuer
	Foreign          rs.ForeignPolicy // which ones a patient may bring; empty: none
	Private          []netip.Prefix   // address ranges beyond the public ones that foreign servers may be in
	ClientID         string           // empty: registers itself
	Secret           string
	RPTFormat        string
	StateKey         []byte // 32 bytes; nil: kept in the data folder
	Upstream         string // FHIR base; empty: Embedded
	Credential       string
	Embedded         *fhirstore.Store
	Idle             bool // opened for one command: no work in the background
	CookieName       string
	Key              string            // base64 of PKCS #8 in place of Secret
	HEART            bool              // the authorization server follows that profile: aud of its tokens names resources
	Certificates     pop.Certificates  // whose Client-Cert counts, beside certificates of the own connections
	CertificateBound bool              // clients' certificates reach this server
	Nonces           bool              // DPoP proofs need a nonce
	Transport        http.RoundTripper // towards the authorization server
	Now              func() time.Time
	Logger           *slog.Logger
}

// RS is a running resource server without its listener.
type RS struct {
	Handler   http.Handler
	State     *state.Store
	Relations *rs.AdministeredRelations
	Registrar *rs.Registrar
	Guardian  *rs.Guardian
	Contexts  *rs.ContextURLs
	Spool     *rs.EventSpool

	enforcer rs.EnforcerConfig // what the gateway judges with
	verifier *rs.Verifier
	issuers  []string // whose feeds are followed
	engine   kv.Engine
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// NewRS opens the state and puts gateway, context URLs and resolver over it.
func NewRS(ctx context.Context, c RSConfig) (_ *RS, err error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if c.StateKey == nil {
		if c.StateKey, err = keyFile(filepath.Join(c.Data, "rs.key")); err != nil {
			return nil, err
		}
	}
	engine, err := boltkv.Open(filepath.Join(c.Data, StateFile), boltkv.Options{InsecureNoSync: c.NoSync})
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	r := &RS{engine: engine}
	defer func() {
		if err != nil {
			err = errors.Join(err, engine.Close())
		}
	}()
	if r.State, err = state.Open(ctx, engine, state.Options{Key: c.StateKey, Now: c.Now, Random: rand.Reader}); err != nil {
		return nil, err
	}
	if err := r.assemble(c); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	if !c.Idle {
		r.work(background, c.Logger)
	}
	return r, nil
}

// served are the resource types whose scopes every set registers: what belongs to a patient, and what a record refers to.
func served() []string {
	types := []string{
		"Device", "Endpoint", "HealthcareService", "Location", "Medication", "MedicationKnowledge", "Organization", "OrganizationAffiliation",
		"Practitioner", "PractitionerRole", "Substance",
	}
	for _, t := range fhir.Types() {
		if fhir.ClassOf(t) == fhir.ClassMember {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return types
}

// assemble is the adapter's parts list.
func (r *RS) assemble(c RSConfig) error {
	base := c.Base + FHIRPath
	clients, client, err := c.issuers(r.State)
	if err != nil {
		return err
	}
	tokens := rs.NewTokens(clients, r.State, c.Now, c.Logger)
	upstream, err := c.upstream()
	if err != nil {
		return err
	}
	patients := c.patients(upstream)
	r.Relations = rs.NewAdministeredRelations(r.State, c.Now, func(ctx context.Context, users []string) error { return r.Registrar.Enqueue(ctx, users...) })
	if r.Registrar, err = rs.NewRegistrar(rs.RegistrarConfig{
		State: r.State, Tokens: tokens, Relations: r.Relations, Patients: patients, Issuer: c.Issuer, Base: c.Base, FHIRBase: base,
		Types: served(), Now: c.Now, Logger: c.Logger,
	}); err != nil {
		return err
	}
	verifier, err := rs.NewVerifier(rs.VerifierConfig{Clients: clients, Tokens: tokens, Sets: r.State, Issuer: c.Issuer, Now: c.Now, Logger: c.Logger})
	if err != nil {
		return err
	}
	desk := rs.NewPermissionDesk(r.Registrar)
	possession, err := c.possession()
	if err != nil {
		return err
	}
	if r.Contexts, err = rs.NewContextURLs(rs.ContextURLConfig{
		State: r.State, Registrar: r.Registrar, Desk: desk, Verifier: verifier, Possession: possession, Relations: r.Relations, Base: c.Base, FHIRBase: base,
		Types: served(), Limiter: rs.NewAddressLimiter(20, 200, c.Now), Now: c.Now, Random: rand.Reader, Logger: c.Logger,
	}); err != nil {
		return err
	}
	r.Spool = rs.NewEventSpool(r.State, tokens, clients, c.Now, c.Logger)
	sign, err := rs.NewSignIn(rs.SignInConfig{
		State: r.State, Clients: clients, Tokens: tokens, Registrar: r.Registrar, Patients: patients, Issuer: c.Issuer, FHIRBase: base,
		FHIRUserIssuers: c.fhirUserIssuers(), Now: c.Now, Random: rand.Reader, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	if r.Guardian, err = rs.NewGuardian(rs.GuardianConfig{
		State: r.State, Issuers: clients, Tokens: tokens, Registrar: r.Registrar, Relations: r.Relations, Now: c.Now, Random: rand.Reader, Logger: c.Logger,
	}); err != nil {
		return err
	}
	pages, err := resolver.New(resolver.Config{
		Base: c.Base, Name: c.Name, State: r.State, SignIn: sign, Contexts: r.Contexts, Relations: r.Relations, Patients: patients, Guardian: r.Guardian,
		FormKey: derive(c.StateKey, "resolver forms"), CookieName: "umaas-rs" + c.CookieName, Limiter: rs.NewAddressLimiter(20, 200, c.Now), Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	protected, err := c.gateway(upstream, client, verifier, possession, desk, tokens, r)
	if err != nil {
		return err
	}
	r.verifier, r.issuers = verifier, clients.Own()
	preview := &rs.Preview{Clients: clients, Sets: r.State, Counter: protected, Base: c.Base, Logger: c.Logger}
	mux := http.NewServeMux()
	for _, route := range resolver.Routes() {
		mux.Handle(route, pages.Handler())
	}
	mux.Handle("/uma-context/", r.Contexts.Handler())
	mux.Handle("/uma/preview", preview)
	mux.Handle("/", protected)
	r.Handler = mux
	return nil
}

func (c RSConfig) patients(upstream rs.Upstream) rs.PatientDirectory {
	if c.Embedded != nil {
		return newEmbeddedPatients(c.Embedded, c.Now)
	}
	return newUpstreamPatients(upstream, c.Now)
}

// work runs what happens in the background: the feeds of withdrawals, reconciliation of sets, delivery of access events, sweeping.
func (r *RS) work(ctx context.Context, log *slog.Logger) {
	for _, issuer := range r.issuers {
		r.running.Go(func() { r.verifier.Follow(ctx, issuer) })
	}
	r.running.Go(func() {
		if err := r.Registrar.ReconcileAll(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "reconciliation at start", "err", err) // each owner's own job is tried again
		}
	})
	for name, run := range map[string]func(context.Context, time.Duration) error{
		"registration": r.Registrar.Run, "access events": r.Spool.Run, "sweeping": r.sweep,
	} {
		r.running.Go(func() {
			if err := run(ctx, time.Second); err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "background work ended", "work", name, "err", err)
			}
		})
	}
}

// sweep frees the room of expired handles and context URLs.
func (r *RS) sweep(ctx context.Context, _ time.Duration) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if _, err := r.State.Sweep(ctx, rs.HandleKinds(), sweepAtOnce); err != nil {
				return err
			}
		}
	}
}

const sweepAtOnce = 500

// Close stops the background work and gives the state back.
func (r *RS) Close() error {
	r.stop()
	r.running.Wait()
	return r.engine.Close()
}

// writeWhole makes a file that is there whole or not at all, also after a crash.
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// keyFile reads a 32-byte key kept as hexadecimal, making it once.
func keyFile(path string) ([]byte, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // our own data folder
	if errors.Is(err, os.ErrNotExist) {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		return key, writeWhole(path, []byte(hex.EncodeToString(key)))
	}
	if err != nil {
		return nil, fmt.Errorf("state key: %w", err)
	}
	key, err := hex.DecodeString(string(raw))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("state key %s: want 64 hexadecimal digits", path)
	}
	return key, nil
}
