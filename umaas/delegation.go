package umaas

import "time"

// Delegation lets somebody act for an owner: a parent for a child, a holder of a role for an organization. It gives rights over
// the owner's sharing, never access to her data by itself.
type Delegation struct {
	Owner    AccountID
	ID       PolicyID // random, never reused
	Who      Who      // an account, or a claim such as a role
	Rights   []DelegatedRight
	Reason   string // in the words of who made it: "parent", "legal representative"
	By       AccountID
	NotAfter time.Time // zero: no end
	Created  time.Time
	Revoked  time.Time
}

// DelegatedRight is one thing a delegate may do.
type DelegatedRight string

// The rights.
const (
	MayAnswer  DelegatedRight = "answer"  // requests in the inbox
	MayShare   DelegatedRight = "share"   // make, narrow and stop shares
	MayHistory DelegatedRight = "history" // read it
)

// InForce reports whether the delegation counts at a moment.
func (d Delegation) InForce(now time.Time) bool {
	return d.Revoked.IsZero() && (d.NotAfter.IsZero() || now.Before(d.NotAfter))
}

// May reports a right that is in force.
func (d Delegation) May(right DelegatedRight, now time.Time) bool {
	if !d.InForce(now) {
		return false
	}
	for _, r := range d.Rights {
		if r == right {
			return true
		}
	}
	return false
}

// DelegationReader finds delegations.
type DelegationReader interface {
	Delegation(owner AccountID, id PolicyID) (Delegation, error)
	Delegations(owner AccountID, after PolicyID, limit int) ([]Delegation, error)
	// DelegatedTo lists delegations that name exactly one of the parties, revoked ones left out; it costs what it returns.
	DelegatedTo(parties []Who, limit int) ([]Delegation, error)
}

// DelegationWriter keeps them; a revoked one stays for the history.
type DelegationWriter interface {
	PutDelegation(d Delegation) error
}
