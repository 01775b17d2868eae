package resourceserver_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

// guarded is a world with a second authorization server that patients may bring.
type guarded struct {
	*world
	second   *asclienttest.Server
	policy   rs.ForeignPolicy
	listed   bool
	limit    time.Duration // of a run at a foreign server
	own      bool          // the second server is the operator's own, too
	issuers  *rs.Issuers
	guardian *rs.Guardian
	standing *rs.GuardedRelations
}

func newGuarded(t *testing.T, policy rs.ForeignPolicy, listed bool) *guarded {
	t.Helper()
	g := &guarded{policy: policy, listed: listed}
	g.world = newWorld(t)
	g.second = asclienttest.New(g.clock.now)
	t.Cleanup(g.second.HTTP.Close)
	g.reboot()
	g.custodian()
	return g
}

// reboot builds everything anew over the same engine, as a restart does.
func (g *guarded) reboot() {
	g.t.Helper()
	w, log := g.world, slog.New(slog.DiscardHandler)
	w.boot()
	must := func(err error) {
		g.t.Helper()
		if err != nil {
			g.t.Fatal(err)
		}
	}
	cfg := rs.IssuersConfig{
		Own: []*asclient.Client{w.clients[w.as.Issuer()]}, Policy: g.policy, Base: base, State: w.state, Logger: log,
		Template: asclient.Config{Name: "Hospital", Audience: fhirBase, Store: w.state, Timeout: 2 * time.Second, Now: w.clock.now},
		Guard:    asclient.GuardOptions{InsecureHTTP: true, Private: asclient.LoopbackRanges(), Timeout: 300 * time.Millisecond},
	}
	if g.own {
		c, err := asclient.New(asclient.Config{
			Issuer: g.second.Issuer(), RedirectURI: base + rs.CallbackPath, Audience: fhirBase, ClientID: "rs", ClientSecret: "rs-secret", Now: w.clock.now,
		})
		must(err)
		cfg.Own = append(cfg.Own, c)
	}
	if g.listed {
		cfg.Listed = []rs.ListedIssuer{{Issuer: g.second.Issuer()}}
	}
	var err error
	g.issuers, err = rs.NewIssuers(cfg)
	must(err)
	w.tokens = rs.NewTokens(g.issuers, w.state, w.clock.now, log)
	w.registrar, err = rs.NewRegistrar(rs.RegistrarConfig{
		State: w.state, Tokens: w.tokens, Relations: w.relations, Patients: w.patients, Issuer: w.as.Issuer(), Base: base, FHIRBase: fhirBase,
		Types: types, ForeignLimit: g.limit, Now: w.clock.now, Logger: log,
	})
	must(err)
	w.desk = rs.NewPermissionDesk(w.registrar)
	w.verifier, err = rs.NewVerifier(rs.VerifierConfig{Clients: g.issuers, Tokens: w.tokens, Sets: w.state, Issuer: w.as.Issuer(), Now: w.clock.now})
	must(err)
	w.contexts, err = rs.NewContextURLs(rs.ContextURLConfig{
		State: w.state, Registrar: w.registrar, Desk: w.desk, Verifier: w.verifier, Relations: w.relations, Base: base, FHIRBase: fhirBase,
		Types: types, Now: w.clock.now, Random: rand.Reader, Logger: log,
	})
	must(err)
	w.signIn, err = rs.NewSignIn(rs.SignInConfig{
		State: w.state, Clients: g.issuers, Tokens: w.tokens, Registrar: w.registrar, Patients: w.patients, Issuer: w.as.Issuer(), FHIRBase: fhirBase,
		Now: w.clock.now, Logger: log,
	})
	must(err)
	w.spool = rs.NewEventSpool(w.state, w.tokens, g.issuers, w.clock.now, log)
	g.guardian, err = rs.NewGuardian(rs.GuardianConfig{
		State: w.state, Issuers: g.issuers, Tokens: w.tokens, Registrar: w.registrar, Relations: w.relations, Now: w.clock.now, Logger: log,
	})
	must(err)
	g.standing = rs.NewGuardedRelations(w.relations, w.state)
}

// user signs a person in and reads her.
func (g *guarded) user(p asclienttest.Person) rs.User {
	g.t.Helper()
	u, err := g.state.User(g.t.Context(), g.signInAs(p))
	if err != nil {
		g.t.Fatal(err)
	}
	return u
}

// there is how a person is known at the second server: it knows nothing of the hospital's records.
func there(name string) asclienttest.Person {
	return asclienttest.Person{Sub: "second-" + name, Name: name}
}

func (g *guarded) account(name string) string {
	return rs.UserKey(g.second.Issuer(), "second-"+name)
}

// tryMove takes the whole way at the second server.
func (g *guarded) tryMove(u rs.User, as asclienttest.Person, change ...func(path *string, q url.Values)) error {
	g.t.Helper()
	handle, err := g.guardian.Find(g.t.Context(), u, g.second.Issuer())
	if err != nil {
		return err
	}
	g.second.SignInNext(as)
	to, err := g.guardian.Begin(g.t.Context(), u, handle, "browser")
	if err != nil {
		return err
	}
	path, q := g.consent(to)
	for _, c := range change {
		c(&path, q)
	}
	return g.guardian.Finish(g.t.Context(), u, path, q, "browser")
}

// consent is the browser at the second server: the path and query it comes back with.
func (g *guarded) consent(to string) (string, url.Values) {
	g.t.Helper()
	back := location(g.t, to)
	if !strings.HasPrefix(back.String(), base+rs.GuardBack) {
		g.t.Fatalf("came back to %q", back)
	}
	return back.Path, back.Query()
}

func (g *guarded) move(u rs.User, as asclienttest.Person) {
	g.t.Helper()
	if err := g.tryMove(u, as); err != nil {
		g.t.Fatal(err)
	}
	g.settle()
}

// guardedAt checks who is asked about a patient's record, and that exactly one set of it is in force.
func (g *guarded) guardedAt(patient string, as *asclienttest.Server, account string) {
	g.t.Helper()
	reg, err := g.state.RecordOf(g.t.Context(), patient)
	if err != nil || reg.Owner != (rs.Owner{Issuer: as.Issuer(), User: account}) {
		g.t.Errorf("record(%s) is held by %+v, %v; want %s at %s", patient, reg.Owner, err, account, as.Issuer())
		return
	}
	if _, there := as.Resources()[reg.ResourceID]; !there {
		g.t.Errorf("record(%s) is not registered at %s", patient, as.Issuer())
	}
	ch, err := g.desk.Ticket(g.t.Context(), patient, nil)
	if err != nil || ch.ASURI != as.Issuer() {
		g.t.Errorf("record(%s) is asked for at %q, %v", patient, ch.ASURI, err)
	}
	if ticket, ok := as.Ticket(ch.Ticket); !ok || len(ticket.Permissions) != 1 || ticket.Permissions[0].ResourceID != reg.ResourceID {
		g.t.Errorf("the ticket is about %+v", ticket.Permissions)
	}
}

func (g *guarded) may(account, patient string) bool {
	g.t.Helper()
	_, ok, err := g.standing.MaySee(g.t.Context(), account, patient)
	if err != nil {
		g.t.Fatal(err)
	}
	return ok
}

func guardCode(err error) string {
	var e *rs.GuardError
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return "no guard error: " + err.Error()
	}
	return ""
}
