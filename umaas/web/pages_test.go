package web_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// want checks status, heading and title of a page and the headers every page has.
func want(t *testing.T, p page, status int, heading, title string) {
	t.Helper()
	if p.status != status || p.heading() != heading || p.title() != title {
		t.Fatalf("got %d %q %q\nwant %d %q %q\n%s", p.status, p.heading(), p.title(), status, heading, title, p.body)
	}
	if strings.Count(p.body, "<h1") != 1 {
		t.Error("a page has one h1")
	}
	for name, value := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"X-Robots-Tag": "noindex", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := p.header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	csp := p.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("content policy lacks %s: %s", part, csp)
		}
	}
	if strings.Contains(p.body, "ZgotmplZ") || strings.Contains(p.body, " style=") || strings.Contains(p.body, " onclick") {
		t.Error("inline style, script or an unsafe value in the page")
	}
}

// ticked counts the boxes and radio buttons that are on.
func ticked(p page) int { return len(on.FindAllString(p.body, -1)) }

var on = regexp.MustCompile(`<input[^>]* checked[ >]`)

func TestPG_01_SignIn(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.get("/me/sharing")
	want(t, p, 200, "Sign in", "Sign in – Health Keys")
	if p.url.Path != "/login" {
		t.Fatalf("at %s", p.url)
	}
	for _, name := range []string{"alice", "nobody"} { // the same answer for unknown people
		p = b.submit(p, "/login", url.Values{"login": {name}, "password": {"wrong"}})
		want(t, p, 422, "Sign in", "Error: Sign in – Health Keys")
		if !strings.Contains(p.body, "Name or password is not right.") || strings.Contains(p.body, "wrong") {
			t.Error(p.body)
		}
	}
	p = b.signIn(p, "alice")
	want(t, p, 200, "Sharing", "Sharing – Health Keys")
	p = b.submit(p, "/logout", nil)
	want(t, p, 200, "Sign in", "Sign in – Health Keys")
	if !strings.Contains(p.body, "You are signed out.") {
		t.Error("no notice")
	}
	if p := b.get("/me"); p.url.Path != "/login" { // PS-07: Back after sign-out shows sign-in
		t.Errorf("still signed in at %s", p.url)
	}
	for _, to := range []string{"https://evil.example", "//evil.example", "/me/../x", "/login", "/me?x=1"} { // SEC-101
		p := b.get("/login?to=" + url.QueryEscape(to))
		if strings.Contains(p.body, `name="to"`) {
			t.Errorf("to=%s is taken over", to)
		}
	}
}

func TestPG_03_Consent(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set)))
	want(t, p, 200, "Sign in", "Sign in – Health Keys")
	if !strings.HasPrefix(p.url.Path, "/flow/") || p.url.RawQuery != "" {
		t.Fatalf("the address is not clean: %s", p.url)
	}
	if !strings.Contains(p.body, "to continue to <bdi>Flu Clinic</bdi>") {
		t.Error(p.body)
	}
	p = b.signIn(p, "alice")
	want(t, p, 200, "Share with Flu Clinic?", "Share with an app – Health Keys")
	if csp := p.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' ") || !strings.Contains(csp, w.app.URL) {
		t.Errorf("PS-02: %s", csp)
	}
	if ticked(p) > 0 {
		t.Error("UI-04: something is ticked beforehand")
	}
	for _, text := range []string{"Not checked.", "Nobody here has checked who made it", "Specially protected", "can write in your record", "Signed in as <bdi>Alice Ames</bdi>", "Only now, 1 hour at most"} {
		if !strings.Contains(p.body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	nothing := b.submit(p, "/consent", url.Values{"answer": {"share"}})
	want(t, nothing, 422, "Share with Flu Clinic?", "Error: Share with an app – Health Keys")
	for _, text := range []string{"Choose at least one kind of information, or say no.", "Choose for how long.", `href="#items"`, `href="#until"`, `role="alert"`} {
		if !strings.Contains(nothing.body, text) {
			t.Errorf("error summary lacks %q", text)
		}
	}
	all := b.submit(p, "/consent", url.Values{"answer": {"all"}})
	if n := ticked(all); n != 3 { // allergies, vaccinations, add: neither deleting nor gene tests
		t.Errorf("choose all ticked %d lines", n)
	}
	item := p.item(t, "See your allergies")
	w.t = t
	done := b.submit(p, "/consent", url.Values{"answer": {"share"}, "item": {item}, "until": {"hour"}})
	if done.url.Path != "/cb" {
		t.Fatalf("not back at the app: %s\n%s", done.url, done.body)
	}
	q := w.lastBack()
	if q.Get("state") != "st&te" || q.Get("iss") != w.server.URL || q.Get("ticket") == "" {
		t.Errorf("back with %v", q)
	}
	if code, _ := w.redeem(flu, q.Get("ticket")); code != "" {
		t.Errorf("no token: %s", code)
	}
	shares, err := w.core.Shares(t.Context(), w.alice.ID)
	w.must(err)
	if len(shares) != 1 || len(shares[0].Rules) != 1 || len(shares[0].Rules[0].Scopes) != 2 || !shares[0].NotAfter.Equal(w.clock.Add(time.Hour)) {
		t.Errorf("stored %+v", shares)
	}
}

func TestPG_03_Refuse(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set))), "alice")
	done := b.submit(p, "/consent", url.Values{"answer": {"refuse"}})
	if q := w.lastBack(); done.url.Path != "/cb" || q.Get("error") != "access_denied" || q.Get("state") != "st&te" || q.Get("ticket") != "" {
		t.Errorf("back at %s with %v", done.url, q)
	}
	again := b.submit(p, "/consent", url.Values{"answer": {"share"}, "item": {p.item(t, "See your allergies")}, "until": {"hour"}})
	want(t, again, 400, "Too old or already used", "Error: Too old or already used – Health Keys")
	shares, err := w.core.Shares(t.Context(), w.alice.ID)
	w.must(err)
	if len(shares) != 0 {
		t.Errorf("a no was stored as %+v", shares)
	}
}

// TestPG_01_FreshSignIn: an app that asks for a fresh sign-in gets one of somebody who is signed in, and the old one ends.
func TestPG_01_FreshSignIn(t *testing.T) {
	w := newWorld(t)
	home, err := url.Parse(w.server.URL)
	w.must(err)
	for _, extra := range []string{"prompt=login", "max_age=0"} {
		b := w.browser()
		b.signIn(b.get("/me"), "alice")
		old := b.Jar.Cookies(home)
		w.sleep(time.Second)
		p := b.get(w.server.URL + "/authorize?" + extra + "&" + url.Values{
			"response_type": {"code"}, "client_id": {string(portal)}, "redirect_uri": {w.app.URL + "/cb"}, "code_challenge_method": {"S256"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "scope": {"openid"},
		}.Encode())
		want(t, p, 200, "Sign in", "Sign in – Health Keys")
		w.sleep(time.Second)
		want(t, b.signIn(p, "alice"), 200, "Doctor's Desk will know who you are", "Share with an app – Health Keys")
		again := w.browser()
		again.Jar.SetCookies(home, old)
		if p := again.get("/me"); p.url.Path != "/login" {
			t.Errorf("%s: the sign-in before still counts at %s", extra, p.url)
		}
	}
}

func TestPG_03_SMARTLaunch(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	start := w.server.URL + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {string(flu)}, "redirect_uri": {w.app.URL + "/cb"}, "state": {"s"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "scope": {"openid launch/patient patient/AllergyIntolerance.rs patient/Immunization.cud"},
		"resource": {w.app.URL + "/fhir"},
	}.Encode()
	p := b.signIn(b.get(start), "alice")
	want(t, p, 200, "Share with Flu Clinic?", "Share with an app – Health Keys")
	if strings.Contains(p.body, `value="none"`) {
		t.Error("a long end is offered though offline access was not asked")
	}
	done := b.submit(p, "/consent", url.Values{"answer": {"share"}, "item": {p.item(t, "See your allergies")}, "until": {"today"}})
	if q := w.lastBack(); done.url.Path != "/cb" || q.Get("code") == "" || q.Get("state") != "s" {
		t.Errorf("back at %s with %v", done.url, q)
	}
}

func TestPG_03_Protect(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	start := w.server.URL + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {string(w.rs)}, "redirect_uri": {w.app.URL + "/cb"}, "state": {"s"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "scope": {"openid uma_protection"},
	}.Encode()
	p := b.signIn(b.get(start), "alice")
	want(t, p, 200, "Let General Hospital protect your record here?", "Protect your record – Health Keys")
	done := b.submit(p, "/protect", url.Values{"answer": {"allow"}})
	if q := w.lastBack(); done.url.Path != "/cb" || q.Get("code") == "" {
		t.Errorf("back at %s with %v", done.url, q)
	}
}

func TestPG_05_Details(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set))), "bob")
	want(t, p, 200, "Doctor's Desk asks for a health record on your behalf", "Details about you – Health Keys")
	if strings.Contains(p.body, "Alice") {
		t.Error("F-076: the page names the owner")
	}
	bad := b.submit(p, "/details", url.Values{"answer": {"next"}, "note": {strings.Repeat("é", 281)}})
	want(t, bad, 422, "Doctor's Desk asks for a health record on your behalf", "Error: Details about you – Health Keys")
	if !strings.Contains(bad.body, "Choose a reason.") || !strings.Contains(bad.body, "280 characters at most") {
		t.Error(bad.body)
	}
	p = b.submit(p, "/details", url.Values{"answer": {"next"}, "purpose": {"TREAT"}, "note": {"Please"}})
	want(t, p, 200, "Check what will be sent", "Check and send – Health Keys")
	for _, words := range []string{"Dr. Bob Berg (bob@clinic.example, confirmed) asks through", "To treat you", "Please", "for 30 days"} {
		if !strings.Contains(p.body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if strings.Contains(p.body, "checked") {
		t.Error("UI-04: remembering is ticked beforehand")
	}
	done := b.submit(p, "/send", url.Values{"answer": {"send"}})
	if q := w.lastBack(); done.url.Path != "/cb" || q.Get("ticket") == "" || q.Get("error") != "" {
		t.Errorf("back at %s with %v", done.url, q)
	}
}
