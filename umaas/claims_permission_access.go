package umaas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// access reads the narrowing. Operations grant nothing here.
func (b *Bounds) access(raw json.RawMessage) error {
	var a struct {
		Permissions []json.RawMessage `json:"permissions"`
		Period      *struct {
			Start string `json:"start"`
			End   string `json:"end"`
		} `json:"data_period"`
		Sensitive string `json:"sensitive_data"`
	}
	if err := strictly(raw, &a, accessMembers...); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	if len(a.Permissions) == 0 || len(a.Permissions) > maxTicketEntries {
		return fmt.Errorf("access: want 1 to %d permissions", maxTicketEntries)
	}
	for _, p := range a.Permissions {
		scope, err := entryScope(p)
		if err != nil {
			return fmt.Errorf("access: %w", err)
		}
		if scope != "" {
			b.Scopes = append(b.Scopes, scope)
		}
	}
	if a.Period != nil {
		start, err := wholeDay(a.Period.Start, false)
		if err != nil {
			return err
		}
		end, err := wholeDay(a.Period.End, true)
		if err != nil {
			return err
		}
		b.Constraints = []uma.Constraint{{Type: uma.ConstraintPeriod, Value: start + "/" + end}}
	}
	switch a.Sensitive {
	case "", "exclude": // absent excludes (flows.md F2)
	case "include":
		b.Sensitive = true
	default:
		return errors.New("access: sensitive_data is exclude or include")
	}
	return nil
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

// entryScope writes one entry of access.permissions as a SMART scope; "" for one that grants nothing here.
func entryScope(raw json.RawMessage) (string, error) {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return "", errors.New("a permission is no object")
	}
	if kind.Kind == "operation" {
		return "", nil
	}
	var e struct {
		Kind         string   `json:"kind"`
		Type         string   `json:"resource_type"`
		Interactions []string `json:"interactions"`
		Category     []coding `json:"category_any_of"`
		Code         []coding `json:"code_any_of"`
	}
	if err := strictly(raw, &e, entryMembers...); err != nil {
		return "", err
	}
	if e.Kind != "data" || e.Type != "*" && strings.Trim(e.Type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || e.Type == "" {
		return "", errors.New("a permission of an unknown kind or type")
	}
	letters := ""
	for _, l := range []string{"c", "r", "u", "d", "s"} {
		if slices.ContainsFunc(e.Interactions, func(i string) bool { return ticketLetters[i] == l }) {
			letters += l
		}
	}
	if letters == "" {
		return "", nil
	}
	scope := "patient/" + e.Type + "." + letters
	query, err := codedQuery("category", e.Category, "code", e.Code)
	if err != nil {
		return "", err
	}
	if bytes.Contains(raw, []byte(`_any_of"`)) && query == "" {
		return "", errors.New("an empty list of codes")
	}
	if query != "" {
		scope += "?" + query
	}
	return scope, nil
}

// codedQuery writes token search parameters: values OR-ed, parameters AND-ed.
func codedQuery(nameA string, a []coding, nameB string, b []coding) (string, error) {
	var parts []string
	for _, p := range []struct {
		name string
		list []coding
	}{{nameA, a}, {nameB, b}} {
		var values []string
		for _, c := range p.list {
			if c.Code == "" || len(c.System)+len(c.Code) > 300 {
				return "", errors.New("a coding without code, or too long")
			}
			v := searchText(c.Code)
			if c.System != "" {
				v = searchText(c.System) + "|" + v
			}
			values = append(values, v)
		}
		if len(values) > 0 {
			parts = append(parts, p.name+"="+strings.Join(values, ","))
		}
	}
	return strings.Join(parts, "&"), nil
}

// searchText escapes a code for a search value (FHIR R4 §3.1.1.4.0.1), and then every byte that has no place in a scope.
func searchText(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(s)
	var out strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || strings.IndexByte(`"%&\?`, c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// wholeDay makes a whole day of a FHIR dateTime. Where it has a time, the day is left out: a bound may only narrow.
func wholeDay(s string, end bool) (string, error) {
	if s == "" {
		return "", nil
	}
	for _, f := range []struct {
		layout              string
		years, months, days int
	}{{"2006", 1, 0, -1}, {"2006-01", 0, 1, -1}, {time.DateOnly, 0, 0, 0}} {
		t, err := time.Parse(f.layout, s)
		if err != nil {
			continue
		}
		if end {
			t = t.AddDate(f.years, f.months, f.days)
		}
		return t.Format(time.DateOnly), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return "", errors.New("access: data_period has a date that cannot be read")
	}
	if end {
		return t.AddDate(0, 0, -1).Format(time.DateOnly), nil
	}
	return t.AddDate(0, 0, 1).Format(time.DateOnly), nil
}
