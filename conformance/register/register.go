// Package register is the list of every normative statement of the UMA 2.0 Grant, of Federated Authorization and of the
// HEART profiles, in this project's own words, as data: what is demanded, of whom, how strongly. It owns the texts and the
// question whether each statement is covered: by checks from outside (computed from what checks say they cover), or by
// tests inside, with the reason why it cannot be seen from outside. It does not own the checks.
package register

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/umaas/umaas/conformance"
)

//go:embed *.yaml
var files embed.FS

// Level is how a text puts a statement.
type Level string

// The levels: the keywords of RFC 2119 with their negations; Stated is said as a fact that an implementation has to show;
// Advice has security or privacy weight without a keyword.
const (
	Must      Level = "MUST"
	MustNot   Level = "MUST NOT"
	Should    Level = "SHOULD"
	ShouldNot Level = "SHOULD NOT"
	May       Level = "MAY"
	Stated    Level = "STATED"
	Advice    Level = "ADVICE"
)

// Absolute tells a keyword that leaves no choice.
func (l Level) Absolute() bool { return l == Must || l == MustNot }

// Role is whom a statement binds.
type Role string

// The roles. Ecosystem is the people and organizations around the software.
const (
	AS        Role = "as"
	RS        Role = "rs"
	Client    Role = "client"
	Owner     Role = "owner"
	Ecosystem Role = "ecosystem"
)

// Statement is one demand.
type Statement struct {
	ID      string   `yaml:"id" json:"id"`           // "G-042"
	Section string   `yaml:"section" json:"section"` // "3.3.2"; several with commas
	Roles   []Role   `yaml:"roles" json:"roles"`
	Level   Level    `yaml:"level" json:"level"`
	Says    string   `yaml:"says" json:"says"`
	Unseen  string   `yaml:"unseen,omitempty" json:"unseen,omitempty"` // why no check from outside can tell
	Tests   []string `yaml:"tests,omitempty" json:"tests,omitempty"`   // "umaas.TestSEC_01_SixtyFourAtOnce": package path in the module, test
	Inside  string   `yaml:"inside,omitempty" json:"inside,omitempty"` // of a role that no check asks, though checks ask another: why
	Checks  []string `yaml:"-" json:"checks,omitempty"`                // ids, filled in by Cover
	Asked   []Role   `yaml:"-" json:"asked,omitempty"`                 // whom these checks ask, filled in by Cover
}

// Binds tells whether a statement binds one of the roles.
func (s Statement) Binds(roles ...Role) bool {
	return slices.ContainsFunc(s.Roles, func(r Role) bool { return slices.Contains(roles, r) })
}

// Text is one Recommendation.
type Text struct {
	Title      string      `yaml:"text" json:"text"`
	Suite      string      `yaml:"suite" json:"suite"` // of the checks: "grant"
	Statements []Statement `yaml:"statements" json:"statements"`
}

// Register is all texts.
type Register struct {
	Texts []Text `json:"texts"`
}

// Load reads the embedded register. Mistakes in it are errors, all at once.
func Load() (Register, error) {
	var r Register
	var errs []error
	for _, name := range []string{"grant.yaml", "federated.yaml", "heart.yaml"} {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return r, fmt.Errorf("register: %w", err)
		}
		var t Text
		if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&t); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		r.Texts = append(r.Texts, t)
	}
	errs = append(errs, r.mistakes()...)
	return r, errors.Join(errs...)
}

var (
	idForm   = regexp.MustCompile(`^[GFH]-\d{2,3}$`)
	testForm = regexp.MustCompile(`^[a-z0-9_/]+\.(Test|Fuzz|Benchmark)\w+$`)
)

func (r Register) mistakes() []error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range r.All() {
		bad := func(text string) { errs = append(errs, fmt.Errorf("%s: %s", s.ID, text)) }
		if !idForm.MatchString(s.ID) || seen[s.ID] {
			bad("malformed id, or used twice")
		}
		seen[s.ID] = true
		if s.Section == "" || s.Says == "" || len(s.Roles) == 0 {
			bad("section, roles and says are required")
		}
		for _, role := range s.Roles {
			if !slices.Contains([]Role{AS, RS, Client, Owner, Ecosystem}, role) {
				bad("unknown role " + string(role))
			}
		}
		if !slices.Contains([]Level{Must, MustNot, Should, ShouldNot, May, Stated, Advice}, s.Level) {
			bad("unknown level " + string(s.Level))
		}
		for _, name := range s.Tests {
			if !testForm.MatchString(name) {
				bad("a test is named package/path.TestName, not " + name)
			}
		}
	}
	return errs
}

// All are the statements of all texts in order.
func (r Register) All() []Statement {
	var out []Statement
	for _, t := range r.Texts {
		out = append(out, t.Statements...)
	}
	return out
}

// Statement finds one by its id.
func (r Register) Statement(id string) (Statement, bool) {
	for _, t := range r.Texts {
		for _, s := range t.Statements {
			if s.ID == id {
				return s, true
			}
		}
	}
	return Statement{}, false
}

// Cover gives the register with the checks of each statement filled in. A check that covers a statement the register does
// not have is an error.
func (r Register) Cover(checks []conformance.Check) (Register, error) {
	by, asked := map[string][]string{}, map[string][]Role{}
	for _, c := range checks {
		for _, id := range c.Covers {
			by[id] = append(by[id], c.ID)
			if r := Asks(c); !slices.Contains(asked[id], r) {
				asked[id] = append(asked[id], r)
			}
		}
	}
	out := Register{Texts: slices.Clone(r.Texts)}
	for i := range out.Texts {
		out.Texts[i].Statements = slices.Clone(out.Texts[i].Statements)
		for j := range out.Texts[i].Statements {
			s := &out.Texts[i].Statements[j]
			s.Checks, s.Asked = by[s.ID], asked[s.ID]
			slices.Sort(s.Checks)
			slices.Sort(s.Asked)
			delete(by, s.ID)
		}
	}
	var errs []error
	for id, names := range by {
		errs = append(errs, fmt.Errorf("%s: not in the register, but covered by %s", id, strings.Join(names, ", ")))
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return out, errors.Join(errs...)
}

// Asks is the role of whom a check examines.
func Asks(c conformance.Check) Role {
	switch c.Subject {
	case conformance.SubjectRS:
		return RS
	case conformance.SubjectClient:
		return Client
	default:
		return AS
	}
}

// Gaps are the statements of a covered register that nothing stands for. An absolute one needs, for every role it binds, a
// check of that role, or the reason why there can be none with at least one test. Any other needs a check, a test, or a reason.
func (r Register) Gaps() []Statement {
	var out []Statement
	for _, s := range r.All() {
		switch {
		case s.Level.Absolute() && s.Binds(AS, RS, Client):
			if len(s.unasked()) > 0 && (s.Unseen == "" && s.Inside == "" || len(s.Tests) == 0) {
				out = append(out, s)
			}
		case len(s.Checks) == 0 && s.Unseen == "" && len(s.Tests) == 0:
			out = append(out, s)
		}
	}
	return out
}

// unasked are the roles of software that a statement binds and no check asks.
func (s Statement) unasked() []Role {
	var out []Role
	for _, r := range s.Roles {
		if (r == AS || r == RS || r == Client) && !slices.Contains(s.Asked, r) {
			out = append(out, r)
		}
	}
	return out
}
