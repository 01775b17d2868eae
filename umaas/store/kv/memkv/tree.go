package memkv

import (
	"hash/maphash"
	"strings"

	"github.com/umaas/umaas/umaas/store/kv"
)

// node is an immutable treap: ordered by key, heap-ordered by priority. Nil is the empty tree. Priorities are hashes of the
// keys, so that the shape depends on the content alone and no choice of keys from outside can unbalance it.
type node struct {
	key         string
	value       []byte
	priority    uint64
	left, right *node
}

var seed = maphash.MakeSeed()

func (n *node) with(key string, value []byte) *node {
	if n == nil {
		return &node{key: key, value: value, priority: maphash.String(seed, key)}
	}
	c := *n
	switch order := strings.Compare(key, n.key); {
	case order == 0:
		c.value = value
	case order < 0:
		c.left = n.left.with(key, value)
		if l := c.left; l.priority > c.priority { // rotate right; l is fresh and ours to change
			c.left, l.right = l.right, &c
			return l
		}
	default:
		c.right = n.right.with(key, value)
		if r := c.right; r.priority > c.priority {
			c.right, r.left = r.left, &c
			return r
		}
	}
	return &c
}

func (n *node) without(key string) *node {
	if n == nil {
		return nil
	}
	order := strings.Compare(key, n.key)
	if order == 0 {
		return join(n.left, n.right)
	}
	c := *n
	if order < 0 {
		c.left = n.left.without(key)
	} else {
		c.right = n.right.without(key)
	}
	return &c
}

// join makes one tree of two; every key of a is below every key of b.
func join(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		c := *a
		c.right = join(a.right, b)
		return &c
	default:
		c := *b
		c.left = join(a, b.left)
		return &c
	}
}

// snapshot implements kv.Snapshot on one state.
type snapshot struct{ root *node }

func (s snapshot) Get(key []byte) ([]byte, error) {
	for n := s.root; n != nil; {
		switch order := strings.Compare(string(key), n.key); {
		case order == 0:
			return append(make([]byte, 0, len(n.value)), n.value...), nil
		case order < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil, kv.ErrNotFound
}

func (s snapshot) Scan(prefix, after []byte, limit int) ([]kv.Pair, error) {
	w := walk{prefix: string(prefix), after: string(after), fromStart: after == nil, limit: limit}
	w.visit(s.root)
	return w.found, nil
}

type walk struct {
	prefix, after string
	fromStart     bool
	limit         int
	found         []kv.Pair
}

// visit goes through the part of the tree in range, in order; false ends the walk.
func (w *walk) visit(n *node) bool {
	if n == nil {
		return true
	}
	below := n.key < w.prefix || !w.fromStart && n.key <= w.after
	if !below {
		if !w.visit(n.left) {
			return false
		}
		if !strings.HasPrefix(n.key, w.prefix) || len(w.found) == w.limit {
			return false
		}
		w.found = append(w.found, kv.Pair{Key: []byte(n.key), Value: append(make([]byte, 0, len(n.value)), n.value...)})
	}
	return w.visit(n.right)
}
