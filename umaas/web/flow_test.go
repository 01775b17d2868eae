package web_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// TestPS_02_BackPage: an address that a content policy cannot name gets a page with a link, not a redirect that the browser
// would stop without a word.
func TestPS_02_BackPage(t *testing.T) {
	for _, target := range []string{"com.flu.app:/cb", "http://[::1]:8080/cb"} {
		t.Run(target, func(t *testing.T) {
			w := newWorld(t)
			w.must(w.store.Update(t.Context(), func(tx umaas.Tx) error {
				c, err := tx.Client(flu)
				if err != nil {
					return err
				}
				c.ClaimsRedirectURIs = []string{target}
				return tx.PutClient(c)
			}))
			b := w.browser()
			start := strings.Replace(w.claimsURL(flu, w.ticket(w.alice.ID, w.set)), url.QueryEscape(w.app.URL+"/cb"), url.QueryEscape(target), 1)
			p := b.signIn(b.get(start), "alice")
			done := b.submit(p, "/consent", url.Values{"answer": {"refuse"}})
			want(t, done, 200, "Back to Flu Clinic", "Back to the app – Health Keys")
			address := target + "?error=access_denied&amp;iss=" + url.QueryEscape(w.server.URL) + "&amp;state=st%26te"
			if !strings.Contains(done.body, `href="`+address+`"`) {
				t.Errorf("no link to %s:\n%s", address, done.body)
			}
			if got := done.header.Get("Refresh"); got != "0; url="+strings.ReplaceAll(address, "&amp;", "&") {
				t.Errorf("Refresh: %s", got)
			}
		})
	}
}

// TestFlowDoubleClick: the second of two equal answers changes nothing.
func TestFlowDoubleClick(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set))), "alice")
	answer := url.Values{"answer": {"share"}, "item": {p.item(t, "See your allergies")}, "until": {"hour"}}
	if first := b.submit(p, "/consent", answer); first.url.Path != "/cb" {
		t.Fatal(first.url)
	}
	want(t, b.submit(p, "/consent", answer), 400, "Too old or already used", "Error: Too old or already used – Health Keys")
	shares, err := w.core.Shares(t.Context(), w.alice.ID)
	w.must(err)
	if len(shares) != 1 || len(w.back) != 1 {
		t.Errorf("%d shares, %d returns", len(shares), len(w.back))
	}
}

// TestFlowExpires: ten minutes later the page says so and nothing was shared.
func TestFlowExpires(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set))), "alice")
	w.sleep(umaas.DefaultLimits().Flow)
	want(t, b.get(p.url.String()), 400, "Too old or already used", "Error: Too old or already used – Health Keys")
}

// TestChangedSinceShown: a record that changed between page and answer is shown again (SEC-47).
func TestChangedSinceShown(t *testing.T) {
	w := newWorld(t)
	w.submitted("TREAT", "")
	b := w.browser()
	b.signIn(b.get("/me"), "alice")
	p := b.get(link(t, b.get("/me/requests"), "/me/requests/"))
	allergies := p.item(t, "See your allergies")
	d, err := w.core.ReadResource(t.Context(), pat(w), w.set)
	w.must(err)
	d.Scopes = []string{"patient/AllergyIntolerance.r"}
	w.must(w.core.UpdateResource(t.Context(), pat(w), w.set, d, "r"))
	done := b.submit(p, p.url.Path, url.Values{"answer": {"allow"}, "item": {allergies}, "until": {"none"}})
	if done.status != 409 || !strings.Contains(done.body, "What is asked has changed since you opened this page.") || strings.Contains(done.body, "See your vaccinations") {
		t.Errorf("%d %s", done.status, done.body)
	}
}
