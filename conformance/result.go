package conformance

import "time"

// Verdict is how a check ended. The zero value is no verdict and counts as a failure.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
	Skip Verdict = "skip"

	// Blocked: what the check stands on could not be had, so nothing is known of what it asks. Never a pass.
	Blocked Verdict = "blocked"
)

// Result is what became of one check.
type Result struct {
	Check     Check
	Verdict   Verdict
	Messages  []string    // why it failed or was skipped, in order
	Log       []string    // what the check told on its way
	Exchanges []*Exchange // what was sent and answered, fixtures included, secrets shortened
	Dropped   int         // exchanges not kept, beyond the bound
	Started   time.Time
	Took      time.Duration
}

// Run is what a whole run found.
type Run struct {
	Issuer   string
	Server   string // the profile's words for the server and its version
	Suite    string // version of the suite
	Started  time.Time
	Took     time.Duration
	Results  []Result // in the order of the checks
	Metadata map[string]any
}

// Counts are the numbers of a run.
type Counts struct{ Pass, Fail, Blocked, Skip int }

// Total is how many checks there are.
func (c Counts) Total() int { return c.Pass + c.Fail + c.Blocked + c.Skip }

// Count counts the results that keep holds for; nil counts all.
func (r Run) Count(keep func(Result) bool) Counts {
	var c Counts
	for _, one := range r.Results {
		if keep != nil && !keep(one) {
			continue
		}
		switch one.Verdict {
		case Pass:
			c.Pass++
		case Skip:
			c.Skip++
		case Blocked:
			c.Blocked++
		default:
			c.Fail++
		}
	}
	return c
}

// Examined tells that at least one absolute demand was looked at.
func (r Run) Examined() bool {
	c := r.Count(func(one Result) bool { return one.Check.Level == LevelMust })
	return c.Total() > c.Skip
}

// Passed tells that no absolute demand failed and none was left without an answer that should have had one.
func (r Run) Passed() bool {
	c := r.Count(func(one Result) bool { return one.Check.Level == LevelMust })
	return c.Fail == 0 && c.Blocked == 0
}
