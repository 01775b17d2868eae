package store

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/umaas/umaas/fhir"
)

// txn is one bbolt transaction with the store's verbs. Reading handlers get a read transaction, writing ones the committer's.
type txn struct {
	s        *Store
	tx       *bolt.Tx
	opened   [6]*bolt.Bucket
	writable bool
	dirty    bool // something was written since the committer cleared it
	now      time.Time
}

func (s *Store) begin(tx *bolt.Tx) *txn { return &txn{s: s, tx: tx} }

// bucket opens a bucket at its first use: a read by id needs two of them.
func (t *txn) bucket(i int, name []byte) *bolt.Bucket {
	if t.opened[i] == nil {
		t.opened[i] = t.tx.Bucket(name)
	}
	return t.opened[i]
}

func (t *txn) ids() *bolt.Bucket   { return t.bucket(0, bucketIDs) }
func (t *txn) docs() *bolt.Bucket  { return t.bucket(1, bucketDocs) }
func (t *txn) vers() *bolt.Bucket  { return t.bucket(2, bucketVers) }
func (t *txn) types() *bolt.Bucket { return t.bucket(3, bucketTypes) }
func (t *txn) hist() *bolt.Bucket  { return t.bucket(4, bucketHist) }
func (t *txn) idx() *bolt.Bucket   { return t.bucket(5, bucketIdx) }

func (t *txn) lookup(typ, id string) (state, bool) {
	return decodeState(t.ids().Get([]byte(typ + "/" + id)))
}

// version reads one version; its raw aliases the database and is valid only inside the transaction.
func (t *txn) version(seq uint64) (version, error) {
	return decodeVersion(seq, t.vers().Get(key64(seq)))
}

// resource parses one version, or takes it from the cache.
func (t *txn) resource(seq uint64) (*fhir.Resource, error) {
	if r := t.s.cache.get(seq); r != nil {
		return r, nil
	}
	v, err := t.version(seq)
	if err != nil {
		return nil, err
	}
	r, err := fhir.Parse(v.raw)
	if err != nil {
		return nil, fmt.Errorf("version %d of %s: %w", seq, v.relative(), err)
	}
	// A sequence taken in a write transaction can be given again after a rollback: only what was committed is cached.
	if !t.writable {
		t.s.cache.put(seq, r)
	}
	return r, nil
}

// document gives the current version of a living document.
func (t *txn) document(doc uint64) (*fhir.Resource, error) {
	seq, ok := t.sequence(doc)
	if !ok {
		return nil, fmt.Errorf("document %d: %w", doc, errCorrupt)
	}
	return t.resource(seq)
}

func (t *txn) sequence(doc uint64) (uint64, bool) {
	b := t.docs().Get(key64(doc))
	if len(b) != 8 {
		return 0, false
	}
	return decodeUint64(b), true
}

// newID is a random UUID (version 4): ids say nothing about order or content.
func newID(random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("random id: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

// put stores prepared content as the next version of typ/id. It is the only way content gets in.
func (t *txn) put(p *prepared, id string, method byte) (version, error) {
	t.dirty = true
	st, known := t.lookup(p.typ, id)
	if !known {
		doc, err := t.docs().NextSequence()
		if err != nil {
			return version{}, err
		}
		st = state{doc: doc}
	}
	var old [][]byte
	if known && !st.deleted {
		var err error
		if old, err = t.currentPostings(st); err != nil {
			return version{}, err
		}
	}
	v := version{doc: st.doc, number: st.number + 1, method: method, at: t.now, typ: p.typ, id: id}
	v.raw = p.render(id, v.number, t.now)
	if err := t.append(&v); err != nil {
		return version{}, err
	}
	if err := t.docs().Put(key64(v.doc), key64(v.seq)); err != nil {
		return version{}, err
	}
	next := slices.Concat(p.postings, t.s.ownPostings(p.typ, id, t.now))
	return v, t.replacePostings(v.doc, old, next)
}

// remove stores a deletion: the resource leaves every index, its history stays.
func (t *txn) remove(typ, id string, st state) (version, error) {
	t.dirty = true
	old, err := t.currentPostings(st)
	if err != nil {
		return version{}, err
	}
	v := version{doc: st.doc, number: st.number + 1, deleted: true, method: methodDelete, at: t.now, typ: typ, id: id}
	if err := t.append(&v); err != nil {
		return version{}, err
	}
	if err := t.docs().Delete(key64(v.doc)); err != nil {
		return version{}, err
	}
	return v, t.replacePostings(v.doc, old, nil)
}

// append writes the version and makes it current in `ids` and the histories.
func (t *txn) append(v *version) error {
	seq, err := t.vers().NextSequence()
	if err != nil {
		return err
	}
	v.seq = seq
	if err := t.vers().Put(key64(seq), v.encode()); err != nil {
		return err
	}
	if err := t.types().Put(typeSeqKey(t.s.types[v.typ], seq), key64(v.doc)); err != nil {
		return err
	}
	if err := t.hist().Put(key64x2(v.doc, v.number), key64(seq)); err != nil {
		return err
	}
	st := state{doc: v.doc, seq: seq, number: v.number, deleted: v.deleted}
	return t.ids().Put([]byte(v.relative()), st.encode())
}

func (t *txn) currentPostings(st state) ([][]byte, error) {
	r, err := t.resource(st.seq)
	if err != nil {
		return nil, err
	}
	v, err := t.version(st.seq)
	if err != nil {
		return nil, err
	}
	return slices.Concat(t.s.postings(r), t.s.ownPostings(v.typ, v.id, v.at)), nil
}

// replacePostings turns the postings of a document from old into next. Both are posting prefixes without the document number.
func (t *txn) replacePostings(doc uint64, old, next [][]byte) error {
	keep := make(map[string]bool, len(next))
	for _, p := range next {
		keep[string(p)] = true
	}
	had := make(map[string]bool, len(old))
	for _, p := range old {
		had[string(p)] = true
		if !keep[string(p)] {
			if err := t.idx().Delete(append(bytes.Clone(p), key64(doc)...)); err != nil {
				return err
			}
		}
	}
	for p := range keep {
		if !had[p] {
			if err := t.idx().Put(append([]byte(p), key64(doc)...), []byte{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// reindex rebuilds every posting from the current versions.
func (s *Store) reindex(tx *bolt.Tx) error {
	if err := tx.DeleteBucket(bucketIdx); err != nil {
		return err
	}
	if _, err := tx.CreateBucket(bucketIdx); err != nil {
		return err
	}
	t := s.begin(tx)
	t.writable = true
	c := t.docs().Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		next, err := t.currentPostings(state{seq: decodeUint64(v)})
		if err != nil {
			return err
		}
		if err := t.replacePostings(decodeUint64(k), nil, next); err != nil {
			return err
		}
	}
	return nil
}
