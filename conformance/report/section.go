package report

import (
	"fmt"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
)

// Section is the results of one part of a suite, in the order of the run.
type Section struct {
	ID      string // "grant.need-info"
	Suite   string // "UMA 2.0 Grant"
	Title   string // "Need info"
	Results []conformance.Result
	Counts  conformance.Counts
}

var suiteNames = map[string]string{
	"grant": "UMA 2.0 Grant", "federated": "Federated Authorization", "heart": "HEART", "rs": "Resource server duties", "client": "Client duties",
}

// initials are words that are written in capitals.
var initials = map[string]string{
	"rpt": "RPT", "pat": "PAT", "pct": "PCT", "csrf": "CSRF", "dpop": "DPoP", "uma": "UMA", "tls": "TLS", "id": "ID", "uri": "URI", "cors": "CORS",
}

func suiteName(id string) string {
	if n, ok := suiteNames[id]; ok {
		return n
	}
	return id
}

func title(slug string) string {
	words := strings.Split(slug, "-")
	for i, w := range words {
		if in, ok := initials[w]; ok {
			words[i] = in
		} else if i == 0 && w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

// Sections groups a run's results by section, in order of appearance.
func Sections(r conformance.Run) []Section {
	var out []Section
	at := map[string]int{}
	for _, one := range r.Results {
		id := one.Check.Section()
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			_, slug, _ := strings.Cut(id, ".")
			out = append(out, Section{ID: id, Suite: suiteName(one.Check.Suite()), Title: title(slug)})
		}
		out[i].Results = append(out[i].Results, one)
	}
	for i := range out {
		out[i].Counts = conformance.Run{Results: out[i].Results}.Count(nil)
	}
	return out
}

// Words says the section's numbers.
func (s Section) Words() string {
	c := s.Counts
	var parts []string
	if n := c.Total() - c.Skip; n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d met", c.Pass, n))
	}
	if c.Fail > 0 {
		parts = append(parts, fmt.Sprintf("%d not met", c.Fail))
	}
	if c.Blocked > 0 {
		parts = append(parts, fmt.Sprintf("%d not examined", c.Blocked))
	}
	if c.Skip > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped", c.Skip))
	}
	return strings.Join(parts, ", ")
}

// Demand is a statement that a check covers.
type Demand struct {
	ID      string `json:"id"`
	Section string `json:"section,omitempty"`
	Level   string `json:"level,omitempty"`
	Says    string `json:"says,omitempty"`
}

func demands(c conformance.Check, r register.Register) []Demand {
	out := make([]Demand, 0, len(c.Covers))
	for _, id := range c.Covers {
		d := Demand{ID: id}
		if s, ok := r.Statement(id); ok {
			d.Section, d.Level, d.Says = s.Section, string(s.Level), s.Says
		}
		out = append(out, d)
	}
	return out
}

// Sentence is the run's outcome in one sentence.
func Sentence(r conformance.Run) string {
	must := r.Count(func(one conformance.Result) bool { return one.Check.Level == conformance.LevelMust })
	all := r.Count(nil)
	switch {
	case all.Total() == 0:
		return "No check was run."
	case must.Fail > 0:
		return plural(must.Fail, "absolute demand is", "absolute demands are") + " not met."
	case must.Blocked > 0:
		return plural(must.Blocked, "absolute demand", "absolute demands") + " could not be examined."
	case must.Pass == 0:
		return "No absolute demand was examined."
	case all.Fail > 0:
		return "Every absolute demand that was examined is met; " + plural(all.Fail, "recommendation is", "recommendations are") + " not followed."
	default:
		return "Every demand that was examined is met."
	}
}
