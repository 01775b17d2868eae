package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// GuardView is what a person is shown of who guards her record.
type GuardView struct {
	Issuer string
	Home   string    // issuer of her home account
	Moved  bool      // it is not her home account
	Since  time.Time // of the move
	// Broken holds where the guard's token has ended: nobody gets at her record, she must give it again or go back.
	Broken bool
	Away   bool     // it does not answer now: nobody new gets in
	Listed []string // servers she can choose besides
	Any    bool     // she may name any server
	Others []OtherPerson
}

// OtherPerson has a relation to a record she holds and another authorization server than she has: her permissions there
// cannot reach that person, so her word here decides (leave).
type OtherPerson struct {
	Key, Name, Kind, Patient string
	About                    string // whose record it is, "" her own
	Allowed                  bool
}

// heldByAnother reports whether another account that is the same patient holds her record: the first one keeps it, and the
// administrator decides between them.
func (g *Guardian) heldByAnother(ctx context.Context, u User) (bool, error) {
	reg, err := g.cfg.State.RecordOf(ctx, u.Patient())
	if errors.Is(err, ErrNotKept) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read record set: %w", err)
	}
	holder, _, err := g.cfg.Registrar.person(ctx, reg.Owner)
	return holder.Key != u.Key && holder.Patient() == u.Patient(), err
}

// View reads it. ErrNotKept: she has no record of her own here, or another account holds it.
func (g *Guardian) View(ctx context.Context, u User) (GuardView, error) {
	if u.Patient() == "" {
		return GuardView{}, ErrNotKept
	}
	if other, err := g.heldByAnother(ctx, u); err != nil {
		return GuardView{}, err
	} else if other {
		return GuardView{}, ErrNotKept
	}
	now, err := g.cfg.Registrar.guard(ctx, u)
	if err != nil {
		return GuardView{}, err
	}
	v := GuardView{Issuer: now.Issuer, Home: u.Issuer, Moved: now != homeOwner(u), Any: g.cfg.Issuers.Policy() == ForeignAny}
	if v.Moved {
		kept, err := g.cfg.State.GuardOf(ctx, u.Key)
		if err != nil && !errors.Is(err, ErrNotKept) {
			return GuardView{}, fmt.Errorf("read guard: %w", err)
		}
		v.Since = kept.Since
	}
	if v.Broken, v.Away, err = g.health(ctx, now); err != nil {
		return GuardView{}, err
	}
	for _, issuer := range append(g.cfg.Issuers.Own(), g.cfg.Issuers.Listed()...) {
		if issuer != now.Issuer && issuer != u.Issuer {
			v.Listed = append(v.Listed, issuer)
		}
	}
	v.Others, err = g.others(ctx, u)
	return v, err
}

// health asks a guard whether it still takes this server's word for its owner: that is how a withdrawal is noticed even
// when nobody asks for the record.
func (g *Guardian) health(ctx context.Context, o Owner) (broken, away bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	err = g.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) error {
		_, err := c.ListResources(ctx, pat)
		return err
	})
	var refused *uma.Error
	switch {
	case err == nil:
		return false, false, nil
	case errors.Is(err, ErrNoPAT), errors.As(err, &refused):
		return true, false, nil
	case errors.Is(err, ErrUnreachable), errors.Is(err, asclient.ErrUntrusted):
		return false, true, nil
	default:
		return false, false, err
	}
}

const healthWait = 3 * time.Second

// Broken reports whether nobody can get at a person's record, because the token of who guards it has ended.
func (g *Guardian) Broken(ctx context.Context, u User) (bool, error) {
	if u.Patient() == "" {
		return false, nil
	}
	now, err := g.cfg.Registrar.guard(ctx, u)
	if err != nil || now == homeOwner(u) {
		return false, err
	}
	return g.cfg.Tokens.Dead(ctx, now)
}

// others lists the people of other authorization servers with a relation to a record she holds.
func (g *Guardian) others(ctx context.Context, u User) ([]OtherPerson, error) {
	seen, err := g.cfg.Relations.Seen(ctx, u.Key)
	if err != nil {
		return nil, err
	}
	var list []OtherPerson
	for _, s := range seen {
		if !s.Self && !s.Holder {
			continue
		}
		held, err := g.holds(ctx, u, s.Patient)
		if err != nil || !held {
			if err != nil {
				return nil, err
			}
			continue
		}
		people, err := g.cfg.Relations.UsersRelatedTo(ctx, s.Patient)
		if err != nil {
			return nil, err
		}
		for _, key := range people {
			o, elsewhere, err := g.other(ctx, u, key, s.Patient)
			if err != nil {
				return nil, err
			}
			if elsewhere {
				if !s.Self {
					o.About = g.cfg.Registrar.label(ctx, s)
				}
				list = append(list, o)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b OtherPerson) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// holds reports whether a person holds a patient's record, under whichever account.
func (g *Guardian) holds(ctx context.Context, u User, patient string) (bool, error) {
	reg, err := g.cfg.State.RecordOf(ctx, patient)
	if errors.Is(err, ErrNotKept) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read record set: %w", err)
	}
	holder, _, err := g.cfg.Registrar.person(ctx, reg.Owner)
	return holder.Key != "" && holder.Key == u.Key, err
}

func (g *Guardian) other(ctx context.Context, u User, key, patient string) (OtherPerson, bool, error) {
	if key == u.Key {
		return OtherPerson{}, false, nil
	}
	other, err := g.cfg.State.User(ctx, key)
	if errors.Is(err, ErrNotKept) {
		return OtherPerson{}, false, nil
	}
	if err != nil {
		return OtherPerson{}, false, fmt.Errorf("read user: %w", err)
	}
	guard, err := g.cfg.Registrar.guard(ctx, other)
	if err != nil {
		return OtherPerson{}, false, err
	}
	st, err := g.cfg.State.Standing(ctx, guard.User, patient)
	if err != nil || st.Bound {
		return OtherPerson{}, false, err
	}
	o := OtherPerson{Key: key, Name: other.Name, Patient: patient, Allowed: st.Leave}
	if _, ok, err := g.cfg.Relations.MaySee(ctx, key, patient); err != nil || !ok {
		return OtherPerson{}, false, err
	}
	if r, err := g.cfg.State.Relation(ctx, other.FHIRUser, patient); err == nil {
		o.Kind = r.Kind
	}
	return o, true, nil
}

// Allow keeps, or with yes false takes back, her leave for a person of another authorization server. ErrNotKept where she
// does not hold the record or the person has no relation to it.
func (g *Guardian) Allow(ctx context.Context, u User, patient, person string, yes bool) error {
	held, err := g.holds(ctx, u, patient)
	if err != nil {
		return err
	}
	if !held {
		return ErrNotKept
	}
	if !yes {
		if err := g.cfg.State.DropLeave(ctx, patient, u.Key, person); err != nil {
			return fmt.Errorf("drop leave: %w", err)
		}
		return g.cfg.Registrar.Enqueue(ctx, person)
	}
	if _, elsewhere, err := g.other(ctx, u, person, patient); err != nil {
		return err
	} else if !elsewhere {
		return ErrNotKept
	}
	if err := g.cfg.State.PutLeave(ctx, patient, u.Key, person); err != nil {
		return fmt.Errorf("keep leave: %w", err)
	}
	return g.cfg.Registrar.Enqueue(ctx, person)
}
