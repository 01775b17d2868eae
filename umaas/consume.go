package umaas

import (
	"context"
	"fmt"

	"github.com/umaas/umaas/umaas/uma"
)

// errConsumed is the one answer for a grant that cannot be used (again).
var errConsumed = uma.ErrInvalidGrant.With("the grant is not valid, or was used already")

// ConsumeGrant spends a single-use grant (decisions 8): of any number of parallel calls one gets nil, and from then on the
// token is inactive. A token that is not this PAT's to know, or not live, is invalid_grant; one that may be used again
// anyway is invalid_request, and stays.
func (s *Service) ConsumeGrant(ctx context.Context, p PAT, token string) error {
	b, ok := s.openBearer(token)
	if !ok {
		return errConsumed
	}
	now := s.Now()
	return s.Store.Update(ctx, func(tx Tx) error {
		_, g, l, err := s.inspect(tx, p, b, now)
		if gone, err := absent(err); err != nil {
			return fmt.Errorf("consume grant: %w", err)
		} else if gone || l.reason != "" {
			return errConsumed
		}
		if !g.Once {
			return uma.ErrInvalidRequest.With("the grant is not for a single use")
		}
		g.Spent = now
		if err := tx.PutGrant(g); err != nil {
			return fmt.Errorf("consume grant: %w", err)
		}
		return s.tell(tx, now, AuditEvent{
			Type: EventGrantConsumed, Owner: g.Owner, Actor: g.Party, Client: g.Client, RS: g.RS, Grant: g.Key, Process: g.Process,
		})
	})
}
