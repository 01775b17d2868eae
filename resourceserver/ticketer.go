package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// PermissionDesk asks authorization servers for permission tickets (FedAuthz §4). It implements Ticketer and serves context
// URLs. One request of a client leads to exactly one permission request, real or decoy, so that the two look alike.
type PermissionDesk struct {
	state  Sets
	tokens *Tokens
	issuer string // of the decoy
	offer  offer
	review func(ctx context.Context, verify bool, owners ...Owner) error
	log    *slog.Logger
}

// NewPermissionDesk returns a desk that works with the registrar's sets.
func NewPermissionDesk(r *Registrar) *PermissionDesk {
	return &PermissionDesk{
		state: r.cfg.State, tokens: r.cfg.Tokens, issuer: r.cfg.Issuer, offer: newOffer(r.cfg.Types), review: r.enqueue, log: r.cfg.Logger,
	}
}

var _ Ticketer = (*PermissionDesk)(nil)

// realm of every UMA challenge of this resource server (Grant §3.2.1).
const realm = "fhir"

// Ticket implements Ticketer: record(p) is asked of whoever holds it.
func (d *PermissionDesk) Ticket(ctx context.Context, patient string, asked []scopes.Scope) (Challenge, error) {
	reg, err := d.state.RecordOf(ctx, patient)
	if errors.Is(err, ErrNotKept) {
		return d.decoy(ctx, "patient", asked, nil, "")
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("read record set: %w", err)
	}
	return d.ask(ctx, reg, asked, nil, "")
}

// TicketFor implements Ticketer.
func (d *PermissionDesk) TicketFor(ctx context.Context, set Set, asked []scopes.Scope) (Challenge, error) {
	kept, err := d.state.SetByID(ctx, set.Issuer, set.ResourceID)
	if errors.Is(err, ErrNotKept) {
		return d.decoy(ctx, contextOf(set.Level), asked, nil, "")
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("read set: %w", err)
	}
	return d.ask(ctx, Registration{Set: kept, Owner: Owner{Issuer: kept.Issuer, User: kept.User}}, asked, nil, "")
}

// ask requests a ticket for one set. What keeps the owner's authorization server from knowing the set — the owner took her
// token back, the set is gone there — makes it hidden, not an error: the decoy answers.
func (d *PermissionDesk) ask(ctx context.Context, reg Registration, asked []scopes.Scope, extra []uma.Constraint, challenge string) (Challenge, error) {
	permissions := permissionRequest(reg.ResourceID, contextOf(reg.Level), d.offer, asked, extra)
	var ticket string
	err := d.tokens.With(ctx, reg.Owner, func(c *asclient.Client, pat string) (err error) {
		ticket, err = c.RequestPermission(ctx, pat, permissions, challenge)
		return err
	})
	switch {
	case err == nil:
		return Challenge{Realm: realm, ASURI: reg.Owner.Issuer, Ticket: ticket}, nil
	case errors.Is(err, ErrUnreachable):
		return Challenge{}, err
	case errors.Is(err, uma.ErrInvalidResourceID), errors.Is(err, uma.ErrInvalidScope):
		d.log.WarnContext(ctx, "the authorization server knows a set differently; it is compared", "issuer", reg.Owner.Issuer, "err", err)
		if err := d.review(ctx, true, reg.Owner); err != nil {
			return Challenge{}, err
		}
	case errors.Is(err, ErrNoPAT) && !reg.Owner.Custodian():
		d.log.InfoContext(ctx, "an owner's set cannot be asked about: no protection token", "issuer", reg.Owner.Issuer)
	default:
		return Challenge{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return d.decoy(ctx, contextOf(reg.Level), asked, extra, challenge)
}

// decoy requests a ticket for the one set behind which there is nothing (decisions 6), with the very scopes and constraints
// a real request would have had.
func (d *PermissionDesk) decoy(ctx context.Context, level scopes.Context, asked []scopes.Scope, extra []uma.Constraint, challenge string) (Challenge, error) {
	o := Owner{Issuer: d.issuer}
	reg, err := d.state.Registration(ctx, o, levelDecoy, "")
	if errors.Is(err, ErrNotKept) {
		return Challenge{}, errors.Join(fmt.Errorf("%w: the decoy is not registered yet", ErrUnreachable), d.review(ctx, false, o))
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("read decoy: %w", err)
	}
	permissions := permissionRequest(reg.ResourceID, level, d.offer, asked, extra)
	var ticket string
	err = d.tokens.With(ctx, o, func(c *asclient.Client, pat string) (err error) {
		ticket, err = c.RequestPermission(ctx, pat, permissions, challenge)
		return err
	})
	if errors.Is(err, uma.ErrInvalidResourceID) || errors.Is(err, uma.ErrInvalidScope) {
		err = errors.Join(err, d.review(ctx, true, o))
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return Challenge{Realm: realm, ASURI: d.issuer, Ticket: ticket}, nil
}

// offer is what can be asked for here: the served types and the scopes their sets register.
type offer struct {
	types      []string
	registered map[string]bool
}

func newOffer(types []string) offer {
	o := offer{types: types, registered: map[string]bool{}}
	for _, level := range []scopes.Context{"patient", "user"} {
		for _, s := range scopes.Registered(level, types) {
			o.registered[s] = true
		}
	}
	return o
}

// permissionRequest expands scopes to the registered one-letter ones of a set, one permission per distinct constraint, so
// that scopes never travel from one constraint to another. Scopes of another context are put into the set's own; those
// that are not registered are left out. Nothing left is a permission with zero scopes (F-052).
func permissionRequest(resourceID string, level scopes.Context, o offer, asked []scopes.Scope, extra []uma.Constraint) []uma.Permission {
	var permissions []uma.Permission
	at := map[string]int{}
	have := map[string]bool{}
	for _, s := range asked {
		s.Context = level
		letters, query := s.UMA(o.types)
		for _, letter := range letters {
			if !o.registered[letter] || have[query+"\x00"+letter] {
				continue
			}
			have[query+"\x00"+letter] = true
			i, ok := at[query]
			if !ok {
				i = len(permissions)
				at[query] = i
				permissions = append(permissions, uma.Permission{ResourceID: resourceID, Constraints: constraints(query, extra)})
			}
			permissions[i].Scopes = append(permissions[i].Scopes, letter)
		}
	}
	if len(permissions) == 0 {
		permissions = []uma.Permission{{ResourceID: resourceID, Scopes: []string{}, Constraints: constraints("", extra)}}
	}
	return permissions
}

func constraints(query string, extra []uma.Constraint) []uma.Constraint {
	var list []uma.Constraint
	if query != "" {
		list = append(list, uma.Constraint{Type: uma.ConstraintQuery, Value: query})
	}
	return append(list, extra...)
}
