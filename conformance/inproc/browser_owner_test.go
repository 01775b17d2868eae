package inproc

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/umaas"
)

// home signs a person in at the authorization server's own pages.
func (c *chrome) home(w *world, who demo.Credential) {
	c.t.Helper()
	c.open(w.World.Issuer + "/me")
	c.signIn(who)
}

// pickOf ticks a line of one record, which it opens.
func (c *chrome) pickOf(record, words string) {
	c.t.Helper()
	quoted, err := json.Marshal([]string{record, words})
	check(c.t, err)
	if !js[bool](c, `(() => {
		const [record, words] = `+string(quoted)+`
		const all = [...document.querySelectorAll("details.record")].find(d => d.firstElementChild.innerText.includes(record))
		const label = all && [...all.querySelectorAll("label")].find(l => l.textContent.trim().startsWith(words))
		if (!label) return false
		for (let d = label.closest("details"); d; d = d.parentElement.closest("details")) d.open = true
		label.click()
		return true
	})()`) {
		c.t.Fatalf("no line “%s” of “%s”", words, record)
	}
}

// TestBrowser_NewShare: a link for somebody new, made one decision a page, opened in a second browser by the person it names; a share
// with a profession; stopping with one tap and sharing again.
func TestBrowser_NewShare(t *testing.T) {
	t.Parallel()
	w := own(t, demo.Options{})
	c := browser(t)
	c.home(w, w.who(t, "maria"))
	c.open(w.World.Issuer + "/me/share")
	c.look("80-share-who")
	c.button("Continue")
	c.says("Choose with whom you share.")
	c.look("80-share-who-error")
	c.pick("Somebody new, with a link I hand over")
	c.fill("#invitee", "tomas@example.org")
	c.look("80-share-who-link")
	c.button("Continue")
	c.says("You share with tomas@example.org.")
	c.pickOf("My own record", "See your allergies")
	c.look("81-share-what")
	c.button("Continue")
	c.says("You let tomas@example.org see your allergies. The record: My own record.")
	c.pick("1 month")
	c.look("82-share-until")
	c.button("Continue")
	c.pick("Your family asked")
	c.look("83-share-why")
	c.button("Continue")
	c.pick("With two proofs")
	c.fill("#terms", "Please tell me before you show this to anyone.")
	c.look("84-share-rules")
	c.button("Continue")
	c.says("They must sign in with two proofs. They agree to your terms first.")
	c.look("85-share-check")
	c.button("Make the link")
	c.says("Shown only now")
	c.look("86-invited")
	link := js[string](c, `document.querySelector("#link").innerText`)
	c.button("Links I made")
	c.look("87-links")

	other := browser(t)
	other.open(link)
	other.heading("Sign in")
	other.says("Somebody may have shared something with you.")
	other.look("88-invite-signin")
	if at := other.location(); at != w.World.Issuer+"/invite" {
		t.Errorf("the link stays in the address bar: %s", at)
	}
	other.signIn(w.who(t, "tomas"))
	other.heading("Maria Alvarez wants to share with you")
	other.look("89-invite")
	other.button("Yes, share with me")
	other.heading("Maria Alvarez shares with you")
	other.look("89-invite-accepted")
	other.quiet()

	c.open(w.World.Issuer + "/me/sharing")
	js[bool](c, `document.querySelector("li.row a").dataset.his = "1"; true`)
	c.press(chromedp.Click(css("[data-his]")))
	c.look("90-share")
	c.button("Stop sharing")
	c.says("Every place that keeps your record follows within 2 seconds.")
	c.look("90-share-stopped")
	c.button("Share it again")
	c.says("Shared again.")
	c.open(w.World.Issuer + "/me/sharing/import")
	c.look("91-import")
	c.open(w.World.Issuer + "/me/history")
	c.look("92-history")
	c.open(w.World.Issuer + "/me/history?kind=sharing")
	c.look("92-history-filtered")
	c.quiet()
}

// TestBrowser_ActingFor: an owner lets somebody act for her; on each page of hers the other sees for whom, and answers.
func TestBrowser_ActingFor(t *testing.T) {
	t.Parallel()
	w := own(t, demo.Options{})
	owner, other, asker := browser(t), browser(t), browser(t)
	maria, tomas, daniel := w.who(t, "maria"), w.who(t, "tomas"), w.who(t, "daniel")
	connectOwn(w, owner, maria)
	link := passOn(w, owner)
	askForAccess(w, asker, daniel, link)
	owner.open(w.World.Issuer + "/me/people")
	owner.look("93-people-none")
	owner.button("Let somebody act for me")
	owner.pick("A person who signs in here")
	owner.fill("#email", "tomas@example.org")
	owner.pick("Answer requests")
	owner.pick("See the history")
	owner.pick("1 year")
	owner.fill("#reason", "my husband")
	owner.look("94-delegate")
	owner.button("Continue")
	owner.look("95-delegate-check")
	owner.button("Let them act for me")
	owner.says("Done. They can act for you from now on.")
	owner.look("96-people")

	other.home(w, tomas)
	other.open(w.World.Issuer + "/me/requests")
	other.says("for Maria Alvarez")
	other.look("97-requests-for-others")
	other.open(w.World.Issuer + "/me/people")
	other.look("97-people-for")
	other.button("Switch to Maria Alvarez")
	other.heading("For Maria Alvarez")
	other.look("98-home-for")
	other.button("Look at it")
	other.look("98-request-for")
	other.pick("See their allergies")
	other.pick("1 day")
	other.button("Allow what I ticked")
	other.says("You can take this answer back until")
	other.look("99-undo")
	other.button("Take my answer back")
	other.says("Taken back. The request waits for you again.")
	other.button("Deny")
	other.says("You did not allow this on")
	owner.open(w.World.Issuer + "/me/history")
	owner.says("Tomás Alvarez did not allow a request")
	owner.look("99-history")
	for _, c := range []*chrome{owner, other, asker} {
		c.quiet()
	}
}

// TestBrowser_Emergency: staff get in by declaring an emergency; the owner finds it first, and ends it.
func TestBrowser_Emergency(t *testing.T) {
	t.Parallel()
	w := own(t, demo.Options{})
	maria, kim := w.who(t, "maria"), w.who(t, "kim")
	account, err := w.AS.Service.AccountByLogin(t.Context(), kim.Login)
	check(t, err)
	account.Claims = append(account.Claims, umaas.Claim{Issuer: w.World.Issuer, Name: "er", Value: "true"})
	_, err = w.AS.Service.PutAccount(t.Context(), account, "")
	check(t, err)
	owner, staff := browser(t), browser(t)
	connectOwn(w, owner, maria)
	link := passOn(w, owner)
	owner.open(w.World.Issuer + "/me/share")
	owner.pick("Emergency staff, in an emergency")
	js[bool](owner, `document.querySelector("#er-source").value = "here"; true`)
	owner.look("70-share-emergency")
	owner.button("Continue")
	for _, words := range []string{"See your allergies", "Add to your vaccinations", "Change your vaccinations", "Delete from your vaccinations"} {
		owner.pickOf("My own record", words)
	}
	owner.button("Continue")
	owner.pick("Until I stop it")
	owner.button("Continue")
	owner.button("Continue")
	owner.button("Continue")
	owner.says("It counts in an emergency alone, and you are told at once.")
	owner.button("Share")
	owner.says("Shared. It counts from now on.")

	staff.open(w.World.Clinic + "/")
	staff.run(chromedp.Click(css("details summary")))
	staff.fill("#link", link)
	staff.button("Use this link")
	staff.signIn(kim)
	staff.pick("To treat the patient")
	staff.pick("Yes, this is an emergency")
	staff.fill("#note", "Unconscious after a fall, I need to know the allergies.")
	staff.button("Continue")
	staff.button("Send these details")
	staff.says("penicillin")

	owner.open(w.World.Issuer + "/me")
	owner.says("Emergency access")
	owner.says("Unconscious after a fall")
	owner.look("71-home-emergency")
	owner.button("Look at it")
	owner.look("72-emergency")
	owner.button("End it now")
	owner.says("You ended this on")
	owner.look("73-emergency-ended")
	owner.open(w.World.Issuer + "/me/history")
	owner.look("74-history-emergency")
	owner.quiet()
	staff.quiet()
}

// TestBrowser_KeyboardShare: a new share with Tab, Space, Enter and letters alone; wherever the focus is, it can be seen.
func TestBrowser_KeyboardShare(t *testing.T) {
	t.Parallel()
	w := own(t, demo.Options{})
	c := browser(t)
	c.home(w, w.who(t, "daniel"))
	c.open(w.World.Issuer + "/me/share")
	onward := func() {
		c.t.Helper()
		c.tabTo(`e.tagName === "BUTTON" && e.innerText.trim() === "Continue"`)
		c.press(chromedp.KeyEvent(kb.Enter))
	}
	c.tabTo(`e.type === "radio" && e.value === "person"`)
	c.keys(" ")
	c.tabTo(`e.id === "email"`)
	c.keys("grace@example.org")
	onward()
	c.tabTo(`e.tagName === "SUMMARY" && e.innerText.includes("My own record")`)
	c.keys(" ")
	c.tabTo(`e.type === "checkbox"`)
	c.keys(" ")
	onward()
	c.tabTo(`e.type === "radio" && e.name === "until"`)
	c.keys(" ")
	onward()
	onward()
	onward()
	c.heading("Check your answers")
	c.tabTo(`e.tagName === "BUTTON" && e.value === "share"`)
	c.press(chromedp.KeyEvent(kb.Enter))
	c.says("Shared. It counts from now on.")
	c.quiet()
}
