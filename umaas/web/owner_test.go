package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// TestPG_12_Approve is the owner's side of the main job: a request, narrowed, allowed, seen, narrowed again and stopped.
func TestPG_12_Approve(t *testing.T) {
	w := newWorld(t)
	ticket := w.submitted("TREAT", "I see you <b>tomorrow</b>")
	b := w.browser()
	p := b.signIn(b.get("/me"), "alice")
	want(t, p, 200, "Hello Alice Ames", "Home – Health Keys")
	if !strings.Contains(p.body, `<span class="badge">1`) || !strings.Contains(p.body, "Dr. Bob Berg") {
		t.Error("the request is not on the first page")
	}
	p = b.get("/me/requests")
	want(t, p, 200, "Requests", "Requests – Health Keys")
	p = b.get(link(t, p, "/me/requests/"))
	want(t, p, 200, "Dr. Bob Berg asks to see your allergies and see your vaccinations, and 3 more", "One request – Health Keys")
	for _, text := range []string{"To treat you", "I see you &lt;b&gt;tomorrow&lt;/b&gt;", "bob@clinic.example", "Checked by", "Today this would show", "3 allergies", "1 vaccination"} {
		if !strings.Contains(p.body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if ticked(p) > 0 {
		t.Error("UI-04: something is ticked beforehand")
	}
	allergies := p.item(t, "See your allergies")
	preview := b.submit(p, p.url.Path, url.Values{"answer": {"preview"}, "item": {allergies}})
	if !strings.Contains(preview.body, "Today your choice would show") || !strings.Contains(preview.body, "3 allergies") || strings.Contains(preview.body, "1 vaccination<") {
		t.Error("preview of the choice is wrong")
	}
	bad := b.submit(p, p.url.Path, url.Values{"answer": {"allow"}, "item": {allergies}, "until": {"date"}, "until-day": {"31"}, "until-month": {"2"}, "until-year": {"2028"}})
	want(t, bad, 422, p.heading(), "Error: One request – Health Keys")
	if !strings.Contains(bad.body, "This date does not exist.") || !strings.Contains(bad.body, `value="31"`) || ticked(bad) != 2 {
		t.Error("the answers were not kept")
	}
	allow := url.Values{"answer": {"allow"}, "item": {allergies}, "until": {"date"}, "until-day": {"5"}, "until-month": {"4"}, "until-year": {"2027"}}
	done := b.submit(p, p.url.Path, allow)
	want(t, done, 200, p.heading(), "One request – Health Keys")
	if !strings.Contains(done.body, "You allowed this on 1 March 2027.") || !strings.Contains(done.body, `role="status"`) {
		t.Error(done.body)
	}
	twice := b.submit(p, p.url.Path, url.Values{"answer": {"deny"}}) // TX-17: the first answer counts
	if !strings.Contains(twice.body, "You allowed this on 1 March 2027.") {
		t.Error(twice.body)
	}
	w.sleep(10 * time.Second)
	if code, _ := w.redeem(portal, ticket); code != "" {
		t.Fatalf("no token after the answer: %s", code)
	}
	share := b.get(link(t, done, "/me/sharing/"))
	want(t, share, 200, "Dr. Bob Berg may use your record until 5 April 2027", "One share – Health Keys")
	w.stopIt(b, share)
}

func (w *world) stopIt(b *browser, share page) {
	t := w.t.(*testing.T)
	stop := b.get(share.url.String() + "/stop")
	want(t, stop, 200, "Stop sharing with Dr. Bob Berg?", "Stop sharing – Health Keys")
	for range 2 { // a double click is one answer
		p := b.submit(stop, "/stop", nil)
		want(t, p, 200, "Dr. Bob Berg cannot use your record any more", "One share – Health Keys")
		if !strings.Contains(p.body, "Stopped at 09:30 on 1 March 2027.") {
			t.Error(p.body)
		}
	}
	if p := b.get("/me/sharing"); !strings.Contains(p.body, "Ended") {
		t.Error("an ended share must be folded")
	}
	h := b.get("/me/history")
	want(t, h, 200, "History", "History – Health Keys")
	for _, text := range []string{"You stopped a share", "You allowed a request", "<bdi>Dr. Bob Berg</bdi> asked for access"} {
		if !strings.Contains(h.body, text) {
			t.Errorf("history does not say %q: %s", text, h.body)
		}
	}
}

func TestPG_12_Deny(t *testing.T) {
	w := newWorld(t)
	ticket := w.submitted("HRESCH", "")
	b := w.browser()
	p := b.signIn(b.get("/me/requests"), "alice")
	p = b.get(link(t, p, "/me/requests/"))
	done := b.submit(p, p.url.Path, url.Values{"answer": {"deny"}, "silent": {"week"}})
	if !strings.Contains(done.body, "You did not allow this on 1 March 2027.") {
		t.Error(done.body)
	}
	w.sleep(10 * time.Second)
	if code, _ := w.redeem(portal, ticket); code != uma.ErrRequestDenied.Code {
		t.Errorf("got %q", code)
	}
}

func TestPG_06_Asked(t *testing.T) {
	w := newWorld(t)
	w.submitted("TREAT", "")
	b := w.browser()
	p := b.signIn(b.get("/me/asked"), "bob")
	want(t, p, 200, "What I asked for", "What I asked for – Health Keys")
	if strings.Contains(p.body, "Alice") || strings.Contains(p.body, string(w.alice.ID)) || !strings.Contains(p.body, "Waiting") || !strings.Contains(p.body, "You can close this page.") {
		t.Error(p.body)
	}
	done := b.submit(p, "/withdraw", nil)
	if !strings.Contains(done.body, "You took your request back.") || strings.Contains(done.body, "/withdraw") {
		t.Error(done.body)
	}
	empty := w.browser()
	if p := empty.signIn(empty.get("/me/asked"), "alice"); !strings.Contains(p.body, "You have not asked for anything.") {
		t.Error(p.body)
	}
}

func TestPG_09_Narrow(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set))), "alice")
	allergies, vaccinations := p.item(t, "See your allergies"), p.item(t, "See your vaccinations")
	b.submit(p, "/consent", url.Values{"answer": {"share"}, "item": {allergies, vaccinations}, "until": {"quarter"}})
	list := b.get("/me/sharing")
	want(t, list, 200, "Sharing", "Sharing – Health Keys")
	share := b.get(link(t, list, "/me/sharing/"))
	want(t, share, 200, "Flu Clinic may use your record until 1 June 2027", "One share – Health Keys")
	change := b.get(share.url.String() + "/change")
	want(t, change, 200, "Share less with Flu Clinic", "Share less – Health Keys")
	longer := b.submit(change, "/change", url.Values{"until": {"year"}})
	if longer.status != 422 || !strings.Contains(longer.body, "This can only be made shorter here.") {
		t.Errorf("%d %s", longer.status, longer.body)
	}
	none := b.submit(change, "/change", url.Values{"item": {}})
	if none.status != 422 || !strings.Contains(none.body, "Leave at least one ticked.") {
		t.Errorf("%d %s", none.status, none.body)
	}
	done := b.submit(change, "/change", url.Values{"item": {change.item(t, "See your allergies")}, "until": {"day"}})
	want(t, done, 200, "Flu Clinic may use your record until 2 March 2027", "One share – Health Keys")
	if strings.Contains(done.body, "See your vaccinations") {
		t.Error("what was taken away is still there")
	}
}

func TestPG_10_NewShare(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(b.get("/me/share"), "alice")
	want(t, p, 200, "With whom do you share?", "Share something – Health Keys")
	if ticked(p) != 0 {
		t.Error("UI-04: something is chosen beforehand")
	}
	bad := b.submit(p, "/share", url.Values{"answer": {"next"}, "whom": {"person"}, "email": {"x"}})
	if bad.status != 422 || !strings.Contains(bad.body, "Enter an e-mail address") || !strings.Contains(bad.body, `value="x"`) {
		t.Errorf("%d %s", bad.status, bad.body)
	}
	check := b.submit(p, "/share", url.Values{
		"answer": {"check"}, "whom": {"person"}, "email": {" Carol@Example.org "}, "item": {w.item("See your allergies")}, "until": {"month"}, "purpose": {"FAMRQT"}, "label": {"<i>Carol</i>"},
	})
	want(t, check, 200, "Check your answers", "Share something – Health Keys")
	if !strings.Contains(check.body, "carol@example.org") || !strings.Contains(check.body, "&lt;i&gt;Carol") {
		t.Error(check.body)
	}
	edit := b.submit(check, "/share", url.Values{"answer": {"edit-what"}})
	want(t, edit, 200, "What may they see or do?", "Share something – Health Keys")
	if !strings.Contains(edit.body, " Carol@Example.org ") || ticked(edit) != 1 {
		t.Errorf("answers were not kept (%d): %s", ticked(edit), edit.body)
	}
	done := b.submit(check, "/share", url.Values{"answer": {"share"}})
	want(t, done, 200, "carol@example.org may use your record until 1 April 2027", "One share – Health Keys")
	shares, err := w.core.Shares(t.Context(), w.alice.ID)
	w.must(err)
	if len(shares) != 1 || shares[0].Policy.Who.Email != "carol@example.org" || len(shares[0].Purposes) != 1 {
		t.Errorf("stored %+v", shares)
	}
}

// TestEmptyPages: each list says what it is for when there is nothing in it.
func TestEmptyPages(t *testing.T) {
	w := newWorld(t)
	w.must(w.core.DeleteResource(t.Context(), pat(w), w.set, "r"))
	b := w.browser()
	b.signIn(b.get("/me"), "alice")
	for path, text := range map[string]string{
		"/me": "Nothing is shared yet", "/me/requests": "Nothing is waiting. When someone asks, it appears here.", "/me/sharing": "You share with nobody yet.",
		"/me/share": "There is nothing you could share yet.", "/me/asked": "You have not asked for anything.",
	} {
		if p := b.get(path); p.status != 200 || !strings.Contains(p.body, text) {
			t.Errorf("%s: %d, does not say %q", path, p.status, text)
		}
	}
}
