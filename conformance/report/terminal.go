package report

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
)

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// Terminal writes for a person: progress while checks run, then the table.
type Terminal struct {
	out   io.Writer
	live  bool // progress is rewritten in place
	paint bool
	width int

	mu    sync.Mutex
	total int
	done  int
	fails int
}

// NewTerminal writes to out. Progress and colour come when it is a terminal and NO_COLOR is not set.
func NewTerminal(out io.Writer, total int) *Terminal {
	t := &Terminal{out: out, total: total, width: 100}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.live = os.Getenv("TERM") != "dumb"
		t.paint = t.live && os.Getenv("NO_COLOR") == ""
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			t.width = w
		}
	}
	return t
}

// Done takes one result while the run goes on.
func (t *Terminal) Done(r conformance.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	if r.Verdict == conformance.Fail {
		t.fails++
	}
	if !t.live {
		return
	}
	line := fmt.Sprintf("%d of %d", t.done, t.total)
	if t.fails > 0 {
		line += ", " + plural(t.fails, "failure", "failures")
	}
	line += "  " + r.Check.ID
	if len(line) > t.width-1 {
		line = line[:t.width-1]
	}
	_, _ = fmt.Fprint(t.out, "\r\x1b[K"+line) // progress is a courtesy
	if t.done == t.total {
		_, _ = fmt.Fprint(t.out, "\r\x1b[K")
	}
}

const (
	red, green, yellow, bold, plain = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
)

func (t *Terminal) in(colour, text string) string {
	if !t.paint {
		return text
	}
	return colour + text + plain
}

// Table writes the outcome: numbers by section, then what failed and why, what could not be examined, what was skipped and
// for which reasons, and the sentence that sums it up.
func (t *Terminal) Table(r conformance.Run, reg register.Register) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s\n\n", t.in(bold, calm(r.Server)), calm(r.Issuer))
	t.numbers(&b, r)
	t.details(&b, r, reg, conformance.Fail, "Not met")
	t.details(&b, r, reg, conformance.Blocked, "Could not be examined")
	t.skipped(&b, r)
	all, colour := r.Count(nil), green
	if !r.Passed() {
		colour = red
	}
	fmt.Fprintf(&b, "%s %s in %s.\n", t.in(colour, Sentence(r)), plural(all.Total(), "check", "checks"), r.Took.Round(10*time.Millisecond))
	_, err := io.WriteString(t.out, b.String())
	return err
}

// calm keeps what a server wrote from steering the terminal.
func calm(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 && c != '\t' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}

func (t *Terminal) numbers(b *strings.Builder, r conformance.Run) {
	wide := len("Section")
	sections := Sections(r)
	for _, s := range sections {
		wide = max(wide, len([]rune(s.Title))+2)
	}
	row := func(name string, c conformance.Counts) {
		cell := func(n int, colour string) string {
			text := fmt.Sprintf("%8d", n)
			if n == 0 {
				return fmt.Sprintf("%8s", "·")
			}
			return t.in(colour, text)
		}
		fmt.Fprintf(b, "%-*s%s%s%s%s\n", wide, name, cell(c.Pass, green), cell(c.Fail, red), cell(c.Blocked, yellow), cell(c.Skip, ""))
	}
	fmt.Fprintf(b, "%-*s%8s%8s%8s%8s\n", wide, "Section", "pass", "fail", "blocked", "skip")
	suite := ""
	for _, s := range sections {
		if s.Suite != suite {
			suite = s.Suite
			fmt.Fprintln(b, t.in(bold, suite))
		}
		row("  "+s.Title, s.Counts)
	}
	row("All", r.Count(nil))
	b.WriteByte('\n')
}

func (t *Terminal) details(b *strings.Builder, r conformance.Run, reg register.Register, v conformance.Verdict, heading string) {
	first := true
	for _, one := range r.Results {
		if one.Verdict != v {
			continue
		}
		if first {
			fmt.Fprintln(b, t.in(bold, heading))
			first = false
		}
		fmt.Fprintf(b, "  %s  %s  %s\n", t.in(red, one.Check.ID), one.Check.Level, one.Check.Title)
		for _, d := range demands(one.Check, reg) {
			fmt.Fprintf(b, "      %s §%s %s: %s\n", d.ID, d.Section, d.Level, d.Says)
		}
		for _, m := range one.Messages {
			fmt.Fprintf(b, "      → %s\n", calm(m))
		}
	}
	if !first {
		b.WriteByte('\n')
	}
}

// skipped groups by reason, the commonest first.
func (t *Terminal) skipped(b *strings.Builder, r conformance.Run) {
	by := map[string]int{}
	for _, one := range r.Results {
		if one.Verdict == conformance.Skip {
			by[calm(strings.Join(one.Messages, "; "))]++
		}
	}
	if len(by) == 0 {
		return
	}
	var reasons []string
	for why := range by {
		reasons = append(reasons, why)
	}
	slices.SortFunc(reasons, func(x, y string) int {
		if by[x] != by[y] {
			return by[y] - by[x]
		}
		return strings.Compare(x, y)
	})
	fmt.Fprintln(b, t.in(bold, "Skipped"))
	for _, why := range reasons {
		fmt.Fprintf(b, "  %3d  %s\n", by[why], why)
	}
	b.WriteByte('\n')
}

// List writes the checks: id, level, what is demanded, what is covered.
func List(out io.Writer, checks []conformance.Check) error {
	var b strings.Builder
	section := ""
	for _, c := range checks {
		if c.Section() != section {
			section = c.Section()
			_, slug, _ := strings.Cut(section, ".")
			fmt.Fprintf(&b, "%s: %s\n", suiteName(c.Suite()), title(slug))
		}
		fmt.Fprintf(&b, "  %-48s %-6s %s (%s)\n", c.ID, c.Level, c.Title, strings.Join(c.Covers, ", "))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
