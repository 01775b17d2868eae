package umaas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// What a page has to say when a flow cannot go on. None of them redirects.
var (
	ErrFlowGone      = fmt.Errorf("the interaction is over or was never there: %w", ErrNotFound)
	ErrOtherBrowser  = errors.New("the interaction belongs to another browser")
	ErrOtherPerson   = errors.New("another person began this interaction")        // SEC-24
	ErrStep          = errors.New("the interaction is not at this step")          // PS-04
	ErrChanged       = errors.New("what is asked has changed since it was shown") // SEC-47
	ErrNothingChosen = errors.New("nothing was chosen")
	ErrBadAnswer     = errors.New("the answer is not one the page offers")
)

// startFlow stores a flow bound to this browser. A browser that has a binding keeps it, so that two tabs work.
func (s *Service) startFlow(tx Tx, f Flow, b Browser, now time.Time) (Started, error) {
	id, key, secret, err := s.handles.New(now)
	if err != nil {
		return Started{}, err
	}
	browser, hash, err := s.bindBrowser(b)
	if err != nil {
		return Started{}, err
	}
	f.Key, f.Secret, f.Browser, f.Expires = key, secret, hash, now.Add(s.Limits.Flow)
	if err := tx.PutFlow(f); err != nil {
		return Started{}, fmt.Errorf("store flow: %w", err)
	}
	return Started{ID: id, Browser: browser}, nil
}

// openFlow loads a flow for the browser it is bound to (PS-04).
func (s *Service) openFlow(r Reader, id string, b Browser, now time.Time) (Flow, error) {
	key, secret, ok := s.handles.Open(id)
	if !ok {
		return Flow{}, ErrFlowGone
	}
	f, err := r.Flow(key, now)
	if gone, err := absent(err); err != nil {
		return Flow{}, fmt.Errorf("read flow: %w", err)
	} else if gone || !f.Secret.Matches(secret) || !now.Before(f.Expires) {
		return Flow{}, ErrFlowGone
	}
	if !b.matches(f.Browser) {
		return Flow{}, ErrOtherBrowser
	}
	return f, nil
}

// Flow shows where an interactive flow stands and all its page needs. The first signed-in person is bound to the flow; a
// later one gets ErrOtherPerson (SEC-24). Errors: ErrFlowGone, ErrOtherBrowser, ErrOtherPerson.
func (s *Service) Flow(ctx context.Context, id string, b Browser, sess *Session) (FlowView, error) {
	now := s.Now()
	var v FlowView
	bound := true
	look := func(r Reader) error {
		f, err := s.openFlow(r, id, b, now)
		if err != nil {
			return err
		}
		bound = sess == nil || f.Account != "" || f.needsSignIn(*sess)
		v, _, err = s.view(r, f, id, sess)
		return err
	}
	if err := s.Store.View(ctx, look); err != nil {
		return FlowView{}, err
	}
	if bound {
		return v, nil
	}
	return v, s.Store.Update(ctx, func(tx Tx) error {
		f, err := s.openFlow(tx, id, b, now)
		if err != nil {
			return err
		}
		if _, err := flowPerson(tx, f, *sess); err != nil {
			return err
		}
		f.Account = sess.Account
		return tx.PutFlow(f)
	})
}

// flowPerson is the signed-in account, if this flow is hers.
func flowPerson(r Reader, f Flow, sess Session) (Account, error) {
	if f.Account != "" && f.Account != sess.Account {
		return Account{}, ErrOtherPerson
	}
	if f.Ticket != nil && f.Ticket.Party != nil && f.Ticket.Party.Account != sess.Account {
		return Account{}, ErrOtherPerson
	}
	a, err := r.Account(sess.Account)
	if gone, err := absent(err); err != nil {
		return Account{}, fmt.Errorf("read account: %w", err)
	} else if gone || a.Disabled || sess.Account == "" {
		return Account{}, ErrOtherPerson
	}
	return a, nil
}

// view builds the page of the current step. The account is nil before sign-in.
func (s *Service) view(r Reader, f Flow, id string, sess *Session) (FlowView, *Account, error) {
	client, err := r.Client(f.Client)
	if gone, err := absent(err); err != nil {
		return FlowView{}, nil, fmt.Errorf("read client: %w", err)
	} else if gone || client.Disabled {
		return FlowView{}, nil, ErrFlowGone
	}
	v := FlowView{ID: id, Step: StepSignIn, Kind: f.Kind, App: appOf(client, f.RedirectURI), Redirect: f.RedirectURI, Expires: f.Expires}
	if sess == nil || f.needsSignIn(*sess) {
		v.Issuers, err = signInIssuers(r, func(TrustedIssuer) bool { return true })
		return v, nil, err
	}
	a, err := flowPerson(r, f, *sess)
	if err != nil {
		return FlowView{}, nil, err
	}
	v.Person = &a
	switch f.Kind {
	case FlowClaims:
		err = s.claimsView(r, f, a, *sess, &v)
	case FlowAuthorize:
		err = s.authorizeView(r, f, a, &v)
	default:
		err = ErrFlowGone
	}
	if err != nil {
		return FlowView{}, nil, err
	}
	tagItems(v.Records)
	v.Digest = digest(f.Key, a.ID, v.Step, v.App.ID, shownRecords(v.Records), v.Told, v.Identity, v.Offline, v.asked())
	return v, &a, nil
}

// answered opens a flow for an answer: the right browser, the right person, the step the answer is for, and the page as it
// was shown (PS-04, SEC-71).
func (s *Service) answered(tx Tx, id string, b Browser, sess Session, shown string, steps ...FlowStep) (Flow, FlowView, Account, error) {
	f, err := s.openFlow(tx, id, b, s.Now())
	if err != nil {
		return Flow{}, FlowView{}, Account{}, err
	}
	v, a, err := s.view(tx, f, id, &sess)
	switch {
	case err != nil:
		return Flow{}, FlowView{}, Account{}, err
	case !slices.Contains(steps, v.Step):
		return Flow{}, FlowView{}, Account{}, ErrStep
	case shown == "" || shown != v.Digest:
		return Flow{}, FlowView{}, Account{}, ErrChanged
	}
	return f, v, *a, nil
}

// CancelFlow ends a flow by the person's own no: access_denied with state and issuer (Grant §3.3.3, RFC 6749 §4.1.2.1).
func (s *Service) CancelFlow(ctx context.Context, id string, b Browser) (Redirect, error) {
	now := s.Now()
	var back Redirect
	err := s.Store.Update(ctx, func(tx Tx) error {
		f, err := s.openFlow(tx, id, b, now)
		if err != nil {
			return err
		}
		if err := tx.DeleteFlow(f.Key); err != nil {
			return gone(err)
		}
		back = s.back(f, url.Values{"error": {uma.ErrAccessDenied.Code}})
		return s.tell(tx, now, AuditEvent{Type: EventConsentRefused, Owner: f.Account, Actor: f.Account, Client: f.Client, Process: f.process()})
	})
	if err != nil {
		return Redirect{}, err
	}
	return back, nil
}

// process names the authorization process a flow belongs to.
func (f Flow) process() Key {
	if f.Ticket != nil {
		return f.Ticket.Process
	}
	return f.Key
}

// back is the way to the client: its validated address, state exactly as sent and only if sent, and the issuer (SEC-105).
func (s *Service) back(f Flow, answer url.Values) Redirect {
	q := maps.Clone(answer)
	if f.HasState {
		q.Set("state", f.State)
	}
	q.Set("iss", s.Issuer)
	return Redirect{URI: f.RedirectURI, Query: q}
}

// gone reads an absent flow as one that was answered meanwhile: a double click.
func gone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrFlowGone
	}
	return fmt.Errorf("end flow: %w", err)
}
