package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// share takes a person through the whole of the streamlined way against a served world and gives the RPT with what it opens.
func share(t *testing.T, w demo.World, who demo.Credential, scopes string, ticks ...string) (rpt string, launch demo.Launch, app *demo.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	app = &demo.App{ClientID: w.App.ClientID, Secret: w.App.ClientSecret, ClaimsURI: w.App.ClaimsRedirectURI, HTTP: &http.Client{Timeout: 10 * time.Second}}
	person, err := demo.NewVisitor(who.Name, w.Clinic, http.DefaultTransport)
	check(t, err)
	q := url.Values{"redirect_uri": {w.App.RedirectURI}, "state": {"s"}, "client_id": {w.App.ClientID}}
	check(t, person.Open(ctx, w.Resolver.Patient+"?"+q.Encode()))
	check(t, person.Settle(ctx, who))
	back, err := url.Parse(person.Page.Left)
	check(t, err)
	link := back.Query().Get("resolved")
	p, err := app.Ask(ctx, link, scopes)
	check(t, err)
	p, err = app.Redeem(ctx, p)
	check(t, err)
	check(t, person.Open(ctx, p.Redirect+"&state=st"))
	for range 6 {
		if person.Has("Share with") {
			break
		}
		check(t, person.Forward(ctx, who))
	}
	check(t, person.Press(ctx, "Share with", map[string]string{"until": "today"}, ticks...))
	back, err = url.Parse(person.Page.Left)
	check(t, err)
	p, err = app.Redeem(ctx, demo.Process{AS: p.AS, Ticket: back.Query().Get("ticket")})
	check(t, err)
	if p.RPT == "" {
		t.Fatalf("no RPT: %+v", p)
	}
	launch, err = app.Context(ctx, link, p.RPT)
	check(t, err)
	return p.RPT, launch, app
}

// asks sends one FHIR request.
func asks(t *testing.T, app *demo.App, method, target, rpt string, body any) (int, []byte) {
	t.Helper()
	status, raw, err := app.FHIR(t.Context(), method, target, rpt, body)
	check(t, err)
	return status, raw
}

// quiet is a walk that is not told.
func quiet(w demo.World, transport http.RoundTripper) *demo.Walk {
	return &demo.Walk{World: w, Out: io.Discard, Transport: transport}
}
