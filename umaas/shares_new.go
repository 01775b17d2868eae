package umaas

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// NewShare is what an owner gives unasked. Items are ids of Shareable; Constraints bind all of it.
type NewShare struct {
	Who         Who
	Client      ClientID // "" any app
	Items       map[ResourceID][]string
	Constraints []uma.Constraint
	Until       time.Time // zero: no end
	Purposes    []string  // empty: any
	Label       string
}

// CreateShare stores what an owner gives unasked. Every item must be one of her own sets' (SEC-40). Whether an address has an
// account is never told (SEC-44). Errors: ErrBadAnswer, ErrNothingChosen, ErrNotFound.
func (s *Service) CreateShare(ctx context.Context, owner AccountID, n NewShare, requestID string) (PolicyID, error) {
	now := s.Now()
	if n.Who.Claim.Issuer == "" {
		n.Who.Claim.Issuer = s.Issuer // a claim without issuer is nobody's (SEC-20)
	}
	if err := n.check(owner, now); err != nil {
		return "", err
	}
	id, err := s.newPolicyID(now)
	if err != nil {
		return "", err
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		account, err := tx.Account(owner)
		if err != nil {
			return err
		}
		who, err := n.party(tx)
		if err != nil {
			return err
		}
		rules, err := s.shareRules(tx, account.ID, n)
		if err != nil {
			return err
		}
		p := Policy{
			ID: id, Owner: owner, Who: who, Client: n.Client, Rules: rules, Purposes: n.Purposes, NotAfter: n.Until,
			Origin: OriginShare, Label: cleanText(n.Label), Created: now,
		}
		if err := tx.PutPolicy(p); err != nil {
			return fmt.Errorf("store share: %w", err)
		}
		return s.tell(tx, now, shareEvent(EventShareCreated, p, requestID))
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// check judges what needs no store.
func (n *NewShare) check(owner AccountID, now time.Time) error {
	n.Who.Email = strings.ToLower(strings.TrimSpace(n.Who.Email))
	bad := func(text string) error { return fmt.Errorf("%w: %s", ErrBadAnswer, text) }
	switch {
	case !n.Until.IsZero() && !n.Until.After(now):
		return bad("the end lies in the past")
	case n.Who.Kind == WhoAccount && (n.Who.Account == "" || n.Who.Account == owner):
		return bad("name another person")
	case n.Who.Kind == WhoEmail && !isAddress(n.Who.Email):
		return bad("that is no e-mail address")
	case n.Who.Kind == WhoClaim && (n.Who.Claim.Name == "" || n.Who.Claim.Value == ""):
		return bad("a claim needs a name and a value")
	case n.Who.Kind == WhoClient && n.Who.Client == "":
		return bad("name an app")
	case len(n.Label) > maxText || len(n.Who.Name) > maxText:
		return bad("a text is too long")
	}
	for _, p := range n.Purposes {
		if !contains(purposes, p) {
			return bad("unknown purpose")
		}
	}
	for _, c := range n.Constraints {
		if c.Type != uma.ConstraintPeriod && c.Type != uma.ConstraintOnce && c.Type != uma.ConstraintQuery {
			return bad("unknown kind of limit")
		}
	}
	if err := checkConstraints(n.Constraints); err != nil {
		return bad(err.Error())
	}
	return nil
}

// isAddress keeps obvious mistakes out; whether the address exists is its owner's to prove.
func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && strings.Contains(domain, ".") && len(s) <= 254 && !strings.ContainsAny(s, " \t\r\n<>\"(),:;\\") &&
		!strings.Contains(domain, "@")
}

// party keeps the members of Who that belong to its kind, and checks that what must exist does.
func (n *NewShare) party(r Reader) (Who, error) {
	w := Who{Kind: n.Who.Kind, Name: cleanText(n.Who.Name)}
	if n.Client != "" {
		if _, err := r.Client(n.Client); err != nil {
			return Who{}, fmt.Errorf("app: %w", err)
		}
	}
	switch w.Kind {
	case WhoAccount:
		w.Account = n.Who.Account
		_, err := r.Account(w.Account)
		return w, err
	case WhoEmail:
		w.Email = n.Who.Email
	case WhoClaim:
		w.Claim = n.Who.Claim
	case WhoClient:
		w.Client = n.Who.Client
		c, err := r.Client(w.Client)
		if err == nil && c.Public() {
			err = fmt.Errorf("%w: that app cannot prove who it is, so it can act for people only", ErrBadAnswer)
		}
		return w, err
	default:
		return Who{}, fmt.Errorf("%w: say with whom", ErrBadAnswer)
	}
	return w, nil
}

// shareRules turns item ids into rules, set by set.
func (s *Service) shareRules(r Reader, owner AccountID, n NewShare) ([]Rule, error) {
	sets, err := s.shareable(r, owner)
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for id, items := range n.Items {
		if len(items) == 0 {
			continue
		}
		i := slices.IndexFunc(sets, func(v RecordView) bool { return v.Resource.ID == id })
		if i < 0 {
			return nil, ErrNotFound
		}
		more, err := chosen(sets[i:i+1], items)
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	if len(rules) == 0 {
		return nil, ErrNothingChosen
	}
	for i := range rules {
		rules[i].Constraints = both(rules[i].Constraints, n.Constraints)
	}
	slices.SortFunc(rules, func(a, b Rule) int {
		return strings.Compare(string(a.RS)+"\x00"+string(a.Resource)+constraintKey(a.Constraints), string(b.RS)+"\x00"+string(b.Resource)+constraintKey(b.Constraints))
	})
	return rules, nil
}
