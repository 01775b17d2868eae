package store

import (
	"time"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Invitation(key umaas.Key, now time.Time) (umaas.Invitation, error) {
	return readLive(t, timeKey(regionInvitation, key), now, invitationFields, func(v *umaas.Invitation) time.Time { return v.Expires })
}

// PutInvitation lists it with its owner; an owner does not change.
func (t tx) PutInvitation(v umaas.Invitation) error {
	if err := named("owner", string(v.Owner)); err != nil {
		return err
	}
	if err := putTimed(t, regionInvitation, v.Key, &v, invitationFields); err != nil {
		return err
	}
	return t.kv.Put(newestFirst(v.Owner, kindInvitation, v.Key), nil)
}

// Invitations leaves out what has expired.
func (t tx) Invitations(owner umaas.AccountID, before umaas.Key, limit int) ([]umaas.Invitation, error) {
	now := t.store.now()
	return listed(t, owner, kindInvitation, before, limit, func(key umaas.Key) (umaas.Invitation, error) { return t.Invitation(key, now) })
}
