package umaas

import (
	"context"
	"fmt"
)

// MaxShares is how many shares CreateShares takes at once.
const MaxShares = 50

// CreateShares stores several shares, each as CreateShare would, in one transaction: all of them or, where one is refused, none.
// On an error at is the index of the share that was refused, -1 where it was none of them. Errors: those of CreateShare;
// ErrBadAnswer also for more than MaxShares.
func (a Acting) CreateShares(ctx context.Context, shares []NewShare, requestID string) (made []PolicyID, at int, err error) {
	s, now := a.s, a.s.Now()
	if len(shares) > MaxShares {
		return nil, -1, fmt.Errorf("%w: at most %d shares at once", ErrBadAnswer, MaxShares)
	}
	prepared := make([]NewShare, len(shares))
	ids := make([]PolicyID, len(shares))
	for i, n := range shares {
		if err := n.prepare(s, a.owner, now); err != nil {
			return nil, i, err
		}
		if ids[i], err = s.newPolicyID(now); err != nil {
			return nil, -1, err
		}
		prepared[i] = n
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		for i, n := range prepared {
			at = i
			if err := a.storeShare(tx, n, ids[i], requestID); err != nil {
				return err
			}
		}
		at = -1 // what fails from here on is none of them
		return nil
	})
	if err != nil {
		return nil, at, err
	}
	return ids, -1, nil
}

func (a Acting) storeShare(tx Tx, n NewShare, id PolicyID, requestID string) error {
	now := a.s.Now()
	p, err := a.sharePolicy(tx, n, now)
	if err != nil {
		return err
	}
	p.ID = id
	if err := tx.PutPolicy(p); err != nil {
		return fmt.Errorf("store share: %w", err)
	}
	return a.s.tell(tx, now, a.shareEvent(EventShareCreated, p, requestID))
}
