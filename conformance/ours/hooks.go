package ours

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas"
)

// Hook implements conformance.Hooks: it decides for people as the server's pages let them decide.
func (s *Server) Hook(ctx context.Context, q conformance.HookRequest) (conformance.HookAnswer, error) {
	owner, ok := s.people[q.OwnerName]
	if !ok {
		return conformance.HookAnswer{}, fmt.Errorf("%w: nobody is called %q", conformance.ErrNoHook, q.OwnerName)
	}
	switch q.Action {
	case "permit":
		id, err := s.permit(ctx, owner.ID, q)
		return conformance.HookAnswer{ID: id}, err
	case "revoke":
		_, err := s.Core().StopShare(ctx, owner.ID, umaas.PolicyID(q.ID), "")
		return conformance.HookAnswer{}, err
	case "approve", "deny":
		return conformance.HookAnswer{}, s.decide(ctx, owner.ID, q)
	default:
		return conformance.HookAnswer{}, fmt.Errorf("%w: %s", conformance.ErrNoHook, q.Action)
	}
}

// permit stores a share. The pages offer whole lines of plain words; the suite names scopes, so the rule is written as the
// page's form would have it.
func (s *Server) permit(ctx context.Context, owner umaas.AccountID, q conformance.HookRequest) (string, error) {
	now := s.Clock.Now()
	p := umaas.Policy{
		ID: umaas.PolicyID(fmt.Sprintf("p-%d-%s", now.UnixNano(), q.ResourceID)), Owner: owner, Origin: umaas.OriginShare, Created: now,
		Rules:  []umaas.Rule{{Resource: umaas.ResourceID(q.ResourceID), RS: umaas.ClientID(q.RS), Scopes: slices.Clone(q.Scopes)}},
		Client: umaas.ClientID(q.Client),
	}
	switch {
	case q.Party != "":
		p.Who = umaas.Who{Kind: umaas.WhoAccount, Account: umaas.AccountID(q.PartySub)}
	case q.Client != "":
		p.Who, p.Client = umaas.Who{Kind: umaas.WhoClient, Client: umaas.ClientID(q.Client)}, ""
	default:
		return "", errors.New("a policy names a party or a client")
	}
	if q.Seconds > 0 {
		p.NotAfter = now.Add(time.Duration(q.Seconds) * time.Second)
	}
	err := s.services[0].Store.Update(ctx, func(tx umaas.Tx) error {
		if _, err := tx.Resource(owner, umaas.ClientID(q.RS), umaas.ResourceID(q.ResourceID)); err != nil {
			return fmt.Errorf("resource: %w", err)
		}
		return tx.PutPolicy(p)
	})
	return string(p.ID), err
}

// decide answers the open request that asks for the resource.
func (s *Server) decide(ctx context.Context, owner umaas.AccountID, q conformance.HookRequest) error {
	list, err := s.Core().Inbox(ctx, owner, umaas.Key{})
	if err != nil {
		return err
	}
	for _, v := range list {
		var items []string
		about := false
		for _, r := range v.Records {
			if string(r.Resource.ID) != q.ResourceID {
				continue
			}
			about = true
			for _, i := range r.Items {
				if covered(i, q.Scopes) {
					items = append(items, i.ID)
				}
			}
		}
		if !about || v.State != umaas.RequestWaiting {
			continue
		}
		a := umaas.RequestAnswer{Allow: q.Action == "approve", Digest: v.Digest, Items: items}
		if !a.Allow {
			a.Items = nil
		}
		_, err := s.Core().AnswerRequest(ctx, owner, v.Key, a, "")
		return err
	}
	return errors.New("no open request asks for the resource")
}

func covered(i umaas.Item, scopes []string) bool {
	for _, r := range i.Rights {
		for _, scope := range r.Scopes {
			if !slices.Contains(scopes, scope) {
				return false
			}
		}
	}
	return len(i.Rights) > 0
}
