package conformance

import "time"

// Duration is a time.Duration that a profile writes as "90s".
type Duration time.Duration

// Duration is the value.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// Profile says what the specifications leave open about one server.
type Profile struct {
	MaxWait Duration `yaml:"max_wait"`
}
