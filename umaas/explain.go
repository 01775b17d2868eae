package umaas

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Explanation tells step by step why a token is good for what it is good for, or why not.
type Explanation struct {
	Active      bool
	Kind        GrantKind
	Grant       Key
	Client      ClientID
	Party       AccountID
	Owner       AccountID
	RS          ClientID
	Expires     time.Time
	Steps       []ExplainStep
	Permissions []Granted // effective now
}

// ExplainStep is one check in the order in which it is made.
type ExplainStep struct {
	Name   string
	OK     bool
	Detail string
}

// Explain shows the decision behind a token to the owner of the resources it is about, or to an administrator; to anybody
// else the token is ErrNotFound, as is one that is unknown.
func (s *Service) Explain(ctx context.Context, actor Account, token string) (Explanation, error) {
	b, ok := s.openBearer(token)
	if !ok {
		return Explanation{}, ErrNotFound
	}
	now := s.Now()
	var e Explanation
	err := s.Store.View(ctx, func(r Reader) error {
		t, err := b.find(r, now)
		if err != nil {
			return err
		}
		g, err := r.Grant(t.Grant, now)
		if err != nil {
			return err
		}
		if actor.Disabled || actor.ID == "" || actor.ID != g.Owner && !actor.Has(RoleAdmin) {
			return ErrNotFound
		}
		l, err := s.liveness(r, g, now)
		if err != nil {
			return err
		}
		e = Explanation{
			Active: l.reason == "", Kind: g.Kind, Grant: g.Key, Client: g.Client, Party: g.Party, Owner: g.Owner, RS: g.RS,
			Expires: g.Expires, Permissions: l.effective,
		}
		e.step("token", true, fmt.Sprintf("%s token until %s", t.Kind, t.Expires.UTC().Format(time.RFC3339)))
		over := g.over(now)
		e.step("grant", over == "", orElse(over, "not withdrawn, not spent, not expired"))
		if over != "" {
			return nil
		}
		e.step("people", l.reason != ReasonDisabled, "app, resource server, party and owner exist and are enabled")
		if l.reason == ReasonDisabled {
			return nil
		}
		for _, p := range g.Permissions {
			if err := s.explainPermission(r, g, p, l, now, &e); err != nil {
				return err
			}
		}
		return nil
	})
	return e, err
}

func (e *Explanation) step(name string, ok bool, detail string) {
	e.Steps = append(e.Steps, ExplainStep{Name: name, OK: ok, Detail: detail})
}

func (s *Service) explainPermission(r Reader, g Grant, p Granted, l liveness, now time.Time, e *Explanation) error {
	res, err := r.Resource(g.Owner, g.RS, p.Resource)
	missing, err := absent(err)
	if err != nil {
		return err
	}
	name := "permission on " + string(p.Resource)
	if missing {
		e.step(name, false, "the resource is no longer registered")
		return nil
	}
	if kept := keep(p.Scopes, res.Description.Scopes); len(kept) < len(p.Scopes) {
		e.step("registration of "+string(p.Resource), false, fmt.Sprintf("%d of %d scopes are no longer registered", len(p.Scopes)-len(kept), len(p.Scopes)))
	}
	policies, err := policiesOf(r, g.Owner, p.Policies)
	if err != nil {
		return err
	}
	q := Question{Now: now, Owner: g.Owner, Client: l.client, PartyAccount: l.party, purposeKept: true, BreakGlass: g.BreakGlass, Emergency: s.Limits.Emergency}
	for _, policy := range policies {
		e.step("policy "+string(policy.ID), q.counts(policy), policyWords(policy, now))
	}
	if p.Base != nil {
		base, err := s.baseOf(r, g.RS, res, p.Base)
		if err != nil {
			return err
		}
		_, ok := q.baseRules(AskedPermission{Resource: res, Base: base})
		e.step("standing right under "+string(p.Resource), ok, "record "+string(p.Base.Resource))
	}
	var left []string
	for _, eff := range l.effective {
		if eff.Resource == p.Resource {
			left = union(left, eff.Scopes)
		}
	}
	e.step(name, len(left) > 0, orElse(strings.Join(keep(p.Scopes, left), " "), "nothing is left"))
	return nil
}

func policyWords(p Policy, now time.Time) string {
	switch {
	case !p.Revoked.IsZero():
		return "withdrawn " + p.Revoked.UTC().Format(time.RFC3339)
	case !p.InForce(now):
		return "ended " + p.NotAfter.UTC().Format(time.RFC3339)
	default:
		return fmt.Sprintf("%s, party kind %s, %d rules, in force", p.Origin, p.Who.Kind, len(p.Rules))
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
