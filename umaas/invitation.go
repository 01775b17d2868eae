package umaas

import "time"

// Invitation is a share with somebody who has no account yet (SEC-45). It names an address or a claim of a trusted issuer, is
// good once and for seven days, shows nothing before its holder proved to be meant, and becomes a policy then.
type Invitation struct {
	Key      Key
	Secret   SecretHash
	Owner    AccountID
	By       AccountID // the delegate who made it, "" the owner herself
	Policy   Policy    // what it becomes, without ID; Who names the address or the claim to prove
	Accepted time.Time
	Account  AccountID // who accepted
	Revoked  time.Time
	Created  time.Time
	Expires  time.Time // of the record; the invitation itself ends at Until
	Until    time.Time
}

// InvitationReader finds invitations.
type InvitationReader interface {
	Invitation(key Key, now time.Time) (Invitation, error)
	Invitations(owner AccountID, before Key, limit int) ([]Invitation, error) // newest first
}

// InvitationWriter keeps them.
type InvitationWriter interface {
	PutInvitation(i Invitation) error
}
