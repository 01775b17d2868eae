package inproc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// needInfo is what a third-party client sees of Grant §3.3.6.
type needInfo struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Error        string `json:"error"`
	Status       int    `json:"status"`
	Ticket       string `json:"ticket"`
	RedirectUser string `json:"redirect_user"`
	Interval     int    `json:"interval"`

	RequiredClaims []uma.RequiredClaim `json:"required_claims"`
}

// redirect is where the client sends the person (Grant §3.3.2).
func (n needInfo) process(w *world) demo.Process {
	q := "?"
	if containsQuery(n.RedirectUser) {
		q = "&"
	}
	app := w.World.App
	form := map[string][]string{"client_id": {app.ClientID}, "ticket": {n.Ticket}, "claims_redirect_uri": {app.ClaimsRedirectURI}}
	return demo.Process{AS: w.World.Issuer, Ticket: n.Ticket, Redirect: n.RedirectUser + q + encode(form)}
}

// script is a Node program that drives one npm package, ready to start.
func script(t *testing.T, name, needs string, given any) *exec.Cmd {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is missing: the npm client does not run")
	}
	folder := filepath.Join(root(t), "conformance", "inproc", "npm")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", needs)); err != nil {
		missing(t, "npm packages are missing: run npm ci in conformance/inproc/npm")
	}
	argument, err := json.Marshal(given)
	check(t, err)
	run := exec.CommandContext(t.Context(), node, name, string(argument))
	run.Dir, run.Stderr = folder, os.Stderr
	return run
}

// TestClient_NPM: npm packages, unmodified, get an RPT through need_info.
func TestClient_NPM(t *testing.T) {
	for name, person := range map[string]string{"openid-client": "ivan", "oauth4webapi": "ravi"} {
		t.Run(name, func(t *testing.T) { redeemByScript(t, name, person) })
	}
}

func redeemByScript(t *testing.T, name, person string) {
	w := common(t, "common")
	who := w.who(t, person)
	v := w.visitor(t, who.Name)
	link := w.link(t, v, who, who.Patient)
	p, err := w.app().Ask(t.Context(), link, fluAsk)
	check(t, err)
	run := script(t, name+".mjs", name, map[string]string{
		"issuer": w.World.Issuer, "client_id": w.World.App.ClientID, "client_secret": w.World.App.ClientSecret, "ticket": p.Ticket,
	})
	in, err := run.StdinPipe()
	check(t, err)
	out, err := run.StdoutPipe()
	check(t, err)
	check(t, run.Start())
	lines := bufio.NewScanner(out)
	next := func() needInfo {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("%s said nothing more: %v", name, errors.Join(lines.Err(), run.Wait()))
		}
		var n needInfo
		check(t, json.Unmarshal(lines.Bytes(), &n))
		return n
	}
	info := next()
	if info.Error != "need_info" || info.Status != http.StatusForbidden || info.Ticket == "" || info.RedirectUser == "" || info.Ticket == p.Ticket {
		t.Fatalf("%s sees %+v", name, info)
	}
	back := w.decide(t, v, who, info.process(w), "Share with", fluTicks...)
	_, err = io.WriteString(in, back.Get("ticket")+"\n")
	check(t, err)
	got := next()
	if got.AccessToken == "" || got.TokenType != "bearer" || got.ExpiresIn <= 0 {
		t.Fatalf("%s gets %+v", name, got)
	}
	check(t, run.Wait())
	if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient="+who.Patient, got.AccessToken); a.Status != http.StatusOK {
		t.Errorf("its RPT: %d %s", a.Status, a.Body)
	}
}

// TestClient_AccessGrants: an npm client made for another claim format is told, in the protocol's own words, what is missing: it
// may push claims, so it learns which formats count here, and whose tokens (Grant §3.3.6).
func TestClient_AccessGrants(t *testing.T) {
	w := common(t, "common")
	app := w.pushing(t, "https://wallet.example")
	run := script(t, "access-grants.mjs", "@inrupt/solid-client-access-grants", map[string]string{
		"resource": w.World.FHIRBase + "/AllergyIntolerance?patient=grace", "client_id": app.ClientID, "client_secret": app.ClientSecret,
	})
	out, err := run.Output()
	check(t, err)
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) != 2 {
		t.Fatalf("it printed %s", out)
	}
	var answer struct {
		Status int      `json:"status"`
		Body   needInfo `json:"body"`
	}
	check(t, json.Unmarshal(lines[0], &answer))
	if answer.Status != http.StatusForbidden || answer.Body.Error != "need_info" || answer.Body.Ticket == "" || answer.Body.RedirectUser == "" {
		t.Errorf("the token endpoint answers %s", lines[0])
	}
	wantFormats(t, w, answer.Body.RequiredClaims)
	if want := "No access token was returned"; !bytes.Contains(lines[1], []byte(want)) {
		t.Errorf("the client says %s, want %q", lines[1], want)
	}
}

// TestClient_OpenIDClientBound: openid-client, unmodified, binds its RPT to a DPoP key, uses it at the gateway, and is refused
// with another key.
func TestClient_OpenIDClientBound(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is missing: the npm client does not run")
	}
	folder := filepath.Join(root(t), "conformance", "inproc", "npm")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "openid-client")); err != nil {
		missing(t, "npm packages are missing: run npm ci in conformance/inproc/npm")
	}
	w := common(t, "common")
	ivan := w.who(t, "ivan")
	v := w.visitor(t, ivan.Name)
	p, err := w.app().Ask(t.Context(), w.link(t, v, ivan, ivan.Patient), fluAsk)
	check(t, err)
	p, err = w.app().Redeem(t.Context(), p)
	check(t, err)
	back := w.decide(t, v, ivan, p, "Share with", fluTicks...)
	given, err := json.Marshal(map[string]string{
		"issuer": w.World.Issuer, "client_id": w.World.App.ClientID, "client_secret": w.World.App.ClientSecret, "ticket": back.Get("ticket"),
		"resource": w.World.FHIRBase + "/AllergyIntolerance?patient=ivan",
	})
	check(t, err)
	run := exec.CommandContext(t.Context(), node, "openid-client-dpop.mjs", string(given))
	run.Dir, run.Stderr = folder, os.Stderr
	out, err := run.Output()
	check(t, err)
	var got struct {
		TokenType string `json:"token_type"`
		Same      int    `json:"same"`
		Again     int    `json:"again"`
		Other     string `json:"other"`
	}
	check(t, json.Unmarshal(out, &got))
	if got.TokenType != "dpop" || got.Same != http.StatusOK || got.Again != http.StatusOK || got.Other != "401" {
		t.Errorf("openid-client: %s", out)
	}
}

// TestClient_GoOAuth2Bound: golang.org/x/oauth2, unmodified, uses key-bound RPTs over an http.Client with pop.Transport
// (RFC 9449): it sends what token_type says.
func TestClient_GoOAuth2Bound(t *testing.T) {
	w := common(t, "common")
	linh := w.who(t, "linh")
	v := w.visitor(t, linh.Name)
	p, err := w.app().Ask(t.Context(), w.link(t, v, linh, linh.Patient), fluAsk)
	check(t, err)
	p, err = w.app().Redeem(t.Context(), p)
	check(t, err)
	back := w.decide(t, v, linh, p, "Share with", "See your allergies")
	key, err := pop.NewKey(rand.Reader)
	check(t, err)
	bound := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: &pop.Transport{Key: key}, Timeout: 10 * time.Second})
	config := &oauth2.Config{
		ClientID: w.World.App.ClientID, ClientSecret: w.World.App.ClientSecret,
		Endpoint: oauth2.Endpoint{TokenURL: w.World.Issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	token, err := config.Exchange(bound, "", oauth2.SetAuthURLParam("grant_type", uma.GrantTypeTicket), oauth2.SetAuthURLParam("ticket", back.Get("ticket")))
	check(t, err)
	if token.Type() != "DPoP" {
		t.Fatalf("token_type %q", token.Type())
	}
	target := w.World.FHIRBase + "/AllergyIntolerance?patient=linh"
	res, err := config.Client(bound, token).Get(target)
	check(t, err)
	check(t, res.Body.Close())
	if res.StatusCode != http.StatusOK {
		t.Errorf("with the key: %d", res.StatusCode)
	}
	if a := get(t, target, token.AccessToken); a.Status != http.StatusUnauthorized {
		t.Errorf("without the key: %d", a.Status)
	}
}

// TestClient_GoOAuth2: golang.org/x/oauth2 redeems tickets with nothing but its own options.
func TestClient_GoOAuth2(t *testing.T) {
	w := common(t, "common")
	linh := w.who(t, "linh")
	v := w.visitor(t, linh.Name)
	p, err := w.app().Ask(t.Context(), w.link(t, v, linh, linh.Patient), fluAsk)
	check(t, err)
	config := &oauth2.Config{
		ClientID: w.World.App.ClientID, ClientSecret: w.World.App.ClientSecret,
		Endpoint: oauth2.Endpoint{TokenURL: w.World.Issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	redeem := func(ticket string) (*oauth2.Token, needInfo) {
		t.Helper()
		token, err := config.Exchange(t.Context(), "", oauth2.SetAuthURLParam("grant_type", uma.GrantTypeTicket), oauth2.SetAuthURLParam("ticket", ticket))
		var refused *oauth2.RetrieveError
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		var n needInfo
		if refused != nil {
			if refused.ErrorCode == "" || refused.ErrorDescription == "" {
				t.Errorf("the error is not an OAuth one: %+v", refused)
			}
			check(t, json.Unmarshal(refused.Body, &n))
		}
		return token, n
	}
	_, info := redeem(p.Ticket)
	if info.Error != "need_info" || info.RedirectUser == "" || info.Ticket == "" {
		t.Fatalf("%+v", info)
	}
	back := w.decide(t, v, linh, info.process(w), "Share with", "See your allergies")
	token, info := redeem(back.Get("ticket"))
	if token == nil || !token.Valid() || token.Expiry.IsZero() {
		t.Fatalf("%+v %+v", token, info)
	}
	res, err := config.Client(t.Context(), token).Get(w.World.FHIRBase + "/AllergyIntolerance?patient=linh")
	check(t, err)
	defer func() { _ = res.Body.Close() }() // its status is all we want
	if res.StatusCode != http.StatusOK {
		t.Errorf("its RPT: %d", res.StatusCode)
	}
	if _, info = redeem(back.Get("ticket")); info.Error != "invalid_grant" {
		t.Errorf("replay: %+v", info)
	}
}
