package resourceserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// homeOwner is the account a person signs in with here.
func homeOwner(u User) Owner { return Owner{Issuer: u.Issuer, User: u.Key} }

// guard is the account under which a person's sets are registered: her home account, or the one she has named instead.
func (r *Registrar) guard(ctx context.Context, u User) (Owner, error) {
	g, err := r.cfg.State.GuardOf(ctx, u.Key)
	if errors.Is(err, ErrNotKept) {
		return homeOwner(u), nil
	}
	if err != nil {
		return Owner{}, fmt.Errorf("read guard: %w", err)
	}
	return g.Owner, nil
}

// person is whose account an owner is, and whether that account guards what is hers. The custodian is nobody; an account
// of nobody guards nothing.
func (r *Registrar) person(ctx context.Context, o Owner) (u User, guards bool, err error) {
	if o.Custodian() {
		return User{}, false, nil
	}
	home, err := r.cfg.State.HomeOf(ctx, o.User)
	if errors.Is(err, ErrNotKept) {
		home, err = o.User, nil
	}
	if err != nil {
		return User{}, false, fmt.Errorf("read linked account: %w", err)
	}
	u, err = r.cfg.State.User(ctx, home)
	if errors.Is(err, ErrNotKept) {
		return User{}, false, nil
	}
	if err != nil {
		return User{}, false, fmt.Errorf("read user: %w", err)
	}
	g, err := r.guard(ctx, u)
	return u, err == nil && g == o, err
}

// samePerson tells whether o and the holder of a record are accounts of one person, and who the holder is.
func (r *Registrar) samePerson(ctx context.Context, o Owner, held Registration, kept bool) (same bool, holder User, err error) {
	if !kept || held.Owner.Custodian() {
		return false, User{}, nil
	}
	if holder, _, err = r.person(ctx, held.Owner); err != nil {
		return false, User{}, err
	}
	me, _, err := r.person(ctx, o)
	return err == nil && me.Key != "" && me.Key == holder.Key, holder, err
}

// placeByLeave is what a person has of a record whose owner decides at another authorization server, which hers cannot ask:
// access(u,p) by this server's own relation, if the record's owner said so here, and nothing otherwise.
func (r *Registrar) placeByLeave(ctx context.Context, o Owner, patient string) (Level, *uma.DerivedFrom, error) {
	st, err := r.cfg.State.Standing(ctx, o.User, patient)
	if err != nil {
		return "", nil, fmt.Errorf("read standing: %w", err)
	}
	if !st.May() {
		return "", nil, nil
	}
	return LevelPatient, &uma.DerivedFrom{Custodian: true}, nil
}

// retire ends everything of an account that guards nothing any more: here at once, at its authorization server as soon as
// that answers. When nothing is left there, a linked account is let go with its token.
func (r *Registrar) retire(ctx context.Context, o Owner) error {
	for range 1000 {
		page, _, err := r.cfg.State.Registrations(ctx, o, "", reviewEvery)
		if err != nil {
			return fmt.Errorf("list registrations: %w", err)
		}
		for _, reg := range page {
			if err := r.cfg.State.EndRegistration(ctx, reg); err != nil {
				return fmt.Errorf("end registration: %w", err)
			}
		}
		if len(page) < reviewEvery {
			break
		}
	}
	err := r.events.deliverOwner(ctx, o) // while its server still knows the sets
	if errors.Is(err, ErrUnreachable) && !r.cfg.Tokens.foreign(o.Issuer) {
		return err
	}
	if err != nil {
		r.cfg.Logger.InfoContext(ctx, "access events are not taken by the server that guards no more", "issuer", o.Issuer, "err", err)
	}
	if err = r.removals(ctx, o); err == nil {
		err = r.clear(ctx, o)
	}
	if err != nil && !errors.Is(err, ErrNoPAT) {
		return err
	}
	// Without a token nothing can be done there: whoever ended it, ended with it what was registered under it.
	return errors.Join(err, r.letGo(ctx, o))
}

// clear deletes what a run that broke off left at the account's authorization server.
func (r *Registrar) clear(ctx context.Context, o Owner) error {
	var ids []string
	err := r.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) (err error) {
		ids, err = c.ListResources(ctx, pat)
		return err
	})
	if err != nil {
		return err
	}
	return r.leftovers(ctx, o, ids, r.delete)
}

func (r *Registrar) letGo(ctx context.Context, o Owner) error {
	home, err := r.cfg.State.HomeOf(ctx, o.User)
	if errors.Is(err, ErrNotKept) {
		return nil // a home account stays: she signs in with it
	}
	if err != nil {
		return fmt.Errorf("read linked account: %w", err)
	}
	switch u, err := r.cfg.State.User(ctx, home); {
	case err == nil:
		now, err := r.guard(ctx, u)
		if err != nil {
			return err
		}
		if err := r.handOver(ctx, o, now); err != nil {
			return err
		}
	case !errors.Is(err, ErrNotKept):
		return fmt.Errorf("read user: %w", err)
	}
	if err := r.cfg.State.UnlinkAccount(ctx, o.User); err != nil {
		return fmt.Errorf("unlink account: %w", err)
	}
	return r.cfg.Tokens.Forget(ctx, o)
}

// Move gives everything of a person from one account to another, in this order: the record's set and access(u,*) are
// registered at the new authorization server; one step in state makes the new account the guard; the sets at the old one
// are due for removal; the remaining access sets follow. Until that one step the old guard is in force, from it on the new
// one. Whatever fails before leaves everything as it was. Errors: ErrNoPAT, ErrUnreachable, ErrBusy, ErrTaken where another account that is the same
// patient holds the record, *uma.Error of the new server.
func (r *Registrar) Move(ctx context.Context, u User, to Owner) error {
	from, err := r.guard(ctx, u)
	if err != nil {
		return err
	}
	if from == to {
		return r.Enqueue(ctx, u.Key)
	}
	patient := u.Patient()
	if patient == "" {
		return fmt.Errorf("move: %w: she has no record here", ErrNotKept)
	}
	// If this process dies in between, the job finds out who guards and cleans up after the other.
	if err := r.review(ctx, to); err != nil {
		return err
	}
	if err := r.switchOver(ctx, u, from, to, patient); err != nil {
		return err
	}
	if err := r.enqueue(ctx, false, from, to); err != nil {
		return err
	}
	return r.tellMoved(ctx, to, patient)
}

// review has an account looked at in a while, whatever becomes of the work that begins now.
func (r *Registrar) review(ctx context.Context, o Owner) error {
	if err := r.cfg.State.PutJob(ctx, Job{Owner: o, Verify: true, Due: r.cfg.Now().Add(workLease)}); err != nil {
		return fmt.Errorf("queue reconciliation: %w", err)
	}
	return nil
}

// switchOver holds the work of both accounts, so that no reconciliation of either runs in between.
func (r *Registrar) switchOver(ctx context.Context, u User, from, to Owner, patient string) (err error) {
	leftFrom, err := r.begin(ctx, from)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, r.cfg.State.EndWork(ctx, from))
		if leftFrom {
			err = errors.Join(err, r.enqueue(ctx, true, from))
		}
	}()
	left, err := r.begin(ctx, to)
	if err != nil {
		return err
	}
	defer func() {
		if !errors.Is(err, ErrUnreachable) { // else the intent stays: a set may have arrived without its answer
			err = errors.Join(err, r.cfg.State.EndWork(ctx, to))
		}
	}()
	if left {
		if err := r.clear(ctx, to); err != nil {
			return err
		}
	}
	reg, err := r.stage(ctx, to, patient)
	if err != nil {
		return err
	}
	err = r.cfg.State.SwitchGuard(ctx, Switch{Home: u.Key, From: from, To: to, Since: r.cfg.Now(), Record: reg})
	if err != nil {
		return errors.Join(fmt.Errorf("switch: %w", err), r.delete(ctx, to, reg.ResourceID))
	}
	return nil
}

// begin takes an owner's work, waiting a little for a reconciliation that runs.
func (r *Registrar) begin(ctx context.Context, o Owner) (left bool, err error) {
	for range 40 {
		now := r.cfg.Now()
		left, err = r.cfg.State.BeginWork(ctx, o, now, now.Add(workLease))
		if !errors.Is(err, ErrBusy) {
			return left, err
		}
		if err := sleep(ctx, retryFirst/20); err != nil {
			return false, fmt.Errorf("%w: %w", ErrBusy, err)
		}
	}
	return false, err
}

// stage registers at the new server what must be there before the switch. The record's set is not kept yet: keeping it is
// the switch.
func (r *Registrar) stage(ctx context.Context, to Owner, patient string) (Registration, error) {
	if _, err := r.cfg.Tokens.For(ctx, to); err != nil {
		return Registration{}, err
	}
	all := Set{Issuer: to.Issuer, Level: LevelUser, User: to.User}
	if err := r.ensure(ctx, to, all, r.description(all, "Everything you may see here", nil)); err != nil {
		return Registration{}, err
	}
	set := Set{Issuer: to.Issuer, Level: LevelRecord, User: to.User, Patient: patient}
	d := r.description(set, r.label(ctx, Seen{Patient: patient, Self: true}), nil)
	err := r.cfg.Tokens.With(ctx, to, func(c *asclient.Client, pat string) (err error) {
		set.ResourceID, err = c.CreateResource(ctx, pat, d)
		return err
	})
	if err != nil {
		return Registration{}, err
	}
	return Registration{Set: set, Owner: to, Fingerprint: fingerprint(d), Updated: r.cfg.Now()}, nil
}
