package web

import (
	"slices"

	"github.com/umaas/umaas/umaas"
)

// record is one record with its lines to tick, in blocks (TX-02, TX-07).
type record struct {
	Label  string
	Blocks []block
}

// Any reports a ticked line.
func (r record) Any() bool { return slices.ContainsFunc(r.Blocks, block.Any) }

// block is a heading with its lines. More are folded when there are many (TX-05), except where attention is due.
type block struct {
	ID   string // see, add, change, delete, sensitive
	Rows []row
	More []row
}

// Any reports a ticked line: such a block is never folded.
func (b block) Any() bool {
	ticked := func(r row) bool { return r.Ticked }
	return slices.ContainsFunc(b.Rows, ticked) || slices.ContainsFunc(b.More, ticked)
}

// row is one tick.
type row struct {
	umaas.Item
	Ticked bool
}

const unfolded = 8

// recordsOf sorts items into blocks. Nothing is ticked beforehand (UI-04) except what a form held.
func recordsOf(views []umaas.RecordView, ticked map[string]bool) []record {
	out := make([]record, 0, len(views))
	for _, v := range views {
		out = append(out, record{Label: v.Label, Blocks: blocksOf(v.Items, ticked)})
	}
	return out
}

func blocksOf(items []umaas.Item, ticked map[string]bool) []block {
	var out []block
	for _, id := range []string{"see", "add", "change", "delete", "sensitive"} {
		b := block{ID: id}
		for _, item := range items {
			if blockOf(item) != id {
				continue
			}
			r := row{Item: item, Ticked: ticked[item.ID]}
			if id == "see" && len(b.Rows) >= unfolded && !r.Ticked && !r.Fallback {
				b.More = append(b.More, r)
			} else {
				b.Rows = append(b.Rows, r)
			}
		}
		if len(b.More) == 1 { // a fold that saves nothing
			b.Rows, b.More = append(b.Rows, b.More...), nil
		}
		if len(b.Rows) > 0 {
			out = append(out, b)
		}
	}
	return out
}

func blockOf(i umaas.Item) string {
	switch {
	case i.Sensitive:
		return "sensitive"
	case i.Block == "add", i.Block == "change", i.Block == "delete":
		return i.Block
	}
	return "see"
}

// common is what "choose all that was asked" ticks: nothing sensitive, nothing that deletes, nothing without better words
// (UI-04, TX-03).
func common(views []umaas.RecordView) map[string]bool {
	out := map[string]bool{}
	for _, v := range views {
		for _, item := range v.Items {
			if b := blockOf(item); b != "sensitive" && b != "delete" && !item.Fallback {
				out[item.ID] = true
			}
		}
	}
	return out
}

// every is all ids of the views.
func every(views []umaas.RecordView) []string {
	var out []string
	for _, v := range views {
		for _, item := range v.Items {
			out = append(out, item.ID)
		}
	}
	return out
}

// summary is what a share gives in a few words: the first lines and how many more.
type summary struct {
	Words []string
	More  int
}

func summaryOf(views []umaas.RecordView, most int) summary {
	var s summary
	for _, v := range views {
		for _, item := range v.Items {
			if len(s.Words) < most {
				s.Words = append(s.Words, lowerFirst(item.Words))
			} else {
				s.More++
			}
		}
	}
	return s
}
