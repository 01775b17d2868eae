package umaas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// errTicket is the one answer for tickets that are unknown, used, expired or somebody else's (Grant §3.3.6, SEC-11).
var errTicket = uma.ErrInvalidGrant.With("ticket expired or used")

// ticketRequest is Grant §3.3.1 after parsing.
type ticketRequest struct {
	Ticket      string
	RPT         string
	Scopes      []string
	Verifier    string
	ClaimToken  string // as pushed, with ClaimFormat
	ClaimFormat string
	PCT         string
}

// parseTicketRequest applies the rules that need no store; a mistake here leaves the ticket alone (SEC-10).
func parseTicketRequest(f form) (ticketRequest, error) {
	q := ticketRequest{RPT: f.get("rpt"), Verifier: f.get("code_verifier"), ClaimToken: f.get("claim_token"), ClaimFormat: f.get("claim_token_format"), PCT: f.get("pct")}
	var err error
	if q.Ticket, err = f.need("ticket"); err != nil {
		return q, err
	}
	if q.Scopes, err = f.scopes(); err != nil {
		return q, err
	}
	switch {
	case f.has("claim_token") && !f.has("claim_token_format"):
		return q, uma.ErrInvalidRequest.With("claim_token needs claim_token_format") // G-026
	case f.has("claim_token_format") && !f.has("claim_token"):
		return q, uma.ErrInvalidRequest.With("claim_token_format needs claim_token") // G-027
	}
	return q, nil
}

// grantTicket is the uma-ticket grant (Grant §3.3): phases 5 and 6 of Token.
func (s *Service) grantTicket(ctx context.Context, c VerifiedClient, f form, requestID string) (uma.TokenResponse, error) {
	q, err := parseTicketRequest(f)
	if err != nil {
		return uma.TokenResponse{}, err
	}
	out, err := s.redeemTicket(ctx, c, q, requestID)
	if err != nil {
		return uma.TokenResponse{}, err
	}
	return out.response(s)
}

// redemption is one presentation of a ticket at the token endpoint. run may be repeated by the store; it sets everything
// anew.
type redemption struct {
	s         *Service
	client    Client
	held      possession // the key the presenter proved to hold
	request   ticketRequest
	requestID string
	now       time.Time
	old       *bearer // the RPT to upgrade, nil: none that could be one

	pushed       *pushed // the claim token, verified and not yet accepted
	refusedClaim string  // why a pushed one counts for nothing
	ownerPushed  *Party  // the owner herself, by a token alone: she has not been asked in this process

	issued issued
	answer error // the protocol answer of a presentation that spent its ticket without an RPT
}

// redeemTicket does the grant's own work: the ticket is loaded, spent and assessed, and its result stored, in one
// transaction. From the binding check on the ticket is dead whatever the answer (SEC-01, G-124).
func (s *Service) redeemTicket(ctx context.Context, c VerifiedClient, q ticketRequest, requestID string) (issued, error) {
	key, secret, ok := s.handles.Open(q.Ticket)
	if !ok {
		return issued{}, errTicket
	}
	run := &redemption{s: s, client: c.Client, held: c.held, request: q, requestID: requestID, now: s.Now()}
	if old, ok := s.openBearer(q.RPT); ok {
		run.old = &old
	}
	if err := run.verifyClaims(ctx, c, key, secret); err != nil {
		return issued{}, err
	}
	err := s.Store.Update(ctx, func(tx Tx) error {
		run.issued, run.answer = issued{}, nil
		if err := run.held.spend(tx, run.now); err != nil {
			return err
		}
		t, err := s.presentedTicket(tx, key, secret, c.Client, run.now)
		if err != nil {
			return err
		}
		if err := run.binds(tx, &t); err != nil {
			return err
		}
		if !verifies(q.Verifier, t.Challenge) {
			return errTicket
		}
		if err := spend(tx, t.Key); err != nil {
			return err
		}
		t.Client = c.ID
		if t, err = run.remembered(tx, t); err != nil {
			return err
		}
		return run.assess(tx, t)
	})
	if errors.Is(err, ErrCrowded) {
		return issued{}, uma.ErrUnavailable.Because(err) // nothing was stored, the ticket lives on (SEC-48)
	}
	if err != nil {
		return issued{}, err
	}
	return run.issued, run.answer
}

// presentedTicket loads a ticket and checks that it fits whoever brings it; nothing is spent yet (SEC-03, SEC-10).
func (s *Service) presentedTicket(r Reader, key Key, secret []byte, c Client, now time.Time) (Ticket, error) {
	t, err := r.Ticket(key, now)
	if errors.Is(err, ErrNotFound) {
		return Ticket{}, errTicket
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("read ticket: %w", err)
	}
	if !t.Secret.Matches(secret) || !now.Before(t.Expires) || t.Client != "" && t.Client != c.ID {
		return Ticket{}, errTicket
	}
	return t, nil
}

// spend is the atomic gate of single use.
func spend(tx Tx, key Key) error {
	if err := tx.DeleteTicket(key); errors.Is(err, ErrNotFound) {
		return errTicket
	} else if err != nil {
		return fmt.Errorf("spend ticket: %w", err)
	}
	return nil
}

// verifies is PKCE for tickets (SEC-03): a challenge needs its verifier, and a verifier without challenge is refused.
func verifies(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	return verifierMatches(challenge, verifier)
}

// assess decides on a spent ticket and stores what follows from the decision.
func (run *redemption) assess(tx Tx, t Ticket) error {
	s, now := run.s, run.now
	before := t.Permissions
	t, resources, err := s.standing(tx, latest(t, run.request.Scopes))
	if err != nil {
		return err
	}
	if len(t.Permissions) == 0 {
		run.answer = errTicket // SEC-07: what it named is gone
		return run.tell(tx, t, AuditEvent{Type: EventTicketRefused, Reason: ReasonGone})
	}
	t.Permissions, err = requested(t.Permissions, resources, run.client, run.request.Scopes, s.Scopes)
	wider := err == nil && widened(t, before)
	if wider && !run.pushesTicket() {
		err = uma.ErrInvalidScope.With("a permission ticket bounds this process: push it again with the wider scope")
	}
	if err != nil {
		run.answer = err
		return run.tell(tx, t, AuditEvent{Type: EventTicketRefused, Reason: ReasonScope})
	}
	known := t.Party
	if wider {
		t.Party = known.withoutTickets() // an earlier ticket speaks for what it left, and for no more
	}
	if refused, err := run.accept(tx, &t, resources); err != nil {
		return err
	} else if refused != "" {
		if wider {
			t.Permissions, t.Party = before, known
		}
		return run.needInfo(tx, t, refused)
	}
	q, err := s.question(tx, run.asked(t), run.client, resources, now)
	if err != nil {
		return err
	}
	if run.ownerPushed != nil {
		return run.ownersToken(tx, t, q)
	}
	if q.Party != nil {
		t.Party = q.Party // an organization's own client is its own party
	}
	switch d := Assess(q).(type) {
	case Permit:
		return run.permit(tx, t, q, d)
	case NeedInfo:
		return run.needInfo(tx, t, "")
	case Submitted:
		return run.submit(tx, t, q)
	case Denied:
		return run.deny(tx, t, d.Reason)
	default:
		return run.deny(tx, t, ReasonNothingAsked)
	}
}
