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
	Digest  string    // an answer must carry it (SEC-47)
	Undo    time.Time // until when the answer can be taken back; zero: not
	ByName  string    // who answered, "" nobody yet
	Quiet   bool      // the same party has asked this owner within the day before: no need to call her again (SEC-46)
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

// inboxPages are looked through for requests that wait: more than the bounds against floods let into the 30 days of a
// request (SEC-46).
const inboxPages = 5

// Inbox lists the owner's requests, newest first, answered ones included; before is a key to go on from. Of what is older than
// one page only those that wait are shown: no flood pushes them out of sight.
func (s *Service) Inbox(ctx context.Context, owner AccountID, before Key) ([]RequestView, error) {
	return s.Acting(owner, owner).Inbox(ctx, before)
}

// Inbox lists the owner's requests, as Service.Inbox does.
func (a Acting) Inbox(ctx context.Context, before Key) ([]RequestView, error) {
	s := a.s
	var out []RequestView
	now := s.Now()
	err := s.Store.View(ctx, func(r Reader) error {
		out = nil
		if err := a.may(r, guardRequests); err != nil {
			return err
		}
		listed, err := inbox(r, a.owner, before, now)
		if err != nil {
			return err
		}
		for _, req := range listed {
			v, err := s.requestView(r, req)
			if err != nil {
				return err
			}
			if !v.decoy() {
				out = append(out, v)
			}
		}
		markQuiet(out)
		return nil
	})
	return out, err
}

// decoy reports a request about what is hidden or absent: nobody's to see or answer (decisions 6).
func (v RequestView) decoy() bool {
	return slices.ContainsFunc(v.Records, func(rv RecordView) bool { return isDecoy(rv.Resource.Description) })
}

// markQuiet marks what one party goes on asking within a day; out is newest first.
func markQuiet(out []RequestView) {
	for i := range out {
		for _, older := range out[i+1:] {
			if out[i].Created.Sub(older.Created) < day && older.Party.Account == out[i].Party.Account {
				out[i].Quiet = true
				break
			}
		}
	}
}

func inbox(r RequestReader, owner AccountID, before Key, now time.Time) ([]Request, error) {
	var out []Request
	for n := range inboxPages {
		page, err := r.Requests(owner, before, inboxWindow)
		if err != nil {
			return nil, fmt.Errorf("list requests: %w", err)
		}
		for _, req := range page {
			if n == 0 || req.open(now) {
				out = append(out, req)
			}
		}
		if len(page) < inboxWindow {
			break
		}
		before = page[len(page)-1].Key
	}
	return out, nil
}

// RequestView shows one. A foreign key is ErrNotFound like an unknown one.
func (s *Service) RequestView(ctx context.Context, owner AccountID, key Key) (RequestView, error) {
	return s.Acting(owner, owner).RequestView(ctx, key)
}

// RequestView shows one. A foreign key is ErrNotFound like an unknown one; so is a decoy, which no inbox shows.
func (a Acting) RequestView(ctx context.Context, key Key) (RequestView, error) {
	var v RequestView
	err := a.s.Store.View(ctx, func(r Reader) error {
		if err := a.may(r, guardRequests); err != nil {
			return err
		}
		req, err := r.Request(a.owner, key)
		if err != nil {
			return err
		}
		if v, err = a.s.requestView(r, req); err == nil && v.decoy() {
			v, err = RequestView{}, ErrNotFound
		}
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
	if v.ByName, err = (&directory{reader: r}).account(req.By); err != nil {
		return RequestView{}, err
	}
	if err := s.viewParty(r, &v); err != nil {
		return RequestView{}, err
	}
	t, resources, err := s.standing(r, Ticket{Owner: req.Owner, RS: req.RS, Permissions: req.Permissions})
	if err != nil {
		return RequestView{}, err
	}
	if v.Records, err = s.records(r, t.Permissions, resources); err != nil {
		return RequestView{}, err
	}
	tagItems(v.Records)
	// Repeats are left out: a count that goes up changes nothing of what is asked.
	v.Digest = digest(req.Key, req.Owner, req.Party.Account, req.Client, req.Purpose, req.Note, req.Says, req.BreakGlass, req.Undone, shownRecords(v.Records))
	v.Undo = s.undoable(req)
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
	return s.Acting(owner, owner).AnswerRequest(ctx, key, a, requestID)
}

// AnswerRequest takes the answer of the owner or of who answers for her, as Service.AnswerRequest does. A delegate allows
// nothing to herself: ErrOwnInterest.
func (by Acting) AnswerRequest(ctx context.Context, key Key, a RequestAnswer, requestID string) (RequestView, error) {
	s, now := by.s, by.s.Now()
	if a.Allow && !a.Until.IsZero() && !a.Until.After(now) || a.Silent < 0 {
		return RequestView{}, fmt.Errorf("%w: the end lies in the past", ErrBadAnswer)
	}
	var v RequestView
	err := s.Store.Update(ctx, func(tx Tx) error {
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
		if req.State != RequestWaiting && !v.decoy() {
			return nil
		}
		if !req.open(now) || v.decoy() {
			return ErrNotFound
		}
		if a.Digest == "" || a.Digest != v.Digest {
			return ErrChanged
		}
		if a.Allow {
			err = by.allow(tx, &v, a, requestID, now)
		} else {
			err = by.refuse(tx, &v, a.Silent, requestID, now)
		}
		v.Undo = s.undoable(v.Request)
		return err
	})
	return v, err
}

// allow makes the policy that carries the answer: exactly what was ticked, for this party and this app, for the purpose that
// was stated.
func (by Acting) allow(tx Tx, v *RequestView, a RequestAnswer, requestID string, now time.Time) error {
	s := by.s
	if by.by() != "" && v.Party.Account == by.actor {
		return ErrOwnInterest
	}
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
		Rules: rules, NotAfter: a.Until, Origin: OriginApproval, Request: v.Key, By: by.by(), Created: now,
	}
	if v.Purpose != "" {
		p.Purposes = []string{v.Purpose}
	}
	if err := tx.PutPolicy(p); err != nil {
		return fmt.Errorf("store approval: %w", err)
	}
	v.State, v.Policy, v.Answered, v.By = RequestAllowed, id, now, by.actor
	if err := tx.PutRequest(v.Request); err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	e := by.shareEvent(EventRequestAllowed, p, requestID)
	e.Process = v.Process
	return s.tell(tx, now, e)
}

func (by Acting) refuse(tx Tx, v *RequestView, silent time.Duration, requestID string, now time.Time) error {
	s := by.s
	if silent == 0 {
		silent = s.Limits.Silence
	}
	v.State, v.Answered, v.Silent, v.By = RequestDenied, now, now.Add(silent), by.actor
	if err := tx.PutRequest(v.Request); err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	return s.tell(tx, now, AuditEvent{
		Type: EventRequestRefused, Owner: v.Owner, Actor: by.actor, Client: v.Client, RS: v.RS, Process: v.Process, RequestID: requestID,
	})
}

// Preview tells what the ticked items of a request would show today, as counts per kind of information. Sets whose resource
// server cannot say make it ErrNoPreview.
func (s *Service) Preview(ctx context.Context, owner AccountID, key Key, items []string) (map[string]int, error) {
	return s.Acting(owner, owner).Preview(ctx, key, items)
}

// Preview is Service.Preview for whoever may answer.
func (a Acting) Preview(ctx context.Context, key Key, items []string) (map[string]int, error) {
	s := a.s
	v, err := a.RequestView(ctx, key)
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
