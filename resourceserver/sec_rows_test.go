package resourceserver_test

import (
	"errors"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_37_PermissionEndsFirst: a permission that ends before its token is gone at that second, also out of an answer that is
// remembered and while the authorization server is away; what else the token gives lives on until the token's own end.
func TestSEC_37_PermissionEndsFirst(t *testing.T) {
	w, record := verifying(t)
	end := w.clock.now().Truncate(time.Second).Add(3 * time.Second)
	w.as.PutToken("t", uma.Introspection{
		Active: true, ClientID: "app", JTI: "j", Kind: "rpt", Exp: end.Add(2 * time.Second).Unix(), Permissions: []uma.Permission{
			{ResourceID: record, Scopes: []string{"patient/Patient.r"}, Exp: end.Unix()},
			{ResourceID: record, Scopes: []string{"patient/Observation.r"}},
		},
	})
	want := func(after string, scopes ...string) {
		t.Helper()
		g, err := w.verifier.Verify(t.Context(), "t")
		if len(scopes) == 0 {
			if !errors.Is(err, rs.ErrInactive) {
				t.Errorf("%s: %v, %d permissions", after, err, len(g.Permissions))
			}
			return
		}
		var got []string
		for _, p := range g.Permissions {
			got = append(got, p.Scopes...)
		}
		if err != nil {
			t.Errorf("%s: %v", after, err)
		}
		equal(t, after, got, scopes)
	}
	w.clock.forward(end.Add(-200 * time.Millisecond).Sub(w.clock.now()))
	want("before", "patient/Patient.r", "patient/Observation.r")
	asked := w.as.Calls("POST /introspect")
	w.clock.forward(200 * time.Millisecond) // within the half second in which nobody is asked
	want("at its end", "patient/Observation.r")
	if w.as.Calls("POST /introspect") != asked {
		t.Error("it was asked again, so the remembered answer was not looked at")
	}
	w.as.Down(true)
	w.clock.forward(time.Second)
	want("with the server away", "patient/Observation.r")
	w.clock.forward(time.Second)
	w.as.Down(false)
	want("at the token's end")
}

// TestSEC_53_LocalVerification: a signed token counts from its nbf on and not a second sooner, whatever introspection says of
// it; neither does a permission that begins later than its token.
func TestSEC_53_LocalVerification(t *testing.T) {
	w, record := verifying(t)
	start := w.clock.now().Truncate(time.Second).Add(30 * time.Second)
	permissions := []uma.Permission{
		{ResourceID: record, Scopes: []string{"patient/Patient.r"}},
		{ResourceID: record, Scopes: []string{"patient/Observation.r"}, Nbf: start.Add(10 * time.Second).Unix()},
	}
	token := w.as.Sign("at+jwt", map[string]any{
		"iss": w.as.Issuer(), "sub": "sub-john", "aud": []string{fhirBase}, "exp": start.Add(time.Hour).Unix(), "nbf": start.Unix(), "jti": "j", "client_id": "app",
	})
	w.as.PutToken(token, uma.Introspection{Active: true, JTI: "j", ClientID: "app", Kind: "rpt", Exp: start.Add(time.Hour).Unix(), Permissions: permissions})
	asked := w.as.Calls("POST /introspect")
	w.clock.forward(start.Add(-time.Second).Sub(w.clock.now()))
	if _, err := w.verifier.Verify(t.Context(), token); !errors.Is(err, rs.ErrInactive) || w.as.Calls("POST /introspect") != asked {
		t.Errorf("before its beginning: %v", err)
	}
	for _, c := range []struct {
		name string
		wait time.Duration
		left int
	}{{"at its beginning", time.Second, 1}, {"before the second permission's", 9 * time.Second, 1}, {"at the second permission's", time.Second, 2}} {
		w.clock.forward(c.wait)
		if g, err := w.verifier.Verify(t.Context(), token); err != nil || len(g.Permissions) != c.left {
			t.Errorf("%s: %v, %d permissions, want %d", c.name, err, len(g.Permissions), c.left)
		}
	}
}

// TestSEC_57_LossOfThePAT walks through all that happens to the token an owner gave: it expires and is renewed, also after a
// restart; while the authorization server is away nobody new gets in, and she is told; withdrawn, nothing opens, and she is told;
// given again, it protects the same sets, and nothing had to be shared anew.
func TestSEC_57_LossOfThePAT(t *testing.T) {
	for name, at := range map[string]struct {
		moved bool
		sub   string
	}{"at the first server": {false, john.Sub}, "at her own server": {true, "second-john"}} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(t, rs.ForeignListed, true)
			u := g.user(john)
			as, account := g.as, u.Key
			if at.moved {
				g.move(u, there("john"))
				as, account = g.second, g.account("john")
			}
			record, err := g.state.RecordOf(t.Context(), "john")
			if err != nil {
				t.Fatal(err)
			}
			told := func(when string, broken, away bool) {
				t.Helper()
				if v, err := g.guardian.View(t.Context(), u); err != nil || v.Broken != broken || v.Away != away {
					t.Errorf("%s: she sees %+v, %v", when, v, err)
				}
			}
			told("at first", false, false)
			g.clock.forward(asclienttest.PATLife)
			g.reboot()
			g.guardedAt("john", as, account)

			g.clock.forward(asclienttest.PATLife)
			as.Down(true)
			if ch, err := g.desk.Ticket(t.Context(), "john", nil); !errors.Is(err, rs.ErrUnreachable) {
				t.Errorf("away: asked at %q, %v", ch.ASURI, err)
			}
			g.clock.forward(lease) // a try that was not answered may have arrived: nobody tries again sooner
			told("away", false, true)
			as.Down(false)
			g.clock.forward(lease)
			g.guardedAt("john", as, account) // an outage loses nothing
			told("back", false, false)

			as.RevokePATs(at.sub, true)
			if ch, err := g.desk.Ticket(t.Context(), "john", nil); err == nil {
				if ticket, _ := g.as.Ticket(ch.Ticket); ch.ASURI != g.as.Issuer() || ticket.Owner != asclienttest.CustodianOwner {
					t.Errorf("withdrawn: asked at %q for a set of %s", ch.ASURI, ticket.Owner)
				}
			}
			told("withdrawn", true, false)
			g.giveAgain(u, at.moved)
			told("given again", false, false)
			g.guardedAt("john", as, account)
			if now, err := g.state.RecordOf(t.Context(), "john"); err != nil || now.ResourceID != record.ResourceID {
				t.Errorf("the set is another one, so every share is lost: %q %q %v", record.ResourceID, now.ResourceID, err)
			}
		})
	}
}

// lease is how long one renewal of a token keeps others from trying.
const lease = 16 * time.Second

// giveAgain is a person who lets the server protect her record once more: at the first server by signing in.
func (g *guarded) giveAgain(u rs.User, moved bool) {
	g.t.Helper()
	ctx := g.t.Context()
	if !moved {
		g.signInAs(john)
		g.settle()
		return
	}
	handle, err := g.guardian.Renew(ctx, u)
	if err != nil {
		g.t.Fatal(err)
	}
	g.second.SignInNext(there("john"))
	to, err := g.guardian.Begin(ctx, u, handle, "browser")
	if err != nil {
		g.t.Fatal(err)
	}
	path, q := g.consent(to)
	if err := g.guardian.Finish(ctx, u, path, q, "browser"); err != nil {
		g.t.Fatal(err)
	}
	g.settle()
}
