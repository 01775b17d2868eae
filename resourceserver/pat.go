package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// ErrNoPAT says that an owner has not given this server a protection API token, or has taken it back. Her sets cannot be
// asked about; she signs in again to mend it.
var ErrNoPAT = errors.New("no protection API token for this owner")

// refreshAhead is how long before its end a PAT is renewed.
const refreshAhead = 30 * time.Second

// Tokens hands out protection API tokens: stored ones, renewed unattended (F-016), and the resource server's own by client
// credentials. It is safe for concurrent use, also by several processes over one state.
type Tokens struct {
	clients AuthorizationServers
	state   PATs
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	fresh map[Owner]PAT         // access tokens that are good for a while
	bad   map[Owner]string      // access token the authorization server has just refused
	locks map[Owner]*sync.Mutex // one renewal per owner in this process
}

// NewTokens returns a Tokens over state.
func NewTokens(clients AuthorizationServers, state PATs, now func() time.Time, log *slog.Logger) *Tokens {
	return &Tokens{clients: clients, state: state, now: now, log: log, fresh: map[Owner]PAT{}, bad: map[Owner]string{}, locks: map[Owner]*sync.Mutex{}}
}

// maxFreshTokens bounds the memory of access tokens; above it the memory is dropped and filled again from state.
const maxFreshTokens = 10_000

// For returns an access token that acts for o at its issuer. Errors: ErrNoPAT, ErrUnreachable.
func (t *Tokens) For(ctx context.Context, o Owner) (string, error) {
	if p, ok := t.remembered(o); ok {
		return p.Access, nil
	}
	lock := t.lock(o)
	lock.Lock()
	defer lock.Unlock()
	if p, ok := t.remembered(o); ok {
		return p.Access, nil
	}
	p, err := t.state.PAT(ctx, o)
	switch {
	case errors.Is(err, ErrNotKept) && o.Custodian():
		return t.renew(ctx, o)
	case errors.Is(err, ErrNotKept):
		return "", ErrNoPAT
	case err != nil:
		return "", fmt.Errorf("read PAT: %w", err)
	case p.Dead && !o.Custodian():
		return "", ErrNoPAT
	case t.good(p):
		t.remember(p)
		return p.Access, nil
	}
	return t.renew(ctx, o)
}

func (t *Tokens) good(p PAT) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.usable(p)
}

// usable needs t.mu.
func (t *Tokens) usable(p PAT) bool {
	return p.Access != "" && !p.Dead && p.Access != t.bad[p.Owner] && p.Expires.Sub(t.now()) > refreshAhead
}

func (t *Tokens) remembered(o Owner) (PAT, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.fresh[o]
	return p, ok && t.usable(p)
}

func (t *Tokens) remember(p PAT) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.fresh) >= maxFreshTokens {
		clear(t.fresh)
		clear(t.bad)
	}
	t.fresh[p.Owner] = p
}

func (t *Tokens) lock(o Owner) *sync.Mutex {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.locks) >= maxFreshTokens {
		clear(t.locks) // at worst two renewals meet; the lease in state keeps them apart
	}
	m, ok := t.locks[o]
	if !ok {
		m = &sync.Mutex{}
		t.locks[o] = m
	}
	return m
}

// renew obtains a new access token. A refresh token that rotates may be used by one process alone, so a lease in state is
// taken first; whoever does not get it waits for the other's result.
func (t *Tokens) renew(ctx context.Context, o Owner) (string, error) {
	client, err := t.client(ctx, o.Issuer)
	if err != nil {
		return "", err
	}
	if o.Custodian() {
		got, err := client.ClientCredentials(ctx)
		if err != nil {
			return "", patError(err)
		}
		return t.store(ctx, o, got)
	}
	const wait = 50 * time.Millisecond
	for range 100 {
		p, err := t.state.LeaseRefresh(ctx, o, t.now().Add(15*time.Second))
		switch {
		case errors.Is(err, ErrBusy):
			if err := sleep(ctx, wait); err != nil {
				return "", fmt.Errorf("%w: %w", ErrUnreachable, err)
			}
			continue
		case err != nil:
			return "", fmt.Errorf("lease refresh: %w", err)
		case t.good(p): // the other process has just renewed it
			if err := t.state.PutPAT(ctx, p); err != nil {
				return "", fmt.Errorf("end lease: %w", err)
			}
			t.remember(p)
			return p.Access, nil
		}
		return t.refresh(ctx, client, p)
	}
	return "", fmt.Errorf("%w: PAT is being renewed elsewhere", ErrUnreachable)
}

func (t *Tokens) refresh(ctx context.Context, client *asclient.Client, p PAT) (string, error) {
	var err error
	var got asclient.Tokens
	if p.Refresh == "" {
		err = uma.ErrInvalidGrant
	} else {
		got, err = client.Refresh(ctx, p.Refresh)
	}
	if errors.Is(err, uma.ErrInvalidGrant) || errors.Is(err, uma.ErrInvalidClient) && t.clients.Trust(p.Owner.Issuer) != TrustOwn {
		// The owner withdrew this server's token (F-075), or a foreign server put this one out: her sets are not offered any more until she signs in again.
		p.Dead, p.Access, p.Refresh, p.Updated = true, "", "", t.now()
		if err := t.state.PutPAT(ctx, p); err != nil {
			return "", fmt.Errorf("mark PAT dead: %w", err)
		}
		t.log.InfoContext(ctx, "an owner's protection token was withdrawn", "issuer", p.Owner.Issuer)
		return "", ErrNoPAT
	}
	if err != nil {
		// The lease runs out by itself: the request may have arrived, so nobody should try in the next moments.
		return "", patError(err)
	}
	return t.store(ctx, p.Owner, got)
}

func (t *Tokens) store(ctx context.Context, o Owner, got asclient.Tokens) (string, error) {
	p := PAT{Owner: o, Access: got.Access, Refresh: got.Refresh, Expires: got.Expires, Updated: t.now()}
	if err := t.state.PutPAT(ctx, p); err != nil {
		return "", fmt.Errorf("store PAT: %w", err)
	}
	t.remember(p)
	return p.Access, nil
}

// Keep stores the PAT a person has just given.
func (t *Tokens) Keep(ctx context.Context, o Owner, got asclient.Tokens) error {
	if o.Custodian() {
		return errors.New("keep PAT: a person's PAT needs her key")
	}
	_, err := t.store(ctx, o, got)
	return err
}

// client finds the authorization server. One this server does not work with, or not any more, is asked nothing.
func (t *Tokens) client(ctx context.Context, issuer string) (*asclient.Client, error) {
	client, err := t.clients.At(ctx, issuer)
	if errors.Is(err, ErrNotKept) {
		return nil, fmt.Errorf("%w: this server does not work with issuer %q", ErrNoPAT, issuer)
	}
	return client, err
}

// Forget gives an owner's token up, when nothing is registered under it any more.
func (t *Tokens) Forget(ctx context.Context, o Owner) error {
	t.mu.Lock()
	delete(t.fresh, o)
	delete(t.bad, o)
	t.mu.Unlock()
	if err := t.state.DropPAT(ctx, o); err != nil {
		return fmt.Errorf("drop PAT: %w", err)
	}
	return nil
}

// foreign reports a server that is not the operator's own: what it answers, how much and how fast, is bounded here.
func (t *Tokens) foreign(issuer string) bool { return t.clients.Trust(issuer) != TrustOwn }

// Dead reports whether an owner's token was withdrawn, as far as this server has noticed, or was never there.
func (t *Tokens) Dead(ctx context.Context, o Owner) (bool, error) {
	if _, err := t.clients.At(ctx, o.Issuer); errors.Is(err, ErrNotKept) {
		return true, nil
	}
	p, err := t.state.PAT(ctx, o)
	if errors.Is(err, ErrNotKept) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read PAT: %w", err)
	}
	return p.Dead, nil
}

// refused remembers that the authorization server did not take an access token: the next For renews it.
func (t *Tokens) refused(o Owner, access string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.fresh, o)
	t.bad[o] = access
}

// With calls do with o's access token and once more with a renewed one if the first was refused as invalid.
func (t *Tokens) With(ctx context.Context, o Owner, do func(c *asclient.Client, pat string) error) error {
	client, err := t.client(ctx, o.Issuer)
	if err != nil {
		return err
	}
	for try := range 2 {
		pat, err := t.For(ctx, o)
		if err != nil {
			return err
		}
		err = do(client, pat)
		if try == 0 && errors.Is(err, uma.ErrInvalidToken) {
			t.refused(o, pat)
			continue
		}
		return unreachable(err)
	}
	return fmt.Errorf("%w: a fresh token was refused", ErrNoPAT)
}

// patError sorts the failures of obtaining a PAT into the two kinds callers act on.
func patError(err error) error {
	if errors.Is(err, asclient.ErrUnreachable) {
		return unreachable(err)
	}
	return fmt.Errorf("%w: %w", ErrNoPAT, err)
}

// unreachable makes the client's word for "no answer" the adapter's own.
func unreachable(err error) error {
	if errors.Is(err, asclient.ErrUnreachable) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
