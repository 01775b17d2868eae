package fhir

import (
	"strings"
	"time"
)

// span is a range of time [low, high): what a date of its precision can mean (R4 §3.1.1.4.4).
type span struct{ low, high time.Time }

// The ends of time stand for the missing ends of a Period.
var (
	beginningOfTime = time.Date(-9999, 1, 1, 0, 0, 0, 0, time.UTC)
	endOfTime       = time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)
)

// parseDate reads a date, dateTime or instant of any precision. A value without a zone is taken as UTC, so that two
// servers of one deployment judge alike.
func parseDate(s string) (span, bool) {
	forms := []struct {
		size   int
		layout string
		end    func(time.Time) time.Time
	}{
		{4, "2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
		{7, "2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
		{10, "2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	}
	for _, f := range forms {
		if len(s) == f.size {
			t, err := time.Parse(f.layout, s)
			return span{t, f.end(t)}, err == nil
		}
	}
	clock, rest, ok := cutClock(s)
	if !ok {
		return span{}, false
	}
	width := time.Second
	layout := "2006-01-02T15:04:05"
	if len(clock) == len("2006-01-02T15:04") {
		layout, width = "2006-01-02T15:04", time.Minute
	}
	if fraction, found := strings.CutPrefix(rest, "."); found {
		n := len(fraction) - len(strings.TrimLeft(fraction, "0123456789"))
		if n == 0 || n > 9 || width == time.Minute {
			return span{}, false
		}
		clock, rest = clock+"."+fraction[:n], fraction[n:]
		layout += "." + strings.Repeat("0", n)
		for range n {
			width /= 10
		}
	}
	if rest != "" {
		layout += "Z07:00"
	}
	t, err := time.Parse(layout, clock+rest)
	if err != nil {
		return span{}, false
	}
	return span{t.UTC(), t.UTC().Add(width)}, true
}

// cutClock splits date and time of day from fraction and zone. Seconds may be missing (search values, R4 §3.1.1.4.4).
func cutClock(s string) (clock, rest string, ok bool) {
	if len(s) < 16 || s[10] != 'T' {
		return "", "", false
	}
	if len(s) >= 19 && s[16] == ':' {
		return s[:19], s[19:], true
	}
	return s[:16], s[16:], true
}

// spanOf gives the time a resource's element covers: a primitive, a Period, or a Timing by its outer limits.
func spanOf(v any) (span, bool) {
	switch v := v.(type) {
	case string:
		return parseDate(v)
	case map[string]any:
		if list, ok := v["event"].([]any); ok && len(list) > 0 {
			return outerSpan(list)
		}
		if repeat, ok := v["repeat"].(map[string]any); ok {
			bounds, _ := repeat["boundsPeriod"].(map[string]any)
			return periodSpan(bounds)
		}
		return periodSpan(v)
	}
	return span{}, false
}

func periodSpan(m map[string]any) (span, bool) {
	start, hasStart := m["start"].(string)
	end, hasEnd := m["end"].(string)
	if !hasStart && !hasEnd {
		return span{}, false
	}
	p := span{beginningOfTime, endOfTime}
	if hasStart {
		s, ok := parseDate(start)
		if !ok {
			return span{}, false
		}
		p.low = s.low
	}
	if hasEnd {
		s, ok := parseDate(end)
		if !ok {
			return span{}, false
		}
		p.high = s.high
	}
	return p, p.low.Before(p.high)
}

func outerSpan(list []any) (span, bool) {
	var outer span
	for i, entry := range list {
		text, _ := entry.(string)
		s, ok := parseDate(text)
		if !ok {
			return span{}, false
		}
		if i == 0 || s.low.Before(outer.low) {
			outer.low = s.low
		}
		if i == 0 || s.high.After(outer.high) {
			outer.high = s.high
		}
	}
	return outer, true
}

// matches compares a resource's time with a search value (R4 §3.1.1.4.5).
func (s span) matches(p prefix, target span) bool {
	within := !target.low.Before(s.low) && !target.high.After(s.high)
	switch p {
	case "eq":
		return within
	case "ne":
		return !within
	case "gt":
		return target.high.After(s.high)
	case "lt":
		return target.low.Before(s.low)
	case "ge":
		return within || target.high.After(s.high)
	case "le":
		return within || target.low.Before(s.low)
	case "sa":
		return !target.low.Before(s.high)
	case "eb":
		return !target.high.After(s.low)
	}
	return false
}
