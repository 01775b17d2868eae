package inproc

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// TestBrowser_MainJob is the main job as people do it, in two real browsers: an owner connects the Flu Clinic with her own
// record, reads and writes through it; another person asks with a connect link she passed on; she looks at what her answer
// would show, narrows, allows, and stops; the other's app follows each turn.
func TestBrowser_MainJob(t *testing.T) {
	t.Parallel()
	w := common(t, "browsed")
	maria, tomas := w.who(t, "maria"), w.who(t, "tomas")
	owner := browser(t)
	connectOwn(w, owner, maria)
	link := passOn(w, owner)

	other := browser(t)
	askForAccess(w, other, tomas, link)
	narrow(w, owner)
	useNarrowed(other)
	stop(w, owner)

	other.open(w.World.Clinic + "/")
	other.says("keep your allergies to yourself, or stopped sharing")
	other.look("24-clinic-stopped")
	owner.open(w.World.Issuer + "/me/history")
	owner.says("Tomás Alvarez")
	owner.look("25-history")
	owner.quiet()
	other.quiet()
	for _, fault := range w.Faults.taken() {
		t.Errorf("logged as an error: %s", fault)
	}
}

// connectOwn is seed 004: the app sends her to the resolution service, comes back with a context URL, asks once.
func connectOwn(w *world, c *chrome, who demo.Credential) {
	c.t.Helper()
	c.open(w.World.Clinic + "/")
	c.heading("Get your flu vaccination")
	c.look("01-clinic")
	c.button("Connect Harborview Clinic")
	c.heading("Connect Flu Clinic with Harborview Clinic")
	c.look("02-resolver-signin")
	c.button("Sign in")
	c.heading("Sign in")
	c.look("03-signin")
	c.fill("#login", who.Login)
	c.fill("#password", "not the password")
	c.button("Sign in")
	c.says("Name or password is not right.")
	c.look("04-signin-wrong")
	c.run(chromedp.Clear(css("#login")))
	c.signIn(who)
	if strings.Contains(c.location(), "/flow/") { // the hospital's own sign-in asks once more to protect the record
		c.look("05-protect")
		c.button("Let it protect")
	}
	c.heading("Connect Flu Clinic with Harborview Clinic")
	c.look("06-resolver-choose")
	c.pick("My own record")
	c.button("Connect")
	c.heading("Share with Flu Clinic?")
	c.look("07-consent")
	c.button("Share with Flu Clinic")
	c.says("Choose at least one kind of information, or say no.")
	c.look("08-consent-nothing")
	c.pick("See your allergies")
	c.pick("Add to your vaccinations")
	c.pick("Today, until midnight")
	c.button("Share with Flu Clinic")
	c.heading("Your visit")
	c.says("penicillin")
	c.look("09-clinic-connected")
	c.button("Add flu vaccination")
	c.says("The vaccination is in your record now.")
	c.look("10-clinic-vaccinated")
}

// passOn makes a connect link for somebody else's app.
func passOn(w *world, c *chrome) string {
	c.t.Helper()
	c.open(w.World.RS + "/connect")
	c.heading("Connect links")
	c.look("11-links")
	c.pick("My own record")
	c.fill("#label", "For Tomás")
	c.button("Make a link")
	c.heading("Your new link")
	c.look("12-link")
	return js[string](c, `document.querySelector("p.code code").innerText`)
}

// askForAccess is the other person's part: paste, sign-in, details.
func askForAccess(w *world, c *chrome, who demo.Credential, link string) {
	c.t.Helper()
	c.open(w.World.Clinic + "/")
	c.run(chromedp.Click(css("details summary")))
	c.fill("#link", link)
	c.button("Use this link")
	c.heading("Sign in")
	c.look("13-signin-to-continue")
	c.signIn(who)
	c.heading("Flu Clinic asks for a health record on your behalf")
	c.look("14-details")
	c.pick("The family asked for it")
	c.fill("#note", "Can I take her to the flu clinic tomorrow?")
	c.button("Continue")
	c.heading("Check what will be sent")
	c.says("Can I take her to the flu clinic tomorrow?")
	c.look("14-send")
	c.button("Send these details")
	c.heading("Waiting for an answer")
	c.look("15-clinic-waiting")
	c.button("Look again")
	c.heading("Waiting for an answer")
	c.open(w.World.Issuer + "/me/asked")
	c.look("16-asked")
	c.open(w.World.Clinic + "/")
}

// narrow is the owner's answer: she sees what it would show, and leaves the vaccinations out.
func narrow(w *world, c *chrome) {
	c.t.Helper()
	c.open(w.World.Issuer + "/me")
	if strings.HasSuffix(c.location(), "/login") {
		c.t.Fatal("the owner has to sign in again")
	}
	c.look("17-home")
	c.open(w.World.Issuer + "/me/requests")
	c.look("18-requests")
	c.button("Look at it")
	c.says("Can I take her to the flu clinic tomorrow?")
	c.says("Today this would show")
	c.look("19-request")
	c.pick("See your allergies")
	c.button("Show what my choice would show today")
	c.says("Today your choice would show")
	c.says("1 allergy")
	c.look("20-request-preview")
	c.pick("1 day")
	c.button("Allow what I ticked")
	c.look("21-allowed")
}

func useNarrowed(c *chrome) {
	c.t.Helper()
	c.button("Look again")
	c.heading("Your visit")
	c.says("penicillin")
	c.button("Add flu vaccination")
	c.says("You did not allow us to add to your vaccinations, or you stopped sharing.")
	c.look("22-clinic-narrowed")
}

// stop ends the other person's share.
func stop(w *world, c *chrome) {
	c.t.Helper()
	c.open(w.World.Issuer + "/me/sharing")
	c.says("Tomás Alvarez")
	c.look("23-sharing")
	js[bool](c, `[...document.querySelectorAll("li.row")].find(r => r.innerText.includes("Tomás")).querySelector("a").dataset.his = "1"; true`)
	c.press(chromedp.Click(css("[data-his]")))
	c.look("23-share")
	share := c.location()
	c.button("Share less")
	c.look("23-share-less")
	c.open(share)
	c.button("What ends and what stays")
	c.look("23-stop")
	c.button("Stop sharing")
	c.says("Tomás Alvarez")
	c.look("23-stopped")
	c.open(w.World.Issuer + "/me/share")
	c.look("23-new-share")
}

// TestBrowser_Keyboard: the whole consent with Tab, Space and Enter alone; wherever the focus is, it can be seen.
func TestBrowser_Keyboard(t *testing.T) {
	t.Parallel()
	w := common(t, "browsed")
	daniel := w.who(t, "daniel")
	link := w.link(t, w.visitor(t, daniel.Name), daniel, daniel.Patient)
	app := w.app()
	p := ask(t, app, link, fluAsk)
	c := browser(t)
	c.open(p.Redirect + "&state=st")
	c.heading("Sign in")
	c.tabTo(`e.id === "login"`)
	c.keys(daniel.Login)
	c.tabTo(`e.id === "password"`)
	c.keys(daniel.Password)
	c.press(chromedp.KeyEvent(kb.Enter))
	c.heading("Share with Flu Clinic?")
	for _, words := range fluTicks {
		c.tabTo(`e.type === "checkbox" && e.closest("label").innerText.trim().startsWith("` + words + `")`)
		c.keys(" ")
	}
	c.tabTo(`e.type === "radio"`)
	c.keys(" ")
	if n := js[int](c, `document.querySelectorAll("input:checked").length`); n != 3 {
		t.Fatalf("%d ticked by keyboard, want 2 and an end", n)
	}
	c.tabTo(`e.tagName === "BUTTON" && e.innerText.trim().startsWith("Share with")`)
	js[string](c, `document.documentElement.dataset.old = "1"`)
	c.run(chromedp.KeyEvent(kb.Enter), chromedp.WaitNotPresent(css("html[data-old]")))
	if at := js[string](c, "location.href"); !strings.HasPrefix(at, w.World.App.ClaimsRedirectURI+"?") || !strings.Contains(at, "ticket=") {
		t.Errorf("arrived at %s", at)
	}
	c.quiet()
}

// tabTo presses Tab until the condition on the focused element e holds.
func (c *chrome) tabTo(condition string) {
	c.t.Helper()
	for range 60 {
		c.run(chromedp.KeyEvent(kb.Tab))
		if js[bool](c, `(() => { const e = document.activeElement; const s = getComputedStyle(e); return e !== document.body && s.outlineStyle === "none" && s.boxShadow === "none" })()`) {
			c.t.Errorf("the focus cannot be seen on %s", js[string](c, "document.activeElement.outerHTML.slice(0, 200)"))
		}
		if js[bool](c, `(() => { const e = document.activeElement; return `+condition+` })()`) {
			return
		}
	}
	c.t.Fatalf("60 tabs do not lead to %s", condition)
}

func (c *chrome) keys(text string) {
	c.t.Helper()
	c.run(chromedp.KeyEvent(text))
}

// TestBrowser_SmallPages looks at the pages of the sides: sign-out, errors, things that are gone, a no.
func TestBrowser_SmallPages(t *testing.T) {
	t.Parallel()
	w := common(t, "browsed")
	grace := w.who(t, "grace")
	c := browser(t)
	c.open(w.World.RS + "/connect")
	c.look("30-links-signin")
	c.open(w.World.RS + "/resolve-uma-context/patient?redirect_uri=https%3A%2F%2Fevil.example&state=x")
	c.look("31-resolver-error")
	c.open(w.World.Issuer + "/claims?client_id=nobody&ticket=x")
	c.look("32-error")
	c.open(w.World.Issuer + "/no/such/page")
	c.look("33-not-found")
	c.open(w.World.Issuer + "/me")
	c.heading("Sign in")
	c.signIn(grace)
	c.heading("Hello Grace Okafor")
	c.look("34-home-empty")
	for _, page := range []string{"requests", "sharing", "history", "asked"} {
		c.open(w.World.Issuer + "/me/" + page)
		c.look("35-empty-" + page)
	}
	c.button("Sign out")
	c.look("36-signed-out")
	link := w.link(t, w.visitor(t, grace.Name), grace, grace.Patient)
	p := ask(t, w.app(), link, fluAsk)
	c.open(p.Redirect + "&state=st")
	c.signIn(grace)
	c.heading("Share with Flu Clinic?")
	js[string](c, `document.documentElement.dataset.old = "1"`)
	c.run(chromedp.Click(css(`button[value="refuse"]`)), chromedp.WaitNotPresent(css("html[data-old]")))
	if at := js[string](c, "location.href"); !strings.Contains(at, "error=access_denied") || strings.Contains(at, "ticket=") {
		t.Errorf("after a no: %s", at)
	}
	c.quiet()
	if a := send(t, http.MethodGet, w.World.Clinic+"/", nil, http.NoBody); a.Status != http.StatusOK {
		t.Errorf("%d", a.Status)
	}
}
