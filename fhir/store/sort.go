package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// sortKey is the value of one row for one _sort parameter. Rows without a value come last in either direction.
type sortKey struct {
	None bool    `json:"x,omitempty"`
	Num  float64 `json:"n,omitempty"`
	Text string  `json:"s,omitempty"`
}

// runSorted collects all matches, orders them, and cuts the page after the cursor's keys: a row that is inserted or removed between two
// pages moves no other row out of sight.
func (t *txn) runSorted(ctx context.Context, q *searchRequest, from *cursor) (page, error) {
	var all []row
	scanned := 0
	for _, typ := range q.types {
		_, err := t.scan(ctx, q, typ, 0, &scanned, func(_ uint64, r row) bool {
			r.keys = sortKeys(r, q.sort)
			all = append(all, r)
			return true
		})
		if err != nil {
			return page{}, err
		}
	}
	order := func(a, b row) int { return compareRows(q.sort, a.keys, a.doc, b.keys, b.doc) }
	slices.SortFunc(all, order)
	pg := page{total: len(all)}
	if q.total == "none" {
		pg.total = -1
	}
	start := 0
	if from != nil {
		start, _ = slices.BinarySearchFunc(all, from, func(r row, c *cursor) int {
			if compareRows(q.sort, r.keys, r.doc, c.Keys, c.Doc) <= 0 {
				return -1
			}
			return 1
		})
	}
	end := min(start+q.count, len(all))
	pg.rows = all[start:end:end]
	if end < len(all) && end > start {
		last := all[end-1]
		pg.next = &cursor{Doc: last.doc, Keys: last.keys}
	}
	return pg, nil
}

func compareRows(by []sortBy, a []sortKey, docA uint64, b []sortKey, docB uint64) int {
	for i, s := range by {
		if i >= len(a) || i >= len(b) {
			break
		}
		if a[i].None != b[i].None {
			if a[i].None {
				return 1
			}
			return -1
		}
		c := cmp.Or(cmp.Compare(a[i].Num, b[i].Num), strings.Compare(a[i].Text, b[i].Text))
		if s.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(docA, docB)
}

// sortKeys takes the lowest value of a repeating element for rising order and the highest for falling (search.html#_sort).
func sortKeys(r row, by []sortBy) []sortKey {
	out := make([]sortKey, len(by))
	for i, s := range by {
		out[i] = sortKey{None: true}
		switch s.code {
		case paramLastUpdated:
			out[i] = sortKey{Num: float64(r.at.UnixMilli())}
			continue
		case "_id":
			out[i] = sortKey{Text: r.id}
			continue
		}
		p, ok := fhir.Param(r.typ, s.code)
		if !ok {
			continue
		}
		values, err := fhir.Eval(r.r, p.Expression)
		if err != nil {
			continue
		}
		for _, v := range values {
			for _, k := range keysOf(p.Kind, v, s.desc) {
				c := cmp.Or(cmp.Compare(k.Num, out[i].Num), strings.Compare(k.Text, out[i].Text))
				if out[i].None || s.desc && c > 0 || !s.desc && c < 0 {
					out[i] = k
				}
			}
		}
	}
	return out
}

func keysOf(kind fhir.ParamKind, v any, desc bool) []sortKey {
	switch kind {
	case "date":
		return dateSortKeys(v, desc)
	case "number", "quantity":
		n, ok := v.(json.Number)
		if m, isMap := v.(map[string]any); isMap {
			n, ok = m["value"].(json.Number)
		}
		if f, err := strconv.ParseFloat(string(n), 64); ok && err == nil {
			return []sortKey{{Num: f}}
		}
		return nil
	case "string":
		return textSortKeys(v)
	}
	switch x := v.(type) {
	case string:
		return []sortKey{{Text: x}}
	case bool:
		return []sortKey{{Text: strconv.FormatBool(x)}}
	case map[string]any:
		return mapSortKeys(x)
	}
	return nil
}

// mapSortKeys orders references by their text and codes by system, then code.
func mapSortKeys(m map[string]any) []sortKey {
	if ref, ok := m["reference"].(string); ok {
		return []sortKey{{Text: ref}}
	}
	codings, _ := m["coding"].([]any)
	if codings == nil {
		codings = []any{m}
	}
	var out []sortKey
	for _, c := range codings {
		coding, _ := c.(map[string]any)
		system, _ := coding["system"].(string)
		code, ok := coding["code"].(string)
		if !ok {
			code, ok = coding["value"].(string)
		}
		if ok {
			out = append(out, sortKey{Text: system + "|" + code})
		}
	}
	return out
}

// textSortKeys orders names by family, then given; other structures by their texts.
func textSortKeys(v any) []sortKey {
	switch x := v.(type) {
	case string:
		return []sortKey{{Text: fold(x)}}
	case map[string]any:
		var parts []string
		for _, name := range []string{"family", "given", "text", "line", "city", "state", "postalCode", "country"} {
			switch e := x[name].(type) {
			case string:
				parts = append(parts, fold(e))
			case []any:
				for _, w := range e {
					if text, ok := w.(string); ok {
						parts = append(parts, fold(text))
					}
				}
			}
		}
		if len(parts) > 0 {
			return []sortKey{{Text: strings.Join(parts, " ")}}
		}
	}
	return nil
}

func dateSortKeys(v any, desc bool) []sortKey {
	pick := func(s string) []sortKey {
		from, to, ok := dateRange(s)
		if !ok {
			return nil
		}
		if desc {
			from = to
		}
		return []sortKey{{Num: float64(from.UnixMilli())}}
	}
	switch x := v.(type) {
	case string:
		return pick(x)
	case map[string]any:
		first, second := "start", "end"
		if desc {
			first, second = second, first
		}
		if s, ok := x[first].(string); ok {
			return pick(s)
		}
		if s, ok := x[second].(string); ok {
			return pick(s)
		}
	}
	return nil
}
