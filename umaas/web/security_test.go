package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func pat(w *world) umaas.PAT { return umaas.PAT{Owner: w.alice.ID, RS: w.rs} }

// link finds the first link whose address begins with prefix.
func link(t testing.TB, p page, prefix string) string {
	t.Helper()
	m := regexp.MustCompile(`href="(` + regexp.QuoteMeta(prefix) + `[^"/]+)"`).FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("no link to %s… on the page:\n%s", prefix, p.body)
	}
	return m[1]
}

// TestPS_03_CSRF: another site, another sign-in, another flow, a missing or changed token: nothing happens.
func TestPS_03_CSRF(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	first := b.signIn(b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set))), "alice")
	second := b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set)))
	action, fields := first.form(t, "/consent")
	fields.Set("answer", "share")
	fields.Set("until", "hour")
	fields.Set("item", first.item(t, "See your allergies"))
	_, other := second.form(t, "/consent")
	changed := func(change func(url.Values)) url.Values {
		f := url.Values{}
		for k, v := range fields {
			f[k] = append([]string{}, v...)
		}
		change(f)
		return f
	}
	for name, form := range map[string]url.Values{
		"no token":                changed(func(f url.Values) { f.Del("form") }),
		"token of another window": changed(func(f url.Values) { f.Set("form", other.Get("form")) }),
		"digest changed":          changed(func(f url.Values) { f.Set("digest", "x") }),
		"unknown field":           changed(func(f url.Values) { f.Set("scope", "patient/*.cruds") }),
		"repeated field":          changed(func(f url.Values) { f.Add("until", "none") }),
		"unknown answer":          changed(func(f url.Values) { f.Set("answer", "x") }),
		"foreign item":            changed(func(f url.Values) { f.Add("item", "zzzz") }),
	} {
		p := b.post(action, form)
		want(t, p, 400, "This form is out of date", "Error: This form is out of date – Health Keys")
		_ = name
	}
	for _, headers := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+action, strings.NewReader(fields.Encode()))
		w.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range headers {
			r.Header.Set(k, v)
		}
		if p := b.do(r); p.status != 400 || p.heading() != "This form is out of date" {
			t.Errorf("%v: %d %s", headers, p.status, p.heading())
		}
	}
	stranger := w.browser() // not this browser: the flow is not there
	if p := stranger.get(first.url.String()); p.status != 400 || p.heading() != "Too old or already used" {
		t.Errorf("%d %s", p.status, p.heading())
	}
	shares, err := w.core.Shares(t.Context(), w.alice.ID)
	w.must(err)
	if len(shares) != 0 {
		t.Errorf("something was stored: %+v", shares)
	}
	if p := b.post(action, fields); p.url.Path != "/cb" { // and the honest form still works, beside the other window
		t.Errorf("%d %s", p.status, p.body)
	}
	if p := b.submit(second, "/consent", url.Values{"answer": {"refuse"}}); p.url.Path != "/cb" {
		t.Errorf("%d %s", p.status, p.body)
	}
}

// TestSEC_24_SwitchPerson: "Not you?" ends the flow; nobody else goes on in it.
func TestSEC_24_SwitchPerson(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set))), "bob")
	done := b.submit(p, "/switch", nil)
	if q := w.lastBack(); done.url.Path != "/cb" || q.Get("error") != "access_denied" {
		t.Errorf("at %s with %v", done.url, q)
	}
	if p := b.get("/me"); p.url.Path != "/login" {
		t.Error("still signed in")
	}
	// Signing in as somebody else in another tab does not take over a flow either.
	c := w.browser()
	p = c.signIn(c.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set))), "bob")
	c.submit(c.get("/me"), "/logout", nil)
	c.signIn(c.get("/login"), "alice")
	taken := c.get(p.url.String())
	want(t, taken, 403, "Somebody else began this", "Error: Somebody else began this – Health Keys")
}

// TestPS_OtherPeople: what belongs to somebody else looks like what does not exist, byte by byte (TX-20).
func TestPS_OtherPeople(t *testing.T) {
	w := newWorld(t)
	w.submitted("TREAT", "")
	a := w.browser()
	a.signIn(a.get("/me"), "alice")
	request := link(t, a.get("/me/requests"), "/me/requests/")
	b := w.browser()
	b.signIn(b.get("/me"), "bob")
	foreign, unknown := b.get(request), b.get("/me/requests/"+strings.Repeat("0", 32))
	broken := b.get("/me/requests/zz")
	if foreign.status != 404 || foreign.body != unknown.body || foreign.body != broken.body {
		t.Errorf("%d\n%s\n%s", foreign.status, foreign.body, unknown.body)
	}
	for _, path := range []string{"/me/sharing/zz", "/me/sharing/zz/stop", "/me/history?before=zz"} {
		if p := b.get(path); p.status != 404 || p.heading() != "Page not found" {
			t.Errorf("%s: %d %s", path, p.status, p.heading())
		}
	}
}

// TestSEC_67_HostileNames: foreign text is text on every page, cleaned, and never a link or markup.
func TestSEC_67_HostileNames(t *testing.T) {
	w := newWorld(t)
	evil := `<script>alert(1)</script>"'&{{.}}` + "\u202e\u0000\u200b" + strings.Repeat("x", 300)
	w.must(w.store.Update(t.Context(), func(tx umaas.Tx) error {
		c, err := tx.Client(portal)
		if err != nil {
			return err
		}
		c.Name, c.ClientURI, c.PolicyURI = evil, "javascript:alert(1)", "data:text/html,x"
		return tx.PutClient(c)
	}))
	bob := w.bob
	bob.Name = strings.ReplaceAll(evil, "\u0000", "")[:190]
	_, err := w.core.PutAccount(t.Context(), bob, "")
	w.must(err)
	ticket := w.submitted("TREAT", "<img src=x onerror=alert(1)>\u202e")
	_ = ticket
	w.record(w.alice.ID, evil)
	b := w.browser()
	b.signIn(b.get("/me"), "alice")
	paths := []string{"/me", "/me/requests", link(t, b.get("/me/requests"), "/me/requests/"), "/me/share", "/me/history"}
	p := b.get(paths[2])
	b.submit(p, p.url.Path, url.Values{"answer": {"allow"}, "item": {p.item(t, "See your allergies")}, "until": {"none"}})
	paths = append(paths, "/me/sharing", link(t, b.get("/me/sharing"), "/me/sharing/"))
	for _, path := range paths {
		p := b.get(path)
		if p.status != 200 {
			t.Errorf("%s: %d", path, p.status)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", "javascript:alert", "data:text/html", "ZgotmplZ", "\u202e", "\u200b", "\x00", strings.Repeat("x", 61)} {
			if strings.Contains(p.body, bad) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
	}
}

// TestErrorPages: fixed words, and nothing of the request in the page.
func TestErrorPages(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for path, heading := range map[string]string{
		"/claims?client_id=canary&ticket=x&claims_redirect_uri=https://canary.example&state=1": "We cannot send you back",
		"/authorize?client_id=canary&redirect_uri=https://canary.example":                      "We cannot send you back",
		"/claims?state=1&state=canary":                                                         "We cannot send you back",
		"/flow/canary":                                                                         "Too old or already used",
	} {
		p := b.get(path)
		want(t, p, 400, heading, "Error: "+heading+" – Health Keys")
		if strings.Contains(p.body, "canary") {
			t.Errorf("%s is shown: %s", path, p.body)
		}
	}
	asked := "/authorize?response_type=code&client_id=" + string(flu) + "&redirect_uri=" + url.QueryEscape(w.app.URL+"/cb") +
		"&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&scope="
	offered := b.get(asked + "nothing").heading() // TX-12
	for _, query := range []string{"patient/Patient.r", "openid&resource=https://canary.example", "openid&request_uri=https://canary.example"} {
		if p := b.get(asked + query); p.status != 400 || p.heading() != offered || offered == "We cannot send you back" || strings.Contains(p.body, "canary") {
			t.Errorf("%s: %d %s", query, p.status, p.heading())
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/canary", nil)
	w.must(err)
	r.Header.Set("Accept", "text/html")
	if p := b.do(r); p.status != 404 || p.heading() != "Page not found" || strings.Contains(p.body, "canary") {
		t.Errorf("%d %s", p.status, p.body)
	}
	code := b.get("/claims?client_id=x")
	if id := code.header.Get("X-Request-Id"); id == "" || !strings.Contains(code.body, id) {
		t.Errorf("the code of the request is not shown: %q", id)
	}
}

func TestPS_10_Cookies(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := b.get("/login")
	if c := p.header.Values("Set-Cookie"); len(c) != 1 || !strings.HasPrefix(c[0], "as-form=") || !strings.HasSuffix(c[0], "; Path=/; HttpOnly; SameSite=Lax") {
		t.Errorf("%q", c)
	}
	p = b.signIn(p, "alice")
	if c := p.header.Values("Set-Cookie"); p.status != 303 || !strings.HasPrefix(c[0], "as=") || !strings.HasSuffix(c[0], "; Path=/; HttpOnly; SameSite=Lax") {
		t.Errorf("%d %q", p.status, c)
	}
	p = b.submit(b.get("/me"), "/logout", nil)
	if p.status != 303 || p.header.Get("Clear-Site-Data") != `"cache"` {
		t.Errorf("%d %v", p.status, p.header)
	}
}

// TestTX_01_Words: no page for people uses the words of the protocol. Codes in <code> are the third layer (UI-05).
func TestTX_01_Words(t *testing.T) {
	w := newWorld(t)
	w.submitted("TREAT", "please")
	b := w.browser()
	pages := []page{b.get("/login")}
	consent := b.signIn(b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set))), "alice")
	pages = append(pages, consent, b.submit(consent, "/consent", url.Values{"answer": {"share"}}))
	b.submit(consent, "/consent", url.Values{"answer": {"share"}, "item": {consent.item(t, "See your allergies")}, "until": {"none"}})
	for _, path := range []string{"/me", "/me/requests", "/me/sharing", "/me/share", "/me/history", "/me/asked", "/flow/x", "/claims"} {
		pages = append(pages, b.get(path))
	}
	pages = append(pages, b.get(link(t, b.get("/me/requests"), "/me/requests/")))
	share := b.get(link(t, b.get("/me/sharing"), "/me/sharing/"))
	pages = append(pages, share, b.get(share.url.String()+"/stop"), b.get(share.url.String()+"/change"))
	d := w.browser()
	pages = append(pages, d.signIn(d.get(w.claimsURL(portal, w.ticket(w.alice.ID, w.set))), "bob"))
	code := regexp.MustCompile(`(?s)<code>.*?</code>`)
	for _, p := range pages {
		text := tags.ReplaceAllString(code.ReplaceAllString(p.body, " "), " ")
		if m := forbidden.FindString(text); m != "" {
			t.Errorf("%s says %q", p.url.Path, m)
		}
	}
	if len(pages) < 15 || uma.ScopeProtection == "" {
		t.Error("pages are missing from this test")
	}
}

var forbidden = regexp.MustCompile(`(?i)\b(scopes?|tokens?|clients?|resources?|FHIR|OAuth|UMA|RPT|tickets?|claims?|polic(y|ies)|grant(s|ed)?|revoked?|authori[sz]\w*)\b`)
