package umaas

import (
	"context"
	"fmt"
	"slices"

	"github.com/umaas/umaas/umaas/uma"
)

// Break-the-glass access (HEART FHIR-UMA2 §4.1, H-20). A policy with BreakGlass counts for a party who declared an emergency with
// a reason in this very process, and for nobody else. What it gives ends after Limits.Emergency and cannot be carried into
// another token. The owner is told in the transaction that gives it: an event in her history and a notice in her inbox, with
// the party's reason, from which she ends it. A decoy has no policy that counts, so there is no emergency on one.

// restsOnBreakGlass reports whether any permission is given by an emergency policy alone or among others.
func restsOnBreakGlass(q Question, granted []Granted) bool {
	for _, g := range granted {
		for _, a := range q.Asked {
			if a.Resource.ID != g.Resource {
				continue
			}
			if slices.ContainsFunc(a.Policies, func(p Policy) bool { return p.BreakGlass && slices.Contains(g.Policies, p.ID) }) {
				return true
			}
		}
	}
	return false
}

// tellEmergency puts the notice into the owner's inbox under the grant's own key, by which she ends it.
func (run *redemption) tellEmergency(tx Tx, t Ticket, q Question, g Grant) error {
	notice := Request{
		Key: g.Key, Owner: t.Owner, Process: t.Process, RS: t.RS, Client: run.client.ID, Party: *q.Party, PartyName: q.PartyAccount.Name,
		Purpose: t.Purpose, Note: t.Note, State: RequestAllowed, Answered: run.now, BreakGlass: true, Created: run.now,
		Expires: run.now.Add(run.s.Limits.Waiting),
	}
	if q.PartyAccount.EmailVerified {
		notice.PartyEmail = q.PartyAccount.Email
	}
	e := AuditEvent{Type: EventEmergency, Grant: g.Key}
	for _, p := range g.Permissions {
		notice.Permissions = append(notice.Permissions, uma.Permission{ResourceID: string(p.Resource), Scopes: p.Scopes, Constraints: p.Constraints})
		e.Scopes = union(e.Scopes, p.Scopes)
		if e.Policy == "" && len(p.Policies) > 0 {
			e.Policy = p.Policies[0]
			notice.Policy = e.Policy
		}
	}
	if err := tx.PutRequest(notice); err != nil {
		return fmt.Errorf("store emergency notice: %w", err)
	}
	return run.tell(tx, t, e)
}

// EmergencyNotice reports a request that is the notice of emergency access which was given, not a question.
func (r Request) EmergencyNotice() bool {
	return r.BreakGlass && (r.State == RequestAllowed && r.By == "" || r.State == RequestDenied && r.Silent.IsZero())
}

// EndEmergency ends the access that a notice tells of, at once; the policy stays for the next emergency, and is stopped like
// any share. A second call changes nothing. Errors: ErrNotFound.
func (a Acting) EndEmergency(ctx context.Context, key Key, requestID string) (Effect, error) {
	s, now := a.s, a.s.Now()
	var effect Effect
	err := s.Store.Update(ctx, func(tx Tx) error {
		effect = effectAt(now)
		if err := a.may(tx, guardRequests); err != nil {
			return err
		}
		req, err := tx.Request(a.owner, key)
		if err != nil {
			return err
		}
		if !req.EmergencyNotice() {
			return ErrNotFound
		}
		if req.State == RequestDenied {
			effect.At = req.Answered
			return nil
		}
		g, err := tx.Grant(key, now)
		gone, err := absent(err)
		if err != nil {
			return fmt.Errorf("read emergency grant: %w", err)
		}
		if !gone && g.Revoked.IsZero() && g.Owner == a.owner {
			g.Revoked = now
			if err := tx.PutGrant(g); err != nil {
				return fmt.Errorf("end emergency access: %w", err)
			}
		}
		req.State, req.By, req.Answered = RequestDenied, a.actor, now
		if err := tx.PutRequest(req); err != nil {
			return fmt.Errorf("end emergency access: %w", err)
		}
		return s.tell(tx, now, AuditEvent{
			Type: EventEmergencyEnded, Owner: a.owner, Actor: a.actor, Client: req.Client, RS: req.RS, Process: req.Process,
			Policy: req.Policy, Grant: key, RequestID: requestID,
		})
	})
	if err != nil {
		return Effect{}, err
	}
	return effect, nil
}
