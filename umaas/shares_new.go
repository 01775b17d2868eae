package umaas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas/uma"
)

// NewShare is what an owner gives unasked. Items are ids of Shareable, Rules the same for programs; one of the two is there.
// Constraints bind all of it.
type NewShare struct {
	Who         Who
	Client      ClientID // "" any app
	Items       map[ResourceID][]string
	Rules       []Rule
	Constraints []uma.Constraint
	Until       time.Time // zero: no end
	Purposes    []string  // empty: any
	Label       string
	Also        []Claim // further claims the party must have, all of them
	MinACR      string  // sign-in asked for, "" any
	Terms       string  // what the party must agree to first, word by word
	BreakGlass  bool    // counts in a declared emergency alone (HEART FHIR-UMA2 §4.1)
}

// CreateShare stores what an owner gives unasked.
func (s *Service) CreateShare(ctx context.Context, owner AccountID, n NewShare, requestID string) (PolicyID, error) {
	return s.Acting(owner, owner).CreateShare(ctx, n, requestID)
}

// CreateShare stores what an owner gives unasked. Every item must be one of her own sets' (SEC-40). Whether an address has an
// account is never told (SEC-44). Errors: ErrBadAnswer, ErrNothingChosen, ErrNotFound, ErrOwnInterest.
func (a Acting) CreateShare(ctx context.Context, n NewShare, requestID string) (PolicyID, error) {
	made, _, err := a.CreateShares(ctx, []NewShare{n}, requestID)
	if err != nil {
		return "", err
	}
	return made[0], nil
}

// CheckShare tells what CreateShare would make of a share, and stores nothing. The policy has no id.
func (a Acting) CheckShare(ctx context.Context, n NewShare) (ShareView, error) {
	now := a.s.Now()
	if err := n.prepare(a.s, a.owner, now); err != nil {
		return ShareView{}, err
	}
	var v ShareView
	err := a.s.Store.View(ctx, func(r Reader) error {
		p, err := a.sharePolicy(r, n, now)
		if err != nil {
			return err
		}
		v, err = a.s.shareView(r, &directory{reader: r}, p, use{})
		return err
	})
	return v, err
}

// sharePolicy is the policy a share becomes, without id, after everything that needs the store was judged.
func (a Acting) sharePolicy(r Reader, n NewShare, now time.Time) (Policy, error) {
	if err := a.may(r, guardShares); err != nil {
		return Policy{}, err
	}
	if _, err := r.Account(a.owner); err != nil {
		return Policy{}, err
	}
	if err := a.disinterested(r, n.Who); err != nil {
		return Policy{}, err
	}
	who, err := n.party(r)
	if err != nil {
		return Policy{}, err
	}
	rules, err := a.s.shareRules(r, a.owner, n)
	if err != nil {
		return Policy{}, err
	}
	return Policy{
		Owner: a.owner, Who: who, Client: n.Client, Rules: rules, Purposes: n.Purposes, NotAfter: n.Until, Origin: OriginShare,
		Label: cleanText(n.Label), By: a.by(), Also: n.Also, MinACR: n.MinACR, Terms: n.Terms, BreakGlass: n.BreakGlass, Created: now,
	}, nil
}

// Bounds of the words of a share.
const (
	maxAlso  = 8
	maxTerms = 4000 // bytes
	maxACR   = 255
)

// prepare brings a share into its one form and judges what needs no store.
func (n *NewShare) prepare(s *Service, owner AccountID, now time.Time) error {
	n.Who.Email = strings.ToLower(strings.TrimSpace(n.Who.Email))
	n.Who.Claim = s.statedBy(n.Who.Claim) // a claim without issuer is nobody's (SEC-20)
	n.Also = slices.Clone(n.Also)
	for i, c := range n.Also {
		n.Also[i] = s.statedBy(c)
	}
	n.Terms = strings.TrimSpace(n.Terms)
	return n.check(owner, now)
}

func (n *NewShare) check(owner AccountID, now time.Time) error {
	bad := func(text string) error { return fmt.Errorf("%w: %s", ErrBadAnswer, text) }
	if err := n.checkWho(owner); err != nil {
		return err
	}
	switch {
	case !n.Until.IsZero() && !n.Until.After(now):
		return bad("the end lies in the past")
	case len(n.Label) > maxText || len(n.Who.Name) > maxText || len(n.Terms) > maxTerms || len(n.MinACR) > maxACR:
		return bad("a text is too long")
	case !plainText(n.Terms) || strings.ContainsFunc(n.MinACR, unfit):
		return bad("the terms or the sign-in asked for hold characters that nobody can read")
	case n.BreakGlass && n.Who.Kind != WhoClaim:
		return bad("emergency access is for those a trusted issuer calls emergency staff: name a claim")
	case len(n.Also) > maxAlso:
		return bad(fmt.Sprintf("at most %d further claims", maxAlso))
	case len(n.Items) > 0 && len(n.Rules) > 0:
		return bad("give items or rules, not both")
	}
	for _, c := range n.Also {
		if c.Name == "" || c.Value == "" || !sound(c) {
			return bad("a further claim needs a name and a value")
		}
	}
	for _, p := range n.Purposes {
		if !contains(purposes, p) {
			return bad("unknown purpose")
		}
	}
	if err := checkLimits(n.Constraints); err != nil {
		return bad(err.Error())
	}
	for _, r := range n.Rules {
		if err := checkLimits(r.Constraints); err != nil {
			return bad(err.Error())
		}
	}
	return nil
}

// checkLimits takes the constraints an owner may set: those that this project's resource servers know.
func checkLimits(list []uma.Constraint) error {
	for _, c := range list {
		if c.Type != uma.ConstraintPeriod && c.Type != uma.ConstraintOnce && c.Type != uma.ConstraintQuery {
			return errors.New("unknown kind of limit")
		}
	}
	return checkConstraints(list)
}

// checkWho judges the party of a share by itself. Everything in it is compared whole: there are no wildcards (SEC-41).
func (n *NewShare) checkWho(owner AccountID) error {
	bad := func(text string) error { return fmt.Errorf("%w: %s", ErrBadAnswer, text) }
	switch w := n.Who; {
	case w.Kind == WhoAccount && (w.Account == "" || w.Account == owner):
		return bad("name another person")
	case w.Kind == WhoEmail && !isAddress(w.Email):
		return bad("that is no e-mail address")
	case w.Kind == WhoClaim && (w.Claim.Name == "" || w.Claim.Value == "" || !sound(w.Claim)):
		return bad("a claim needs a name and a value")
	case w.Kind == WhoClient && w.Client == "":
		return bad("name an app")
	}
	return nil
}

// sound claims have readable members of bounded length.
func sound(c Claim) bool {
	for _, text := range []string{c.Issuer, c.Name, c.Value} {
		if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return false
		}
	}
	return true
}

// plainText is text of several lines without control or direction marks (pages.md IX-04).
func plainText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '\n' && r != '\r' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
	})
}

// isAddress keeps obvious mistakes out; whether the address exists is its owner's to prove.
func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && strings.Contains(domain, ".") && len(s) <= 254 && !strings.ContainsAny(s, " \t\r\n<>\"(),:;\\*") &&
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
