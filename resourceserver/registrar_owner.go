package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// reconcileCustodian registers the decoy and record(p) of every patient nobody holds.
func (r *Registrar) reconcileCustodian(ctx context.Context, o Owner) error {
	if err := r.ensure(ctx, o, Set{Issuer: o.Issuer, Level: levelDecoy}, r.decoyDescription()); err != nil {
		return err
	}
	for after := ""; ; {
		page, err := r.cfg.Patients.PatientIDs(ctx, after, reviewEvery)
		if err != nil {
			return fmt.Errorf("list patients: %w", err)
		}
		for _, p := range page {
			if err := r.holdForPatient(ctx, o, p); err != nil {
				return err
			}
		}
		if len(page) < reviewEvery {
			break
		}
		after = page[len(page)-1]
	}
	return r.endGone(ctx, o)
}

// endGone ends the custodian's sets of patients this server does not have any more.
func (r *Registrar) endGone(ctx context.Context, o Owner) error {
	for after := ""; ; {
		page, next, err := r.cfg.State.Registrations(ctx, o, after, reviewEvery)
		if err != nil {
			return fmt.Errorf("list registrations: %w", err)
		}
		for _, reg := range page {
			if reg.Level != LevelRecord {
				continue
			}
			_, err := r.cfg.Patients.Patient(ctx, reg.Patient)
			if errors.Is(err, ErrNotKept) {
				err = r.cfg.State.EndRegistration(ctx, reg)
			}
			if err != nil {
				return fmt.Errorf("review record set: %w", err)
			}
		}
		if next == "" {
			return r.removals(ctx, o)
		}
		after = next
	}
}

// holdForPatient registers record(p) under the custodian unless somebody else holds it.
func (r *Registrar) holdForPatient(ctx context.Context, o Owner, patient string) error {
	held, err := r.cfg.State.RecordOf(ctx, patient)
	if err == nil && held.Owner != o {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotKept) {
		return fmt.Errorf("read record set: %w", err)
	}
	set := Set{Issuer: o.Issuer, Level: LevelRecord, Patient: patient}
	return r.ensure(ctx, o, set, r.description(set, r.label(ctx, Seen{Patient: patient}), nil))
}

// PatientAdded registers a new patient's record set under the custodian, soon if not at once.
func (r *Registrar) PatientAdded(ctx context.Context, patient string) error {
	o := r.custodian()
	now := r.cfg.Now()
	left, err := r.cfg.State.BeginWork(ctx, o, now, now.Add(workLease))
	if err == nil && left {
		err = errors.Join(ErrBusy, r.cfg.State.EndWork(ctx, o))
	} else if err == nil {
		err = errors.Join(r.holdForPatient(ctx, o, patient), r.cfg.State.EndWork(ctx, o))
	}
	if err != nil {
		r.cfg.Logger.InfoContext(ctx, "record set is registered later", "err", err)
		return r.enqueue(ctx, true, o)
	}
	return nil
}

// reconcileUser registers what a user should own and ends what she should not.
func (r *Registrar) reconcileUser(ctx context.Context, o Owner) error {
	u, _, err := r.person(ctx, o)
	if err != nil {
		return err
	}
	all := Set{Issuer: o.Issuer, Level: LevelUser, User: o.User}
	if err := r.ensure(ctx, o, all, r.description(all, "Everything you may see here", nil)); err != nil {
		return err
	}
	seen, err := r.cfg.Relations.Seen(ctx, u.Key)
	if err != nil {
		return err
	}
	wanted := map[string]Level{}
	for i, s := range seen {
		if i >= r.cfg.EagerMax { // follows at first selection (flows.md A1), and is kept right from then on
			if _, err := r.registered(ctx, o, s.Patient); errors.Is(err, ErrNotKept) {
				continue
			} else if err != nil {
				return fmt.Errorf("read registration: %w", err)
			}
		}
		level, err := r.ensureFor(ctx, o, s)
		if err != nil {
			return err
		}
		if level != "" {
			wanted[s.Patient] = level
		}
	}
	return r.endUnwanted(ctx, o, wanted)
}

// ensureFor registers what user o has for one patient and says which level that is: "" where nothing can be offered now.
func (r *Registrar) ensureFor(ctx context.Context, o Owner, s Seen) (Level, error) {
	level, base, err := r.place(ctx, o, s)
	if err != nil || level == "" {
		return "", err
	}
	set := Set{Issuer: o.Issuer, Level: level, User: o.User, Patient: s.Patient}
	moved := false
	if level == LevelRecord {
		held, err := r.cfg.State.RecordOf(ctx, s.Patient)
		if err != nil && !errors.Is(err, ErrNotKept) {
			return "", fmt.Errorf("read record set: %w", err)
		}
		moved = errors.Is(err, ErrNotKept) || held.Owner != o
	}
	if err := r.ensure(ctx, o, set, r.description(set, r.label(ctx, s), base)); err != nil {
		return "", err
	}
	if moved {
		return level, r.tellMoved(ctx, o, s.Patient)
	}
	return level, nil
}

// watchEnds has the owner reconciled again when the first of her relations ends: the judge refuses from that moment on, but the sets
// are still to be taken back, and a record held in a patient's place returns to the custodian. It is called after the owner's
// own job is done, which would otherwise bring this one forward.
func (r *Registrar) watchEnds(ctx context.Context, o Owner) error {
	if o.Custodian() {
		return nil
	}
	u, guards, err := r.person(ctx, o)
	if err != nil || !guards {
		return err
	}
	seen, err := r.cfg.Relations.Seen(ctx, u.Key)
	if err != nil {
		return err
	}
	var first time.Time
	for _, s := range seen {
		if !s.Until.IsZero() && (first.IsZero() || s.Until.Before(first)) {
			first = s.Until
		}
	}
	if first.IsZero() {
		return nil
	}
	if err := r.cfg.State.PutJob(ctx, Job{Owner: o, Due: first}); err != nil {
		return fmt.Errorf("queue reconciliation: %w", err)
	}
	return nil
}

// place decides whether o holds record(p) or access(o,p), and what the latter rests on. access(p,p) is record(p).
func (r *Registrar) place(ctx context.Context, o Owner, s Seen) (Level, *uma.DerivedFrom, error) {
	held, err := r.cfg.State.RecordOf(ctx, s.Patient)
	if err != nil && !errors.Is(err, ErrNotKept) {
		return "", nil, fmt.Errorf("read record set: %w", err)
	}
	kept := err == nil
	own, holder, err := r.samePerson(ctx, o, held, kept)
	if err != nil {
		return "", nil, err
	}
	switch {
	case own && (s.Self || s.Holder):
		return LevelRecord, nil, nil
	case s.Self && kept && !held.Owner.Custodian():
		// Held by a representative until now, or by another account that is the same patient: the latter is a matter for
		// the administrator, never for whoever comes last.
		if holder.Patient() == s.Patient {
			r.cfg.Logger.WarnContext(ctx, "two accounts claim one record; the first keeps it", "issuer", o.Issuer)
			return "", nil, nil
		}
		return LevelRecord, nil, nil
	case s.Self:
		return LevelRecord, nil, nil // claimed now
	case s.Holder && (!kept || held.Owner.Custodian()):
		return LevelRecord, nil, nil
	case !kept || held.Owner.Custodian():
		return LevelPatient, &uma.DerivedFrom{Custodian: true}, nil
	case held.Issuer == o.Issuer:
		return LevelPatient, &uma.DerivedFrom{ResourceID: held.ResourceID}, nil
	default:
		return r.placeByLeave(ctx, o, s.Patient)
	}
}

// tellMoved has everybody reconciled whose sets rest on a record that has a new holder.
func (r *Registrar) tellMoved(ctx context.Context, o Owner, patient string) error {
	users, err := r.cfg.Relations.UsersRelatedTo(ctx, patient)
	if err != nil {
		return err
	}
	others := []string{}
	for _, u := range users {
		if u != o.User {
			others = append(others, u)
		}
	}
	if len(others) > 0 {
		if err := r.Enqueue(ctx, others...); err != nil {
			return err
		}
	}
	return r.enqueue(ctx, false, r.custodian())
}

// endUnwanted ends the user's sets of patients she may not see any more, or that have another level now.
func (r *Registrar) endUnwanted(ctx context.Context, o Owner, wanted map[string]Level) error {
	returned := false
	for after := ""; ; {
		page, next, err := r.cfg.State.Registrations(ctx, o, after, reviewEvery)
		if err != nil {
			return fmt.Errorf("list registrations: %w", err)
		}
		for _, reg := range page {
			if reg.Level == LevelUser {
				continue
			}
			if wanted[reg.Patient] == reg.Level {
				continue
			}
			if err := r.cfg.State.EndRegistration(ctx, reg); err != nil {
				return fmt.Errorf("end registration: %w", err)
			}
			returned = returned || reg.Level == LevelRecord
		}
		if next == "" {
			break
		}
		after = next
	}
	if returned { // the custodian takes the record back
		if err := r.enqueue(ctx, false, r.custodian()); err != nil {
			return err
		}
	}
	return r.removals(ctx, o)
}
