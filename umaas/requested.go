package umaas

import (
	"fmt"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// standing drops what is no longer there: resources, scopes, the owner, the resource server (SEC-07).
func (s *Service) standing(r Reader, t Ticket) (Ticket, map[ResourceID]Resource, error) {
	resources := map[ResourceID]Resource{}
	owner, err := r.Account(t.Owner)
	rs, rsErr := r.Client(t.RS)
	for _, e := range []error{err, rsErr} {
		if gone, e := absent(e); e != nil {
			return t, nil, e
		} else if gone || owner.Disabled || rs.Disabled {
			t.Permissions = nil
			return t, resources, nil
		}
	}
	var left []uma.Permission
	for _, p := range t.Permissions {
		id := ResourceID(p.ResourceID)
		res, ok := resources[id]
		if !ok {
			res, err = r.Resource(t.Owner, t.RS, id)
			if gone, err := absent(err); err != nil {
				return t, nil, fmt.Errorf("read resource: %w", err)
			} else if gone {
				continue
			}
			resources[id] = res
		}
		scopes := keep(p.Scopes, res.Description.Scopes)
		if len(scopes) == 0 && len(p.Scopes) > 0 {
			continue
		}
		left = append(left, uma.Permission{ResourceID: p.ResourceID, Scopes: scopes, Constraints: p.Constraints})
	}
	t.Permissions = left
	return t, resources, nil
}

// requested is RequestedScopes(r) of Grant §3.3.4: what the ticket asks, plus those scopes of the token request that the
// client is pre-registered for and the resource has. A scope that matches no resource of the ticket, or that the client is
// not registered for, is invalid_scope (G-084, G-085). What is added stays with the process.
func requested(perms []uma.Permission, resources map[ResourceID]Resource, c Client, scopes []string, l ScopeLanguage) ([]uma.Permission, error) {
	out := slices.Clone(perms)
	for _, scope := range scopes {
		matched := false
		for _, p := range perms {
			registered := resources[ResourceID(p.ResourceID)].Description.Scopes
			right, ok := meant(l, scope, registered)
			if !ok {
				continue
			}
			if !preregistered(l, c, scope, right, registered) {
				return nil, uma.ErrInvalidScope.With("the client is not registered for a requested scope")
			}
			matched = true
			out = append(out, uma.Permission{
				ResourceID: p.ResourceID, Scopes: right.Scopes, Constraints: both(p.Constraints, right.Constraints),
			})
		}
		if !matched {
			return nil, uma.ErrInvalidScope.With("a requested scope is available on no resource of the ticket")
		}
	}
	if len(out) == len(perms) {
		return perms, nil
	}
	if out = mergePermissions(out); weight(out) > maxAsked {
		return nil, uma.ErrInvalidScope.With("more scopes than this server takes in one request")
	}
	return out, nil
}

// meant reads one scope string for one resource: literally, else through the scope language.
func meant(l ScopeLanguage, scope string, registered []string) (Right, bool) {
	if contains(registered, scope) {
		return Right{Scopes: []string{scope}}, true
	}
	_, right, ok := l.Translate(scope, registered)
	right.Scopes = keep(right.Scopes, registered)
	return right, ok && len(right.Scopes) > 0
}

// preregistered reports whether the client's registered scopes hold the asked one (Grant §3.3.1, G-036).
func preregistered(l ScopeLanguage, c Client, scope string, right Right, registered []string) bool {
	if contains(c.Scopes, scope) {
		return true
	}
	var given []Right
	for _, s := range c.Scopes {
		if r, ok := meant(l, s, registered); ok {
			given = append(given, r)
		}
	}
	return len(given) > 0 && l.Covers(given, right)
}

// question gathers what the assessment looks at, all in the caller's transaction.
func (s *Service) question(r Reader, t Ticket, c Client, resources map[ResourceID]Resource, now time.Time) (Question, error) {
	q := Question{Now: now, Owner: t.Owner, Client: c, Party: t.Party, Purpose: t.Purpose, Decoy: t.Decoy, Language: s.Scopes}
	q.BreakGlass, q.Emergency = t.BreakGlass && t.Note != "", s.Limits.Emergency
	if q.Party == nil && actsForItself(c) {
		q.Party = &Party{Account: c.Account}
	}
	q.Said, q.StepUpAge = t.Answers, s.Limits.Flow+s.Limits.Ticket+stepUpMaxAge
	if q.Party != nil {
		q.ACR = q.Party.ACR
		a, err := r.Account(q.Party.Account)
		if gone, err := absent(err); err != nil {
			return q, fmt.Errorf("read party: %w", err)
		} else if !gone {
			q.PartyAccount = s.ownWord(a)
		}
		said, err := counting(r, q.Party.Claims)
		if err != nil {
			return q, err
		}
		if q.Claims, q.Emails = said.claims, said.emails; said.broken || unlinked(q.PartyAccount, q.Party.Claims) {
			q.Party, q.PartyAccount, q.Claims, q.Emails = nil, nil, nil, nil // who she is was said by somebody who counts no more (SEC-17)
		}
	}
	if !t.Request.IsZero() {
		answered, err := r.Request(t.Owner, t.Request)
		if gone, err := absent(err); err != nil {
			return q, fmt.Errorf("read request: %w", err)
		} else if gone {
			q.Answered = &Request{State: RequestDenied}
		} else {
			q.Answered = &answered
		}
	}
	var err error
	q.Asked, err = s.asked(r, t, q.requester(), resources)
	return q, err
}

// actsForItself: an organization's confidential client that has no way back for a person's browser can only ever speak for
// the organization. Not one that registered itself: its organization is a name of its own choosing, and no owner is to read
// that as somebody this server knows (SEC-20).
func actsForItself(c Client) bool {
	return c.Account != "" && !c.Public() && !c.Dynamic && len(c.ClaimsRedirectURIs) == 0
}

// asked loads policies and bases. Its cost follows the ticket, not how much the owner shares otherwise (SEC-48).
func (s *Service) asked(r Reader, t Ticket, by requester, resources map[ResourceID]Resource) ([]AskedPermission, error) {
	whos := by.names()
	policies := map[ResourceID][]Policy{}
	bases := map[ResourceID]*AskedBase{}
	out := make([]AskedPermission, 0, len(t.Permissions))
	for _, p := range t.Permissions {
		res := resources[ResourceID(p.ResourceID)]
		if _, ok := policies[res.ID]; !ok {
			var err error
			if policies[res.ID], err = r.PoliciesFor(t.Owner, t.RS, res.ID, whos); err != nil {
				return nil, fmt.Errorf("read policies: %w", err)
			}
			if bases[res.ID], err = s.askedBase(r, res); err != nil {
				return nil, err
			}
		}
		out = append(out, AskedPermission{
			Resource: res, Scopes: p.Scopes, Constraints: p.Constraints, Policies: policies[res.ID], Base: bases[res.ID],
			registered: true, // standing and requested see to it
		})
	}
	return out, nil
}

// askedBase loads the standing right under a derived set as it is now.
func (s *Service) askedBase(r Reader, res Resource) (*AskedBase, error) {
	if !needsBase(res) {
		return nil, nil
	}
	return s.loadBase(r, res.RS, res, func(record Resource, account *Account) ([]Policy, error) {
		return r.PoliciesFor(record.Owner, record.RS, record.ID, whoKeys(account, Client{}))
	})
}
