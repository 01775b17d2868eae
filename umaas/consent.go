package umaas

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// longConsent is the end from which on a consent is for use without the person (pages.md PG-03): a shorter one drops
// offline access.
const longConsent = 24 * time.Hour

// AnswerConsent takes the owner's answer at either door and sends her back to the app: with a new ticket (Grant §3.3.3) or
// an authorization code. What she ticked becomes a policy; her answer on the scopes shown replaces earlier ones she gave
// this app. Errors: ErrFlowGone, ErrOtherBrowser, ErrOtherPerson, ErrStep, ErrChanged, ErrNothingChosen, ErrBadAnswer.
func (s *Service) AnswerConsent(ctx context.Context, id string, b Browser, sess Session, a ConsentAnswer) (Redirect, error) {
	now := s.Now()
	if !a.Until.IsZero() && !a.Until.After(now) {
		return Redirect{}, fmt.Errorf("%w: the end lies in the past", ErrBadAnswer)
	}
	var back Redirect
	err := s.Store.Update(ctx, func(tx Tx) error {
		f, v, account, err := s.answered(tx, id, b, sess, a.Digest, StepConsent, StepProtect)
		if err != nil {
			return err
		}
		rules, err := chosen(v.Records, a.Items)
		if err != nil {
			return err
		}
		if err := tx.DeleteFlow(f.Key); err != nil {
			return gone(err)
		}
		if _, err := s.consent(tx, account, f, v.Records, rules, a.Until, now); err != nil {
			return err
		}
		if f.Kind == FlowClaims {
			back, err = s.backWithTicket(tx, f, account, sess, now)
			return err
		}
		granted, err := s.grantedTo(tx, f, account, rules, now)
		if err != nil {
			return err
		}
		offline := v.Offline && (a.Until.IsZero() || a.Until.Sub(now) > longConsent)
		code, err := s.finishAuthorize(tx, f, account, sess, granted, offline, now)
		if len(v.Records) == 0 && errors.Is(err, uma.ErrAccessDenied) { // she was asked for nothing she has (PG-03)
			err = uma.ErrInvalidScope.With("the person has nothing of what was asked for")
		}
		var refusal *uma.Error
		if errors.As(err, &refusal) {
			back = *s.errorRedirect(f.RedirectURI, f.State, refusal)
			return nil
		}
		if err != nil {
			return err
		}
		back = s.back(f, url.Values{"code": {code}})
		return nil
	})
	if err != nil {
		return Redirect{}, err
	}
	return back, nil
}

// backWithTicket stores the successor of the ticket that started the flow, now with its party (G-053, G-054).
func (s *Service) backWithTicket(tx Tx, f Flow, a Account, sess Session, now time.Time) (Redirect, error) {
	t := *f.Ticket
	t.Party = partyOf(t, a, sess)
	value, err := s.successor(tx, t, s.Limits.Ticket, now)
	if err != nil {
		return Redirect{}, err
	}
	return s.back(f, url.Values{"ticket": {value}}), nil
}

// consent stores what the owner ticked for an app that acts for her. Nothing ticked stores nothing.
func (s *Service) consent(tx Tx, owner Account, f Flow, shown []RecordView, rules []Rule, until, now time.Time) (PolicyID, error) {
	who := Who{Kind: WhoAccount, Account: owner.ID, Name: owner.Name}
	id, err := s.replaceConsents(tx, owner.ID, f, who, shown, rules, until, now)
	if err != nil || len(rules) == 0 {
		return id, err
	}
	if id == "" {
		if id, err = s.newPolicyID(now); err != nil {
			return "", err
		}
		p := Policy{
			ID: id, Owner: owner.ID, Who: who, Client: f.Client, Rules: rules, NotAfter: until, Origin: OriginConsent,
			Created: now,
		}
		if err := tx.PutPolicy(p); err != nil {
			return "", fmt.Errorf("store consent: %w", err)
		}
	}
	return id, s.tell(tx, now, AuditEvent{
		Type: EventConsentGiven, Owner: owner.ID, Actor: owner.ID, Client: f.Client, Process: f.process(), Policy: id,
		RS: rules[0].RS, Resource: rules[0].Resource, Scopes: ruleScopes(rules),
	})
}

// replaceConsents takes scopes that were shown and not ticked out of earlier consents to the same app: the latest answer is
// the one that counts. A consent that says the same already is found and kept, unless she has given another one since:
// that one would decide on the scopes of both.
func (s *Service) replaceConsents(tx Tx, owner AccountID, f Flow, who Who, shown []RecordView, rules []Rule, until, now time.Time) (same PolicyID, err error) {
	var newest Policy
	for _, record := range shown {
		refused := refusedScopes(record, rules)
		policies, err := tx.PoliciesFor(owner, record.Resource.RS, record.Resource.ID, []Who{who})
		if err != nil {
			return "", fmt.Errorf("read consents: %w", err)
		}
		for _, p := range policies {
			if p.Origin != OriginConsent || p.Client != f.Client || !p.InForce(now) {
				continue
			}
			if newest.ID == "" || newestFirst(p, newest) < 0 {
				newest = p
			}
			if len(refused) == 0 {
				continue
			}
			if err := s.withoutScopes(tx, p, record.Resource, refused, now); err != nil {
				return "", err
			}
		}
	}
	if newest.ID != "" && slices.EqualFunc(newest.Rules, rules, equalRule) && newest.NotAfter.Equal(until) {
		same = newest.ID
	}
	return same, nil
}

func refusedScopes(record RecordView, rules []Rule) []string {
	var ticked, refused []string
	for _, r := range rules {
		if r.Resource == record.Resource.ID && r.RS == record.Resource.RS {
			ticked = union(ticked, r.Scopes)
		}
	}
	for _, item := range record.Items {
		for _, right := range item.Rights {
			for _, scope := range right.Scopes {
				if !contains(ticked, scope) {
					refused = append(refused, scope)
				}
			}
		}
	}
	return refused
}

// withoutScopes narrows a policy on one resource; one that gives nothing more is revoked. Either is told to its owner.
func (s *Service) withoutScopes(tx Tx, p Policy, r Resource, refused []string, now time.Time) error {
	var rules []Rule
	changed := false
	for _, rule := range p.Rules {
		if rule.Resource == r.ID && rule.RS == r.RS {
			left := slices.DeleteFunc(slices.Clone(rule.Scopes), func(scope string) bool { return contains(refused, scope) })
			if len(left) != len(rule.Scopes) {
				changed = true
				if rule.Scopes = left; len(left) == 0 {
					continue
				}
			}
		}
		rules = append(rules, rule)
	}
	if !changed {
		return nil
	}
	kind := EventShareNarrowed
	if len(rules) == 0 {
		kind, p.Revoked = EventShareStopped, now
	} else {
		p.Rules = rules
	}
	if err := tx.PutPolicy(p); err != nil {
		return fmt.Errorf("narrow consent: %w", err)
	}
	return s.tell(tx, now, shareEvent(kind, p, ""))
}

// grantedTo is the OAuth door's assessment: the same question as at the token endpoint, asked right after the answer.
func (s *Service) grantedTo(tx Tx, f Flow, owner Account, rules []Rule, now time.Time) ([]Granted, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	client, err := tx.Client(f.Client)
	if err != nil {
		return nil, fmt.Errorf("read client: %w", err)
	}
	t := Ticket{Owner: owner.ID, RS: rules[0].RS, Process: f.process(), Party: &Party{Account: owner.ID}}
	for _, r := range rules {
		if r.RS != t.RS {
			return nil, errors.New("a consent of the OAuth door is about one resource server")
		}
		t.Permissions = append(t.Permissions, uma.Permission{ResourceID: string(r.Resource), Scopes: r.Scopes, Constraints: r.Constraints})
	}
	t, resources, err := s.standing(tx, t)
	if err != nil {
		return nil, err
	}
	q, err := s.question(tx, t, client, resources, now)
	if err != nil {
		return nil, err
	}
	if d, ok := Assess(q).(Permit); ok {
		return d.Granted, nil
	}
	return nil, nil
}

func equalRule(a, b Rule) bool {
	return a.Resource == b.Resource && a.RS == b.RS && slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.Constraints, b.Constraints)
}

func ruleScopes(rules []Rule) []string {
	var out []string
	for _, r := range rules {
		out = union(out, r.Scopes)
	}
	return out
}

// newPolicyID grows with time, so that an owner's policies list in order; it is never used again (SEC-35).
func (s *Service) newPolicyID(now time.Time) (PolicyID, error) {
	key, err := s.handles.NewKey(now)
	return PolicyID(key.String()), err
}
