package resourceserver_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

// TestCrashAfterTheSwitch: the process dies right after the one step. The new server guards; the next start clears up at the
// old one and registers what is missing at the new one.
func TestCrashAfterTheSwitch(t *testing.T) {
	g := newGuarded(t, rs.ForeignListed, true)
	u := g.user(john)
	g.relate(daughter)
	g.settle()
	to := rs.Owner{Issuer: g.second.Issuer(), User: g.account("john")}
	client, err := g.issuers.At(t.Context(), to.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	g.second.SignInNext(there("john"))
	at, err := client.AuthorizationURL(t.Context(), asclient.Authorization{State: "s", Nonce: "n", Verifier: "v"})
	if err != nil {
		t.Fatal(err)
	}
	_, q := g.consent(at)
	tokens, _, err := client.Exchange(t.Context(), q.Get("code"), "v", "n")
	if err != nil {
		t.Fatal(err)
	}
	var id string
	err = errors.Join(g.state.LinkAccount(t.Context(), to, u.Key), g.tokens.Keep(t.Context(), to, tokens), g.tokens.With(t.Context(), to, func(c *asclient.Client, pat string) error {
		id, err = c.CreateResource(t.Context(), pat, uma.ResourceDescription{
			Name: "Health record", Scopes: []string{"patient/Observation.r"}, Context: &uma.ResourceContext{Level: "record", FHIRBase: fhirBase, Patient: "john"},
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	reg := rs.Registration{Set: rs.Set{Issuer: to.Issuer, ResourceID: id, Level: rs.LevelRecord, User: to.User, Patient: "john"}, Owner: to}
	if err := g.state.SwitchGuard(t.Context(), rs.Switch{Home: u.Key, From: rs.Owner{Issuer: u.Issuer, User: u.Key}, To: to, Since: g.clock.now(), Record: reg}); err != nil {
		t.Fatal(err)
	}
	g.guardedAt("john", g.second, to.User)
	if g.may(u.Key, "john") || g.may(u.Key, "abigail") {
		t.Error("sets at the old server still count")
	}
	g.reboot()
	if err := g.registrar.ReconcileAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.guardedAt("john", g.second, to.User)
	equal(t, "at the old server", g.levels(john.Sub), nil)
	equal(t, "at the new server", levelsAt(g.second, "second-john"), []string{"patient abigail", "record john", "user"})
}

// TestGuardInvariants does a hundred random things to a patient's guard — moves, ways back, withdrawals, outages, lost
// answers, restarts — and checks after each that one account guards, that permissions count for that account alone, and that
// nobody but its server, or the decoy, is ever asked about the record.
func TestGuardInvariants(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	u := g.user(john)
	g.relate(daughter)
	g.settle()
	random := rand.New(rand.NewPCG(7, 2026))
	calls := []string{"POST /resource_set/", "DELETE /resource_set/{id}", "PUT /resource_set/{id}"}
	moved := 0
	for step := range 100 {
		var did string
		switch n := random.IntN(11); n {
		case 0, 1:
			did = "move"
			g.clock.forward(3 * time.Minute) // past the lease of work that broke off: waiting for it takes real time
			if g.tryMove(u, there("john")) == nil {
				moved++
			}
		case 2:
			g.clock.forward(3 * time.Minute)
			did = "return " + guardCode(g.guardian.Return(t.Context(), u))
		case 3:
			did = "withdrawal"
			g.second.RevokePATs("second-john", random.IntN(2) == 0)
		case 4:
			down := random.IntN(4) == 0
			did = "outage"
			g.second.Down(down)
		case 5:
			did = "the operator's server away"
			g.as.Down(random.IntN(5) == 0)
		case 6:
			did = "restart"
			g.reboot()
		case 7:
			did = "time"
			g.clock.forward(time.Duration(random.IntN(300)) * time.Second)
		case 8:
			did = "lost answers"
			as := []*asclienttest.Server{g.as, g.second}[random.IntN(2)]
			as.Lose(calls[random.IntN(len(calls))], random.IntN(5) == 0)
		default:
			did = "queue"
			_, _ = g.registrar.RunDue(t.Context())
		}
		g.holds(t, u, step, did)
		if t.Failed() {
			return
		}
	}
	if moved < 5 {
		t.Errorf("moved %d times: the test proves little", moved)
	}
	for _, as := range []*asclienttest.Server{g.as, g.second} {
		as.Down(false)
		for _, c := range calls {
			as.Lose(c, false)
		}
	}
	for range 5 {
		g.clock.forward(11 * time.Minute)
		g.user(john)
		g.settle()
	}
	if err := g.guardian.Return(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		g.clock.forward(11 * time.Minute)
		g.settle()
	}
	g.guardedAt("john", g.as, u.Key)
	equal(t, "in the end", g.levels(john.Sub), []string{"patient abigail", "record john", "user"})
}

// holds checks what must hold at every moment.
func (g *guarded) holds(t *testing.T, u rs.User, step int, did string) {
	t.Helper()
	guard := rs.Owner{Issuer: u.Issuer, User: u.Key}
	if moved, err := g.state.GuardOf(t.Context(), u.Key); err == nil {
		guard = moved.Owner
	}
	for _, account := range []string{u.Key, g.account("john")} {
		for _, patient := range []string{"john", "abigail"} {
			if may := g.may(account, patient); may != (account == guard.User) {
				t.Errorf("step %d, %s: guarded at %s, yet permissions of %s on %s: %v", step, did, guard.Issuer, account, patient, may)
			}
		}
	}
	reg, err := g.state.RecordOf(t.Context(), "john")
	if err == nil && !reg.Owner.Custodian() && reg.Owner != guard {
		t.Errorf("step %d, %s: guarded at %s, the record is held at %s", step, did, guard.Issuer, reg.Owner.Issuer)
	}
	ch, err := g.desk.Ticket(t.Context(), "john", nil)
	if err != nil {
		return // nobody is asked: closed
	}
	as := g.as
	if ch.ASURI == g.second.Issuer() {
		as = g.second
	}
	ticket, ok := as.Ticket(ch.Ticket)
	if !ok || ticket.Owner != asclienttest.CustodianOwner && ch.ASURI != guard.Issuer {
		t.Errorf("step %d, %s: guarded at %s, %s's server %s is asked", step, did, guard.Issuer, ticket.Owner, ch.ASURI)
	}
}
