package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/url"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/umaas/umaas/fhir"
)

// Options configure a Store. The zero value of every switch is the strict one.
type Options struct {
	Path           string           // database file, created with mode 0600 when absent
	Base           string           // absolute FHIR base URL used in links, Location and fullUrl, e.g. "https://rs.example/fhir"
	Now            func() time.Time // default time.Now
	Rand           io.Reader        // ids and page keys; default crypto/rand
	MaxBody        int64            // bytes of one request body; default 16 MiB
	NoSync         bool             // do not wait for the disk: for tests and throw-away data only
	UpdateAsCreate bool             // PUT on an unknown id creates it (http.html#upsert); off answers 405
	CacheBytes     int64            // raw bytes of parsed resources kept for searches; default 4 MiB
	Logger         *slog.Logger     // default: discard
}

// Store is an open FHIR database. Safe for concurrent use.
type Store struct {
	opts   Options
	base   string
	db     *bolt.DB
	commit *committer
	cache  *parsedCache
	pages  pageSealer
	types  map[string]uint16
	params map[string]uint16

	indexable map[string][]fhir.SearchParam // what of a type's parameters is indexed
	caps      capability
}

// ErrNotFound is returned by Read for a resource that never was or that is deleted.
var ErrNotFound = errors.New("fhir store: no such resource")

// Open opens or creates the database. A file of a newer schema is refused and left untouched.
func Open(o Options) (*Store, error) {
	base, err := checkBase(o.Base)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 16 << 20
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 4 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	db, err := bolt.Open(o.Path, 0o600, &bolt.Options{
		Timeout: 3 * time.Second, NoSync: o.NoSync, FreelistType: bolt.FreelistMapType, InitialMmapSize: 64 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("open fhir store %q (is another process using it?): %w", o.Path, err)
	}
	s := &Store{opts: o, base: base, db: db, cache: newParsedCache(o.CacheBytes), types: map[string]uint16{}, params: map[string]uint16{}, indexable: indexableParams()}
	last, err := s.prepareFile()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.commit = newCommitter(s, last)
	return s, nil
}

func checkBase(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("fhir store: Base: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("fhir store: Base %q must be an absolute http(s) URL without query, such as https://rs.example/fhir", base)
	}
	return strings.TrimRight(base, "/"), nil
}

// Close waits for queued writes, then closes the file. Writes after Close are refused.
func (s *Store) Close() error {
	s.commit.close()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close fhir store: %w", err)
	}
	return nil
}

// Read gives the current version of a resource, or ErrNotFound.
func (s *Store) Read(typ, id string) (*fhir.Resource, error) {
	var r *fhir.Resource
	err := s.db.View(func(tx *bolt.Tx) error {
		t := s.begin(tx)
		st, ok := t.lookup(typ, id)
		if !ok || st.deleted {
			return fmt.Errorf("%s/%s: %w", typ, id, ErrNotFound)
		}
		var err error
		r, err = t.resource(st.seq)
		return err
	})
	return r, err
}

// Patients yields every living Patient in order of first storage. Each step reads in a short transaction of its own, so a slow consumer
// holds nothing open; a Patient stored meanwhile may or may not appear.
func (s *Store) Patients(ctx context.Context) iter.Seq2[*fhir.Resource, error] {
	return func(yield func(*fhir.Resource, error) bool) {
		after := uint64(0)
		for {
			var page []*fhir.Resource
			err := ctx.Err()
			if err == nil {
				err = s.db.View(func(tx *bolt.Tx) error {
					t := s.begin(tx)
					all := t.everything("Patient")
					for len(page) < 100 {
						doc, ok := all.next(after)
						if !ok {
							return nil
						}
						after = doc
						r, err := t.document(doc)
						if err != nil {
							return err
						}
						page = append(page, r)
					}
					return nil
				})
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < 100 {
				return
			}
		}
	}
}
