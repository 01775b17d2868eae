package boltkv

import (
	"bytes"

	"github.com/umaas/umaas/umaas/store/kv"
	bolt "go.etcd.io/bbolt"
)

// snapshot implements kv.Snapshot on a bbolt transaction, copying what bbolt lends.
type snapshot struct{ bucket *bolt.Bucket }

func (s snapshot) Get(key []byte) ([]byte, error) {
	v := s.bucket.Get(key)
	if v == nil {
		return nil, kv.ErrNotFound
	}
	return append(make([]byte, 0, len(v)), v...), nil
}

func (s snapshot) Scan(prefix, after []byte, limit int) ([]kv.Pair, error) {
	c := s.bucket.Cursor()
	from := prefix
	if bytes.Compare(after, prefix) > 0 {
		from = after
	}
	k, v := c.Seek(from)
	if after != nil && k != nil && bytes.Equal(k, after) {
		k, v = c.Next()
	}
	var out []kv.Pair
	for ; k != nil && len(out) < limit && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		both := make([]byte, 0, len(k)+len(v))
		both = append(append(both, k...), v...)
		out = append(out, kv.Pair{Key: both[:len(k):len(k)], Value: both[len(k):]})
	}
	return out, nil
}
