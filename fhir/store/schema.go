package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/umaas/umaas/fhir"
)

// prepareFile creates buckets, checks the schema, loads the name tables and rebuilds the index when its definition changed.
// It returns the time of the last version written.
func (s *Store) prepareFile() (last time.Time, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketMeta); b != nil {
			if got := string(b.Get([]byte("schema"))); got != schemaVersion {
				return fmt.Errorf("fhir store %q has schema %q, this program knows %q: use the program version that wrote it", s.opts.Path, got, schemaVersion)
			}
		}
		return nil
	})
	if err != nil {
		return last, err
	}
	sum := indexSignature()
	fresh := false
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketMeta)
		fresh = b != nil && string(b.Get([]byte("index"))) == sum
		return nil
	})
	if err == nil && !fresh {
		err = s.db.Update(func(tx *bolt.Tx) error { return s.initialise(tx, sum) })
	}
	if err != nil {
		return last, fmt.Errorf("prepare fhir store: %w", err)
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		if k, v := tx.Bucket(bucketVers).Cursor().Last(); k != nil {
			rec, err := decodeVersion(binary.BigEndian.Uint64(k), v)
			if err != nil {
				return err
			}
			last = rec.at
		}
		if err := s.pages.setKey(tx.Bucket(bucketMeta).Get([]byte("pagekey"))); err != nil {
			return err
		}
		return tx.Bucket(bucketNames).ForEach(func(k, v []byte) error {
			table := s.params
			if k[0] == 't' {
				table = s.types
			}
			table[string(k[1:])] = binary.BigEndian.Uint16(v)
			return nil
		})
	})
	return last, err
}

func (s *Store) initialise(tx *bolt.Tx, sum string) error {
	for _, name := range [][]byte{bucketMeta, bucketNames, bucketIDs, bucketDocs, bucketVers, bucketTypes, bucketHist, bucketIdx} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if meta.Get([]byte("pagekey")) == nil {
		key := make([]byte, 32)
		if _, err := io.ReadFull(s.opts.Rand, key); err != nil {
			return err
		}
		if err := meta.Put([]byte("pagekey"), key); err != nil {
			return err
		}
	}
	if err := s.internNames(tx); err != nil {
		return err
	}
	if err := s.reindex(tx); err != nil {
		return err
	}
	if err := meta.Put([]byte("schema"), []byte(schemaVersion)); err != nil {
		return err
	}
	return meta.Put([]byte("index"), []byte(sum))
}

// internNames gives every type and parameter a number that never changes in this file.
func (s *Store) internNames(tx *bolt.Tx) error {
	b := tx.Bucket(bucketNames)
	intern := func(table map[string]uint16, name string) error {
		if _, done := table[name[1:]]; done {
			return nil
		}
		if v := b.Get([]byte(name)); v != nil {
			table[name[1:]] = binary.BigEndian.Uint16(v)
			return nil
		}
		n, err := b.NextSequence()
		if err != nil {
			return err
		}
		table[name[1:]] = uint16(n)                                               //nolint:gosec // counts types and parameters
		return b.Put([]byte(name), binary.BigEndian.AppendUint16(nil, uint16(n))) //nolint:gosec // counts types and parameters
	}
	for _, typ := range fhir.Types() {
		if err := intern(s.types, "t"+typ); err != nil {
			return err
		}
		for _, p := range fhir.Params(typ) {
			if err := intern(s.params, "p"+p.Code); err != nil {
				return err
			}
		}
	}
	for _, own := range []string{paramAll, paramCompartment, paramLastUpdated} {
		if err := intern(s.params, "p"+own); err != nil {
			return err
		}
	}
	return nil
}

// indexableParams leaves out what has no index term: _id is a key of its own, _lastUpdated is the store's own time.
func indexableParams() map[string][]fhir.SearchParam {
	out := map[string][]fhir.SearchParam{}
	for _, typ := range fhir.Types() {
		for _, p := range fhir.Params(typ) {
			if p.Code != "_id" && p.Code != paramLastUpdated && p.Expression != "" && indexed(p.Kind) {
				out[typ] = append(out[typ], p)
			}
		}
	}
	return out
}

// indexSignature changes with every change of the search parameter tables or of the term rules.
func indexSignature() string {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, indexVersion) // a hash takes everything
	for _, typ := range fhir.Types() {
		for _, p := range fhir.Params(typ) {
			_, _ = fmt.Fprintln(h, typ, p.Code, p.Kind, p.Expression)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
