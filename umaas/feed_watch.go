package umaas

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// watchedStore notes in every transaction which changes can end or narrow live grants, and appends them to the feed in the same
// commit. It stands between the core and its store, so that no step of the protocol can forget to tell resource servers.
type watchedStore struct {
	Store
	now     func() time.Time
	changed *broadcast
}

func (w watchedStore) Update(ctx context.Context, fn func(Tx) error) error {
	told := false
	err := w.Store.Update(ctx, func(tx Tx) error {
		t := &watchedTx{Tx: tx}
		if err := fn(t); err != nil {
			return err
		}
		told = len(t.tags) > 0
		return t.tell(w.now())
	})
	if err == nil && told {
		w.changed.wake()
	}
	return err
}

// watchedTx collects the tags of what is written over. What is new cannot have carried anything yet.
type watchedTx struct {
	Tx
	tags []string
	rs   ClientID
	wide bool // not for one resource server alone
}

func (t *watchedTx) note(rs ClientID, kind, id string) {
	if len(t.tags) > 0 && rs != t.rs || rs == "" {
		t.wide = true
	}
	t.rs = rs
	if g := tag(kind, id); !slices.Contains(t.tags, g) {
		t.tags = append(t.tags, g)
	}
}

func (t *watchedTx) tell(now time.Time) error {
	if len(t.tags) == 0 {
		return nil
	}
	c := Change{RS: t.rs, Tags: t.tags, Time: now, Expires: now.Add(feedMemory)}
	if t.wide {
		c.RS = ""
	}
	if len(c.Tags) > maxTags {
		c.Tags = []string{tagAll}
	}
	return t.AppendChange(c)
}

// overwrites reports a record that was there before.
func overwrites(err error) (bool, error) {
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (t *watchedTx) PutPolicy(p Policy) error {
	old, err := t.Policy(p.Owner, p.ID)
	if there, err := overwrites(err); err != nil {
		return err
	} else if there {
		for _, r := range old.Rules { // a server whose last rule goes is told too; new rules have carried nothing yet
			t.note(r.RS, "account", string(p.Owner))
		}
	}
	return t.Tx.PutPolicy(p)
}

func (t *watchedTx) PutAccount(a Account) error {
	_, err := t.Account(a.ID)
	if there, err := overwrites(err); err != nil {
		return err
	} else if there {
		t.note("", "account", string(a.ID))
	}
	return t.Tx.PutAccount(a)
}

func (t *watchedTx) DeleteAccount(id AccountID) error {
	t.note("", "account", string(id))
	return t.Tx.DeleteAccount(id)
}

func (t *watchedTx) PutClient(c Client) error {
	_, err := t.Client(c.ID)
	if there, err := overwrites(err); err != nil {
		return err
	} else if there {
		t.note("", "client", string(c.ID))
	}
	return t.Tx.PutClient(c)
}

func (t *watchedTx) DeleteClient(id ClientID) error {
	t.note("", "client", string(id))
	return t.Tx.DeleteClient(id)
}

func (t *watchedTx) PutResource(r Resource) error {
	owner, err := t.ResourceOwner(r.RS, r.ID)
	if there, err := overwrites(err); err != nil {
		return err
	} else if there {
		t.note(r.RS, "account", string(owner))
	}
	return t.Tx.PutResource(r)
}

func (t *watchedTx) DeleteResource(owner AccountID, rs ClientID, id ResourceID) error {
	t.note(rs, "account", string(owner))
	return t.Tx.DeleteResource(owner, rs, id)
}

// PutGrant tells of ends alone: a grant that is given or renewed is news to nobody who holds it.
func (t *watchedTx) PutGrant(g Grant) error {
	if !g.Revoked.IsZero() || !g.Spent.IsZero() {
		t.note(g.RS, "grant", g.Key.String())
	}
	return t.Tx.PutGrant(g)
}

func (t *watchedTx) PutTrustedIssuer(i TrustedIssuer) error {
	_, err := t.TrustedIssuer(i.Issuer)
	if there, err := overwrites(err); err != nil {
		return err
	} else if there {
		t.note("", "issuer", i.Issuer)
	}
	return t.Tx.PutTrustedIssuer(i)
}

func (t *watchedTx) DeleteTrustedIssuer(issuer string) error {
	t.note("", "issuer", issuer)
	return t.Tx.DeleteTrustedIssuer(issuer)
}

// broadcast wakes everybody who waits. It is a hint within one process: who misses it looks at the store a moment later.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
