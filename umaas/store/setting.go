package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Setting(name string) ([]byte, error) { return t.get(plainKey(regionSetting, name)) }

func (t tx) PutSetting(name string, value []byte) error {
	if err := named("setting", name); err != nil {
		return err
	}
	return t.kv.Put(plainKey(regionSetting, name), value)
}

func usedKey(space, id string) []byte {
	return plainKey(regionUsed, hashOf(lookupHashLength, space, id))
}

func (t tx) Used(space, id string, now time.Time) (bool, error) {
	_, err := readLive(t, usedKey(space, id), now, usedFields, func(v *used) time.Time { return v.expires })
	if errors.Is(err, umaas.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Spend refuses an end that is not ahead: such a mark would guard nothing.
func (t tx) Spend(space, id string, now, expires time.Time) error {
	if !now.Before(expires) {
		return errors.New("store: a spent identifier must be kept until a later moment")
	}
	spent, err := t.Used(space, id, now)
	if err != nil {
		return err
	}
	if spent {
		return fmt.Errorf("spend %s: %w", space, umaas.ErrExists)
	}
	return t.kv.Put(usedKey(space, id), encode(&used{expires: expires}, usedFields))
}
