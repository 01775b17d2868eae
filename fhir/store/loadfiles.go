package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// maxLoadFile bounds one input file in memory.
const maxLoadFile = 512 << 20

// loadFile is what the survey knows of a file: enough to order it, none of its content.
type loadFile struct {
	path, name string
	patients   bool            // defines a Patient
	provides   map[string]bool // fullUrls, Type/id, and "Type?" for every type it defines
	needs      map[string]bool // the same forms, as far as not provided by itself
}

// loadItem is one resource to load.
type loadItem struct {
	where       string // "entry 3", "line 7"
	fullURL     string
	ifNoneExist string
	typ, id     string // id "" until the survey assigns one
	raw         []byte
}

type loadItems struct {
	list     []loadItem
	problems []Warning
}

// survey reads every file once: identities of all resources, and who refers to whom.
func (l *loader) survey(ctx context.Context, dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		ext := strings.ToLower(filepath.Ext(path))
		if !e.Type().IsRegular() || ext != ".json" && ext != ".ndjson" {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		items, err := readItems(path)
		if err != nil {
			return err
		}
		for _, p := range items.problems {
			l.warn(name, p.Where, "%s", p.Text)
		}
		l.files = append(l.files, l.surveyFile(path, name, items.list))
		return nil
	})
}

func (l *loader) surveyFile(path, name string, items []loadItem) *loadFile {
	f := &loadFile{path: path, name: name, provides: map[string]bool{}, needs: map[string]bool{}}
	for i := range items {
		it := &items[i]
		f.patients = f.patients || it.typ == "Patient"
		identity := it.typ + "/" + it.id
		f.provides[identity], f.provides[it.typ+"?"] = true, true
		if it.fullURL == "" {
			continue
		}
		f.provides[it.fullURL] = true
		if known, ok := l.table[it.fullURL]; ok && known != identity {
			l.warn(name, it.where, "fullUrl %s stands for %s already", clip(it.fullURL), known)
		} else {
			l.table[it.fullURL] = identity
		}
	}
	for i := range items {
		_, err := rewriteStrings(items[i].raw, func(member, value string) (string, bool, error) {
			if member == "reference" {
				need := value
				if typ, _, ok := conditionalReference(value); ok {
					need = typ + "?"
				}
				if !f.provides[need] {
					f.needs[need] = true
				}
			}
			return "", false, nil
		})
		if err != nil {
			l.warn(name, items[i].where, "cannot be read")
		}
	}
	return f
}

// loadOrder puts files after the ones they refer to. Where files refer to each other in a circle, or not at all, files without patients
// (hospitals, practitioners) come first, then the order of names.
func loadOrder(files []*loadFile) []*loadFile {
	providers := map[string][]*loadFile{}
	for _, f := range files {
		for key := range f.provides {
			providers[key] = append(providers[key], f)
		}
	}
	waits := map[*loadFile]map[*loadFile]bool{}
	for _, f := range files {
		waits[f] = map[*loadFile]bool{}
		for need := range f.needs {
			for _, p := range providers[need] {
				if p != f && (!strings.HasSuffix(need, "?") || !p.patients) {
					waits[f][p] = true
				}
			}
		}
	}
	left := slices.Clone(files)
	var out []*loadFile
	for len(left) > 0 {
		next := slices.MinFunc(left, func(a, b *loadFile) int {
			return cmp.Or(boolRank(len(waits[a]) > 0)-boolRank(len(waits[b]) > 0), boolRank(a.patients)-boolRank(b.patients),
				strings.Compare(a.name, b.name))
		})
		out = append(out, next)
		left = slices.DeleteFunc(left, func(f *loadFile) bool { return f == next })
		for _, f := range left {
			delete(waits[f], next)
		}
	}
	return out
}

// readItems splits a file into resources. What is wrong with the content is a problem, not an error.
func readItems(path string) (items loadItems, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return items, err
	}
	if info.Size() > maxLoadFile {
		items.problem("file", "larger than %d bytes: split it", maxLoadFile)
		return items, nil
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the folder the operator named
	if err != nil {
		return items, err
	}
	if strings.EqualFold(filepath.Ext(path), ".ndjson") {
		for n, line := range bytes.Split(raw, []byte("\n")) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				items.document("line "+strconv.Itoa(n+1), line)
			}
		}
	} else {
		items.document("file", bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	}
	return items, nil
}

func (i *loadItems) problem(where, format string, args ...any) {
	i.problems = append(i.problems, Warning{Where: where, Text: fmt.Sprintf(format, args...)})
}

// document adds a single resource, or the entries of a Bundle that carries resources.
func (i *loadItems) document(where string, raw []byte) {
	var head struct {
		ResourceType string `json:"resourceType"`
		bundleBody
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		i.problem(where, "not loaded: not a FHIR resource in JSON: %v", err)
		return
	}
	if head.ResourceType != "Bundle" {
		i.resource(where, bundleEntry{Resource: raw})
		return
	}
	switch head.Type {
	case "batch", "transaction", "collection", "searchset":
		for n, e := range head.Entry {
			i.resource(where+", entry "+strconv.Itoa(n), e)
		}
	case "document", "message":
		i.resource(where, bundleEntry{Resource: raw})
	default:
		i.problem(where, "not loaded: a Bundle of type %q carries no resources to load", clip(head.Type))
	}
}

func (i *loadItems) resource(where string, e bundleEntry) {
	var head struct {
		ResourceType string `json:"resourceType"`
		ID           string `json:"id"`
	}
	if err := json.Unmarshal(e.Resource, &head); err != nil || !fhir.IsType(head.ResourceType) {
		i.problem(where, "not loaded: no resource of FHIR R4")
		return
	}
	if fhir.ClassOf(head.ResourceType) == fhir.ClassNotStored {
		return // the outcome entry of a search result
	}
	it := loadItem{where: where, fullURL: e.FullURL, typ: head.ResourceType, id: head.ID, raw: e.Resource}
	if e.Request != nil {
		it.ifNoneExist = e.Request.IfNoneExist
		switch e.Request.Method {
		case "POST", "PUT", "":
		default:
			i.problem(where, "not loaded: a request %s is not for loading", clip(e.Request.Method))
			return
		}
		if typ, id, ok := strings.Cut(e.Request.URL, "/"); ok && e.Request.Method == "PUT" && typ == it.typ && it.id == "" {
			it.id = id
		}
	}
	if it.id == "" {
		it.id = idFor(it)
	}
	if !fhir.ValidID(it.id) {
		i.problem(where, "not loaded: %q is not a FHIR id", clip(it.id))
		return
	}
	i.list = append(i.list, it)
}

// idFor gives a resource without id one that is the same at every run: the UUID of its fullUrl, or a digest of its content.
func idFor(it loadItem) string {
	if id, ok := strings.CutPrefix(it.fullURL, "urn:uuid:"); ok && fhir.ValidID(id) {
		return id
	}
	sum := sha256.Sum256(append([]byte(it.fullURL+"\n"), it.raw...))
	return hex.EncodeToString(sum[:16])
}
