package umaas

import (
	"fmt"
	"time"
)

// Attention bounds what may come before an owner, so that what matters stays visible (SEC-46). Counting looks at the newest
// entries only: a flood costs the flooder and not the owner.
type Attention struct {
	PerClient int // open requests of one client nobody has checked, per owner: 3
	Unchecked int // of all such clients together, per owner: 30
	PerParty  int // open requests of one requesting party, over all owners: 50
	PerDay    int // new requests of one party to one owner within a day: 50
	Invites   int // invitations of one owner within a day: 50 (SEC-44)
}

// DefaultAttention are the documented defaults.
func DefaultAttention() Attention {
	return Attention{PerClient: 3, Unchecked: 30, PerParty: 50, PerDay: 50, Invites: 50}
}

// WithDefaults fills in what is not set.
func (a Attention) WithDefaults() Attention {
	d := DefaultAttention()
	for _, m := range []struct{ set, standard *int }{
		{&a.PerClient, &d.PerClient}, {&a.Unchecked, &d.Unchecked}, {&a.PerParty, &d.PerParty}, {&a.PerDay, &d.PerDay}, {&a.Invites, &d.Invites},
	} {
		if *m.set == 0 {
			*m.set = *m.standard
		}
	}
	return a
}

// maxAttention keeps counting inside the newest entries that are looked at.
const maxAttention = inboxWindow

func (a Attention) set() bool {
	for _, n := range []int{a.PerClient, a.Unchecked, a.PerParty, a.PerDay, a.Invites} {
		if n <= 0 || n > maxAttention {
			return false
		}
	}
	return true
}

const day = 24 * time.Hour

// flooded counts what waits already. Above the party's own number of open requests, over all owners, the process is denied: the
// number is the same for records that are there and records that are not. Above a number that counts one owner's requests,
// which a hidden record does not share, the process waits as on a decoy, in no inbox: an answer that told such a limit would
// tell hidden records from silent owners (decisions 6, SEC-46).
func (run *redemption) flooded(tx Tx, t Ticket, party AccountID) (full, unlisted bool, err error) {
	limit := run.s.Limits.Attention
	mine, err := tx.RequestsBy(party, Key{}, inboxWindow)
	if err != nil {
		return false, false, fmt.Errorf("count requests of party: %w", err)
	}
	open, today := 0, 0
	for _, r := range mine {
		if r.burdens(run.now) {
			open++
		}
		if r.Owner == t.Owner && !r.Unlisted && run.now.Sub(r.Created) < day {
			today++
		}
	}
	switch {
	case open >= limit.PerParty:
		return true, false, nil
	case t.Decoy:
		return false, false, nil
	case today >= limit.PerDay:
		return false, true, nil
	case !run.client.Dynamic:
		return false, false, nil
	}
	unlisted, err = run.crowded(tx, t.Owner)
	return false, unlisted, err
}

// crowded counts what clients nobody has checked have waiting with one owner.
func (run *redemption) crowded(tx Tx, owner AccountID) (bool, error) {
	limit := run.s.Limits.Attention
	inbox, err := tx.Requests(owner, Key{}, inboxWindow)
	if err != nil {
		return false, fmt.Errorf("count requests: %w", err)
	}
	own, unknown := 0, 0
	dynamic := map[ClientID]bool{run.client.ID: true}
	for _, r := range inbox {
		if !r.burdens(run.now) {
			continue
		}
		if _, ok := dynamic[r.Client]; !ok && len(dynamic) < maxUncheckedReads {
			c, err := tx.Client(r.Client)
			if _, err := absent(err); err != nil {
				return false, err
			}
			dynamic[r.Client] = c.Dynamic
		}
		if dynamic[r.Client] {
			unknown++
		}
		if r.Client == run.client.ID {
			own++
		}
	}
	return own >= limit.PerClient || unknown >= limit.Unchecked, nil
}
