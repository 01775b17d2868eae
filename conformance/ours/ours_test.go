package ours_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/ours"
)

// fixtures are checks that use every fixture of the engine once.
func fixtures() []conformance.Check {
	c := func(id string, run func(t *conformance.T)) conformance.Check {
		return conformance.Check{ID: "engine.fixtures." + id, Title: id, Covers: []string{"G-000"}, Level: conformance.LevelMust, Run: run}
	}
	return []conformance.Check{
		c("grant", func(t *conformance.T) {
			g := t.Grant(t.Client(conformance.C1), conformance.Alice, conformance.RS1, conformance.Bob)
			if got := t.Permissions(g.PAT, g.RPT)[g.Resource.ID]; !slices.Equal(got, []string{"print", "view"}) {
				t.Errorf("permissions %v", got)
			}
			t.Revoke(g.Policy)
			if t.Active(g.PAT, g.RPT) {
				t.Errorf("active after withdrawal")
			}
		}),
		c("steps", func(t *conformance.T) {
			r := t.Resource(conformance.Alice, conformance.RS1)
			t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob, Scopes: r.Scopes[:1]})
			x := t.Redeem(t.Client(conformance.P1), t.Ticket(conformance.Alice, conformance.RS1, r.Permission(r.Scopes[0])), nil)
			if x.OAuthError() != "need_info" {
				t.Fatalf("%s", x.Told())
			}
			forms := 0
			g := t.Gather(t.Client(conformance.P1), x.Text("ticket"), conformance.Bob, conformance.GatherOptions{
				Start: x.Text("redirect_user"), Browser: t.NewBrowser(), OnStep: func(*conformance.Browser, conformance.Form, url.Values) { forms++ },
			})
			if g.Ticket == "" || g.Redirect.Query().Get("state") != g.State || forms != 3 {
				t.Fatalf("%s after %d forms", g.Told(), forms)
			}
			if x := t.Redeem(t.Client(conformance.P1), g.Ticket, nil); x.Status != http.StatusOK {
				t.Errorf("%s", x.Told())
			}
		}),
		c("cancel", func(t *conformance.T) {
			r := t.Resource(conformance.Alice, conformance.RS1)
			x := t.Redeem(t.Client(conformance.C2), t.Ticket(conformance.Alice, conformance.RS1, r.Permission()), nil)
			g := t.Gather(t.Client(conformance.C2), x.Text("ticket"), conformance.Bob, conformance.GatherOptions{Start: x.Text("redirect_user"), Cancel: true})
			if g.Redirect == nil || g.Redirect.Query().Get("error") != "access_denied" {
				t.Errorf("%s", g.Told())
			}
		}),
		c("approval", func(t *conformance.T) {
			r := t.Resource(conformance.Carol, conformance.RS2)
			c := t.Client(conformance.C1)
			x := t.Obtain(c, t.Ticket(conformance.Carol, conformance.RS2, r.Permission()), conformance.Dave, nil)
			if x.OAuthError() != "request_submitted" {
				t.Fatalf("%s", x.Told())
			}
			t.Answer(conformance.Carol, conformance.Approve, r, r.Scopes[0])
			x = t.Redeem(c, x.Text("ticket"), nil)
			if got := t.Permissions(t.PAT(conformance.Carol, conformance.RS2), x.Text("access_token"))[r.ID]; !slices.Equal(got, r.Scopes[:1]) {
				t.Errorf("permissions %v, %s", got, x.Told())
			}
		}),
		c("register", func(t *conformance.T) {
			own, x := t.Register(map[string]any{"client_name": "Own"})
			if x.Status != http.StatusCreated {
				t.Fatalf("%s", x.Told())
			}
			if x := t.Redeem(own, "nonsense", nil); x.OAuthError() != "invalid_grant" {
				t.Errorf("%s", x.Told())
			}
		}),
		c("home", func(t *conformance.T) {
			if p := t.SignIn(conformance.Alice).Page; p.Exchange.Status != http.StatusOK || strings.Contains(p.Text, "Password") {
				t.Errorf("%d %s", p.Exchange.Status, p.Text)
			}
		}),
		c("expiry", func(t *conformance.T) {
			r := t.Resource(conformance.Alice, conformance.RS1)
			ticket := t.Ticket(conformance.Alice, conformance.RS1, r.Permission())
			t.Wait(t.Env().Profile.Lifetimes.Ticket.Duration()+time.Second, "the ticket to expire")
			if x := t.Redeem(t.Client(conformance.C1), ticket, nil); x.OAuthError() != "invalid_grant" {
				t.Errorf("%s", x.Told())
			}
		}),
	}
}

// The engine's fixtures against our server in memory: every one passes.
func TestFixturesAgainstOurs(t *testing.T) {
	s, err := ours.Start(t.Context(), ours.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	checks := fixtures()
	for i := range checks {
		checks[i].Serial = strings.HasSuffix(checks[i].ID, "expiry")
	}
	run := execute(t, s, checks)
	for _, r := range run.Results {
		t.Logf("%s %s in %s, %d exchanges %v", r.Verdict, r.Check.ID, r.Took.Round(time.Millisecond), len(r.Exchanges), r.Messages)
		if r.Verdict != conformance.Pass {
			for _, x := range r.Exchanges {
				t.Logf("  %s %s %s → %d %s", x.Request.Method, x.Request.URL, x.Request.Body, x.Status, x.Body)
			}
			t.Errorf("%s: %s", r.Check.ID, r.Verdict)
		}
	}
}

func execute(t *testing.T, s *ours.Server, checks []conformance.Check) conformance.Run {
	t.Helper()
	env, err := conformance.NewEnv(t.Context(), s.Profile(), s.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	}()
	return conformance.Execute(context.WithoutCancel(t.Context()), env, checks, conformance.RunOptions{Parallel: 4, Timeout: 30 * time.Second})
}
