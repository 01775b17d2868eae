package inproc

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// resolve leads a person through the resolution service at a level and gives the answer the app gets.
func (w *world) resolve(t *testing.T, v *demo.Visitor, who demo.Credential, level, patient string) url.Values {
	t.Helper()
	q := url.Values{"redirect_uri": {w.World.App.RedirectURI}, "state": {"s-" + who.Login + "-0123456789abcdef"}, "client_id": {w.World.App.ClientID}}
	check(t, v.Open(t.Context(), w.World.RS+"/resolve-uma-context/"+level+"?"+q.Encode()))
	who.Patient = patient
	check(t, v.Settle(t.Context(), who))
	back, err := url.Parse(v.Page.Left)
	check(t, err)
	if !strings.HasPrefix(v.Page.Left, w.World.App.RedirectURI+"?") || back.Query().Get("state") != q.Get("state") {
		t.Fatalf("came back to %s", v.Page.Left)
	}
	return back.Query()
}

// link is a context URL of a patient that who may see.
func (w *world) link(t *testing.T, v *demo.Visitor, who demo.Credential, patient string) string {
	t.Helper()
	link := w.resolve(t, v, who, "patient", patient).Get("resolved")
	if !strings.HasPrefix(link, w.World.RS+"/uma-context/") {
		t.Fatalf("resolved=%q", link)
	}
	return link
}

// ask posts scopes to a context URL and redeems the ticket once.
func ask(t *testing.T, app *demo.App, link, scope string) demo.Process {
	t.Helper()
	p, err := app.Ask(t.Context(), link, scope)
	check(t, err)
	p, err = app.Redeem(t.Context(), p)
	check(t, err)
	return p
}

// decide leads a person through the claims interaction endpoint; the answer stands in the parameters of her way back.
func (w *world) decide(t *testing.T, v *demo.Visitor, who demo.Credential, p demo.Process, button string, ticks ...string) url.Values {
	t.Helper()
	if p.Redirect == "" {
		t.Fatalf("nobody is asked: %+v", p)
	}
	check(t, v.Open(t.Context(), p.Redirect+"&state=st"))
	for range 6 {
		if v.Has(button) {
			break
		}
		check(t, v.Forward(t.Context(), who))
	}
	check(t, v.Press(t.Context(), button, map[string]string{"until": "today", "purpose": "PATRQT"}, ticks...))
	back, err := url.Parse(v.Page.Left)
	check(t, err)
	if !strings.HasPrefix(v.Page.Left, w.World.App.ClaimsRedirectURI+"?") || back.Query().Get("state") != "st" || back.Query().Get("iss") != w.World.Issuer {
		t.Fatalf("came back to %q: %s", v.Page.Left, v.Page.Text)
	}
	return back.Query()
}

// granted is the whole way of a person who gives the app something of a record of her own.
type granted struct {
	Link   string
	RPT    string
	Launch demo.Launch
}

var (
	fluTicks = []string{"See your allergies", "Add to your vaccinations"}
	fluAsk   = demo.Scopes
)

// give takes the streamlined way for who's own record.
func (w *world) give(t *testing.T, login, scope string, ticks ...string) granted {
	t.Helper()
	who := w.who(t, login)
	v, app := w.visitor(t, who.Name), w.app()
	g := granted{Link: w.link(t, v, who, who.Patient)}
	p := ask(t, app, g.Link, scope)
	back := w.decide(t, v, who, p, "Share with", ticks...)
	p, err := app.Redeem(t.Context(), demo.Process{AS: p.AS, Ticket: back.Get("ticket")})
	check(t, err)
	if g.RPT = p.RPT; g.RPT == "" {
		t.Fatalf("no RPT: %+v", p)
	}
	g.Launch, err = app.Context(t.Context(), g.Link, g.RPT)
	check(t, err)
	return g
}

// submit lets asker send details for a link and returns the waiting process.
func (w *world) submit(t *testing.T, asker demo.Credential, link, scope string) demo.Process {
	t.Helper()
	app := w.app()
	p := ask(t, app, link, scope)
	back := w.decide(t, w.visitor(t, asker.Name), asker, p, "Send these details")
	p, err := app.Redeem(t.Context(), demo.Process{AS: p.AS, Ticket: back.Get("ticket")})
	check(t, err)
	if !p.Waiting {
		t.Fatalf("not waiting: %+v", p)
	}
	return p
}

// dashboard signs the owner in at her own pages.
func (w *world) dashboard(t *testing.T, owner demo.Credential, path string) *demo.Visitor {
	t.Helper()
	v, err := demo.NewVisitor(owner.Name, "", http.DefaultTransport)
	check(t, err)
	check(t, v.Open(t.Context(), w.World.Issuer+path))
	for range 3 {
		if !v.Has("Sign in") {
			break
		}
		check(t, v.Forward(t.Context(), owner))
	}
	return v
}

// allow answers the first request waiting.
func (w *world) allow(t *testing.T, owner demo.Credential, ticks ...string) {
	t.Helper()
	v := w.dashboard(t, owner, "/me/requests")
	check(t, v.Follow(t.Context(), "/me/requests/"))
	check(t, v.Press(t.Context(), "Allow what I ticked", map[string]string{"until": "day"}, ticks...))
}
