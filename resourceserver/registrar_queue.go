package resourceserver

import (
	"context"
	"errors"
	"time"
)

// Retry of reconciliation: doubling from retryFirst to retryLast.
const (
	retryFirst = 2 * time.Second
	retryLast  = 10 * time.Minute
	jobBatch   = 20
)

// Run works through the queue until ctx ends, looking every interval. It returns ctx's error.
func (r *Registrar) Run(ctx context.Context, interval time.Duration) error {
	for {
		if _, err := r.RunDue(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.ErrorContext(ctx, "reconciliation queue", "err", err)
		}
		if err := sleep(ctx, interval); err != nil {
			return err
		}
	}
}

// RunDue does the jobs that are due now, once each, and returns how many succeeded. A job that cannot be done now comes
// back later: an authorization server that is away costs nothing but time.
func (r *Registrar) RunDue(ctx context.Context) (done int, err error) {
	jobs, err := r.cfg.State.DueJobs(ctx, r.cfg.Now(), jobBatch)
	if err != nil {
		return 0, err
	}
	for _, j := range jobs {
		err := r.work(ctx, j.Owner, j.Verify)
		switch {
		case err == nil:
			done++
			if err = r.cfg.State.JobDone(ctx, j); err == nil {
				err = r.watchEnds(ctx, j.Owner)
			}
		case errors.Is(err, ErrNoPAT):
			// Nothing can be done until the owner signs in again, and that queues a new job.
			err = r.cfg.State.JobDone(ctx, j)
		case ctx.Err() != nil:
			return done, ctx.Err()
		default:
			r.cfg.Logger.WarnContext(ctx, "reconciliation is tried again later", "issuer", j.Owner.Issuer, "attempt", j.Attempts+1, "err", err)
			j.Due = r.cfg.Now().Add(backoff(j.Attempts))
			j.Attempts++
			err = r.cfg.State.RetryJob(ctx, j)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func backoff(attempts int) time.Duration {
	d := retryFirst
	for range min(attempts, 20) {
		d = min(2*d, retryLast)
	}
	return d
}
