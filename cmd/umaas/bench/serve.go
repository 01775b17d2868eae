package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// ServeOptions of the child.
type ServeOptions struct {
	Data    string
	Format  string
	NoSync  bool
	Sets    int
	Shares  int       // how many of the sets the app has a share of; the flows go to these
	Bare    bool      // no authorization server: the same exchanges answered with fixed JSON, the floor of any server
	Started time.Time // of the process
	Out     io.Writer
}

// described is what the child keeps beside its store to know its own data again.
const described = "bench.json"

// Serve is the child: an authorization server with one organization, its resource server, an app that it shares all its
// sets with, and as many registered sets as asked.
func Serve(ctx context.Context, o ServeOptions) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := "http://" + l.Addr().String()
	if o.Bare {
		return serveBare(ctx, l, issuer, o.Out)
	}
	as, err := server.NewAS(ctx, server.ASConfig{Issuer: issuer, Name: "bench", Data: o.Data, NoSync: o.NoSync, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	t, err := target(ctx, as, o)
	if err != nil {
		return errors.Join(err, as.Close())
	}
	t.Issuer, t.ReadyMS = issuer, float64(time.Since(o.Started).Microseconds())/1000
	if err := json.NewEncoder(o.Out).Encode(t); err != nil {
		return errors.Join(err, as.Close())
	}
	err = server.Serve(ctx, slog.New(slog.DiscardHandler), server.Door{Name: "bench", Listener: l, Handler: as.Handler})
	return errors.Join(err, as.Close())
}

// target reads what the data folder holds, or fills it.
func target(ctx context.Context, as *server.AS, o ServeOptions) (Target, error) {
	path := filepath.Join(o.Data, described)
	var t Target
	raw, err := os.ReadFile(path) //nolint:gosec // our own folder
	if err == nil {
		return t, json.Unmarshal(raw, &t)
	}
	if t, err = fill(ctx, as, o); err != nil {
		return t, fmt.Errorf("fill: %w", err)
	}
	if raw, err = json.Marshal(t); err != nil {
		return t, err
	}
	return t, os.WriteFile(path, raw, 0o600)
}

func fill(ctx context.Context, as *server.AS, o ServeOptions) (t Target, err error) {
	for _, login := range []string{"clinic", "laboratory"} {
		if _, err := as.AddUser(ctx, server.NewUser{Login: login, Name: login, Organization: true}); err != nil {
			return t, err
		}
	}
	rs, err := as.AddClient(ctx, server.NewClient{
		Name: "bench resource server", AuthMethod: umaas.AuthSecretBasic, GrantTypes: []string{uma.GrantTypeClientCredentials},
		Scopes: []string{uma.ScopeProtection}, RPTFormat: umaas.RPTFormat(o.Format), Account: "clinic", Audience: []string{"http://127.0.0.1:1/fhir"},
	})
	if err != nil {
		return t, err
	}
	app, err := as.AddClient(ctx, server.NewClient{
		Name: "bench app", AuthMethod: umaas.AuthSecretBasic, GrantTypes: []string{uma.GrantTypeTicket}, Account: "laboratory",
	})
	if err != nil {
		return t, err
	}
	t = Target{RSID: string(rs.ID), RSSecret: rs.Secret, AppID: string(app.ID), AppSecret: app.Secret}
	t.Resources, err = register(ctx, as, rs.ID, max(o.Sets, 1), max(o.Shares, 1))
	return t, err
}

// writers fill at the same time, so that they share commits.
const writers = 128

// register makes the sets as a resource server would and shares some of them with the app, evenly spread.
func register(ctx context.Context, as *server.AS, rs umaas.ClientID, n, shares int) ([]string, error) {
	client, err := as.Service.Client(ctx, rs)
	if err != nil {
		return nil, err
	}
	pat := umaas.PAT{Owner: client.Account, RS: rs}
	description := uma.ResourceDescription{
		Type: "http://www.hl7.org/fhir/compartmentdefinition-patient.html", Scopes: scopes.Registered("patient", types), Name: "Record",
	}
	laboratory, err := as.Service.AccountByLogin(ctx, "laboratory")
	if err != nil {
		return nil, err
	}
	every := max(n/shares, 1)
	ids := make([]string, (n+every-1)/every)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range n {
		group.Go(func() error {
			id, err := as.Service.CreateResource(ctx, pat, description, "bench")
			if err != nil || i%every != 0 {
				return err
			}
			ids[i/every] = string(id)
			return as.Store.Update(ctx, func(tx umaas.Tx) error {
				return tx.PutPolicy(umaas.Policy{
					ID: umaas.PolicyID("bench-" + id), Owner: client.Account, Who: umaas.Who{Kind: umaas.WhoAccount, Account: laboratory.ID},
					Rules: []umaas.Rule{{Resource: id, RS: rs, Scopes: description.Scopes}}, Origin: umaas.OriginShare, Created: time.Now(),
				})
			})
		})
	}
	return ids, group.Wait()
}

var types = []string{"AllergyIntolerance", "Condition", "Encounter", "Immunization", "MedicationRequest", "Observation", "Patient", "Procedure"}
