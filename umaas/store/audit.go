package store

import (
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Audit(owner umaas.AccountID, before umaas.Key, limit int) ([]umaas.AuditEvent, error) {
	return page(t, accountKey(owner, kindAudit), cursor(owner, kindAudit, before), limit, auditFields)
}

// AppendAudit only ever adds: a key that is taken is ErrExists, so that nothing can be written over.
func (t tx) AppendAudit(e umaas.AuditEvent) error {
	if e.Owner != "" {
		if err := named("audit event's owner", string(e.Owner)); err != nil {
			return err
		}
	}
	if e.Key.IsZero() {
		return fmt.Errorf("audit event %s without a key", e.Type)
	}
	key := newestFirst(e.Owner, kindAudit, e.Key)
	if there, err := t.has(key); err != nil {
		return err
	} else if there {
		return fmt.Errorf("audit event: %w", umaas.ErrExists)
	}
	return t.kv.Put(key, encode(&e, auditFields))
}

// eventSpace keeps the event ids of one resource server apart from those of others and from other single-use identifiers.
func eventSpace(rs umaas.ClientID) string { return "access-event\x00" + string(rs) }

func (t tx) SeenEvent(rs umaas.ClientID, id string) (bool, error) {
	return t.Used(eventSpace(rs), id, t.store.now())
}

func (t tx) MarkEvent(rs umaas.ClientID, id string, expires time.Time) error {
	return t.kv.Put(usedKey(eventSpace(rs), id), encode(&used{expires: expires}, usedFields))
}
