package state

import (
	"context"
	"errors"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

type jobRecord struct {
	Issuer   string    `json:"i"`
	User     string    `json:"u,omitempty"`
	Verify   bool      `json:"v,omitempty"`
	Attempts int       `json:"a,omitempty"`
	Due      time.Time `json:"d"`
	Revision int       `json:"r"`
}

func (r jobRecord) job() rs.Job {
	return rs.Job{Owner: rs.Owner{Issuer: r.Issuer, User: r.User}, Verify: r.Verify, Attempts: r.Attempts, Due: r.Due, Revision: r.Revision}
}

func jobKey(o rs.Owner) []byte { return key("j", ownerPart(o)) }

// PutJob implements resourceserver.Jobs.
func (s *Store) PutJob(ctx context.Context, j rs.Job) error {
	if err := checked(ownerPart(j.Owner)); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var kept jobRecord
		err := load(tx, jobKey(j.Owner), &kept)
		if err != nil && !errors.Is(err, rs.ErrNotKept) {
			return err
		}
		next := jobRecord{Issuer: j.Owner.Issuer, User: j.Owner.User, Verify: j.Verify || kept.Verify, Due: j.Due, Revision: kept.Revision + 1}
		if err == nil && kept.Due.Before(next.Due) {
			next.Due = kept.Due
		}
		return save(tx, jobKey(j.Owner), next)
	})
}

// DueJobs implements resourceserver.Jobs.
func (s *Store) DueJobs(ctx context.Context, now time.Time, limit int) ([]rs.Job, error) {
	var due []rs.Job
	after := ""
	for len(due) < limit {
		seen := 0
		err := s.engine.View(ctx, func(tx kv.Tx) error {
			seen = 0
			return scan(tx, under("j"), after, kv.MaxScan, func(p kv.Pair) error {
				var r jobRecord
				if err := decode(p.Value, &r); err != nil {
					return err
				}
				seen++
				after = string(p.Key[len(under("j")):])
				if !r.Due.After(now) && len(due) < limit {
					due = append(due, r.job())
				}
				return nil
			})
		})
		if err != nil || seen < kv.MaxScan {
			return due, err
		}
	}
	return due, nil
}

// RetryJob implements resourceserver.Jobs.
func (s *Store) RetryJob(ctx context.Context, j rs.Job) error {
	return s.ifSame(ctx, j, func(tx kv.Tx) error {
		return save(tx, jobKey(j.Owner), jobRecord{
			Issuer: j.Owner.Issuer, User: j.Owner.User, Verify: j.Verify, Attempts: j.Attempts, Due: j.Due, Revision: j.Revision,
		})
	})
}

// JobDone implements resourceserver.Jobs.
func (s *Store) JobDone(ctx context.Context, j rs.Job) error {
	return s.ifSame(ctx, j, func(tx kv.Tx) error { return tx.Delete(jobKey(j.Owner)) })
}

func (s *Store) ifSame(ctx context.Context, j rs.Job, do func(kv.Tx) error) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var kept jobRecord
		err := load(tx, jobKey(j.Owner), &kept)
		if errors.Is(err, rs.ErrNotKept) || err == nil && kept.Revision != j.Revision {
			return nil
		}
		if err != nil {
			return err
		}
		return do(tx)
	})
}
