package resourceserver

import (
	"context"
	"time"
)

// This file is who guards what is a person's: an account of hers at an authorization server. Without a word it is the one
// she signs in with here, her home account. She may name another one, at a server of her choice (FedAuthz §3, F-024,
// HEART UMA2 §4.1). Then that account owns record(p) and her access sets, her home account owns none, and every permission
// given at the old server ends in the moment of the switch, because standing is looked up at each use.

// Guard says which account guards what is a person's, where that is not her home account.
type Guard struct {
	Home  string // User.Key of the person
	Owner Owner  // the account that guards: UserKey of issuer and subject there
	Since time.Time
}

// Switch is the one step from one guard to another. Afterwards To guards, and Record is what the patient's record is
// registered as: the mapping of any other holder has ended, and its set is due for removal.
type Switch struct {
	Home   string
	From   Owner // who must guard now, or nothing happens: ErrBusy
	To     Owner // with User equal to Home: back to her home account
	Since  time.Time
	Record Registration
}

// Standing is what this server knows, at one moment, of an account and a patient. The zero value refuses.
type Standing struct {
	Person string // User.Key of the person whose account it is, "" unknown
	Guards bool   // the account is the one that guards what is hers now
	// Bound holds where the record's owner decides at the same authorization server, or is the same person, or the
	// custodian: the decision on the set is hers already. Otherwise nothing but Leave speaks for her.
	Bound bool
	Leave bool // the record's owner lets this person in although they have different authorization servers
}

// May reports whether permissions on the account's sets count for the patient at all.
func (s Standing) May() bool { return s.Person != "" && s.Guards && (s.Bound || s.Leave) }

// Guards keeps who guards what. Every method is one atomic decision.
type Guards interface {
	// GuardOf finds the account that guards what is a person's. ErrNotKept: her home account.
	GuardOf(ctx context.Context, home string) (Guard, error)
	// HomeOf finds the person whose account was linked. ErrNotKept: nobody's.
	HomeOf(ctx context.Context, account string) (string, error)
	// LinkAccount makes an account a person's, so that it can guard. ErrTaken where it is another person's already: her
	// guard, or her home account.
	// The account's authorization server is known from then on (IssuerTable).
	LinkAccount(ctx context.Context, account Owner, home string) error
	// UnlinkAccount ends that, and with the last account there its authorization server is known no more. ErrBusy while the
	// account guards.
	UnlinkAccount(ctx context.Context, account string) error
	// SwitchGuard makes the step. Before it the old guard is in force, after it the new one; there is nothing between.
	SwitchGuard(ctx context.Context, s Switch) error
	// Standing reads everything a use depends on, of one moment.
	Standing(ctx context.Context, account, patient string) (Standing, error)
	// PutLeave and DropLeave keep the word of whoever holds a patient's record about a person who comes through another
	// authorization server. It ends with the holder: another person who holds the record later has not said it.
	PutLeave(ctx context.Context, patient, holder, person string) error
	DropLeave(ctx context.Context, patient, holder, person string) error
	Leaves(ctx context.Context, patient, holder string) ([]string, error)
}

// KnownIssuer is an authorization server at which somebody has an account that is linked here.
type KnownIssuer struct {
	Issuer string
	Linked int // accounts
}

// IssuerTable reads the authorization servers patients have brought. One is known as long as an account there is linked.
type IssuerTable interface {
	KnownIssuer(ctx context.Context, issuer string) (KnownIssuer, error)
	// KnownIssuers lists them in a fixed order after one of them.
	KnownIssuers(ctx context.Context, after string, limit int) ([]KnownIssuer, error)
}
