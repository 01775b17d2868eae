package storetest

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/kvtest"
)

// Subject lets kvtest.CrashSubject kill a process that decides: each write spends a ticket, and stores a grant, a token, an
// index entry and an audit event. Its halves are the audit trail and the grants: a grant without its audit event, or an
// event without its grant, must not survive (decisions 10).
func Subject(s umaas.Store) kvtest.Subject { return subject{s} }

type subject struct{ umaas.Store }

const crashOwner, crashParty = "owner", "party"

func (s subject) Write(name string) error {
	now := time.Now()
	sum := sha256.Sum256([]byte(name))
	key, end := umaas.Key(sum[:16]), now.Add(time.Hour)
	ctx := context.Background()
	if err := s.Update(ctx, func(tx umaas.Tx) error { return tx.PutTicket(umaas.Ticket{Key: key, Expires: end}) }); err != nil {
		return err
	}
	return s.Update(ctx, func(tx umaas.Tx) error {
		if err := tx.DeleteTicket(key); err != nil {
			return err
		}
		if err := tx.AppendAudit(umaas.AuditEvent{Key: key, Owner: crashOwner, RequestID: name}); err != nil {
			return err
		}
		if err := tx.PutToken(umaas.Token{Key: key, Grant: key, Expires: end}); err != nil {
			return err
		}
		return tx.PutGrant(umaas.Grant{Key: key, Party: crashParty, Expires: end, Audience: []string{name}})
	})
}

func (s subject) Halves() (audited, granted map[string]bool, err error) {
	audited, granted = map[string]bool{}, map[string]bool{}
	const page = 500
	err = s.View(context.Background(), func(r umaas.Reader) error {
		for before := (umaas.Key{}); ; {
			list, err := r.Audit(crashOwner, before, page)
			if err != nil {
				return err
			}
			for _, e := range list {
				audited[e.RequestID], before = true, e.Key
				if _, err := r.Token(e.Key, e.Time); err != nil {
					return err
				}
			}
			if len(list) < page {
				break
			}
		}
		for before := (umaas.Key{}); ; {
			list, err := r.PartyGrants(crashParty, before, page)
			if err != nil {
				return err
			}
			for _, g := range list {
				granted[g.Audience[0]], before = true, g.Key
			}
			if len(list) < page {
				return nil
			}
		}
	})
	return audited, granted, err
}
