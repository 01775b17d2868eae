package umaas

import (
	"context"
	"fmt"
)

// AnswerGather takes the requesting party's answer: who she is, as signed in, with her purpose and note for the owner. She
// is sent back with a new ticket; nothing gathered travels with it, and whether access follows is not said (G-053, G-056).
// Errors as for AnswerConsent.
func (s *Service) AnswerGather(ctx context.Context, id string, b Browser, sess Session, a GatherAnswer) (Redirect, error) {
	note, err := cleanNote(a.Note)
	if err != nil {
		return Redirect{}, err
	}
	if a.Purpose != "" && !contains(purposes, a.Purpose) {
		return Redirect{}, fmt.Errorf("%w: unknown purpose", ErrBadAnswer)
	}
	now := s.Now()
	var back Redirect
	err = s.Store.Update(ctx, func(tx Tx) error {
		f, _, account, err := s.answered(tx, id, b, sess, a.Digest, StepGather)
		if err != nil {
			return err
		}
		if err := tx.DeleteFlow(f.Key); err != nil {
			return gone(err)
		}
		f.Ticket.Purpose, f.Ticket.Note = a.Purpose, note
		if back, err = s.backWithTicket(tx, f, account, sess, now); err != nil {
			return err
		}
		return s.tell(tx, now, AuditEvent{
			Type: EventClaimsGiven, Owner: account.ID, Actor: account.ID, Client: f.Client, Process: f.process(),
		})
	})
	if err != nil {
		return Redirect{}, err
	}
	return back, nil
}
