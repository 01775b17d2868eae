package umaas

import (
	"context"
	"errors"
	"fmt"

	"github.com/umaas/umaas/umaas/uma"
)

// Revoke ends a token (RFC 7009 §2): access, refresh or PCT, by its own client. The whole grant ends with either, so that
// nothing of it survives at a resource server. A token that is unknown, over or another client's is answered as done
// (§2.2); token_type_hint, "pct" included, changes nothing (G-104). It returns after the commit (SEC-56).
func (s *Service) Revoke(ctx context.Context, r TokenRequest) error {
	f, err := parseForm(r.Form)
	if err != nil {
		return err
	}
	client, err := s.authenticateClient(ctx, r, f)
	if err != nil {
		return err
	}
	value, err := f.need("token")
	if err != nil {
		return err
	}
	b, ok := s.openBearer(value)
	if !ok {
		return nil
	}
	now := s.Now()
	err = s.Store.Update(ctx, func(tx Tx) error {
		t, err := b.find(tx, now)
		if errors.Is(err, ErrNotFound) {
			return s.revokePCT(tx, b, client.ID, r.RequestID, now)
		}
		if err == nil && t.Client != client.ID {
			return nil
		}
		if err != nil {
			return err
		}
		g, err := tx.Grant(t.Grant, now)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.revokeGrant(tx, g, "client", r.RequestID, now)
	})
	if err != nil {
		// RFC 7009 §2.2.1: the client must take the token for live and try again.
		return uma.ErrUnavailable.Because(fmt.Errorf("revoke: %w", err))
	}
	return nil
}
