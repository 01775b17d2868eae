package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Retry of reconciliation: doubling from retryFirst to retryLast.
const (
	retryFirst = 2 * time.Second
	retryLast  = 10 * time.Minute
)

// Bounds of one look at the queue: jobs read, jobs of one authorization server in one turn, foreign servers at once. What is
// left is due the next time.
const (
	dueAtOnce     = 5_000
	jobsPerTurn   = 20
	foreignAtOnce = 64
)

// Run works through the queue until ctx ends, looking every interval. Each authorization server has its own turn, one at a
// time, so that one that is slow holds up nobody else's work; a foreign one's turn is bounded in time, besides. It returns
// ctx's error, when the turns have ended.
func (r *Registrar) Run(ctx context.Context, interval time.Duration) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	q := turns{running: map[string]bool{}}
	for {
		due, err := r.due(ctx, nil)
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.ErrorContext(ctx, "reconciliation queue", "err", err)
		}
		for issuer, jobs := range due {
			if !q.begin(issuer, r.cfg.Tokens.foreign(issuer)) {
				continue
			}
			wg.Go(func() {
				defer q.end(issuer, r.cfg.Tokens.foreign(issuer))
				if _, err := r.turn(ctx, issuer, jobs); err != nil && ctx.Err() == nil {
					r.cfg.Logger.ErrorContext(ctx, "reconciliation queue", "issuer", issuer, "err", err)
				}
			})
		}
		if err := sleep(ctx, interval); err != nil {
			return err
		}
	}
}

// turns are the authorization servers that are just being worked with.
type turns struct {
	mu      sync.Mutex
	running map[string]bool
	foreign int
}

func (q *turns) begin(issuer string, foreign bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[issuer] || foreign && q.foreign >= foreignAtOnce {
		return false
	}
	q.running[issuer] = true
	if foreign {
		q.foreign++
	}
	return true
}

func (q *turns) end(issuer string, foreign bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.running, issuer)
	if foreign {
		q.foreign--
	}
}

// due are the jobs that are due now, by authorization server, of all owners or of those named.
func (r *Registrar) due(ctx context.Context, owners []Owner) (map[string][]Job, error) {
	jobs, err := r.cfg.State.DueJobs(ctx, r.cfg.Now(), dueAtOnce)
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	by := map[string][]Job{}
	for _, j := range jobs {
		at := j.Owner.Issuer
		if len(by[at]) < jobsPerTurn && (owners == nil || slices.Contains(owners, j.Owner)) {
			by[at] = append(by[at], j)
		}
	}
	return by, nil
}

// RunDue does the jobs that are due now, once each, all authorization servers at once, and returns how many succeeded. A job
// that cannot be done now comes back later: an authorization server that is away costs nothing but time.
func (r *Registrar) RunDue(ctx context.Context) (done int, err error) { return r.runDueOf(ctx, nil) }

func (r *Registrar) runDueOf(ctx context.Context, owners []Owner) (done int, err error) {
	due, err := r.due(ctx, owners)
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for issuer, jobs := range due {
		wg.Go(func() {
			n, failed := r.turn(ctx, issuer, jobs)
			mu.Lock()
			defer mu.Unlock()
			done, err = done+n, errors.Join(err, failed)
		})
	}
	wg.Wait()
	return done, err
}

// turn does jobs of one authorization server one after another. A foreign one's turn ends with its time; what has not begun then
// is due still.
func (r *Registrar) turn(ctx context.Context, issuer string, jobs []Job) (done int, err error) {
	left := ctx
	if r.cfg.Tokens.foreign(issuer) {
		var cancel context.CancelFunc
		left, cancel = context.WithTimeout(ctx, r.cfg.ForeignLimit)
		defer cancel()
	}
	for _, j := range jobs {
		if left.Err() != nil {
			return done, ctx.Err()
		}
		ok, err := r.do(ctx, j)
		if err != nil {
			return done, err
		}
		if ok {
			done++
		}
	}
	return done, nil
}

// do is one job. ok reports that it succeeded; err that its outcome could not be kept.
func (r *Registrar) do(ctx context.Context, j Job) (ok bool, err error) {
	err = r.work(ctx, j.Owner, j.Verify)
	switch {
	case err == nil:
		if err = r.cfg.State.JobDone(ctx, j); err == nil {
			err = r.watchEnds(ctx, j.Owner)
		}
		return true, err
	case errors.Is(err, ErrNoPAT):
		// Nothing can be done until the owner signs in again, and that queues a new job.
		return false, r.cfg.State.JobDone(ctx, j)
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	r.cfg.Logger.WarnContext(ctx, "reconciliation is tried again later", "issuer", j.Owner.Issuer, "attempt", j.Attempts+1, "err", err)
	j.Due = r.cfg.Now().Add(backoff(j.Attempts))
	j.Attempts++
	return false, r.cfg.State.RetryJob(ctx, j)
}

func backoff(attempts int) time.Duration {
	d := retryFirst
	for range min(attempts, 20) {
		d = min(2*d, retryLast)
	}
	return d
}
