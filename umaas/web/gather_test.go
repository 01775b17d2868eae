package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
)

const houseRules = "Use this for the treatment only.\n  Do not pass <b>it</b> on.\u202e"

// policyFor lets bob see allergies under conditions.
func (w *world) policyFor(change func(*umaas.Policy)) {
	w.t.Helper()
	p := umaas.Policy{
		ID: umaas.PolicyID(fmt.Sprint("p", w.now().UnixNano())), Owner: w.alice.ID, Who: umaas.Who{Kind: umaas.WhoAccount, Account: w.bob.ID}, Origin: umaas.OriginShare,
		Rules: []umaas.Rule{{Resource: w.set, RS: w.rs, Scopes: asks}}, Created: w.now(),
	}
	change(&p)
	w.must(w.store.Update(w.t.Context(), func(tx umaas.Tx) error { return tx.PutPolicy(p) }))
}

// TestGatheringPages walks every page of the machine, with its mistakes, the way back, a second tab and a double click.
func TestGatheringPages(t *testing.T) {
	w := newWorld(t)
	w.policyFor(func(p *umaas.Policy) { p.Terms = houseRules })
	w.policyFor(func(p *umaas.Policy) { p.ID, p.BreakGlass = "emergency", true })
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set))), "bob")
	want(t, p, 200, "Doctor's Desk asks for a health record on your behalf", "Details about you – Health Keys")
	tab := p // the same page in another tab
	bad := b.submit(p, "/details", url.Values{"answer": {"next"}, "role": {strings.Repeat("é", 81)}, "org": {strings.Repeat("x", 81)}, "emergency": {"yes"}})
	want(t, bad, 422, "Doctor's Desk asks for a health record on your behalf", "Error: Details about you – Health Keys")
	for _, words := range []string{"Choose a reason.", "80 characters at most", "Say in a few words what the emergency is.", `value="yes" checked`} {
		if !strings.Contains(bad.body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	p = b.submit(p, "/details", url.Values{"answer": {"next"}, "purpose": {"TREAT"}, "note": {"Before your visit"}, "role": {"physiotherapist"}, "org": {"<i>Rehab</i>"}})
	want(t, p, 200, "Please read this first", "What they ask of you – Health Keys")
	if !strings.Contains(p.body, "Use this for the treatment only.\n  Do not pass &lt;b&gt;it&lt;/b&gt; on.</blockquote>") || strings.Contains(p.body, "checked") {
		t.Error(p.body)
	}
	if again := b.submit(tab, "/details", url.Values{"answer": {"next"}, "purpose": {"HRESCH"}}); again.status != 200 || again.heading() != "Please read this first" {
		t.Errorf("the other tab is not led to where the flow stands: %d %s", again.status, again.heading())
	}
	for name, fields := range map[string]url.Values{
		"unknown field": {"answer": {"next"}, "x": {"y"}}, "unknown answer": {"answer": {"send"}}, "no token": {"answer": {"next"}, "form": {""}},
		"a text that was not shown": {"answer": {"next"}, "agreed": {"x"}},
	} {
		if r := b.submit(p, "/terms", fields); r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.heading())
		}
	}
	terms := p
	p = b.submit(p, "/terms", url.Values{"answer": {"next"}, "agreed": {attributeOf(t, p, "agreed")}})
	want(t, p, 200, "Check what will be sent", "Check and send – Health Keys")
	for _, words := range []string{"Dr. Bob Berg (bob@clinic.example, confirmed) asks through", "Before your visit", "physiotherapist", "&lt;i&gt;Rehab&lt;/i&gt;", "To treat you"} {
		if !strings.Contains(p.body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if strings.Contains(p.body, "Alice") {
		t.Error("F-076: the page names the owner")
	}
	if again := b.submit(terms, "/terms", url.Values{"answer": {"next"}}); again.heading() != "Check what will be sent" {
		t.Errorf("going back and answering again: %d %s", again.status, again.heading())
	}
	last := p
	p = b.submit(p, "/send", url.Values{"answer": {"change"}})
	if !strings.Contains(p.body, `value="TREAT" checked`) || !strings.Contains(p.body, "Before your visit</textarea>") || !strings.Contains(p.body, `value="physiotherapist"`) {
		t.Error("the answers are not in place", p.body)
	}
	if old := b.submit(last, "/send", url.Values{"answer": {"send"}}); old.url.Path == "/cb" || !strings.Contains(old.body, "Continue") {
		t.Errorf("an old last page sends: %s", old.url)
	}
	p = b.submit(p, "/details", url.Values{"answer": {"next"}, "purpose": {"HPAYMT"}, "note": {""}})
	want(t, p, 200, "Check what will be sent", "Check and send – Health Keys")
	changed := b.submit(last, "/send", url.Values{"answer": {"send"}})
	if changed.status != 409 || changed.url.Path == "/cb" {
		t.Errorf("sends what was not shown: %d", changed.status)
	}
	if done := b.submit(p, "/send", url.Values{"answer": {"send"}, "remember": {"yes"}}); done.url.Path != "/cb" {
		t.Fatalf("%d %s", done.status, done.body)
	}
	if again := b.submit(p, "/send", url.Values{"answer": {"send"}}); again.status != 400 || len(w.back) != 1 {
		t.Errorf("double click: %d, %d returns", again.status, len(w.back))
	}
	if code, _ := w.redeem(portal, w.lastBack().Get("ticket")); code != "" {
		t.Fatal(code)
	}
	page := b.get("/me/remembered")
	want(t, page, 200, "Apps that remember you", "Apps that remember you – Health Keys")
	if !strings.Contains(page.body, "Doctor&#39;s Desk") || !strings.Contains(page.body, "Not used yet") || !strings.Contains(page.body, "Until 31 March 2027") {
		t.Error(page.body)
	}
	alice := w.browser()
	alice.signIn(alice.get("/me"), "alice")
	action, mine := page.form(t, "/forget")
	if r := alice.post(action, mine); r.status != 400 { // her form is not his, nor would the key be hers
		t.Errorf("%d", r.status)
	}
	if none := alice.get("/me/remembered"); !strings.Contains(none.body, "No app remembers you.") {
		t.Error(none.body)
	}
	page = b.submit(page, "/forget", nil)
	if !strings.Contains(page.body, "Forgotten.") || !strings.Contains(page.body, "No app remembers you.") {
		t.Error(page.body)
	}
	if r := b.post(action, mine); r.status != 404 {
		t.Errorf("forgotten twice: %d", r.status)
	}
	if history := alice.get("/me/history"); !strings.Contains(history.body, "agreed to your terms through") {
		t.Error("the agreement is not in the owner's history")
	}
}

func attributeOf(t *testing.T, p page, name string) string {
	t.Helper()
	for _, tag := range inputTag.FindAllString(p.body, -1) {
		a := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			a[m[1]] = m[2]
		}
		if a["name"] == name {
			return a["value"]
		}
	}
	t.Fatalf("no field %s on %s", name, p.body)
	return ""
}

// TestStepUpPages: signing in again here, a wrong password, another person, going on without, and no way at all.
func TestStepUpPages(t *testing.T) {
	w := newWorld(t)
	w.policyFor(func(p *umaas.Policy) { p.MinACR = umaas.ACRPassword })
	b := w.browser()
	b.signIn(b.get("/me"), "bob")
	w.sleep(6 * 60e9)
	p := b.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set)))
	want(t, p, 200, "Confirm it is you", "Confirm it is you – Health Keys")
	if !strings.Contains(p.body, "Your last sign-in was some time ago.") || strings.Contains(p.body, "password\" value") {
		t.Error(p.body)
	}
	wrong := b.submit(p, "/login", url.Values{"login": {"bob"}, "password": {"wrong password"}})
	want(t, wrong, 422, "Confirm it is you", "Error: Confirm it is you – Health Keys")
	if skip := b.submit(p, "/step-up", url.Values{"answer": {"x"}}); skip.status != 400 {
		t.Errorf("%d", skip.status)
	}
	next := b.submit(wrong, "/login", url.Values{"login": {"bob"}, "password": {password}})
	want(t, next, 200, "Doctor's Desk asks for a health record on your behalf", "Details about you – Health Keys")
	b.sendDetails(next, "TREAT", "")
	if code, _ := w.redeem(portal, w.lastBack().Get("ticket")); code != "" {
		t.Fatal(code)
	}

	w.sleep(6 * 60e9)
	p = b.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set)))
	next = b.submit(p, "/step-up", url.Values{"answer": {"without"}})
	b.sendDetails(next, "TREAT", "")
	if code, _ := w.redeem(portal, w.lastBack().Get("ticket")); code != "request_submitted" {
		t.Fatal(code)
	}

	p = b.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set)))
	taken := b.submit(p, "/login", url.Values{"login": {"alice"}, "password": {password}})
	want(t, taken, 403, "Somebody else began this", "Error: Somebody else began this – Health Keys")

	w.policyFor(func(p *umaas.Policy) { p.MinACR = umaas.ACRPhishingResistant })
	c := w.browser()
	p = c.signIn(c.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set))), "bob")
	if !strings.Contains(p.body, "passkey or a security key") || !strings.Contains(p.body, "No sign-in of yours here is of that kind.") {
		t.Error(p.body)
	}
	c.submit(p, "/step-up", url.Values{"answer": {"refuse"}})
	if q := w.lastBack(); q.Get("error") != "access_denied" {
		t.Errorf("%v", q)
	}
}

// TestSignInPages: links to issuers are forms with a token of their own; a page for linking and unlinking; what goes wrong on
// the way is told.
func TestSignInPages(t *testing.T) {
	w := newWorld(t)
	w.must(w.store.Update(t.Context(), func(tx umaas.Tx) error {
		return tx.PutTrustedIssuer(umaas.TrustedIssuer{
			Issuer: "https://h.example", Name: "County <b>Hospital</b>", Uses: []umaas.IssuerUse{umaas.UseSignIn}, ClientID: "us", JWKS: []byte("{}"),
			Endpoints: umaas.IssuerEndpoints{Authorization: "https://h.example/authorize", Token: "https://h.example/token"},
		})
	}))
	b := w.browser()
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "h.example" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	p := b.get("/login?to=/me/asked")
	if !strings.Contains(p.body, "Sign in at <bdi>County &lt;b&gt;Hospital&lt;/b&gt;</bdi>") || !strings.Contains(p.header.Get("Content-Security-Policy"), "form-action 'self' https://h.example;") {
		t.Fatal(p.body, p.header)
	}
	away := b.submit(p, "/signin/away", nil)
	to, err := url.Parse(away.header.Get("Location"))
	w.must(err)
	if away.status != 303 || to.Host != "h.example" || to.Query().Get("redirect_uri") != w.server.URL+"/signin/back/"+umaas.IssuerID("https://h.example") {
		t.Fatalf("%d %s", away.status, to)
	}
	back := "/signin/back/" + umaas.IssuerID("https://h.example") + "?"
	said := b.get(back + url.Values{"state": {to.Query().Get("state")}, "error": {"access_denied"}}.Encode())
	if said.url.Path != "/login" || said.url.Query().Get("to") != "/me/asked" || !strings.Contains(said.body, "You were not signed in there.") {
		t.Errorf("%s %s", said.url, said.body)
	}
	if used := b.get(back + url.Values{"state": {to.Query().Get("state")}, "code": {"x"}}.Encode()); used.status != 400 || used.heading() != "Too old or already used" {
		t.Errorf("%d %s", used.status, used.heading())
	}
	for name, fields := range map[string]url.Values{"no token": {"form": {""}}, "token of sign-in": {"form": {p.loginToken(t)}}, "link without a person": {"link": {"yes"}}} {
		if r := b.submit(p, "/signin/away", fields); r.status != 400 {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	if r := b.submit(p, "/signin/away", url.Values{"issuer": {"x"}}); !strings.Contains(r.body, "not possible here at the moment") {
		t.Errorf("%d %s", r.status, r.body)
	}
	b.signIn(p, "bob")
	w.must(w.store.Update(t.Context(), func(tx umaas.Tx) error {
		a, err := tx.Account(w.bob.ID)
		if err != nil {
			return err
		}
		a.Identities = []umaas.Identity{{Issuer: "https://gone.example", Subject: "bob"}}
		return tx.PutAccount(a)
	}))
	mine := b.get("/me/sign-in")
	want(t, mine, 200, "Signing in", "Signing in – Health Keys")
	for _, words := range []string{"Name and password", "https://gone.example", "switched off here at the moment", "Link <bdi>County"} {
		if !strings.Contains(mine.body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if r := b.submit(mine, "/signin/away", nil); r.status != 303 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := b.submit(mine, "/unlink", url.Values{"id": {"x"}}); r.status != 400 {
		t.Errorf("%d", r.status)
	}
	mine = b.submit(mine, "/unlink", nil)
	if !strings.Contains(mine.body, "Unlinked.") || strings.Contains(mine.body, "gone.example") {
		t.Error(mine.body)
	}
}

func (p page) loginToken(t *testing.T) string {
	t.Helper()
	_, fields := p.form(t, "/login")
	return fields.Get("form")
}
