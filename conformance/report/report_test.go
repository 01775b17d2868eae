package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
	"github.com/umaas/umaas/conformance/report"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a run with every verdict, hostile text in it, and no clock.
func sample() conformance.Run {
	c := func(id, what string, l conformance.Level, covers ...string) conformance.Check {
		return conformance.Check{ID: id, Title: what, Level: l, Covers: covers}
	}
	exchange := &conformance.Exchange{
		Label: "token", Status: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}},
		Body: []byte("{\n  \"error\": \"need_info\",\n  \"ticket\": \"abcdef…[64, 1f2e]\"\n}"),
		Request: conformance.Message{
			Method: http.MethodPost, URL: "https://as.example/token", Header: http.Header{"Authorization": {"Basic [hidden]"}}, Body: []byte("grant_type=x&ticket=…"),
		},
	}
	lost := &conformance.Exchange{Label: "again", Request: conformance.Message{Method: http.MethodGet, URL: "https://as.example/jwks?a=<b>"}, Err: errors.New("connection refused")}
	started := time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)
	return conformance.Run{
		Issuer: "https://as.example", Server: "Example <AS> 1.0", Suite: "umaas test", Started: started, Took: 1500 * time.Millisecond,
		Results: []conformance.Result{
			{Check: c("grant.discovery.document", "The discovery document is there", conformance.LevelMust, "G-009"), Verdict: conformance.Pass, Exchanges: []*conformance.Exchange{lost}, Took: time.Millisecond},
			{
				Check: c("grant.need-info.ticket", "need_info brings a ticket", conformance.LevelMust, "G-087"), Verdict: conformance.Fail,
				Messages: []string{"no ticket in <script>alert(1)</script>\x00"}, Log: []string{"alice lets bob have view"}, Exchanges: []*conformance.Exchange{exchange, lost}, Dropped: 3, Took: 2 * time.Millisecond,
			},
			{Check: c("grant.need-info.polite", "need_info says what is needed", conformance.LevelShould, "G-090"), Verdict: conformance.Fail, Messages: []string{"it says nothing"}},
			{Check: c("grant.need-info.rotates", "The ticket is new", conformance.LevelMust, "G-089"), Verdict: conformance.Blocked, Messages: []string{"could not be examined: no ticket"}},
			{Check: c("federated.pat.scope", "A PAT has the scope", conformance.LevelMust, "F-005"), Verdict: conformance.Skip, Messages: []string{"needs the browser: none"}},
		},
	}
}

func load(t *testing.T) register.Register {
	t.Helper()
	reg, err := register.Load()
	if err != nil {
		t.Fatal(err)
	}
	for i := range reg.Texts { // the words may change; the reports stay
		for j := range reg.Texts[i].Statements {
			reg.Texts[i].Statements[j].Says = "What " + reg.Texts[i].Statements[j].ID + " says."
		}
	}
	return reg
}

// The reports as they look, to the byte: go test ./conformance/report -update writes them anew.
func TestGolden(t *testing.T) {
	reg := load(t)
	for name, write := range map[string]func(io.Writer, conformance.Run, register.Register) error{
		"report.json": report.JSON, "report.xml": report.JUnit, "report.html": report.HTML,
		"report.txt": func(w io.Writer, r conformance.Run, reg register.Register) error {
			return report.NewTerminal(w, 5).Table(r, reg)
		},
		"list.txt": func(w io.Writer, r conformance.Run, _ register.Register) error {
			var checks []conformance.Check
			for _, one := range r.Results {
				checks = append(checks, one.Check)
			}
			return report.List(w, checks)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b, sample(), reg); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, b.Bytes(), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, b.Bytes()) {
				t.Errorf("%s differs from testdata; got\n%s", name, b.String())
			}
		})
	}
}

// The JSON report is read by programs: its members and numbers.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := report.JSON(&b, sample(), load(t)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Format  string
		Passed  bool
		Counts  map[string]struct{ Pass, Fail, Blocked, Skip int }
		Results []struct{ ID, Verdict string }
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if c := got.Counts["all"]; got.Format != "umaas-conformance/1" || got.Passed || c.Pass != 1 || c.Fail != 2 || c.Blocked != 1 || c.Skip != 1 {
		t.Errorf("%+v", got)
	}
	if c := got.Counts["must"]; c.Fail != 1 || c.Pass != 1 || len(got.Results) != 5 {
		t.Errorf("%+v", got)
	}
}

// JUnit: absolute failures fail a build, what could not be examined is an error, a recommendation is not.
func TestJUnit(t *testing.T) {
	var b bytes.Buffer
	if err := report.JUnit(&b, sample(), load(t)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 5 || got.Failures != 1 || got.Errors != 1 || got.Skipped != 2 {
		t.Errorf("%+v", got)
	}
}

// The page holds nothing that is fetched or run, and foreign text stays text.
func TestHTMLIsSelfContained(t *testing.T) {
	var b bytes.Buffer
	if err := report.HTML(&b, sample(), load(t)); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "link", "img", "iframe", "object", "embed", "base":
			t.Errorf("the page has a %s", n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "id" {
				if seen[a.Val] {
					t.Errorf("the id %s is used twice", a.Val)
				}
				seen[a.Val] = true
			}
			if a.Key == "href" && !strings.HasPrefix(a.Val, "#") || a.Key == "src" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
}

// A run's outcome in words.
func TestSentence(t *testing.T) {
	one := func(l conformance.Level, v conformance.Verdict) conformance.Result {
		return conformance.Result{Check: conformance.Check{ID: "a.b.c", Level: l}, Verdict: v}
	}
	const must, should = conformance.LevelMust, conformance.LevelShould
	for want, results := range map[string][]conformance.Result{
		"No check was run.":                        nil,
		"1 absolute demand is not met.":            {one(must, conformance.Fail), one(must, conformance.Blocked)},
		"2 absolute demands are not met.":          {one(must, conformance.Fail), one(must, "")},
		"1 absolute demand could not be examined.": {one(must, conformance.Blocked), one(must, conformance.Pass)},
		"No absolute demand was examined.":         {one(must, conformance.Skip)},
		"Every demand that was examined is met.":   {one(must, conformance.Pass), one(should, conformance.Skip)},
		"Every absolute demand that was examined is met; 1 recommendation is not followed.": {one(must, conformance.Pass), one(should, conformance.Fail)},
	} {
		if got := report.Sentence(conformance.Run{Results: results}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
