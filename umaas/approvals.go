package umaas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// RequestView is one request as a page shows it. For the party who asked (Asked) Records tell what was asked and nothing
// of whose record it is (F-076).
type RequestView struct {
	Request
	App     AppView
	Records []RecordView
	Digest  string // an answer must carry it (SEC-47)
}

// RequestAnswer is the owner's answer. Items are ids of the view's records; fewer than shown is a narrower answer.
type RequestAnswer struct {
	Allow  bool
	Digest string
	Items  []string
	Until  time.Time     // zero: until stopped
	Silent time.Duration // after a denial: how long the same ask is refused without asking; zero: the server's default
}

// ErrNoPreview says that nobody can tell what a permission would show.
var ErrNoPreview = errors.New("no preview can be had")

// withdrawnSilence keeps a party from filling an inbox by asking and withdrawing in turn (SEC-46).
const withdrawnSilence = 24 * time.Hour

// Inbox pages the owner's requests, newest first, answered ones included; before is the last page's last key.
func (s *Service) Inbox(ctx context.Context, owner AccountID, before Key) ([]RequestView, error) {
	var out []RequestView
	err := s.Store.View(ctx, func(r Reader) error {
		out = nil
		page, err := r.Requests(owner, before, inboxWindow)
		if err != nil {
			return fmt.Errorf("list requests: %w", err)
		}
		for _, req := range page {
			v, err := s.requestView(r, req)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(v.Records, func(rv RecordView) bool { return isDecoy(rv.Resource.Description) }) {
				out = append(out, v)
			}
		}
		return nil
	})
	return out, err
}

// RequestView shows one. A foreign key is ErrNotFound like an unknown one.
func (s *Service) RequestView(ctx context.Context, owner AccountID, key Key) (RequestView, error) {
	var v RequestView
	err := s.Store.View(ctx, func(r Reader) error {
		req, err := r.Request(owner, key)
		if err != nil {
			return err
		}
		v, err = s.requestView(r, req)
		return err
	})
	return v, err
}

func (s *Service) requestView(r Reader, req Request) (RequestView, error) {
	client, err := r.Client(req.Client)
	if _, err := absent(err); err != nil {
		return RequestView{}, fmt.Errorf("read client: %w", err)
	}
	v := RequestView{Request: req, App: appOf(client, firstURI(client))}
	t, resources, err := s.standing(r, Ticket{Owner: req.Owner, RS: req.RS, Permissions: req.Permissions})
	if err != nil {
		return RequestView{}, err
	}
	if v.Records, err = s.records(r, t.Permissions, resources); err != nil {
		return RequestView{}, err
	}
	tagItems(v.Records)
	// Repeats are left out: a count that goes up changes nothing of what is asked.
	v.Digest = digest(req.Key, req.Owner, req.Party.Account, req.Client, req.Purpose, req.Note, shownRecords(v.Records))
	return v, nil
}

func firstURI(c Client) string {
	for _, list := range [][]string{c.ClaimsRedirectURIs, c.RedirectURIs} {
		if len(list) > 0 {
			return list[0]
		}
	}
	return ""
}

// AnswerRequest takes the owner's answer. The first one counts: a second changes nothing and gets the request as answered
// (SEC-46). An answer to something else than what stands there now is ErrChanged (SEC-47). Other errors: ErrNotFound,
// ErrNothingChosen, ErrBadAnswer.
func (s *Service) AnswerRequest(ctx context.Context, owner AccountID, key Key, a RequestAnswer, requestID string) (RequestView, error) {
	now := s.Now()
	if a.Allow && !a.Until.IsZero() && !a.Until.After(now) || a.Silent < 0 {
		return RequestView{}, fmt.Errorf("%w: the end lies in the past", ErrBadAnswer)
	}
	var v RequestView
	err := s.Store.Update(ctx, func(tx Tx) error {
		req, err := tx.Request(owner, key)
		if err != nil {
			return err
		}
		if v, err = s.requestView(tx, req); err != nil {
			return err
		}
		if req.State != RequestWaiting {
			return nil
		}
		if !req.open(now) {
			return ErrNotFound
		}
		if a.Digest == "" || a.Digest != v.Digest {
			return ErrChanged
		}
		if a.Allow {
			err = s.allow(tx, &v, a, requestID, now)
		} else {
			err = s.refuse(tx, &v, a.Silent, requestID, now)
		}
		return err
	})
	return v, err
}

// allow makes the policy that carries the answer: exactly what was ticked, for this party and this app, for the purpose that
// was stated.
func (s *Service) allow(tx Tx, v *RequestView, a RequestAnswer, requestID string, now time.Time) error {
	rules, err := chosen(v.Records, a.Items)
	if err != nil {
		return err
	}
	if len(rules) == 0 {
		return ErrNothingChosen
	}
	id, err := s.newPolicyID(now)
	if err != nil {
		return err
	}
	p := Policy{
		ID: id, Owner: v.Owner, Who: Who{Kind: WhoAccount, Account: v.Party.Account, Name: v.PartyName}, Client: v.Client,
		Rules: rules, NotAfter: a.Until, Origin: OriginApproval, Request: v.Key, Created: now,
	}
	if v.Purpose != "" {
		p.Purposes = []string{v.Purpose}
	}
	if err := tx.PutPolicy(p); err != nil {
		return fmt.Errorf("store approval: %w", err)
	}
	v.State, v.Policy, v.Answered = RequestAllowed, id, now
	if err := tx.PutRequest(v.Request); err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	e := shareEvent(EventRequestAllowed, p, requestID)
	e.Process = v.Process
	return s.tell(tx, now, e)
}

func (s *Service) refuse(tx Tx, v *RequestView, silent time.Duration, requestID string, now time.Time) error {
	if silent == 0 {
		silent = s.Limits.Silence
	}
	v.State, v.Answered, v.Silent = RequestDenied, now, now.Add(silent)
	if err := tx.PutRequest(v.Request); err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	return s.tell(tx, now, AuditEvent{
		Type: EventRequestRefused, Owner: v.Owner, Actor: v.Owner, Client: v.Client, RS: v.RS, Process: v.Process, RequestID: requestID,
	})
}

// Preview tells what the ticked items of a request would show today, as counts per kind of information. Sets whose resource
// server cannot say make it ErrNoPreview.
func (s *Service) Preview(ctx context.Context, owner AccountID, key Key, items []string) (map[string]int, error) {
	v, err := s.RequestView(ctx, owner, key)
	if err != nil {
		return nil, err
	}
	rules, err := chosen(v.Records, items)
	if err != nil {
		return nil, err
	}
	if s.Deps.Preview == nil {
		return nil, ErrNoPreview
	}
	total := map[string]int{}
	for _, record := range v.Records {
		var perms []uma.Permission
		for _, rule := range rules {
			if rule.Resource == record.Resource.ID && rule.RS == record.Resource.RS {
				perms = append(perms, uma.Permission{ResourceID: string(rule.Resource), Scopes: rule.Scopes, Constraints: rule.Constraints})
			}
		}
		if len(perms) == 0 {
			continue
		}
		counts, err := s.Deps.Preview.Preview(ctx, record.Resource, perms)
		if err != nil {
			return nil, errors.Join(ErrNoPreview, err)
		}
		for kind, n := range counts {
			total[kind] += n
		}
	}
	return total, nil
}

// Asked lists what a party asked for, newest first, without a word on whose records they are: not even the owner's id, by
// which hidden records could be told from others (decisions 6).
func (s *Service) Asked(ctx context.Context, party AccountID) ([]RequestView, error) {
	var out []RequestView
	if party == "" {
		return nil, ErrNotFound
	}
	err := s.Store.View(ctx, func(r Reader) error {
		out = nil
		page, err := r.RequestsBy(party, Key{}, inboxWindow)
		if err != nil {
			return fmt.Errorf("list requests: %w", err)
		}
		for _, req := range page {
			v, err := s.requestView(r, req)
			if err != nil {
				return err
			}
			for i := range v.Records {
				v.Records[i] = RecordView{Items: v.Records[i].Items}
			}
			v.Owner, v.Process = "", Key{}
			v.Permissions, v.Digest, v.Policy, v.RS = nil, "", "", ""
			v.Silent, v.Repeats = time.Time{}, 0
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// WithdrawRequest takes a waiting request of Asked back. A request of somebody else is ErrNotFound; an answered one stays as
// it is.
func (s *Service) WithdrawRequest(ctx context.Context, party AccountID, key Key) error {
	now := s.Now()
	return s.Store.Update(ctx, func(tx Tx) error {
		req, err := askedBy(tx, party, key)
		if err != nil {
			return err
		}
		if req.State != RequestWaiting {
			return nil
		}
		req.State, req.Answered, req.Silent = RequestDenied, now, now.Add(withdrawnSilence)
		if err := tx.PutRequest(req); err != nil {
			return fmt.Errorf("withdraw request: %w", err)
		}
		return s.tell(tx, now, AuditEvent{
			Type: EventRequestWithdrawn, Owner: req.Owner, Actor: party, Client: req.Client, RS: req.RS, Process: req.Process,
		})
	})
}

// askedBy finds a request among those its party sees in Asked.
func askedBy(r RequestReader, party AccountID, key Key) (Request, error) {
	if party == "" {
		return Request{}, ErrNotFound
	}
	page, err := r.RequestsBy(party, Key{}, inboxWindow)
	if err != nil {
		return Request{}, fmt.Errorf("list requests: %w", err)
	}
	i := slices.IndexFunc(page, func(req Request) bool { return req.Key == key && req.Party.Account == party })
	if i < 0 {
		return Request{}, ErrNotFound
	}
	return page[i], nil
}
