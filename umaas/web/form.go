package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const maxPageForm = 256 << 10

// readForm reads exactly the declared fields: one value each, except the names in many. Anything else is refused (PS-04):
// our own pages never send it.
func (v *visit) readForm(single []string, many ...string) error {
	kind, _, err := mime.ParseMediaType(v.GetHeader("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return errors.Join(errOutOfDate, errors.New("not a form"))
	}
	r := v.Request
	r.Body = http.MaxBytesReader(v.Writer, r.Body, maxPageForm)
	if err := r.ParseForm(); err != nil {
		return errors.Join(errOutOfDate, err)
	}
	for name, values := range r.PostForm {
		known := name == "form" || name == "answer" || slices.Contains(single, name)
		switch {
		case slices.Contains(many, name):
		case !known:
			return errors.Join(errOutOfDate, errors.New("unknown field"))
		case len(values) != 1:
			return errors.Join(errOutOfDate, errors.New("repeated field"))
		}
		for _, value := range values {
			if !utf8.ValidString(value) {
				return errors.Join(errOutOfDate, errors.New("not UTF-8"))
			}
		}
	}
	v.form = r.PostForm
	return nil
}

// problem is one line of an error summary: the field it links to and its text key (UI-13, AX-02).
type problem struct {
	Field string
	Key   string
}

// ends are the choices for "until when", in the order of pages.
var ends = map[string]func(time.Time) time.Time{
	"hour": func(t time.Time) time.Time { return t.Add(time.Hour) },
	"today": func(t time.Time) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location())
	},
	"day":     func(t time.Time) time.Time { return t.AddDate(0, 0, 1) },
	"month":   func(t time.Time) time.Time { return t.AddDate(0, 1, 0) },
	"quarter": func(t time.Time) time.Time { return t.AddDate(0, 3, 0) },
	"year":    func(t time.Time) time.Time { return t.AddDate(1, 0, 0) },
	"none":    func(time.Time) time.Time { return time.Time{} },
}

// until reads the answer to "until when" among the offered choices. A date means the end of that day.
func (v *visit) until(offered []string) (time.Time, []problem) {
	choice := v.form.Get("until")
	now := v.site.Now().In(v.site.Zone)
	switch {
	case choice == "":
		return time.Time{}, []problem{{"until", "problem.until"}}
	case !slices.Contains(offered, choice):
		return time.Time{}, []problem{{"until", "problem.until"}}
	case choice != "date":
		return ends[choice](now), nil
	}
	end, err := parseDate(v.form, v.site.Zone)
	switch {
	case err != nil:
		return time.Time{}, []problem{{"until-day", "problem.date"}}
	case !end.After(now):
		return time.Time{}, []problem{{"until-day", "problem.past"}}
	}
	return end, nil
}

// untilFields are the form fields until reads.
var untilFields = []string{"until", "until-day", "until-month", "until-year"}

// parseDate reads three fields: the day's end in the zone.
func parseDate(form url.Values, zone *time.Location) (time.Time, error) {
	var n [3]int
	for i, field := range []string{"until-year", "until-month", "until-day"} {
		var err error
		if n[i], err = strconv.Atoi(strings.TrimSpace(form.Get(field))); err != nil {
			return time.Time{}, fmt.Errorf("%s: %w", field, err)
		}
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, zone)
	if t.Day() != n[2] || int(t.Month()) != n[1] || n[0] < 2000 || n[0] > 2200 {
		return time.Time{}, errors.New("no such day")
	}
	return t.AddDate(0, 0, 1), nil
}
