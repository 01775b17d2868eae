package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Bounds of delivery: servers at once in one call of Deliver, time of one visit to a foreign server, the longest pause, events
// kept for one owner at a foreign server that takes none, and how long those of a server this one does not work with are kept.
const (
	deliverAtOnce   = 64
	foreignVisit    = 30 * time.Second
	deliverPause    = time.Minute
	keptPerOwner    = 10_000
	keptForStranger = 7 * 24 * time.Hour
)

// Run delivers until ctx ends, looking every interval. Each authorization server is visited on its own: while one is away, or
// slow, it alone is visited less often, up to once a minute.
func (e *EventSpool) Run(ctx context.Context, interval time.Duration) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	v := visits{of: map[string]*visit{}, first: interval, last: max(deliverPause, interval)}
	for {
		issuers, err := e.spool.SpoolIssuers(ctx)
		if err != nil && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "access events cannot be read", "err", err)
		}
		v.only(issuers)
		for _, issuer := range issuers {
			if !v.begin(issuer, e.tokens.foreign(issuer), e.now()) {
				continue
			}
			wg.Go(func() {
				_, err := e.visit(ctx, issuer)
				if err != nil && ctx.Err() == nil {
					e.log.WarnContext(ctx, "access events wait for delivery", "issuer", issuer, "err", err)
				}
				v.end(issuer, e.now(), err != nil)
			})
		}
		if err := sleep(ctx, interval); err != nil {
			return err
		}
	}
}

// visits are the authorization servers events wait for, each with its own pause.
type visits struct {
	mu          sync.Mutex
	of          map[string]*visit
	foreign     int
	first, last time.Duration
}

type visit struct {
	running, foreign bool
	due              time.Time
	pause            time.Duration
}

// only forgets the pauses of servers nothing waits for.
func (v *visits) only(issuers []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for issuer, at := range v.of {
		if !at.running && !contains(issuers, issuer) {
			delete(v.of, issuer)
		}
	}
}

func (v *visits) begin(issuer string, foreign bool, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.of[issuer]
	if at == nil {
		at = &visit{pause: v.first}
		v.of[issuer] = at
	}
	if at.running || now.Before(at.due) || foreign && v.foreign >= deliverAtOnce {
		return false
	}
	at.running, at.foreign = true, foreign
	if foreign {
		v.foreign++
	}
	return true
}

func (v *visits) end(issuer string, now time.Time, failed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.of[issuer]
	if at.foreign {
		v.foreign--
	}
	at.running = false
	if !failed {
		at.due, at.pause = time.Time{}, v.first
		return
	}
	at.pause = min(2*at.pause, v.last)
	at.due = now.Add(at.pause)
}

// Deliver sends everything that waits, once, and returns how many events were taken. What fails stays.
func (e *EventSpool) Deliver(ctx context.Context) (int, error) {
	issuers, err := e.spool.SpoolIssuers(ctx)
	if err != nil {
		return 0, fmt.Errorf("list authorization servers: %w", err)
	}
	taken := make([]int, len(issuers))
	failed := make([]error, len(issuers))
	var wg sync.WaitGroup
	gate := make(chan struct{}, deliverAtOnce) // one that is slow holds up nobody else's history
	for i, issuer := range issuers {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			n, err := e.visit(ctx, issuer)
			if taken[i] = n; err != nil {
				failed[i] = fmt.Errorf("%s: %w", issuer, err)
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range taken {
		total += n
	}
	return total, errors.Join(failed...)
}

// visit delivers what waits for one authorization server. What a foreign one can make this server keep is bounded.
func (e *EventSpool) visit(ctx context.Context, issuer string) (int, error) {
	if _, err := e.clients.At(ctx, issuer); errors.Is(err, ErrNotKept) {
		return 0, e.dropStranger(ctx, issuer)
	}
	if !e.tokens.foreign(issuer) {
		return e.deliverTo(ctx, issuer)
	}
	limited, cancel := context.WithTimeout(ctx, foreignVisit)
	defer cancel()
	n, err := e.deliverTo(limited, issuer)
	if err != nil {
		err = errors.Join(err, e.trim(ctx, issuer))
	}
	return n, err
}

// each reads what waits for one authorization server, oldest first.
func (e *EventSpool) each(ctx context.Context, issuer string, do func(SpooledEvents) error) error {
	for after := []byte(nil); ; {
		page, err := e.spool.SpooledEvents(ctx, issuer, after, batchesPerRead)
		if err != nil {
			return fmt.Errorf("read spool: %w", err)
		}
		for _, b := range page {
			if err := do(b); err != nil {
				return err
			}
		}
		if len(page) < batchesPerRead {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// trim drops the oldest events of owners for whom more than keptPerOwner wait.
func (e *EventSpool) trim(ctx context.Context, issuer string) error {
	waiting := map[Owner]int{}
	err := e.each(ctx, issuer, func(b SpooledEvents) error { waiting[b.Owner] += len(b.Events); return nil })
	if err != nil {
		return err
	}
	var keys [][]byte
	dropped := 0
	err = e.each(ctx, issuer, func(b SpooledEvents) error {
		if waiting[b.Owner] > keptPerOwner {
			waiting[b.Owner] -= len(b.Events)
			dropped += len(b.Events)
			keys = append(keys, b.Key)
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	e.log.ErrorContext(ctx, "a foreign server takes no access events; the oldest are dropped", "issuer", issuer, "events", dropped)
	return e.spool.EventsDelivered(ctx, keys)
}

// dropStranger drops events for a server this one does not work with any more, once they are so old that it is no mistake of a
// moment in the configuration.
func (e *EventSpool) dropStranger(ctx context.Context, issuer string) error {
	var keys [][]byte
	dropped := 0
	before := e.now().Add(-keptForStranger)
	err := e.each(ctx, issuer, func(b SpooledEvents) error {
		if n := len(b.Events); n > 0 {
			at, err := time.Parse(time.RFC3339Nano, b.Events[n-1].Time)
			if err == nil && at.After(before) {
				return nil
			}
		}
		keys = append(keys, b.Key)
		dropped += len(b.Events)
		return nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	e.log.ErrorContext(ctx, "this server does not work with an authorization server any more; access events for it are dropped",
		"issuer", issuer, "events", dropped)
	return e.spool.EventsDelivered(ctx, keys)
}
