package store

import (
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Ticket(key umaas.Key, now time.Time) (umaas.Ticket, error) {
	return readLive(t, timeKey(regionTicket, key), now, ticketFields, func(v *umaas.Ticket) time.Time { return v.Expires })
}

func (t tx) PutTicket(v umaas.Ticket) error {
	return putTimed(t, regionTicket, v.Key, &v, ticketFields)
}

// DeleteTicket is the gate of single use (Grant §5.5, SEC-01): whoever gets nil from it in a transaction that commits has
// spent the ticket, alone.
func (t tx) DeleteTicket(key umaas.Key) error {
	k := timeKey(regionTicket, key)
	if there, err := t.has(k); err != nil {
		return err
	} else if !there {
		return fmt.Errorf("ticket: %w", umaas.ErrNotFound)
	}
	return t.kv.Delete(k)
}

func (t tx) Flow(key umaas.Key, now time.Time) (umaas.Flow, error) {
	return readLive(t, timeKey(regionFlow, key), now, flowFields, func(v *umaas.Flow) time.Time { return v.Expires })
}

func (t tx) PutFlow(v umaas.Flow) error { return putTimed(t, regionFlow, v.Key, &v, flowFields) }

func (t tx) DeleteFlow(key umaas.Key) error { return t.kv.Delete(timeKey(regionFlow, key)) }

// putTimed stores a record under its time-growing key.
func putTimed[T any](t tx, region byte, key umaas.Key, v *T, fields func(*codec, *T)) error {
	if key.IsZero() {
		return fmt.Errorf("store: record of region %q without a key", region)
	}
	return t.kv.Put(timeKey(region, key), encode(v, fields))
}
