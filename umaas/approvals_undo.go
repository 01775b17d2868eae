package umaas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Why an answer stays as it is.
var (
	ErrTooLate       = errors.New("this can no longer be taken back")
	ErrNothingToUndo = errors.New("there is no answer of yours to take back")
)

// undoable is the moment until which the answer to a request can be taken back; zero where there is none. What the party took
// back herself is hers, and an emergency notice is no answer.
func (s *Service) undoable(req Request) time.Time {
	until := req.Answered.Add(s.Limits.Undo)
	if req.By == "" || req.State == RequestWaiting || req.State == RequestDenied && req.Silent.IsZero() || !s.Now().Before(until) {
		return time.Time{}
	}
	return until
}

// UndoAnswer takes back a wrong tap, within Limits.Undo after it. The request waits again. What an allowed one gave ends: its
// policy is withdrawn, and with it every token (G-133); allowing again makes a new policy that revives nothing (SEC-35). A
// denied one is silent no more. A second call changes nothing (SEC-46). The owner takes back any answer, a delegate her own.
// Errors: ErrNotFound, ErrTooLate, ErrNothingToUndo.
func (by Acting) UndoAnswer(ctx context.Context, key Key, requestID string) (RequestView, Effect, error) {
	s, now := by.s, by.s.Now()
	var v RequestView
	var effect Effect
	err := s.Store.Update(ctx, func(tx Tx) error {
		effect = effectAt(now)
		if err := by.may(tx, guardRequests); err != nil {
			return err
		}
		req, err := tx.Request(by.owner, key)
		if err != nil {
			return err
		}
		if v, err = s.requestView(tx, req); err != nil {
			return err
		}
		switch {
		case v.decoy():
			return ErrNotFound
		case req.State == RequestWaiting && !req.Undone.IsZero():
			effect.At = req.Undone
			return nil
		}
		if req, err = by.undo(tx, req, now, requestID); err != nil {
			return err
		}
		v, err = s.requestView(tx, req)
		return err
	})
	if err != nil {
		return RequestView{}, Effect{}, err
	}
	return v, effect, nil
}

func (by Acting) undo(tx Tx, req Request, now time.Time, requestID string) (Request, error) {
	s := by.s
	switch {
	case req.State == RequestWaiting || req.By == "" || req.State == RequestDenied && req.Silent.IsZero():
		return req, ErrNothingToUndo
	case by.by() != "" && req.By != by.actor:
		return req, ErrNothingToUndo
	case s.undoable(req).IsZero():
		return req, ErrTooLate
	}
	e := AuditEvent{
		Type: EventAnswerUndone, Owner: req.Owner, Actor: by.actor, Client: req.Client, RS: req.RS, Process: req.Process,
		Policy: req.Policy, RequestID: requestID,
	}
	if req.Policy != "" {
		p, err := tx.Policy(req.Owner, req.Policy)
		gone, err := absent(err)
		if err != nil {
			return req, fmt.Errorf("read policy of answer: %w", err)
		}
		if !gone && p.Revoked.IsZero() {
			p.Revoked = now
			if err := tx.PutPolicy(p); err != nil {
				return req, fmt.Errorf("withdraw answer: %w", err)
			}
		}
		e.Scopes = ruleScopes(p.Rules)
	}
	req.State, req.Policy, req.By, req.Answered, req.Silent, req.Undone = RequestWaiting, "", "", time.Time{}, time.Time{}, now
	if err := tx.PutRequest(req); err != nil {
		return req, fmt.Errorf("reopen request: %w", err)
	}
	return req, s.tell(tx, now, e)
}

// DelegatedRequest is a request that waits for an owner for whom somebody may answer.
type DelegatedRequest struct {
	RequestView
	OwnerName string
}

// maxDelegatedOwners bounds the inboxes gathered for one role-holder.
const maxDelegatedOwners = 100

// DelegatedInbox lists what waits with the owners somebody answers for, oldest first: an approver can be a role, and whoever
// holds it finds the requests here. Her answers go through Acting with the request's owner.
func (s *Service) DelegatedInbox(ctx context.Context, actor AccountID) ([]DelegatedRequest, error) {
	owners, err := s.ActingFor(ctx, actor)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var out []DelegatedRequest
	seen := map[AccountID]bool{}
	for _, d := range owners {
		if !d.May(MayAnswer, now) || seen[d.Owner] || len(seen) >= maxDelegatedOwners {
			continue
		}
		seen[d.Owner] = true
		views, err := s.Acting(actor, d.Owner).Inbox(ctx, Key{})
		if errors.Is(err, ErrNotFound) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, v := range views {
			if v.open(now) {
				out = append(out, DelegatedRequest{RequestView: v, OwnerName: d.OwnerName})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b DelegatedRequest) int { return a.Created.Compare(b.Created) })
	return out, nil
}
