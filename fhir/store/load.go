package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/umaas/umaas/fhir"
)

// Progress is told before each file and once at the end.
type Progress struct {
	File      string // file about to be loaded, "" at the end
	FilesDone int
	Files     int
	Resources int // stored or found unchanged so far
}

// Warning is something of the input that was not loaded, or not loaded as written.
type Warning struct{ File, Where, Text string }

func (w Warning) String() string { return w.File + ": " + w.Where + ": " + w.Text }

// Report says what Load did. Created + Updated + Unchanged = sum of ByType.
type Report struct {
	Files      int
	Created    int
	Updated    int
	Unchanged  int // stored already with the same content
	Duplicates int // a fullUrl seen before in this run: the first one counts
	ByType     map[string]int
	Warnings   []Warning
	Dangling   []string // references to resources of this server that are not here: the data's own gaps, not the loader's
}

// loader is one run of Load.
type loader struct {
	s      *Store
	files  []*loadFile
	table  map[string]string // fullUrl → Type/id
	seen   map[string]bool   // fullUrls stored in this run
	refs   map[string]bool   // local references met
	report Report
}

// Load reads every .json and .ndjson file below dir: Bundles (batch, transaction, collection, searchset), single resources, lines of
// resources. Files are ordered so that what is referred to comes first, references to fullUrls become Type/id across files, references
// that are searches are resolved, and resource ids are kept. Load can be repeated; what is unchanged is not written again. Each file is
// stored in transactions of at most 500 resources. Input that cannot be loaded is a Warning; the error is about disk or context.
func (s *Store) Load(ctx context.Context, dir string, progress func(Progress)) (Report, error) {
	l := &loader{s: s, table: map[string]string{}, seen: map[string]bool{}, refs: map[string]bool{}}
	l.report.ByType = map[string]int{}
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := l.survey(ctx, dir); err != nil {
		return l.report, fmt.Errorf("load %q: %w", dir, err)
	}
	order := loadOrder(l.files)
	l.report.Files = len(order)
	for i, f := range order {
		if err := ctx.Err(); err != nil {
			return l.report, fmt.Errorf("load %q: %w", dir, err)
		}
		progress(Progress{File: f.name, FilesDone: i, Files: len(order), Resources: l.stored()})
		if err := l.file(ctx, f); err != nil {
			return l.report, fmt.Errorf("load %q: %w", f.name, err)
		}
	}
	progress(Progress{FilesDone: len(order), Files: len(order), Resources: l.stored()})
	if err := l.dangling(); err != nil {
		return l.report, fmt.Errorf("load %q: %w", dir, err)
	}
	return l.report, nil
}

func (l *loader) stored() int { return l.report.Created + l.report.Updated + l.report.Unchanged }

func (l *loader) warn(file, where, format string, args ...any) {
	l.report.Warnings = append(l.report.Warnings, Warning{file, where, fmt.Sprintf(format, args...)})
}

// file loads one file. Items whose references are searches come last: what they look for may be in the same file.
func (l *loader) file(ctx context.Context, f *loadFile) error {
	items, err := readItems(f.path)
	if err != nil {
		return err
	}
	items.problems = nil // told by the survey
	slices.SortStableFunc(items.list, func(a, b loadItem) int {
		return boolRank(hasConditionalReference(a.raw)) - boolRank(hasConditionalReference(b.raw))
	})
	for start := 0; start < len(items.list); start += putChunk {
		chunk := items.list[start:min(start+putChunk, len(items.list))]
		if err := l.chunk(ctx, f, chunk); err != nil {
			return err
		}
	}
	return nil
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// outcome of one item inside the transaction; counted only after the commit, because the transaction may run again.
type loaded struct {
	item           *loadItem
	typ            string
	known, changed bool
	found          string // If-None-Exist found this one
	refs           []string
	warnings       []string
}

func (l *loader) chunk(ctx context.Context, f *loadFile, chunk []loadItem) error {
	var fresh []*loadItem
	for i := range chunk {
		it := &chunk[i]
		if it.fullURL != "" && l.seen[it.fullURL] {
			l.report.Duplicates++
			continue
		}
		if it.fullURL != "" {
			l.seen[it.fullURL] = true
		}
		fresh = append(fresh, it)
	}
	var done []loaded
	err := l.s.commit.do(ctx, func(t *txn) error {
		done = done[:0]
		table := maps.Clone(l.table)
		for _, it := range fresh {
			if it.ifNoneExist == "" {
				continue
			}
			found, err := l.s.existing(t, &request{ctx: ctx, ifNoneExist: it.ifNoneExist}, it.typ)
			if err == nil && found != nil && it.fullURL != "" {
				table[it.fullURL] = found.relative()
			}
		}
		for _, it := range fresh {
			d, err := l.item(ctx, t, it, table)
			if err != nil {
				return err
			}
			done = append(done, d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range done {
		l.count(f, d)
	}
	return nil
}

func (l *loader) count(f *loadFile, d loaded) {
	for _, text := range d.warnings {
		l.warn(f.name, d.item.where, "%s", text)
	}
	if d.found != "" && d.item.fullURL != "" {
		l.table[d.item.fullURL] = d.found
	}
	if d.typ == "" {
		return
	}
	for _, ref := range d.refs {
		l.refs[ref] = true
	}
	l.report.ByType[d.typ]++
	switch {
	case !d.changed:
		l.report.Unchanged++
	case d.known:
		l.report.Updated++
	default:
		l.report.Created++
	}
}

// item stores one resource. A refusal becomes a warning; only faults are errors.
func (l *loader) item(ctx context.Context, t *txn, it *loadItem, table map[string]string) (loaded, error) {
	d := loaded{item: it}
	refused := func(err error) (loaded, error) {
		var r *refusal
		if errors.As(err, &r) {
			d.warnings = append(d.warnings, "not loaded: "+r.text)
			return d, nil
		}
		return d, err
	}
	if it.ifNoneExist != "" {
		found, err := l.s.existing(t, &request{ctx: ctx, ifNoneExist: it.ifNoneExist}, it.typ)
		if err != nil {
			return refused(err)
		}
		if found != nil {
			d.typ, d.known, d.found = it.typ, true, found.relative()
			return d, nil
		}
	}
	body, err := rewriteReferences(it.raw, table)
	if err == nil {
		body, err = l.conditional(ctx, t, body, &d)
	}
	if err != nil {
		return refused(err)
	}
	if ref := unresolvedUUID(body); ref != "" {
		d.warnings = append(d.warnings, "the reference "+ref+" is to nothing in these files")
	}
	p, err := l.s.prepare(body)
	if err != nil {
		return refused(err)
	}
	if d.known, d.changed, err = t.putIfChanged(p, it.id); err != nil {
		return d, err
	}
	d.typ = it.typ
	d.refs = localReferences(body)
	return d, nil
}

// conditional resolves each reference that is a search by itself; one that does not resolve stays as it is and is told.
func (l *loader) conditional(ctx context.Context, t *txn, raw []byte, d *loaded) ([]byte, error) {
	if !hasConditionalReference(raw) {
		return raw, nil
	}
	return rewriteStrings(raw, func(name, value string) (string, bool, error) {
		if name != "reference" {
			return "", false, nil
		}
		to, ok, err := t.resolveReference(ctx, value)
		var r *refusal
		if errors.As(err, &r) {
			d.warnings = append(d.warnings, "the reference "+clip(value)+" was not resolved: "+r.text)
			return "", false, nil
		}
		return to, ok, err
	})
}

// localReferences gives Type/id of every literal reference to this server.
func localReferences(body []byte) []string {
	r, err := fhir.Parse(body)
	if err != nil {
		return nil
	}
	var out []string
	for _, ref := range fhir.References(r) {
		if ref.Local() {
			out = append(out, ref.Type+"/"+ref.ID)
		}
	}
	return out
}

// dangling lists references to resources that are not in the store after the whole run.
func (l *loader) dangling() error {
	return l.s.db.View(func(tx *bolt.Tx) error {
		t := l.s.begin(tx)
		for _, ref := range slices.Sorted(maps.Keys(l.refs)) {
			typ, id, _ := strings.Cut(ref, "/")
			if st, ok := t.lookup(typ, id); !ok || st.deleted {
				l.report.Dangling = append(l.report.Dangling, ref)
			}
		}
		return nil
	})
}
