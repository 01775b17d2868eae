package inproc

import (
	"context"
	"encoding/json"
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
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// chrome is one person's real browser, with what it complained about.
type chrome struct {
	context.Context
	t          *testing.T
	axe        string // the source of axe-core
	mu         sync.Mutex
	complaints []string
}

// browser starts Chromium with an empty profile.
func browser(t *testing.T) *chrome {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		missing(t, "Chromium is missing: the browser tests do not run")
	}
	axe, err := os.ReadFile(filepath.Join(root(t), "conformance", "inproc", "npm", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing(t, "axe-core is missing: run npm ci in conformance/inproc/npm")
	}
	flags := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	for _, f := range []string{"no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"} {
		flags = append(flags, chromedp.Flag(f, true))
	}
	flags = append(flags, chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(t.TempDir(), "profile")))
	limited, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	allocator, cancel := chromedp.NewExecAllocator(limited, flags...)
	c := &chrome{t: t, axe: string(axe)}
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}), chromedp.WithListener(c.listen))
	t.Cleanup(func() { closeTab(); cancel(); stop() })
	c.Context = ctx
	check(t, chromedp.Do(ctx)) // starts it, for as long as the test runs
	c.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return chromedp.Void{}, err
	})
	c.size(1280)
	return c
}

// listen keeps what a developer would see in red: refused by a content policy, script errors, console errors.
func (c *chrome) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			text = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			text = "console." + string(e.Type)
		}
	}
	if text == "" || strings.Contains(text, "Failed to load resource") { // an answer of 4xx is not a complaint
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complaints = append(c.complaints, text)
}

// quiet fails on anything the browser had to say.
func (c *chrome) quiet() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.complaints {
		c.t.Errorf("the browser says: %s", s)
	}
}

func (c *chrome) run(steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		at, _ := chromedp.Run(c, chromedp.Evaluate[string](`location.href.split("?")[0] + ": " + document.body.innerText.slice(0, 600)`)) // for the message alone
		c.t.Fatalf("%v, at %s", err, at)
	}
}

type css = chromedp.CSS

// js evaluates an expression for its value.
func js[T any](c *chrome, expression string) T {
	c.t.Helper()
	v, err := chromedp.Run(c, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		c.t.Fatalf("%v: %.200s", err, expression)
	}
	return v
}

func (c *chrome) open(address string) {
	c.t.Helper()
	c.run(chromedp.Navigate(address), chromedp.WaitReady(css("h1")))
}

// press does what leads to another page, and waits for that.
func (c *chrome) press(step chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	js[string](c, `document.documentElement.dataset.old = "1"`)
	c.run(step, chromedp.WaitNotPresent(css("html[data-old]")), chromedp.WaitReady(css("h1")))
}

// button presses the button or link whose visible words begin so.
func (c *chrome) button(words string) {
	c.t.Helper()
	quoted, err := json.Marshal(words)
	check(c.t, err)
	found := js[bool](c, `(() => {
		const want = `+string(quoted)+`
		const all = [...document.querySelectorAll("button, a.button, a")].filter(e => e.offsetParent !== null && e.innerText.trim().startsWith(want))
		if (all.length === 0) return false
		all[0].dataset.press = "1"
		return true
	})()`)
	if !found {
		c.t.Fatalf("no button “%s” at %s: %s", words, c.location(), js[string](c, "document.body.innerText.slice(0, 600)"))
	}
	c.press(chromedp.Click(css("[data-press]")))
}

// pick ticks or chooses what the label says.
func (c *chrome) pick(words string) {
	c.t.Helper()
	c.run(chromedp.Click(chromedp.Search(fmt.Sprintf(`//label[.//span[starts-with(normalize-space(.), %q)]]`, words))))
}

func (c *chrome) fill(selector, text string) {
	c.t.Helper()
	c.run(chromedp.SendKeys(css(selector), text))
}

// signIn fills in the sign-in page.
func (c *chrome) signIn(who demo.Credential) {
	c.t.Helper()
	c.fill("#login", who.Login)
	c.fill("#password", who.Password)
	c.button("Sign in")
}

func (c *chrome) heading(want string) {
	c.t.Helper()
	if got := strings.Join(strings.Fields(js[string](c, `document.querySelector("h1").innerText`)), " "); got != want {
		c.t.Fatalf("the page is headed %q, want %q", got, want)
	}
}

func (c *chrome) says(want string) {
	c.t.Helper()
	if text := js[string](c, "document.querySelector('main').innerText"); !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
		c.t.Fatalf("the page does not say %q:\n%s", want, text)
	}
}

func (c *chrome) location() string {
	c.t.Helper()
	u, err := url.Parse(js[string](c, "location.href"))
	check(c.t, err)
	u.RawQuery = ""
	return u.String()
}

func (c *chrome) size(width int64) {
	c.t.Helper()
	c.run(chromedp.EmulateViewport(width, 900))
}

func (c *chrome) scheme(name string) {
	c.t.Helper()
	c.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return chromedp.Void{}, err
	})
}

var plain = regexp.MustCompile(`[^a-z0-9-]+`)

// look examines the page as it stands: nothing scrolls sideways at 320 px (AX-03), axe-core finds nothing on a small dark
// screen and on a large light one, and pictures go to $UMAAS_SCREENSHOTS.
func (c *chrome) look(name string) {
	c.t.Helper()
	c.size(320)
	c.scheme("dark")
	if over := js[int](c, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		wide := js[string](c, `[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 120)).slice(-1).join("")`)
		c.t.Errorf("%s scrolls sideways by %d px at 320 px: %s", name, over, wide)
	}
	c.violations(name + " on a small dark screen")
	if os.Getenv("UMAAS_SCREENSHOTS") != "" {
		c.size(375)
		c.save(name + "-375-dark")
		c.scheme("light")
		c.save(name + "-375")
	}
	c.scheme("light")
	c.size(1280)
	c.violations(name + " on a large light screen")
	c.save(name + "-1280")
}

// violations asks axe-core. The evaluation of a developer tool is not subject to the page's content policy.
func (c *chrome) violations(where string) {
	c.t.Helper()
	if !js[bool](c, `typeof axe === "object"`) {
		js[bool](c, c.axe+"; true")
	}
	found := js[string](c, `axe.run(document, {resultTypes: ["violations"], runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}})
		.then(r => JSON.stringify(r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html.slice(0, 200) + " — " + n.failureSummary.slice(0, 300))}))))`)
	var list []struct {
		ID, Help string
		Nodes    []string
	}
	check(c.t, json.Unmarshal([]byte(found), &list))
	for _, v := range list {
		c.t.Errorf("%s: axe-core %s (%s):\n  %s", where, v.ID, v.Help, strings.Join(v.Nodes, "\n  "))
	}
}

func (c *chrome) save(name string) {
	c.t.Helper()
	dir := os.Getenv("UMAAS_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(c, chromedp.FullScreenshot(100))
	check(c.t, err)
	check(c.t, os.MkdirAll(dir, 0o755))
	check(c.t, os.WriteFile(filepath.Join(dir, plain.ReplaceAllString(strings.ToLower(name), "_")+".png"), png, 0o600))
}
