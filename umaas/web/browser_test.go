package web_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// chrome is one real browser with what it complained about.
type chrome struct {
	context.Context
	w          *world
	mu         sync.Mutex
	complaints []string
}

func (w *world) chrome() *chrome {
	t := w.t
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if os.Getenv("UMAAS_TEST_REQUIRE") == "all" {
			t.Fatal("Chromium is missing: install the package chromium")
		}
		t.Skip("Chromium is missing: the browser tests do not run")
	}
	dir := filepath.Join(t.TempDir(), "profile")
	flags := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	for _, f := range []string{"no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"} {
		flags = append(flags, chromedp.Flag(f, true))
	}
	flags = append(flags, chromedp.ExecPath(path), chromedp.UserDataDir(dir))
	limited, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	allocator, cancel := chromedp.NewExecAllocator(limited, flags...)
	c := &chrome{w: w}
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}), chromedp.WithListener(c.listen))
	t.Cleanup(func() { closeTab(); cancel(); stop() })
	c.Context = ctx
	c.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return chromedp.Void{}, err
	})
	return c
}

func (c *chrome) listen(event any) {
	e, ok := event.(*log.EventEntryAdded)
	if !ok || strings.Contains(e.Entry.Text, "Failed to load resource") { // an answer of 4xx is not a complaint
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complaints = append(c.complaints, e.Entry.Text)
}

func (c *chrome) run(steps ...chromedp.Action[chromedp.Void]) {
	c.w.t.Helper()
	if err := chromedp.Do(c, steps...); err != nil {
		c.w.t.Fatal(err)
	}
}

// value runs an action that gives something.
func value[T any](c *chrome, a chromedp.Action[T]) T {
	c.w.t.Helper()
	v, err := chromedp.Run(c, a)
	if err != nil {
		c.w.t.Fatal(err)
	}
	return v
}

// js evaluates an expression for its value.
func js[T any](c *chrome, expression string) T {
	c.w.t.Helper()
	return value(c, chromedp.Evaluate[T](expression))
}

type css = chromedp.CSS

// quiet fails on anything the browser had to say: a content policy that stops something, an error in the script.
func (c *chrome) quiet() {
	c.w.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.complaints {
		c.w.t.Errorf("the browser says: %s", s)
	}
}

func (c *chrome) open(path string) {
	c.w.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = c.w.server.URL + path
	}
	c.run(chromedp.Navigate(path), chromedp.WaitReady(css("h1")))
}

func (c *chrome) signIn(login string) {
	c.w.t.Helper()
	c.run(
		chromedp.SendKeys(css("#login"), login), chromedp.SendKeys(css("#password"), password),
		chromedp.Click(css("form.card button")), chromedp.WaitNotPresent(css("#password")), chromedp.WaitReady(css("h1")),
	)
}

func (c *chrome) heading() string {
	c.w.t.Helper()
	c.run(chromedp.WaitReady(css("h1")))
	return value(c, chromedp.Text(css("h1")))
}

// press clicks a button and waits for the next page.
func (c *chrome) press(selector string) {
	c.w.t.Helper()
	js[string](c, `document.documentElement.dataset.old = "1"`)
	c.run(chromedp.Click(css(selector)), chromedp.WaitNotPresent(css("html[data-old]")), chromedp.WaitReady(css("h1")))
}

func (c *chrome) tick(words string) {
	c.w.t.Helper()
	c.run(chromedp.Click(chromedp.Search(fmt.Sprintf(`//label[.//span[text()=%q]]`, words))))
}

// TestBrowser_OwnAccess: an owner lets an app see something, in a real browser: redirects after POST pass the content
// policy, nothing is blocked, the app has its answer.
func TestBrowser_OwnAccess(t *testing.T) {
	w := newWorld(t)
	c := w.chrome()
	c.open(w.claimsURL(flu, w.ticket(w.alice.ID, w.set)))
	c.signIn("alice")
	if h := c.heading(); h != "Share with Flu Clinic?" {
		t.Fatal(h)
	}
	c.run(chromedp.Click(css("[data-choose-all]")))
	n := js[int](c, `document.querySelectorAll("input[type=checkbox]:checked").length`)
	if n != 3 {
		t.Errorf("choose all ticks %d lines, the server would tick 3", n)
	}
	c.run(chromedp.Click(css(`input[value="hour"]`)))
	c.press(`button[value="share"]`)
	if h := c.heading(); h != "back" {
		t.Fatalf("not at the app but at %q", h)
	}
	if code, _ := w.redeem(flu, w.lastBack().Get("ticket")); code != "" {
		t.Errorf("no token: %s", code)
	}
	c.quiet()
}

// TestBrowser_Approval: a second person asks, the owner narrows and allows, the app polls, the owner stops.
func TestBrowser_Approval(t *testing.T) {
	w := newWorld(t)
	bob, alice := w.chrome(), w.chrome()
	bob.open(w.claimsURL(portal, w.ticket(w.alice.ID, w.set)))
	bob.signIn("bob")
	bob.run(chromedp.Click(css(`input[value="TREAT"]`)), chromedp.SendKeys(css("#note"), "See you tomorrow"))
	bob.press(`button[value="next"]`)
	bob.press(`button[value="send"]`)
	code, next := w.redeem(portal, w.lastBack().Get("ticket"))
	if code != uma.ErrRequestSubmitted.Code {
		t.Fatal(code)
	}
	alice.open("/me")
	alice.signIn("alice")
	alice.press(".attention .small-button")
	alice.tick("See your allergies")
	alice.run(chromedp.Click(css(`input[value="month"]`)))
	alice.press(`button[value="allow"]`)
	w.sleep(10 * time.Second)
	if code, next = w.redeem(portal, next); code != "" {
		t.Fatalf("after the answer: %s %s", code, next)
	}
	alice.open("/me/sharing")
	alice.press(".small-button")
	alice.press(`form[action$="/stop"] button`)
	if h := alice.heading(); h != "Dr. Bob Berg cannot use your record any more" {
		t.Error(h)
	}
	bob.quiet()
	alice.quiet()
}

// TestBrowser_Back: after sign-out the way back shows sign-in, not the page before.
func TestBrowser_Back(t *testing.T) {
	w := newWorld(t)
	c := w.chrome()
	c.open("/me/sharing")
	c.signIn("alice")
	c.press(".who button")
	c.run(chromedp.NavigateBack(), chromedp.Sleep(300*time.Millisecond))
	if h := c.heading(); h != "Sign in" {
		t.Errorf("back shows %q", h)
	}
}

// TestBrowser_Pages opens every page at three widths and in both colour schemes: nothing scrolls sideways (AX-03), the
// browser complains about nothing. With UMAAS_SCREENSHOTS=folder it leaves pictures there.
func TestBrowser_Pages(t *testing.T) {
	w := newWorld(t)
	w.fill()
	alice, bob := w.chrome(), w.chrome()
	alice.open("/me")
	alice.shots("01-signin")
	alice.signIn("alice")
	alice.open(w.claimsURL(flu, w.ticket(w.alice.ID, w.set)))
	alice.shots("03-consent")
	alice.press(`button[value="share"]`)
	alice.shots("03-consent-errors")
	alice.open(w.protectURL())
	alice.shots("03-protect")
	bob.open(w.claimsURL(portal, w.ticket(w.alice.ID, w.set)))
	bob.shots("01-signin-flow")
	bob.signIn("bob")
	bob.shots("05-details")
	bob.open("/me/asked")
	bob.shots("06-asked")
	bob.open("/me")
	bob.shots("07-home-empty")
	for name, path := range map[string]string{
		"07-home": "/me", "08-sharing": "/me/sharing", "10-newshare": "/me/share", "11-requests": "/me/requests", "13-history": "/me/history", "20-error": "/flow/x",
	} {
		alice.open(path)
		alice.shots(name)
	}
	alice.open("/me/requests")
	alice.press(".small-button")
	alice.shots("12-request")
	alice.open("/me/sharing")
	alice.press(".small-button")
	alice.shots("09-share")
	share := alice.location()
	alice.open(share + "/stop")
	alice.shots("09-stop")
	alice.open(share + "/change")
	alice.shots("09-change")
	alice.quiet()
	bob.quiet()
}

func (c *chrome) location() string {
	c.w.t.Helper()
	return value(c, chromedp.Location())
}

func (w *world) protectURL() string {
	return w.server.URL + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {string(w.rs)}, "redirect_uri": {w.app.URL + "/cb"}, "state": {"s"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "scope": {"openid uma_protection"},
	}.Encode()
}

// fill gives the pages something to show: shares of each kind, two requests, accesses.
func (w *world) fill() {
	w.t.Helper()
	b := w.browser()
	p := b.signIn(b.get(w.claimsURL(flu, w.ticket(w.alice.ID, w.set))), "alice")
	b.submit(p, "/consent", url.Values{"answer": {"share"}, "item": {p.item(w.t, "See your allergies"), p.item(w.t, "See your vaccinations")}, "until": {"quarter"}})
	ticket := w.lastBack().Get("ticket")
	w.redeem(flu, ticket)
	w.submitted("TREAT", "I see you tomorrow and would like to know about your allergies before.")
	p = b.get("/me/share")
	check := b.submit(p, "/share", url.Values{"answer": {"check"}, "whom": {"person"}, "email": {"carol@example.org"}, "item": {w.item("See your allergies"), w.item("See your health problems")}, "until": {"day"}})
	b.submit(check, "/share", url.Values{"answer": {"share"}})
	w.accesses()
}

func (w *world) accesses() {
	w.t.Helper()
	var events []uma.AccessEvent
	for i := range 5 {
		events = append(events, uma.AccessEvent{
			ID: fmt.Sprint("e", i), Time: w.now().Add(time.Duration(i-9) * time.Minute).UTC().Format("2006-01-02T15:04:05.000Z"), ClientID: string(flu), Sub: string(w.alice.ID),
			ResourceID: string(w.set), Interaction: "read", Types: []string{"AllergyIntolerance"}, Count: 1, Outcome: "success",
		})
	}
	for i, e := range []uma.AccessEvent{
		{Sub: string(w.bob.ID), ClientID: string(portal), Interaction: "search-type", Types: []string{"Immunization", "Observation"}, Count: 12, Outcome: "success"},
		{Sub: string(w.bob.ID), ClientID: string(portal), Interaction: "create", Types: []string{"Immunization"}, Count: 1, Outcome: "success"},
		{Sub: string(w.bob.ID), ClientID: string(portal), Interaction: "read", Types: []string{"Condition"}, Outcome: "refused", Reason: "scope"},
	} {
		e.ID, e.ResourceID = fmt.Sprint("f", i), string(w.set)
		e.Time = w.now().Add(-time.Minute).UTC().Format("2006-01-02T15:04:05.000Z")
		events = append(events, e)
	}
	w.must(w.core.RecordAccess(w.t.Context(), umaas.PAT{Owner: w.alice.ID, RS: w.rs}, events))
}

var plain = regexp.MustCompile(`[^a-z0-9-]`)

// shots looks at the page in three widths and both colour schemes.
func (c *chrome) shots(name string) {
	c.w.t.Helper()
	dir := os.Getenv("UMAAS_SCREENSHOTS")
	for _, width := range []int64{320, 375, 1280} {
		c.run(chromedp.EmulateViewport(width, 800))
		over := js[int](c, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
		if over > 0 {
			c.w.t.Errorf("AX-03: %s scrolls sideways by %d px at %d px", name, over, width)
		}
		if dir == "" || width == 320 {
			continue
		}
		c.save(dir, fmt.Sprintf("%s-%d", name, width))
		if width == 375 && (strings.HasPrefix(name, "03") || strings.HasPrefix(name, "07")) {
			c.scheme("dark")
			c.save(dir, name+"-375-dark")
			c.scheme("light")
		}
	}
}

func (c *chrome) scheme(name string) {
	c.w.t.Helper()
	c.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return chromedp.Void{}, err
	})
}

func (c *chrome) save(dir, name string) {
	c.w.t.Helper()
	png := value(c, chromedp.FullScreenshot(100))
	c.w.must(os.MkdirAll(dir, 0o755))
	c.w.must(os.WriteFile(filepath.Join(dir, plain.ReplaceAllString(name, "_")+".png"), png, 0o600))
}
