package umaas

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Acting is somebody at work on one owner's sharing: the owner herself, or a delegate who switched to her. The owner is an
// explicit argument of Service.Acting and never taken from a session, so that two tabs cannot mix two people. Each method
// asks may before it reads or writes anything; what may refuses looks as if it was not there (SEC-40, SEC-43). Only
// Service.Acting makes one.
type Acting struct {
	s            *Service
	actor, owner AccountID
}

// Acting is actor at work on owner's sharing; equal ids are the owner herself. Nothing is judged yet.
func (s *Service) Acting(actor, owner AccountID) Acting {
	return Acting{s: s, actor: actor, owner: owner}
}

// Actor is who acts.
func (a Acting) Actor() AccountID { return a.actor }

// Owner is whose sharing it is.
func (a Acting) Owner() AccountID { return a.owner }

// by is how records name a delegate: "" is the owner herself.
func (a Acting) by() AccountID {
	if a.actor == a.owner {
		return ""
	}
	return a.actor
}

// What each class of records asks of a delegate. ownerOnly is no right that can be given: nobody passes delegation on.
const (
	guardShares                     = MayShare
	guardInvitations                = MayShare
	guardRequests                   = MayAnswer
	guardHistory                    = MayHistory
	ownerOnly        DelegatedRight = ""
)

// ErrOwnInterest refuses a delegate who would give herself something: acting for somebody is no access to her data.
var ErrOwnInterest = errors.New("somebody who acts for another person cannot give herself access")

// may is the one authorization function of the owner's side (SEC-43): the owner may do all of it, a delegate what a
// delegation in force gives her. ErrNotFound for everybody else.
func (a Acting) may(r Reader, right DelegatedRight) error {
	if a.owner == "" || a.actor == "" {
		return ErrNotFound
	}
	if a.actor == a.owner {
		return nil
	}
	if right == ownerOnly {
		return ErrNotFound
	}
	rights, err := a.s.delegatedRights(r, a.actor, a.owner, a.s.Now())
	if err != nil {
		return err
	}
	if !slices.Contains(rights, right) {
		return ErrNotFound
	}
	return nil
}

// delegatedRights are the rights somebody has over another owner's sharing now. Both accounts must be enabled.
func (s *Service) delegatedRights(r Reader, actor, owner AccountID, now time.Time) ([]DelegatedRight, error) {
	for _, id := range []AccountID{actor, owner} {
		account, err := r.Account(id)
		if gone, err := absent(err); err != nil {
			return nil, fmt.Errorf("read account: %w", err)
		} else if gone || account.Disabled {
			return nil, nil
		}
	}
	account, err := r.Account(actor)
	if err != nil {
		return nil, fmt.Errorf("read account: %w", err)
	}
	all, err := delegationsOf(r, owner)
	if err != nil {
		return nil, err
	}
	var rights []DelegatedRight
	for _, d := range all {
		if !d.InForce(now) || d.Owner != owner || !s.means(d.Who, account) {
			continue
		}
		for _, right := range []DelegatedRight{MayAnswer, MayShare, MayHistory} {
			if d.May(right, now) && !slices.Contains(rights, right) {
				rights = append(rights, right)
			}
		}
	}
	return rights, nil
}

// means reports whether a delegation or an invitation means this account, by the rules of policies.
func (s *Service) means(w Who, account Account) bool {
	return w.Kind != WhoClient && requester{account: s.ownWord(account)}.is(w)
}

// disinterested refuses what would give the delegate herself something. What she comes to hold only later is refused by the
// assessment: a policy made by a delegate never counts for that delegate.
func (a Acting) disinterested(r Reader, w Who) error {
	if a.by() == "" {
		return nil
	}
	account, err := r.Account(a.actor)
	if err != nil {
		return err
	}
	if a.s.means(w, account) {
		return ErrOwnInterest
	}
	if w.Kind == WhoClient {
		c, err := r.Client(w.Client)
		if gone, err := absent(err); gone || err != nil {
			return err
		}
		if c.Account == a.actor {
			return ErrOwnInterest
		}
	}
	return nil
}

// Effect tells when something that ends access counts: at once at this server, and at every resource server not later than
// Within after At.
type Effect struct {
	At     time.Time
	Within time.Duration
}

// withdrawalBound is the longest a resource server uses what it heard before, when it hears no more of this server (decisions
// 4). Otherwise the feed tells it at once.
const withdrawalBound = 2 * time.Second

// Stopped tells when a stopped policy ceased to count; the zero Effect for one that is not stopped.
func (p Policy) Stopped() Effect {
	if p.Revoked.IsZero() {
		return Effect{}
	}
	return effectAt(p.Revoked)
}

func effectAt(now time.Time) Effect { return Effect{At: now, Within: withdrawalBound} }

// Words puts an effect into a sentence for its owner.
func (e Effect) Words() string {
	return fmt.Sprintf("In effect since %s. Every place that holds your record follows within %s.", e.At.UTC().Format("2006-01-02 15:04:05 MST"), span(e.Within))
}

func span(d time.Duration) string {
	switch {
	case d <= time.Second:
		return "a second"
	default:
		return fmt.Sprintf("%d seconds", int((d+time.Second-1)/time.Second))
	}
}
