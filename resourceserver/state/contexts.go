package state

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

// A context URL that nobody used is gone after a day, one that lies idle after a month (flows.md A2).
const (
	contextUnused = 24 * time.Hour
	contextIdle   = 30 * 24 * time.Hour
)

type contextRecord struct {
	Level   string    `json:"l"`
	User    string    `json:"u"`
	Patient string    `json:"p,omitempty"`
	Issuer  string    `json:"i"`
	Client  string    `json:"a,omitempty"`
	Label   string    `json:"n,omitempty"`
	Created time.Time `json:"c"`
	Used    time.Time `json:"t"`
}

func (r contextRecord) expired(now time.Time) bool {
	if r.Used.IsZero() {
		return now.Sub(r.Created) >= contextUnused
	}
	return now.Sub(r.Used) >= contextIdle
}

func (r contextRecord) contextURL(hash [32]byte) rs.ContextURL {
	return rs.ContextURL{
		Hash: hash, Level: rs.Level(r.Level), User: r.User, Patient: r.Patient, Issuer: r.Issuer, Client: r.Client, Label: r.Label,
		Created: r.Created, Used: r.Used,
	}
}

// PutContextURL implements resourceserver.ContextURLTable.
func (s *Store) PutContextURL(ctx context.Context, c rs.ContextURL) error {
	if err := checked(c.User); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		if err := tx.Put(key("o", c.User, "url", hashPart(c.Hash)), []byte{recordVersion}); err != nil {
			return err
		}
		return save(tx, key("x", hashPart(c.Hash)), contextRecord{
			Level: string(c.Level), User: c.User, Patient: c.Patient, Issuer: c.Issuer, Client: c.Client, Label: c.Label, Created: c.Created, Used: c.Used,
		})
	})
}

// ContextURL implements resourceserver.ContextURLTable.
func (s *Store) ContextURL(ctx context.Context, hash [32]byte) (rs.ContextURL, error) {
	var r contextRecord
	err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, key("x", hashPart(hash)), &r) })
	if err != nil {
		return rs.ContextURL{}, err
	}
	if r.expired(s.now()) {
		return rs.ContextURL{}, rs.ErrNotKept
	}
	return r.contextURL(hash), nil
}

// TouchContextURL implements resourceserver.ContextURLTable.
func (s *Store) TouchContextURL(ctx context.Context, hash [32]byte, used time.Time) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var r contextRecord
		err := load(tx, key("x", hashPart(hash)), &r)
		if errors.Is(err, rs.ErrNotKept) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		r.Used = used
		return save(tx, key("x", hashPart(hash)), r)
	})
}

// DropContextURL implements resourceserver.ContextURLTable.
func (s *Store) DropContextURL(ctx context.Context, user string, hash [32]byte) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var r contextRecord
		err := load(tx, key("x", hashPart(hash)), &r)
		if err != nil {
			return err
		}
		if r.User != user {
			return rs.ErrNotKept
		}
		return dropContext(tx, user, hashPart(hash))
	})
}

func dropContext(tx kv.Tx, user, hash string) error {
	if err := tx.Delete(key("o", user, "url", hash)); err != nil {
		return err
	}
	return tx.Delete(key("x", hash))
}

// ContextURLs implements resourceserver.ContextURLTable.
func (s *Store) ContextURLs(ctx context.Context, user string, limit int) ([]rs.ContextURL, error) {
	if unkeyable(user) {
		return nil, nil
	}
	prefix := under("o", user, "url")
	var list []rs.ContextURL
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		return scan(tx, prefix, "", limit, func(p kv.Pair) error {
			part := string(p.Key[len(prefix):])
			var r contextRecord
			if err := load(tx, key("x", part), &r); err != nil {
				return err
			}
			var hash [32]byte
			raw, err := hex.DecodeString(part)
			if err != nil || copy(hash[:], raw) != len(hash) {
				return errors.New("state: index of context URLs is damaged")
			}
			if !r.expired(s.now()) {
				list = append(list, r.contextURL(hash))
			}
			return nil
		})
	})
	return list, err
}
