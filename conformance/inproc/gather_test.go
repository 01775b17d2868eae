package inproc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// elsewhere is a second umaas: the OpenID provider of another hospital, at which people of the first may sign in.
type elsewhere struct {
	*server.AS
	issuer string
	faults *faults
	hana   demo.Credential
}

// upstream starts it, registers the world there as a client, and makes the world trust it.
func (w *world) upstream(t *testing.T) *elsewhere {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	e := &elsewhere{issuer: "http://localhost:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port), faults: &faults{}}
	e.AS, err = server.NewAS(t.Context(), server.ASConfig{
		Issuer: e.issuer, Name: "Lakeside Hospital", Engine: memkv.New(memkv.Options{}), CookieName: "_lakeside", Cost: signin.DemoCost(), Now: time.Now, Logger: slog.New(e.faults),
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, slog.New(e.faults), server.Door{Name: "lakeside", Listener: l, Handler: e.Handler})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("lakeside: %v", err)
		}
		check(t, e.Close())
	})
	hash, err := signin.HashPassword("lakeside password", signin.DemoCost(), rand.Reader)
	check(t, err)
	e.hana = demo.Credential{Login: "hana", Name: "Dr Hana Sato", Password: "lakeside password"}
	_, err = e.Service.PutAccount(t.Context(), umaas.Account{Login: e.hana.Login, Name: e.hana.Name, PasswordHash: hash, FHIRUser: "Practitioner/hana"}, "")
	check(t, err)
	c, secret, err := e.Service.AddClient(t.Context(), umaas.Client{
		Name: "Harborview Clinic", AuthMethod: umaas.AuthSecretBasic, RedirectURIs: []string{w.World.Issuer + signin.BackPath + umaas.IssuerID(e.issuer)},
		GrantTypes: []string{uma.GrantTypeAuthorizationCode}, CheckedBy: "Lakeside Hospital", CheckedAt: time.Now(), IDTokenAlg: "ES256",
	}, "")
	check(t, err)
	sealed, err := w.AS.Service.SealSecret(e.issuer, secret)
	check(t, err)
	w.trust(t, umaas.TrustedIssuer{
		Issuer: e.issuer, Name: "Lakeside Hospital", Uses: []umaas.IssuerUse{umaas.UseSignIn}, Claims: []string{"fhirUser"}, JWKSURI: e.issuer + "/jwks",
		ClientID: string(c.ID), ClientSecret: sealed, Endpoints: umaas.IssuerEndpoints{Authorization: e.issuer + "/authorize", Token: e.issuer + "/token"},
		Created: time.Now(),
	})
	return e
}

func (w *world) trust(t *testing.T, i umaas.TrustedIssuer) {
	t.Helper()
	check(t, w.AS.Store.Update(t.Context(), func(tx umaas.Tx) error { return tx.PutTrustedIssuer(i) }))
}

// known is the account of hana in the world, made by her first sign-in.
func (w *world) known(t *testing.T, issuer string) umaas.Account {
	t.Helper()
	var found umaas.Account
	check(t, w.AS.Store.View(t.Context(), func(r umaas.Reader) error {
		list, err := r.Accounts("", 200)
		for _, a := range list {
			for _, id := range a.Identities {
				if id.Issuer == issuer {
					found = a
				}
			}
		}
		return err
	}))
	if found.ID == "" || found.Login != "" || found.PasswordHash != "" {
		t.Fatalf("account %+v", found)
	}
	return found
}

// record is the set and the owner of a patient's own record.
func (w *world) record(t *testing.T, login string) umaas.Resource {
	t.Helper()
	a, err := w.AS.Service.AccountByLogin(t.Context(), login)
	check(t, err)
	var found umaas.Resource
	check(t, w.AS.Store.View(t.Context(), func(r umaas.Reader) error {
		sets, err := r.OwnerResources(a.ID, "", "", 50)
		for _, s := range sets {
			if c := s.Description.Context; c != nil && c.Level == "record" {
				found = s
			}
		}
		return err
	}))
	if found.ID == "" {
		t.Fatal("no record")
	}
	return found
}

// redeemed presents a ticket with what else the app has.
func (w *world) redeemed(t *testing.T, ticket string, more ...string) (uma.TokenResponse, uma.Error) {
	t.Helper()
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	a := post(t, w.World.Issuer+"/token", w.World.App, form)
	var out uma.TokenResponse
	var refused uma.Error
	if a.Status == http.StatusOK {
		check(t, json.Unmarshal(a.Body, &out))
	} else {
		check(t, json.Unmarshal(a.Body, &refused))
	}
	return out, refused
}

// opened sends the browser to the claims interaction endpoint as the app does.
func (w *world) opened(t *testing.T, c *chrome, e uma.Error) {
	t.Helper()
	if e.Code != "need_info" || e.RedirectUser == "" {
		t.Fatalf("%+v", e)
	}
	c.open(e.RedirectUser + "?" + url.Values{"client_id": {w.World.App.ClientID}, "ticket": {e.Ticket}, "claims_redirect_uri": {w.World.App.ClaimsRedirectURI}, "state": {"st"}}.Encode())
}

// answered sends the details and reads what came with it.
func (c *chrome) answered(w *world) url.Values {
	c.t.Helper()
	js[string](c, `document.documentElement.dataset.old = "1"`)
	c.run(chromedp.Click(css(`button[value="send"]`)), chromedp.WaitNotPresent(css("html[data-old]")), chromedp.WaitReady(css("body")))
	at, err := url.Parse(js[string](c, "location.href"))
	check(c.t, err)
	q := at.Query()
	if !strings.HasPrefix(at.String(), w.World.App.ClaimsRedirectURI+"?") || q.Get("state") != "st" || q.Get("iss") != w.World.Issuer {
		c.t.Fatalf("came back to %s", at)
	}
	return q
}

// asks is a fresh ticket for a link.
func (w *world) asks(t *testing.T, link, scope string) string {
	t.Helper()
	p, err := w.app().Ask(t.Context(), link, scope)
	check(t, err)
	return p.Ticket
}

// TestBrowser_Gathering: somebody known to another hospital alone signs in there, is led through the pages, lets the app remember
// her, is asked for a stronger sign-in and for terms by a share, and ends what is remembered; with the trust in the hospital
// everything that rests on it ends (H-03, SEC-17, SEC-23, SEC-24, G-031, G-057, G-109).
func TestBrowser_Gathering(t *testing.T) {
	t.Parallel()
	w := own(t, demo.Options{})
	far := w.upstream(t)
	maria, grace := w.who(t, "maria"), w.who(t, "grace")
	link := w.link(t, w.visitor(t, maria.Name), maria, maria.Patient)
	c := browser(t)

	_, need := w.redeemed(t, w.asks(t, link, fluAsk))
	w.opened(t, c, need)
	c.heading("Sign in")
	c.look("40-signin-elsewhere")
	far.enter(c, "Sign in at Lakeside Hospital")
	c.heading("Flu Clinic asks for a health record on your behalf")
	if who := js[string](c, `document.querySelector("header").innerText`); !strings.Contains(who, "Signed in as Dr Hana Sato") || !strings.Contains(who, "Not you?") {
		t.Errorf("SEC-24: the page does not say who is signed in: %s", who)
	}
	c.run(chromedp.Click(css("main details summary")))
	c.fill("#role", "her new doctor")
	c.fill("#org", "Lakeside Hospital")
	c.fill("#note", "Please let me see your allergies before Monday.")
	c.look("41-details")
	c.button("Continue")
	c.says("Choose a reason.")
	c.look("42-details-error")
	c.pick("To treat the patient")
	c.button("Continue")
	c.heading("Check what will be sent")
	c.says("Dr Hana Sato, signed in at Lakeside Hospital, asks through Flu Clinic")
	c.says("her new doctor")
	if js[int](c, `document.querySelectorAll("input[type=checkbox]:checked").length`) != 0 {
		t.Error("UI-04: something is ticked beforehand")
	}
	c.look("43-send")
	c.button("Change my answers")
	c.heading("Flu Clinic asks for a health record on your behalf")
	c.button("Continue")
	c.pick("Remember this for Flu Clinic for 30 days")
	back := c.answered(w)
	_, wait := w.redeemed(t, back.Get("ticket"))
	if wait.Code != "request_submitted" {
		t.Fatalf("%+v", wait)
	}
	w.ownerSees(t, maria, "her new doctor", "Dr Hana Sato")
	w.allow(t, maria, fluTicks...)
	time.Sleep(time.Duration(wait.Interval) * time.Second)
	got, _ := w.redeemed(t, wait.Ticket)
	if got.AccessToken == "" || got.PCT == "" {
		t.Fatal("no RPT, or no PCT with it")
	}

	// What the app was given counts without a page, until she ends it.
	if again, e := w.redeemed(t, w.asks(t, link, "patient/AllergyIntolerance.rs"), "pct", got.PCT); again.AccessToken == "" || again.PCT != "" {
		t.Fatalf("%+v", e)
	}
	c.open(w.World.Issuer + "/me/remembered")
	c.says("Flu Clinic")
	c.look("44-remembered")

	// Another owner's share asks for more.
	set := w.record(t, "grace")
	hana := w.known(t, far.issuer)
	check(t, w.AS.Store.Update(t.Context(), func(tx umaas.Tx) error {
		return tx.PutPolicy(umaas.Policy{
			ID: "conditions", Owner: set.Owner, Who: umaas.Who{Kind: umaas.WhoAccount, Account: hana.ID, Name: hana.Name}, Origin: umaas.OriginShare, Created: time.Now(),
			Rules: []umaas.Rule{{Resource: set.ID, RS: set.RS, Scopes: set.Description.Scopes}}, MinACR: umaas.ACRMultiFactor, Purposes: []string{"TREAT"},
			Terms: "Look only at what you need to treat me.\n\nDo not print it. Do not pass it on to others.\nTell me when you are done.",
		})
	}))
	other := w.link(t, w.visitor(t, grace.Name), grace, grace.Patient)
	trusted := w.trusted(t, far.issuer)
	trusted.ACRs = []string{umaas.ACRPassword + "=" + umaas.ACRMultiFactor} // from now on, its sign-in counts for two factors
	w.trust(t, trusted)
	_, need = w.redeemed(t, w.asks(t, other, fluAsk), "pct", got.PCT)
	w.opened(t, c, need)
	c.heading("Confirm it is you")
	c.says("a sign-in with two proofs")
	c.look("45-stepup")
	far.enter(c, "Confirm at Lakeside Hospital")
	c.heading("Flu Clinic asks for a health record on your behalf")
	c.pick("To treat the patient")
	c.button("Continue")
	c.heading("Please read this first")
	c.says("Do not print it.")
	c.look("46-terms")
	c.pick("I agree to this")
	c.button("Continue")
	back = c.answered(w)
	second, e := w.redeemed(t, back.Get("ticket"))
	if second.AccessToken == "" || second.PCT != "" {
		t.Fatalf("%+v", e)
	}

	c.open(w.World.Issuer + "/me/remembered")
	c.button("Forget")
	c.says("No app remembers you.")
	c.look("47-forgotten")
	if _, e := w.redeemed(t, w.asks(t, link, fluAsk), "pct", got.PCT); e.Code != "need_info" {
		t.Fatalf("%+v", e)
	}
	c.open(w.World.Issuer + "/me/sign-in")
	c.look("48-signins")
	c.button("Unlink")
	c.says("This is your only way to sign in, so it stays.")
	c.look("49-last-sign-in")

	live := func(token string) bool { return get(t, other, token).Status == http.StatusOK }
	if !live(second.AccessToken) {
		t.Fatal("the RPT does not work")
	}
	trusted.Disabled = true
	w.trust(t, trusted)
	time.Sleep(600 * time.Millisecond) // what a resource server may remember
	if live(second.AccessToken) {
		t.Error("the RPT outlives the trust it rests on")
	}
	c.open(w.World.Issuer + "/me")
	c.heading("Sign in")
	if js[bool](c, `document.body.innerText.includes("Lakeside")`) {
		t.Error("a disabled issuer is offered")
	}
	c.quiet()
	for _, fault := range append(w.Faults.taken(), far.faults.taken()...) {
		t.Errorf("logged as an error: %s", fault)
	}
}

// enter goes to the other hospital and signs in there, or only agrees where that is done already.
func (e *elsewhere) enter(c *chrome, button string) {
	c.t.Helper()
	c.button(button)
	if !strings.HasPrefix(c.location(), e.issuer+"/flow/") {
		c.t.Fatalf("not at the other hospital but at %s", c.location())
	}
	if js[bool](c, `document.querySelector("#password") !== null`) {
		c.signIn(e.hana)
	}
	c.button("Continue")
}

func (w *world) trusted(t *testing.T, issuer string) (i umaas.TrustedIssuer) {
	t.Helper()
	check(t, w.AS.Store.View(t.Context(), func(r umaas.Reader) (err error) { i, err = r.TrustedIssuer(issuer); return err }))
	return i
}

// ownerSees opens the request that waits.
func (w *world) ownerSees(t *testing.T, owner demo.Credential, words ...string) {
	t.Helper()
	v := w.dashboard(t, owner, "/me/requests")
	check(t, v.Follow(t.Context(), "/me/requests/"))
	for _, want := range words {
		if !strings.Contains(v.Page.Text, want) {
			t.Errorf("the owner does not read %q: %s", want, v.Page.Text)
		}
	}
}

// TestBrowser_GatheringKeyboard: the questions and the last page with Tab, Space and Enter alone.
func TestBrowser_GatheringKeyboard(t *testing.T) {
	t.Parallel()
	w := common(t, "browsed")
	daniel, linh := w.who(t, "daniel"), w.who(t, "linh")
	link := w.link(t, w.visitor(t, linh.Name), linh, linh.Patient)
	p := ask(t, w.app(), link, fluAsk)
	c := browser(t)
	c.open(p.Redirect + "&state=st")
	c.signIn(daniel)
	c.heading("Flu Clinic asks for a health record on your behalf")
	c.tabTo(`e.type === "radio"`)
	c.keys(" ")
	c.tabTo(`e.id === "note"`)
	c.keys("by keyboard")
	c.tabTo(`e.tagName === "SUMMARY"`)
	c.press(c.entered(`e.tagName === "BUTTON" && e.value === "next"`))
	c.heading("Check what will be sent")
	c.says("by keyboard")
	c.tabTo(`e.type === "checkbox"`)
	c.keys(" ")
	if n := js[int](c, `document.querySelectorAll("input:checked").length`); n != 1 {
		t.Fatalf("%d ticked", n)
	}
	c.tabTo(`e.tagName === "BUTTON" && e.value === "send"`)
	js[string](c, `document.documentElement.dataset.old = "1"`)
	c.run(chromedp.KeyEvent(kb.Enter), chromedp.WaitNotPresent(css("html[data-old]")))
	if at := js[string](c, "location.href"); !strings.HasPrefix(at, w.World.App.ClaimsRedirectURI+"?") || !strings.Contains(at, "ticket=") {
		t.Errorf("arrived at %s", at)
	}
	c.quiet()
}

// entered tabs to an element and presses Enter.
func (c *chrome) entered(condition string) chromedp.Action[chromedp.Void] {
	c.t.Helper()
	c.tabTo(condition)
	return chromedp.KeyEvent(kb.Enter)
}
