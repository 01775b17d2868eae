package resourceserver

import (
	"context"
	"slices"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// judge looks for one permission that covers every scope on a set about the patient. A constraint that only a FHIR judge could
// evaluate refuses its permission.
func (c *apiCall) judge(ctx context.Context, g Grant) (Permitted, Decision, error) {
	now := c.cfg.Now()
	if !g.Expires.IsZero() && !now.Before(g.Expires) {
		return Permitted{}, Deny{Row: RowToken}, nil
	}
	lacking := NeedTicket{Row: RowScope, Patient: c.req.Patient, Asked: c.asked()}
	for _, p := range g.Permissions {
		once, ok := plainConstraints(g, p)
		if !ok || !p.Expires.IsZero() && !now.Before(p.Expires) {
			continue
		}
		reached, err := c.reaches(ctx, p.Set)
		if err != nil {
			return Permitted{}, nil, err
		}
		if !reached {
			continue
		}
		covers := true
		for _, s := range c.req.Scopes {
			covers = covers && slices.Contains(p.Scopes, s)
		}
		if covers {
			return p, Permit{Filter: FilterAll(), Spend: once}, nil
		}
		set := p.Set
		lacking.Set = &set
	}
	return Permitted{}, lacking, nil
}

// plainConstraints reports whether all constraints of a permission are ones that need no look at data.
func plainConstraints(g Grant, p Permitted) (once, ok bool) {
	for _, k := range p.Constraints {
		switch k.Type {
		case uma.ConstraintClient:
			if k.Value == "" || k.Value != g.ClientID {
				return false, false
			}
		case uma.ConstraintOnce:
			once = true
		default:
			return false, false
		}
	}
	return once, true
}

// reaches is GW-50 for any API: a set of a user reaches what she may see herself, with scopes of her own right where these are
// SMART scopes.
func (c *apiCall) reaches(ctx context.Context, set Set) (bool, error) {
	if c.req.Patient == "" {
		return set.Level == LevelUser && set.User != "" && set.Patient == "", nil
	}
	switch set.Level {
	case LevelRecord, LevelPatient:
		if set.Patient != c.req.Patient {
			return false, nil
		}
	case LevelUser:
		if set.Patient != "" {
			return false, nil
		}
	default:
		return false, nil
	}
	if set.User == "" {
		return set.custodial(), nil
	}
	held, ok, err := c.cfg.Relations.MaySee(ctx, set.User, c.req.Patient)
	if err != nil || !ok {
		return false, err
	}
	for _, s := range c.req.Scopes {
		if parsed, err := scopes.Parse(s); err == nil && !held.Covers(parsed) {
			parsed.Context = scopes.Patient // relations speak of the patient's record
			if !held.Covers(parsed) {
				return false, nil
			}
		}
	}
	return true, nil
}

func (c *apiCall) asked() []scopes.Scope {
	var list []scopes.Scope
	for _, s := range c.req.Scopes {
		if parsed, err := scopes.Parse(s); err == nil {
			list = append(list, parsed)
		}
	}
	return list
}
