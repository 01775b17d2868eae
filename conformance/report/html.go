package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
)

//go:embed page.gohtml
var pageText string

//go:embed page.css
var pageStyle string

type (
	page struct {
		Style    template.CSS
		Run      conformance.Run
		Passed   bool
		Sentence string
		When     string
		Took     string
		All      conformance.Counts
		Must     conformance.Counts
		Sections []pageSection
	}
	pageSection struct {
		Section
		Anchor string
		New    bool // the first of its suite
		Bar    []pageBar
		Checks []pageCheck
	}
	pageBar struct {
		Verdict string
		X, W    float64
	}
	pageCheck struct {
		conformance.Result
		Anchor  string
		Word    string
		Open    bool
		Demands []Demand
		Traffic []pageExchange
	}
	pageExchange struct {
		Line     string
		Status   int
		Err      string
		Request  string
		Response string
	}
)

var verdictWords = map[conformance.Verdict]string{
	conformance.Pass: "Met", conformance.Fail: "Not met", conformance.Blocked: "Not examined", conformance.Skip: "Skipped",
}

// HTML writes one self-contained page for people: no script, nothing fetched, light and dark, printable.
func HTML(out io.Writer, r conformance.Run, reg register.Register) error {
	t, err := template.New("page").Funcs(template.FuncMap{"lower": strings.ToLower}).Parse(pageText)
	if err != nil {
		return err
	}
	p := page{
		Style: template.CSS(pageStyle), //nolint:gosec // embedded, not from outside
		Run:   r, Passed: r.Passed(), Sentence: Sentence(r), When: r.Started.UTC().Format("2 January 2006, 15:04 UTC"),
		Took: r.Took.Round(100 * time.Millisecond).String(), All: r.Count(nil),
		Must: r.Count(func(one conformance.Result) bool { return one.Check.Level == conformance.LevelMust }),
	}
	suite := ""
	for _, s := range Sections(r) {
		ps := pageSection{Section: s, Anchor: strings.ReplaceAll(s.ID, ".", "-"), New: s.Suite != suite, Bar: bar(s.Counts)}
		suite = s.Suite
		for _, one := range s.Results {
			ps.Checks = append(ps.Checks, pageOf(one, reg))
		}
		p.Sections = append(p.Sections, ps)
	}
	return t.Execute(out, p)
}

// bar is the section's numbers as lengths on 100.
func bar(c conformance.Counts) []pageBar {
	var out []pageBar
	x := 0.0
	for _, part := range []struct {
		verdict conformance.Verdict
		n       int
	}{{conformance.Pass, c.Pass}, {conformance.Fail, c.Fail}, {conformance.Blocked, c.Blocked}, {conformance.Skip, c.Skip}} {
		if part.n == 0 {
			continue
		}
		w := 100 * float64(part.n) / float64(c.Total())
		out = append(out, pageBar{Verdict: string(part.verdict), X: x, W: w})
		x += w
	}
	return out
}

func pageOf(r conformance.Result, reg register.Register) pageCheck {
	c := pageCheck{
		Result: r, Anchor: strings.ReplaceAll(r.Check.ID, ".", "-"), Word: verdictWords[r.Verdict], Open: r.Verdict == conformance.Fail,
		Demands: demands(r.Check, reg),
	}
	if c.Word == "" {
		c.Word = verdictWords[conformance.Fail]
	}
	for _, x := range r.Exchanges {
		e := pageExchange{Line: x.Request.Method + " " + path(x.Request.URL), Status: x.Status}
		e.Request = x.Request.Method + " " + x.Request.URL + "\n" + headerLines(x.Request.Header) + body(x.Request.Body)
		if x.Status != 0 {
			e.Response = headerLines(x.Header) + body(x.Body)
		}
		if x.Err != nil {
			e.Err = x.Err.Error()
		}
		c.Traffic = append(c.Traffic, e)
	}
	return c
}

// shownBody bounds a body on the page; the JSON report has more.
const shownBody = 3 << 10

func body(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	if len(raw) > shownBody {
		return "\n" + strings.ToValidUTF8(string(raw[:shownBody]), "") + "\n…"
	}
	return "\n" + string(raw)
}

func path(raw string) string {
	if at := strings.Index(raw, "://"); at >= 0 {
		if slash := strings.IndexByte(raw[at+3:], '/'); slash >= 0 {
			raw = raw[at+3+slash:]
		}
	}
	p, _, _ := strings.Cut(raw, "?")
	return p
}
