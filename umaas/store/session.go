package store

import (
	"time"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Session(key umaas.Key, now time.Time) (umaas.Session, error) {
	return readLive(t, timeKey(regionSession, key), now, sessionFields, func(v *umaas.Session) time.Time { return v.Expires })
}

func (t tx) PutSession(v umaas.Session) error {
	return putTimed(t, regionSession, v.Key, &v, sessionFields)
}

func (t tx) DeleteSession(key umaas.Key) error { return t.kv.Delete(timeKey(regionSession, key)) }
