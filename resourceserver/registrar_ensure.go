package resourceserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// EnsureFor registers what a user has for one patient when she selects it, beyond eager_max or before the queue came to it.
// ErrNotKept means that she may not see the patient or that nothing can be offered.
func (r *Registrar) EnsureFor(ctx context.Context, user, patient string) (Registration, error) {
	u, err := r.cfg.State.User(ctx, user)
	if err != nil {
		return Registration{}, err
	}
	o, err := r.guard(ctx, u)
	if err != nil {
		return Registration{}, err
	}
	if reg, err := r.registered(ctx, o, patient); err == nil || !errors.Is(err, ErrNotKept) {
		return reg, err
	}
	seen, err := r.cfg.Relations.Seen(ctx, user)
	if err != nil {
		return Registration{}, err
	}
	for _, s := range seen {
		if s.Patient != patient {
			continue
		}
		now := r.cfg.Now()
		left, err := r.cfg.State.BeginWork(ctx, o, now, now.Add(workLease))
		if err != nil {
			return Registration{}, err
		}
		err = r.selected(ctx, o, s, left)
		if errors.Is(err, ErrUnreachable) {
			return Registration{}, errors.Join(err, r.enqueue(ctx, true, o))
		}
		if err := errors.Join(err, r.cfg.State.EndWork(ctx, o)); err != nil {
			return Registration{}, err
		}
		return r.registered(ctx, o, patient)
	}
	return Registration{}, ErrNotKept
}

func (r *Registrar) selected(ctx context.Context, o Owner, s Seen, left bool) error {
	if left {
		if err := r.adopt(ctx, o); err != nil {
			return err
		}
	}
	_, err := r.ensureFor(ctx, o, s)
	return err
}

// registered finds what owner o has for a patient: record(p) if she holds it, else access(o,p). An empty patient is
// access(o,*).
func (r *Registrar) registered(ctx context.Context, o Owner, patient string) (Registration, error) {
	levels := []Level{LevelRecord, LevelPatient}
	if patient == "" {
		levels = []Level{LevelUser}
	}
	for _, level := range levels {
		reg, err := r.cfg.State.Registration(ctx, o, level, patient)
		if err == nil || !errors.Is(err, ErrNotKept) {
			return reg, err
		}
	}
	return Registration{}, ErrNotKept
}

// ensure makes one set exist with one description: kept and equal ⇒ nothing; kept and different ⇒ replaced; not kept ⇒
// created. A set the authorization server does not know any more is created again.
func (r *Registrar) ensure(ctx context.Context, o Owner, set Set, d uma.ResourceDescription) error {
	mark := fingerprint(d)
	reg, err := r.cfg.State.Registration(ctx, o, set.Level, set.Patient)
	if err != nil && !errors.Is(err, ErrNotKept) {
		return fmt.Errorf("read registration: %w", err)
	}
	if err == nil {
		if reg.Fingerprint == mark {
			return nil
		}
		err = r.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) error { return c.UpdateResource(ctx, pat, reg.ResourceID, d) })
		if err == nil {
			reg.Fingerprint, reg.Updated = mark, r.cfg.Now()
			return r.cfg.State.PutRegistration(ctx, reg)
		}
		if !errors.Is(err, uma.ErrNotFound) {
			return err
		}
		if err := r.cfg.State.EndRegistration(ctx, reg); err != nil {
			return fmt.Errorf("forget registration: %w", err)
		}
	}
	err = r.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) (err error) {
		set.ResourceID, err = c.CreateResource(ctx, pat, d)
		return err
	})
	if err != nil {
		return err
	}
	err = r.cfg.State.PutRegistration(ctx, Registration{Set: set, Owner: o, Fingerprint: mark, Updated: r.cfg.Now()})
	if errors.Is(err, ErrTaken) {
		return r.delete(ctx, o, set.ResourceID) // a person has claimed the record meanwhile: hers stands
	}
	return err
}
