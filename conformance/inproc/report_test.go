package inproc

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
	"github.com/umaas/umaas/conformance/report"
	"github.com/umaas/umaas/conformance/suites"
)

// TestReportPage opens the page of a run, with a few verdicts turned, in a real browser: nothing scrolls sideways,
// axe-core finds nothing in light or dark, filters work without a script, and every exchange can be opened.
func TestReportPage(t *testing.T) {
	run := suiteOn(t, startOurs, false, suites.All())
	run.Results = append(run.Results[:40:40], run.Results[len(run.Results)-20:]...) // axe-core takes its time
	run.Server = "umaas, with verdicts turned for the picture"
	for i, v := range map[int]conformance.Verdict{3: conformance.Fail, 8: conformance.Blocked, 40: conformance.Fail, 50: conformance.Skip} {
		run.Results[i].Verdict = v
		run.Results[i].Messages = []string{"the answer had no ticket, or one that was sent already: https://as.example/a/very/long/address/that/has/no/space/in/it/and/goes/on/and/on/and/on"}
	}
	reg, err := register.Load()
	check(t, err)
	var page bytes.Buffer
	check(t, report.HTML(&page, run, reg))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page.Bytes()) // the browser may be gone
	}))
	defer s.Close()
	c := browser(t)
	c.open(s.URL)
	c.heading(run.Server)
	visible := func(selector string) int {
		return js[int](c, `[...document.querySelectorAll("`+selector+`")].filter(e => e.offsetParent !== null).length`)
	}
	if n := visible("details.check"); n != len(run.Results) {
		t.Errorf("%d checks are shown, want %d", n, len(run.Results))
	}
	if n := visible("details.check[open]"); n != 2 {
		t.Errorf("%d checks stand open, want the two that are not met", n)
	}
	c.look("report")
	c.run(chromedp.Click(css("#show-open")))
	if n := visible("details.check"); n != 3 {
		t.Errorf("%d checks are shown as not met or not examined, want 3", n)
	}
	js[bool](c, `[...document.querySelectorAll("details")].filter(e => e.offsetParent !== null).forEach(e => e.open = true); true`)
	c.look("report-opened")
	c.quiet()
}
