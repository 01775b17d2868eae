package inproc

import (
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// TestBrowser_WhoGuards is the way of a patient who looks who guards her record, goes back to the hospital's own server, names
// the other one by its address again, and says whether a doctor of the hospital may look.
func TestBrowser_WhoGuards(t *testing.T) {
	t.Parallel()
	w := secondWorld(t, demo.Options{Second: "stranger"})
	grace := w.who(t, "grace") // whom a doctor treats
	there := w.World.Second.Person
	c := browser(t)
	c.portal(w, grace)
	c.button("Who guards my record")
	c.heading("Who guards my record")
	c.says("This is the server you sign in with here.")
	c.look("40-guard")
	c.fill("#address", "not an address at all")
	c.button("Look it up")
	c.says("Write an address such as")
	c.look("41-guard-wrong")
	c.run(chromedp.Clear(css("#address")))
	c.fill("#address", w.World.Second.Issuer+kb.Enter)
	c.run(chromedp.WaitReady(css("ol")))
	c.says("Whoever runs it can let others look at your record.")
	c.says("People who look at your record by the rules of Harborview Clinic see nothing more.")
	c.look("42-guard-check")
	c.button("Leave it as it is")
	c.says("Nothing was changed.")
	c.look("43-guard-kept")
	c.fill("#address", w.World.Second.Issuer)
	c.button("Look it up")
	c.button("Let ")
	c.heading("Sign in")
	c.look("44-guard-signin-there")
	c.signIn(there) // linh's account there: it guards linh's record already
	c.look("45-guard-protect")
	c.button("Let it protect")
	c.says("Your account there belongs to somebody else here. Nothing was changed.")
	c.look("46-guard-taken")

	linh := browser(t)
	linh.portal(w, w.who(t, "linh"))
	linh.open(w.World.RS + "/guard")
	linh.says("You chose this server.")
	linh.look("47-guard-moved")
	linh.button("Go back to")
	linh.says("Done. Your record is guarded where it was before.")
	linh.look("48-guard-back")
	linh.fill("#address", w.World.Second.Issuer)
	linh.button("Look it up")
	linh.button("Let ")
	linh.settled("Sign in")
	linh.signIn(there)
	linh.button("Let it protect")
	linh.says("Done. From now on this server alone decides")
	linh.look("49-guard-done")
	w.SecondAway.Store(true)
	linh.open(w.World.RS + "/guard")
	linh.says("does not answer right now")
	linh.look("50-guard-away")
	w.SecondAway.Store(false)
	w.putOut(t)
	linh.open(w.World.RS + "/guard")
	linh.says("no longer lets us ask it about your record")
	linh.look("51-guard-broken")
	linh.open(w.World.RS + "/connect")
	linh.says("Nobody gets in.")
	linh.look("52-guard-alarm")
	c.quiet()
	linh.quiet()
	w.Faults.taken()
}

// portal signs a person in at the resource server's pages.
func (c *chrome) portal(w *world, who demo.Credential) {
	c.t.Helper()
	c.open(w.World.RS + "/connect")
	c.button("Sign in")
	c.settled("Sign in")
	c.signIn(who)
	c.button("Let it protect")
	c.heading("Connect links")
}

// settled waits for a page after several redirects between origins: before that, nodes found may be the last page's.
func (c *chrome) settled(heading string) {
	c.t.Helper()
	c.run(chromedp.WaitReady(css("#password")))
	for range 100 {
		if js[string](c, `document.readyState + document.querySelector("h1")?.innerText`) == "complete"+heading {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.heading(heading)
}

// TestBrowser_WhoMayLook is the doctor in grace's list, let in and stopped, by keyboard.
func TestBrowser_WhoMayLook(t *testing.T) {
	t.Parallel()
	w := secondWorld(t, demo.Options{Second: "listed"})
	grace := w.who(t, "grace")
	there := demo.Credential{Name: grace.Name, Login: "grace", Password: "a password of that place"}
	w.accountThere(t, there)
	c := browser(t)
	c.portal(w, grace)
	c.open(w.World.RS + "/guard")
	c.look("60-guard-listed")
	c.run(chromedp.Click(css("input[type=radio]")))
	c.button("Look it up")
	c.says("Harborview Clinic works with this server.")
	c.look("61-guard-check-listed")
	c.button("Let ")
	c.settled("Sign in")
	c.signIn(there)
	c.button("Let it protect")
	c.says("Dr Hana Kim")
	c.says("Sees nothing")
	c.look("62-guard-others")
	c.run(chromedp.Focus(css("button[value=let]")))
	c.press(chromedp.KeyEvent(kb.Enter))
	c.says("May look, as the rules of Harborview Clinic say")
	c.look("63-guard-let")
	c.button("Stop")
	c.says("Sees nothing")
	c.quiet()
	if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=grace", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("%d", a.Status)
	}
}
