package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
)

// The JSON report. Members are only ever added.
type (
	jsonReport struct {
		Format  string                `json:"format"` // "umaas-conformance/1"
		Suite   string                `json:"suite"`  // version
		Server  string                `json:"server"`
		Issuer  string                `json:"issuer"`
		Started time.Time             `json:"started"`
		Seconds float64               `json:"seconds"`
		Passed  bool                  `json:"passed"` // every absolute demand that could be examined is met
		Outcome string                `json:"outcome"`
		Counts  map[string]jsonCounts `json:"counts"` // "all", "must", and by section
		Results []jsonResult          `json:"results"`
	}
	jsonCounts struct {
		Pass    int `json:"pass"`
		Fail    int `json:"fail"`
		Blocked int `json:"blocked"`
		Skip    int `json:"skip"`
	}
	jsonResult struct {
		ID        string         `json:"id"`
		Title     string         `json:"title"`
		Level     string         `json:"level"`
		Verdict   string         `json:"verdict"` // pass, fail, blocked, skip
		Messages  []string       `json:"messages,omitempty"`
		Demands   []Demand       `json:"demands"`
		Log       []string       `json:"log,omitempty"`
		Seconds   float64        `json:"seconds"`
		Exchanges []jsonExchange `json:"exchanges,omitempty"`
		Dropped   int            `json:"exchanges_not_kept,omitempty"`
	}
	jsonExchange struct {
		Label    string    `json:"label"`
		Method   string    `json:"method"`
		URL      string    `json:"url"`
		Request  jsonHTTP  `json:"request"`
		Status   int       `json:"status,omitempty"`
		Response *jsonHTTP `json:"response,omitempty"`
		Error    string    `json:"error,omitempty"`
	}
	jsonHTTP struct {
		Header http.Header `json:"header,omitempty"`
		Body   string      `json:"body,omitempty"`
	}
)

func countsOf(c conformance.Counts) jsonCounts { return jsonCounts(c) }

// JSON writes a run for programs. Secrets are shortened already.
func JSON(out io.Writer, r conformance.Run, reg register.Register) error {
	j := jsonReport{
		Format: "umaas-conformance/1", Suite: r.Suite, Server: r.Server, Issuer: r.Issuer, Started: r.Started.UTC().Truncate(time.Second),
		Seconds: r.Took.Seconds(), Passed: r.Passed(), Outcome: Sentence(r), Results: []jsonResult{},
		Counts: map[string]jsonCounts{
			"all":  countsOf(r.Count(nil)),
			"must": countsOf(r.Count(func(one conformance.Result) bool { return one.Check.Level == conformance.LevelMust })),
		},
	}
	for _, s := range Sections(r) {
		j.Counts[s.ID] = countsOf(s.Counts)
	}
	for _, one := range r.Results {
		j.Results = append(j.Results, jsonOf(one, reg))
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(j)
}

func jsonOf(r conformance.Result, reg register.Register) jsonResult {
	j := jsonResult{
		ID: r.Check.ID, Title: r.Check.Title, Level: string(r.Check.Level), Verdict: string(r.Verdict), Messages: r.Messages,
		Demands: demands(r.Check, reg), Log: r.Log, Seconds: r.Took.Seconds(), Dropped: r.Dropped,
	}
	for _, x := range r.Exchanges {
		e := jsonExchange{
			Label: x.Label, Method: x.Request.Method, URL: x.Request.URL, Status: x.Status,
			Request: jsonHTTP{Header: x.Request.Header, Body: string(x.Request.Body)},
		}
		if x.Status != 0 {
			e.Response = &jsonHTTP{Header: x.Header, Body: string(x.Body)}
		}
		if x.Err != nil {
			e.Error = x.Err.Error()
		}
		j.Exchanges = append(j.Exchanges, e)
	}
	return j
}

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Stamp    string      `xml:"timestamp,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string     `xml:"name,attr"`
		Class   string     `xml:"classname,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitText `xml:"failure,omitempty"`
		Error   *junitText `xml:"error,omitempty"`
		Skipped *junitText `xml:"skipped,omitempty"`
		Output  string     `xml:"system-out,omitempty"`
	}
	junitText struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// JUnit writes a run for build servers: a test suite per section. A SHOULD or MAY that is not met is told as skipped, for
// build servers know no third colour, and its text says what happened.
func JUnit(out io.Writer, r conformance.Run, reg register.Register) error {
	x := junitSuites{Name: r.Server, Time: seconds(r.Took)}
	for _, s := range Sections(r) {
		suite := junitSuite{Name: s.Suite + ": " + s.Title, Stamp: r.Started.UTC().Format("2006-01-02T15:04:05")}
		var took time.Duration
		for _, one := range s.Results {
			took += one.Took
			c := junitOf(one, reg)
			suite.Tests++
			switch {
			case c.Failure != nil:
				suite.Failures++
			case c.Error != nil:
				suite.Errors++
			case c.Skipped != nil:
				suite.Skipped++
			}
			suite.Cases = append(suite.Cases, c)
		}
		suite.Time = seconds(took)
		x.Tests, x.Failures, x.Errors, x.Skipped = x.Tests+suite.Tests, x.Failures+suite.Failures, x.Errors+suite.Errors, x.Skipped+suite.Skipped
		x.Suites = append(x.Suites, suite)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(out)
	e.Indent("", " ")
	if err := e.Encode(x); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

func junitOf(r conformance.Result, reg register.Register) junitCase {
	c := junitCase{Name: r.Check.ID, Class: r.Check.Section(), Time: seconds(r.Took)}
	var lines []string
	for _, d := range demands(r.Check, reg) {
		lines = append(lines, fmt.Sprintf("%s §%s %s: %s", d.ID, d.Section, d.Level, d.Says))
	}
	lines = append(lines, r.Messages...)
	text := &junitText{Message: clean(strings.Join(r.Messages, "; ")), Type: string(r.Check.Level), Text: clean(strings.Join(lines, "\n"))}
	switch {
	case r.Verdict == conformance.Pass:
	case r.Verdict == conformance.Skip:
		c.Skipped = text
	case r.Check.Level != conformance.LevelMust:
		text.Message = "not followed: " + text.Message
		c.Skipped = text
	case r.Verdict == conformance.Blocked:
		c.Error = text
	default:
		c.Failure = text
		for _, x := range r.Exchanges {
			c.Output += clean(fmt.Sprintf("%s %s → %d\n", x.Request.Method, x.Request.URL, x.Status))
		}
	}
	return c
}

// clean removes what XML 1.0 cannot hold.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' || c == '\n' || c == '\r' || c >= 0x20 && c <= 0xd7ff || c >= 0xe000 && c <= 0xfffd || c >= 0x10000 {
			return c
		}
		return -1
	}, s)
}

func headerLines(h http.Header) string {
	var names []string
	for n := range h {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, n := range names {
		for _, v := range h[n] {
			b.WriteString(n + ": " + v + "\n")
		}
	}
	return b.String()
}
