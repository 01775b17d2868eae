package policy

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// block is a heading of a consent page with the letters that stand under it and the verb of its lines.
type block struct {
	id, letters, verb string
}

var blocks = []block{
	{"see", "rs", "See"},
	{"add", "c", "Add to"},
	{"change", "u", "Change"},
	{"delete", "d", "Delete from"},
}

// line collects what becomes one tick: one block, one list word, one set of constraints.
type line struct {
	block       block
	group       string
	list        string
	long        string
	remark      string
	sensitive   bool
	fallback    bool
	whole       bool // "in every record you may see"
	constraints []uma.Constraint
	scopes      []string
	types       []string
}

// Describe puts rights into ticks: types that share a list word and a verb are one line, groups stand in the order of
// nearness to the person, and whatever has no better words gets a line of its own that says so. Only English exists.
func (SMART) Describe(rights []umaas.Right, _ string) []umaas.Item {
	lines := map[string]*line{}
	var order []string
	for _, r := range rights {
		for _, s := range r.Scopes {
			key, l := describe(s, r.Constraints)
			have, ok := lines[key]
			if !ok {
				lines[key], order = &l, append(order, key)
				continue
			}
			if !slices.Contains(have.scopes, s) {
				have.scopes = append(have.scopes, s)
			}
			if !slices.Contains(have.types, l.types[0]) {
				have.types = append(have.types, l.types[0])
			}
			if have.remark == "" {
				have.remark = l.remark
			}
			have.sensitive = have.sensitive || l.sensitive
		}
	}
	items := make([]umaas.Item, 0, len(order))
	for _, key := range order {
		items = append(items, lines[key].item())
	}
	sort.SliceStable(items, func(i, j int) bool { return rank(items[i]) < rank(items[j]) })
	return items
}

func describe(scope string, constraints []uma.Constraint) (key string, l line) {
	context, rest, _ := strings.Cut(scope, "/")
	name, letter, _ := strings.Cut(rest, ".")
	l = line{constraints: constraints, scopes: []string{scope}, types: []string{name}, whole: context == "user"}
	for _, b := range blocks {
		if len(letter) == 1 && strings.Contains(b.letters, letter) {
			l.block = b
		}
	}
	w, known := words[name]
	switch {
	case known && l.block.id != "":
		l.group, l.list, l.long, l.sensitive = w.group, w.list, w.long, sensitiveTypes[name]
		if w.on == "" || slices.Contains(strings.Fields(w.on), l.block.id) {
			l.remark = w.remark
		}
	case context == "sens" || context == "conf": // labels: always in the sensitive block (TX-07)
		l.block, l.group, l.sensitive, l.fallback = block{"see", "", "See"}, "fallback", true, true
		l.list = fmt.Sprintf("another specially protected kind (“%s”)", rest)
		l.long = "this server has no better words for it"
	default:
		if l.block.id == "" {
			l.block, name = block{"see", "", "Use"}, scope
		}
		l.group, l.list, l.fallback = "fallback", fmt.Sprintf("other information (“%s”)", name), true
		l.long = "this server has no better words for it"
	}
	l.narrow(name)
	// Quoted: two lists of constraints that only read alike must not become one line, or one's scopes would get the other's.
	return fmt.Sprintf("%q %q %t %q", l.block.id, l.list, l.whole, constraints), l
}

// narrow replaces the list word by what a query leaves of it (TX-04).
func (l *line) narrow(name string) {
	for _, c := range l.constraints {
		switch c.Type {
		case uma.ConstraintQuery:
			l.narrowBy(name, c.Value)
		case uma.ConstraintPeriod:
			from, to, _ := strings.Cut(c.Value, "/")
			l.list += period(from, to)
		case uma.ConstraintOnce:
			l.list += ", one time"
		}
	}
}

func (l *line) narrowBy(name, query string) {
	for _, part := range strings.Split(query, "&") {
		param, value, _ := strings.Cut(part, "=")
		if i := strings.LastIndexByte(value, '|'); i >= 0 {
			value = value[i+1:]
		}
		narrower, ok := limits[name+" "+value]
		switch {
		case ok && param == "category":
			l.list = narrower
			l.sensitive = l.sensitive || narrower == genetic
		case value == "active" && strings.HasSuffix(param, "status"):
			l.list += ", only current ones"
		case strings.HasPrefix(value, "ge") && isDate(value[2:]):
			l.list += period(value[2:], "")
		case strings.HasPrefix(value, "le") && isDate(value[2:]):
			l.list += period("", value[2:])
		default:
			l.list = "a part of " + l.list + ", by a technical rule"
		}
	}
}

// isDate tells a FHIR date or instant from a code that begins like a comparison ("general").
func isDate(s string) bool {
	return len(s) >= 4 && strings.Trim(s[:4], "0123456789") == "" && strings.Trim(s, "0123456789-:.TZ+") == ""
}

func period(from, to string) string {
	out := ""
	if from != "" {
		out += ", from " + from + " on"
	}
	if to != "" {
		out += ", up to " + to
	}
	return out
}

func (l *line) item() umaas.Item {
	sort.Strings(l.scopes)
	verb, list := l.block.verb, l.list
	if l.list == appointment {
		verb = map[string]string{"see": "See", "add": "Book", "change": "Move", "delete": "Cancel"}[l.block.id]
	}
	if l.whole {
		list = strings.ReplaceAll(list, "your ", "") + ", in every record you may see"
	}
	technical := strings.Join(l.scopes, " ")
	for _, c := range l.constraints {
		technical += " " + c.Type + "(" + c.Value + ")"
	}
	return umaas.Item{
		ID: itemID(l.scopes, l.constraints), Block: l.block.id, Group: l.group, Words: verb + " " + list, Long: l.long, Remark: l.remark,
		Technical: technical, Sensitive: l.sensitive, Fallback: l.fallback,
		Rights: []umaas.Right{{Scopes: l.scopes, Constraints: l.constraints}},
	}
}

// itemID is the same for the same rights, on every page and at every time.
func itemID(scopes []string, constraints []uma.Constraint) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", scopes, constraints))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10]))
}

// rank orders items: block, then sensitive last, then group.
func rank(i umaas.Item) int {
	r := slices.IndexFunc(blocks, func(b block) bool { return b.id == i.Block }) * 1000
	if i.Sensitive {
		r += 500
	}
	g := slices.Index(groups, i.Group)
	if g < 0 {
		g = len(groups)
	}
	return r + g
}
