package umaas

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// withdrawnSilence keeps a party from filling an inbox by asking and withdrawing in turn (SEC-46).
const withdrawnSilence = 24 * time.Hour

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
			v.Silent, v.Repeats, v.Unlisted = time.Time{}, 0, false
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
		e := AuditEvent{Type: EventRequestWithdrawn, Owner: req.Owner, Actor: party, Client: req.Client, RS: req.RS, Process: req.Process}
		if req.Unlisted {
			e.Owner = "" // she never saw it
		}
		return s.tell(tx, now, e)
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
