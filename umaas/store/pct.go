package store

import (
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas"
)

func (t tx) PCT(key umaas.Key, now time.Time) (umaas.PCT, error) {
	return readLive(t, timeKey(regionPCT, key), now, pctFields, func(v *umaas.PCT) time.Time { return v.Expires })
}

// PutPCT lists it with its party; a party does not change.
func (t tx) PutPCT(v umaas.PCT) error {
	if err := named("party", string(v.Party.Account)); err != nil {
		return err
	}
	if err := putTimed(t, regionPCT, v.Key, &v, pctFields); err != nil {
		return err
	}
	return t.kv.Put(newestFirst(v.Party.Account, kindPartyPCT, v.Key), nil)
}

func (t tx) DeletePCT(key umaas.Key) error {
	v, err := read(t, timeKey(regionPCT, key), pctFields)
	if err != nil {
		return fmt.Errorf("persisted claims token: %w", err)
	}
	if err := t.kv.Delete(newestFirst(v.Party.Account, kindPartyPCT, key)); err != nil {
		return err
	}
	return t.kv.Delete(timeKey(regionPCT, key))
}

// PartyPCTs leaves out what has expired.
func (t tx) PartyPCTs(party umaas.AccountID, before umaas.Key, limit int) ([]umaas.PCT, error) {
	now := t.store.now()
	return listed(t, party, kindPartyPCT, before, limit, func(key umaas.Key) (umaas.PCT, error) { return t.PCT(key, now) })
}
