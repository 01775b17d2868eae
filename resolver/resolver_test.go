package resolver_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/resolver/client"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

const connectHeading = "Connect Flu Clinic with General Hospital"

// connect presses Connect on a chooser page and gives the query the app received.
func (b *browser) connect(p page, patient string) url.Values {
	b.s.t.Helper()
	form := url.Values{"token": {p.token(p.path())}, "answer": {"connect"}}
	if patient != "" {
		form.Set("patient", patient)
	}
	answered := b.post(p.path(), form)
	if b.left == nil || answered.Status != http.StatusSeeOther {
		b.s.t.Fatalf("not sent back: %d %s", answered.Status, answered.text())
	}
	return b.left.Query()
}

// The whole of A3: from the app and back, signed out at first.
func TestS004_07_24_25_26_27_29_30_Resolve(t *testing.T) {
	for _, c := range []struct{ level, patient string }{{"user", ""}, {"patient", "abigail"}} {
		t.Run(c.level, func(t *testing.T) {
			s := newSite(t)
			err := s.relations.Put(t.Context(), rs.Relation{Subject: "Patient/john", Patient: "abigail", Kind: "parent", Label: "Daughter", Scopes: "patient/*.rs"})
			if err != nil {
				t.Fatal(err)
			}
			b := s.browser()
			first := b.get(s.ask(c.level))
			first.is(200, connectHeading)
			if !strings.Contains(first.text(), "This gives no access yet. It lets Flu Clinic ask.") || strings.Contains(first.Body, "Abigail") {
				t.Error(first.text())
			}
			p := b.signedIn(s.ask(c.level), john)
			p.is(200, connectHeading)
			q := b.connect(p, c.patient)
			if q.Get("state") != "st&ate=1 +é" || q.Get("iss") != s.base || q.Get("keep") != "me" || len(q) != 4 {
				t.Errorf("query %v", q)
			}
			u, err := client.Return(q, s.base, "st&ate=1 +é")
			if err != nil || !regexp.MustCompile("^"+regexp.QuoteMeta(s.base)+"/uma-context/[a-z2-7]{32}$").MatchString(u) {
				t.Fatal(u, err)
			}
			ticket, err := client.Ask(t.Context(), http.DefaultClient, u, "AllergyIntolerance.read Immunization.write", "")
			if err != nil || ticket.ASURI != s.as.Issuer() {
				t.Fatal(ticket, err)
			}
			got, _ := s.as.Ticket(ticket.Ticket)
			prefix := c.level + "/"
			if got.Owner != "sub-john" || got.Permissions[0].Scopes[0] != prefix+"AllergyIntolerance.r" {
				t.Errorf("%+v", got)
			}
			if len(got.Permissions[0].Constraints) != 0 {
				t.Error("bound to a client nobody named")
			}
		})
	}
}

func TestResolvedForAClientIsBoundToIt(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	q := b.connect(b.signedIn(s.ask("user", "client_id", "flu"), john), "")
	ticket, err := client.Ask(t.Context(), http.DefaultClient, q.Get("resolved"), "Patient.r", "")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := s.as.Ticket(ticket.Ticket)
	if c := got.Permissions[0].Constraints; len(c) != 1 || c[0].Type != "client" || c[0].Value != "flu" { // decisions 9
		t.Errorf("%+v", c)
	}
}

func TestS004_28_NewEachTime(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	seen := map[string]bool{}
	p := b.signedIn(s.ask("patient"), john)
	for range 20 {
		u := b.connect(p, "john").Get("resolved")
		if seen[u] || u == "" {
			t.Fatal("the same URL again")
		}
		seen[u] = true
		p = b.get(s.ask("patient"))
		p.is(200, connectHeading) // no silent success: the page is shown although she is signed in
	}
}

func TestPickerIsShownEvenForOneAndChoosesNothing(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.signedIn(s.ask("patient"), john)
	if n := strings.Count(p.Body, `type="radio"`); n != 1 || strings.Contains(p.Body, "checked") || !strings.Contains(p.text(), "Whose record? My own record John Smith · born 1980") {
		t.Errorf("%d cards: %s", n, p.text())
	}
	again := b.post(p.path(), url.Values{"token": {p.token(p.path())}, "answer": {"connect"}})
	if again.Status != 422 || !strings.Contains(again.text(), "Choose whose record this is about.") || b.left != nil {
		t.Errorf("%d %s", again.Status, again.text())
	}
	q := b.connect(again, "john")
	if q.Get("resolved") == "" {
		t.Error(q)
	}
}

func TestForeignRecordCannotBeChosen(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	q := b.connect(b.signedIn(s.ask("patient"), john), "mary")
	if q.Get("error") != "access_denied" || q.Has("resolved") || q.Get("state") == "" {
		t.Errorf("%v", q)
	}
}

func TestCancelGoesBack(t *testing.T) {
	s := newSite(t)
	for name, p := range map[string]func(b *browser) page{
		"signed out": func(b *browser) page { return b.get(s.ask("user")) },
		"signed in":  func(b *browser) page { return b.signedIn(s.ask("user"), john) },
	} {
		b := s.browser()
		shown := p(b)
		b.post(shown.path(), url.Values{"token": {shown.token(shown.path())}, "answer": {"cancel"}})
		if b.left == nil || b.left.Query().Get("error") != "access_denied" || b.left.Query().Get("state") != "st&ate=1 +é" || b.left.Query().Get("iss") != s.base {
			t.Errorf("%s: %v", name, b.left)
		}
	}
}

func TestA3_4_ErrorsByRedirect(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		act  func(b *browser)
		want string
	}{
		"no state":    {func(b *browser) { b.get("/resolve-uma-context/user?redirect_uri=" + url.QueryEscape(s.app)) }, "invalid_request"},
		"empty state": {func(b *browser) { b.get("/resolve-uma-context/user?state=&redirect_uri=" + url.QueryEscape(s.app)) }, "invalid_request"},
		"two states": {func(b *browser) {
			b.get("/resolve-uma-context/user?state=a&state=b&redirect_uri=" + url.QueryEscape(s.app))
		}, "invalid_request"},
		"long state": {func(b *browser) { b.get(s.ask("user", "state", strings.Repeat("x", 1025))) }, "invalid_request"},
		"said no":    {func(b *browser) { b.signedIn(s.ask("user"), asclienttest.Person{Sub: "x", Refuses: true}) }, "access_denied"},
		"AS away": {func(b *browser) {
			s.as.Lose("POST /token", true)
			defer s.as.Lose("POST /token", false)
			b.signedIn(s.ask("user"), john)
		}, "temporarily_unavailable"},
	} {
		b := s.browser()
		c.act(b)
		if b.left == nil {
			t.Errorf("%s: not sent back", name)
			continue
		}
		q := b.left.Query()
		if q.Get("error") != c.want || q.Get("iss") != s.base || q.Has("resolved") || q.Get("keep") != "me" {
			t.Errorf("%s: %v", name, q)
		}
	}
}

// SEC-62, SEC-101: nothing but the exact registered address is ever redirected to.
func TestSEC_62_101_RedirectCorpus(t *testing.T) {
	s := newSite(t)
	u, err := url.Parse(s.app)
	if err != nil {
		t.Fatal(err)
	}
	s.register(rs.App{ClientID: "twin", Name: "Twin", RedirectURIs: []string{"https://twin.example/cb"}})
	s.register(rs.App{ClientID: "other", Name: "Other", RedirectURIs: []string{"https://twin.example/cb"}})
	evil := []string{
		"", "https://evil.example/", s.app + "x", s.app + "#f", strings.Replace(s.app, "/back", "/Back", 1), strings.Replace(s.app, "/back", "/back/", 1),
		strings.Replace(s.app, "/back", "/x/../back", 1), strings.Replace(s.app, "/back", "/%2e/back", 1), strings.Replace(s.app, "/back", "/b%61ck", 1),
		strings.Replace(s.app, "//", "//user@", 1), strings.Replace(s.app, u.Port(), "1", 1), strings.Replace(s.app, "http://", "https://", 1),
		strings.Replace(s.app, "127.0.0.1", "localhost", 1), strings.Replace(s.app, "127.0.0.1", "127.0.0.1.evil.example", 1),
		s.app + "\\@evil.example", s.app + "&x=1", strings.TrimSuffix(s.app, "?keep=me"), "javascript:alert(1)", "//" + u.Host + u.Path, url.QueryEscape(s.app),
		"https://twin.example/cb", // of two apps, none named
	}
	for _, uri := range evil {
		for _, path := range []string{"user", "patient"} {
			b := s.browser()
			p := b.get(s.ask(path, "redirect_uri", uri))
			if b.left != nil || p.Status != 400 || p.heading() != "We cannot send you back" || strings.Contains(p.Body, "evil") {
				t.Errorf("%q: %d %q, sent to %v", uri, p.Status, p.heading(), b.left)
			}
		}
	}
	b := s.browser()
	if p := b.get(s.ask("user", "redirect_uri", "https://twin.example/cb", "client_id", "twin")); p.heading() != "Connect Twin with General Hospital" || !strings.Contains(p.text(), "Nobody here has checked this app.") {
		t.Errorf("control: %q", p.text())
	}
	if p := b.get(s.ask("user", "client_id", "twin")); p.Status != 400 {
		t.Errorf("another app's address: %d", p.Status)
	}
	if p := b.get(s.ask("user") + "&redirect_uri=" + url.QueryEscape(s.app)); p.Status != 400 || b.left != nil { // SEC-63
		t.Errorf("address twice: %d", p.Status)
	}
}

func TestSEC_04_AnotherBrowserCannotGoOn(t *testing.T) {
	s := newSite(t)
	a, b := s.browser(), s.browser()
	p := a.signedIn(s.ask("user"), john)
	b.signedIn(s.ask("user"), asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	if stolen := b.get(p.path()); stolen.Status != http.StatusGone || stolen.heading() != "Too old" {
		t.Errorf("%d %s", stolen.Status, stolen.text())
	}
	if stolen := b.post(p.path(), url.Values{"token": {p.token(p.path())}, "answer": {"connect"}}); stolen.Status != http.StatusGone || b.left != nil {
		t.Errorf("%d %s", stolen.Status, stolen.text())
	}
	if q := a.connect(p, ""); q.Get("resolved") == "" {
		t.Error("control")
	}
}

func TestFormsAreGuarded(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.signedIn(s.ask("user"), john)
	good := url.Values{"token": {p.token(p.path())}, "answer": {"connect"}}
	with := func(name string, values ...string) url.Values {
		f := url.Values{}
		for k, v := range good {
			f[k] = v
		}
		f[name] = values
		return f
	}
	for name, f := range map[string]url.Values{
		"no token": with("token"), "wrong token": with("token", "x"), "unknown field": with("admin", "1"), "field twice": with("answer", "connect", "cancel"),
		"no answer": with("answer"), "strange answer": with("answer", "take all"),
	} {
		if got := b.post(p.path(), f); got.Status != 400 || got.heading() != "Out of date" || b.left != nil { // PS-03, PS-04, TX-21
			t.Errorf("%s: %d %s", name, got.Status, got.text())
		}
	}
	if got := b.post(p.path(), good, "Sec-Fetch-Site", "cross-site"); got.Status != http.StatusForbidden {
		t.Errorf("cross-site: %d", got.Status)
	}
	other := s.browser()
	q := other.signedIn(s.ask("user"), asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	if got := b.post(p.path(), with("token", q.token(q.path()))); got.Status != 400 {
		t.Errorf("another person's token: %d", got.Status)
	}
	b.connect(p, "")
	if got := b.post(p.path(), good); got.Status != http.StatusGone || b.left != nil { // a double click makes one link
		t.Errorf("second press: %d", got.Status)
	}
	list, err := s.state.ContextURLs(t.Context(), rs.UserKey(s.as.Issuer(), "sub-john"), 10)
	if err != nil || len(list) != 1 {
		t.Errorf("%d links, %v", len(list), err)
	}
}

func TestFlowEnds(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.get(s.ask("user"))
	s.clock.forward(15 * time.Minute)
	if got := b.get(p.path()); got.Status != http.StatusGone || got.heading() != "Too old" {
		t.Errorf("%d %s", got.Status, got.text())
	}
}

func TestAnotherAccountCanBeUsed(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.signedIn(s.ask("patient"), john)
	s.as.SignInNext(asclienttest.Person{Sub: "sub-mary", Name: "Mary Jones", FHIRUser: "Patient/mary"})
	p = b.post(p.path()+"/signin", url.Values{"token": {p.token(p.path() + "/signin")}, "other": {"1"}})
	p.is(200, connectHeading)
	if !strings.Contains(p.text(), "Signed in as Mary Jones") || strings.Contains(p.Body, "john") {
		t.Error(p.text())
	}
}

func TestNobodyLinked(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.signedIn(s.ask("patient"), asclienttest.Person{Sub: "stranger", Name: "Stranger"})
	if !strings.Contains(p.text(), "No record is linked to you here.") || strings.Contains(p.Body, `value="connect"`) {
		t.Error(p.text())
	}
}

func TestManyRecordsAreSearchedByFullName(t *testing.T) {
	s := newSite(t)
	for i := range 30 {
		id := "p" + strings.Repeat("x", i+1)
		s.patients[id] = rs.PatientName{Name: "Patient " + id, BirthYear: "1990"}
		if err := s.relations.Put(t.Context(), rs.Relation{Subject: "Practitioner/g", Patient: id, Kind: "practitioner", Scopes: "patient/*.rs"}); err != nil {
			t.Fatal(err)
		}
	}
	b := s.browser()
	p := b.signedIn(s.ask("patient"), asclienttest.Person{Sub: "g", Name: "Dr G", FHIRUser: "Practitioner/g"})
	if strings.Contains(p.Body, `type="radio"`) || strings.Contains(" "+p.text()+" ", " 30 ") {
		t.Error("records are listed, or counted (GW-10)")
	}
	search := func(name string) page {
		return b.post(p.path(), url.Values{"token": {p.token(p.path())}, "answer": {"search"}, "name": {name}})
	}
	if got := search("Patient px"); strings.Count(got.Body, `type="radio"`) != 1 {
		t.Error(got.text())
	}
	for _, name := range []string{"Patient", "Mary Jones", ""} {
		if got := search(name); strings.Contains(got.Body, `type="radio"`) {
			t.Errorf("%q finds %s", name, got.text())
		}
	}
}

func TestHeadersOfEveryPage(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	origin := strings.TrimSuffix(strings.TrimSuffix(s.app, "?keep=me"), "/back")
	signIn := b.get(s.ask("user"))
	chooser := b.signedIn(s.ask("user"), john)
	for name, c := range map[string]struct {
		p      page
		action string
	}{
		"sign in": {signIn, "'self' " + s.as.Issuer() + " " + origin}, "chooser": {chooser, "'self' " + s.as.Issuer() + " " + origin},
		"error": {b.get("/resolve-uma-context/user"), "'self'"}, "not found": {b.get("/connect/x"), "'self'"}, "links": {b.get("/connect"), "'self'"},
	} {
		h := c.p.Header
		csp := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action " + c.action +
			"; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
		if h.Get("Content-Security-Policy") != csp {
			t.Errorf("%s: %s\nwant %s", name, h.Get("Content-Security-Policy"), csp)
		}
		for header, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex",
		} {
			if h.Get(header) != want {
				t.Errorf("%s: %s is %q", name, header, h.Get(header))
			}
		}
		if strings.Contains(c.p.Body, "<script") || strings.Contains(c.p.Body, " style=") || strings.Contains(c.p.Body, "<style") {
			t.Errorf("%s: inline script or style", name)
		}
	}
}

func TestHostileNames(t *testing.T) {
	s := newSite(t)
	const evil = `<script>alert(1)</script>"'&`
	s.patients["john"] = rs.PatientName{Name: evil}
	s.register(rs.App{ClientID: "evil", Name: evil, RedirectURIs: []string{"https://evil.example/cb"}})
	b := s.browser()
	p := b.signedIn(s.ask("patient", "redirect_uri", "https://evil.example/cb"), asclienttest.Person{Sub: "x", Name: evil, FHIRUser: "Patient/john"})
	links := b.get("/connect")
	for name, p := range map[string]page{"chooser": p, "links": links} {
		if p.Status != 200 || strings.Contains(p.Body, "<script") || !strings.Contains(p.Body, "&lt;script&gt;") {
			t.Errorf("%s: %s", name, p.Body)
		}
	}
}

// TX-01: words that never stand on people's pages.
func TestTX_01_PlainWords(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	pages := map[string]page{
		"sign in": b.get(s.ask("patient")), "chooser": b.signedIn(s.ask("patient"), john), "links": b.get("/connect"), "portal sign in": s.browser().get("/signin"),
		"bad address": b.get("/resolve-uma-context/user"), "not found": b.get("/connect/x"), "guard": b.get("/guard"), "guard check": b.find(),
		"guard problem": b.get(rs.GuardPath(s.second.Issuer())),
	}
	word := regexp.MustCompile(`(?i)\b(scopes?|tokens?|clients?|resources?|FHIR|OAuth|UMA|RPT|tickets?|claims?|polic(y|ies)|grants?|revoke[ds]?|authori[sz]e[ds]?|authori[sz]ation)\b`)
	for name, p := range pages {
		if m := word.FindString(p.text()); m != "" {
			t.Errorf("%s says %q: %s", name, m, p.text())
		}
		if p.heading() == "" || !strings.Contains(p.Body, `<html lang="en">`) || strings.Count(p.Body, "<h1>") != 1 {
			t.Errorf("%s: heading, language", name)
		}
	}
}

func TestAddressesCSPCannotExpressGetALink(t *testing.T) {
	s := newSite(t)
	s.register(rs.App{ClientID: "v6", Name: "Six", RedirectURIs: []string{"http://[::1]/cb"}})
	b := s.browser()
	p := b.signedIn(s.ask("user", "redirect_uri", "http://[::1]:4711/cb"), john)
	done := b.post(p.path(), url.Values{"token": {p.token(p.path())}, "answer": {"connect"}})
	done.is(200, "Back to Six") // PS-02
	if b.left != nil || !strings.Contains(done.Body, `href="http://[::1]:4711/cb?resolved=`) {
		t.Error(done.Body)
	}
	s.register(rs.App{ClientID: "own", Name: "Own", RedirectURIs: []string{"org.example.app:/cb"}})
	p = b.get(s.ask("user", "redirect_uri", "org.example.app:/cb"))
	if !strings.Contains(p.Header.Get("Content-Security-Policy"), " org.example.app:;") {
		t.Error(p.Header.Get("Content-Security-Policy"))
	}
}
