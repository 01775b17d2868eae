package state

import (
	"context"
	"crypto/sha256"
	"errors"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

type appRecord struct {
	ClientID     string   `json:"c"`
	Name         string   `json:"n"`
	RedirectURIs []string `json:"r"`
	Checked      bool     `json:"k,omitempty"`
}

func redirectPart(uri string) string { return hashPart(sha256.Sum256([]byte(uri))) }

// PutApp implements resourceserver.Apps.
func (s *Store) PutApp(ctx context.Context, a rs.App) error {
	if err := checked(a.ClientID); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		if err := dropApp(tx, a.ClientID); err != nil && !errors.Is(err, rs.ErrNotKept) {
			return err
		}
		for _, uri := range a.RedirectURIs {
			if err := tx.Put(key("b", redirectPart(uri), a.ClientID), []byte{recordVersion}); err != nil {
				return err
			}
		}
		return save(tx, key("a", a.ClientID), appRecord(a))
	})
}

func dropApp(tx kv.Tx, clientID string) error {
	var old appRecord
	if err := load(tx, key("a", clientID), &old); err != nil {
		return err
	}
	for _, uri := range old.RedirectURIs {
		if err := tx.Delete(key("b", redirectPart(uri), clientID)); err != nil {
			return err
		}
	}
	return tx.Delete(key("a", clientID))
}

// DropApp implements resourceserver.Apps.
func (s *Store) DropApp(ctx context.Context, clientID string) error {
	if err := checked(clientID); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error { return dropApp(tx, clientID) })
}

// App implements resourceserver.Apps.
func (s *Store) App(ctx context.Context, clientID string) (rs.App, error) {
	if checked(clientID) != nil {
		return rs.App{}, rs.ErrNotKept
	}
	var r appRecord
	if err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, key("a", clientID), &r) }); err != nil {
		return rs.App{}, err
	}
	return rs.App(r), nil
}

// Apps implements resourceserver.Apps.
func (s *Store) Apps(ctx context.Context, after string, limit int) ([]rs.App, error) {
	var list []rs.App
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		return scan(tx, under("a"), after, limit, func(p kv.Pair) error {
			var r appRecord
			if err := decode(p.Value, &r); err != nil {
				return err
			}
			list = append(list, rs.App(r))
			return nil
		})
	})
	return list, err
}

// AppsByRedirect implements resourceserver.Apps.
func (s *Store) AppsByRedirect(ctx context.Context, redirectURI string) ([]string, error) {
	prefix := under("b", redirectPart(redirectURI))
	var ids []string
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		ids = nil
		return scan(tx, prefix, "", 10, func(p kv.Pair) error {
			ids = append(ids, string(p.Key[len(prefix):]))
			return nil
		})
	})
	return ids, err
}
