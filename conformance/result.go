package conformance

import "time"

// Verdict is how a check ended. The zero value is no verdict and counts as a failure.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
	Skip Verdict = "skip"
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
