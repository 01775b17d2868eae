package umaas

import (
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// PolicyID names one policy of an owner. It is never reused: a share given again after a withdrawal is a new policy, so
// that nothing old revives (SEC-35).
type PolicyID string

// Policy is one decision of an owner: who may have which scopes on which of her resources, with which app, for which
// purpose, until when. Consent to an app, an approved request and a share are all policies; they differ by Origin alone.
type Policy struct {
	ID         PolicyID
	Owner      AccountID
	Who        Who
	Client     ClientID // "" any app the party uses
	Rules      []Rule
	Purposes   []string  // empty: any
	NotAfter   time.Time // zero: no end
	Origin     Origin
	Request    Key       // the request it answers
	Label      string    // the owner's words
	By         AccountID // the delegate who made it, "" the owner herself
	Also       []Claim   // further claims the party must have, all of them (SEC-19)
	MinACR     string    // sign-in this policy asks for (step-up), "" any
	Terms      string    // what the party must agree to first, word by word; "" nothing
	BreakGlass bool      // counts in a declared emergency alone, and covers the scope btg (HEART FHIR-UMA2 §4.1)
	Invitation Key       // the invitation it came from
	Created    time.Time
	Revoked    time.Time // zero while in force
}

// Rule is what a policy gives on one resource. All constraints of a rule bind all its scopes.
type Rule struct {
	Resource    ResourceID
	RS          ClientID
	Scopes      []string
	Constraints []uma.Constraint
}

// Origin says how a policy came to be.
type Origin string

// The origins.
const (
	OriginConsent  Origin = "consent"  // the owner herself, for an app acting for her
	OriginApproval Origin = "approval" // the owner's answer to a request
	OriginShare    Origin = "share"    // given unasked
)

// WhoKind is the kind of a policy's party.
type WhoKind string

// Whom a policy can name. The zero kind names nobody.
const (
	WhoAccount WhoKind = "account" // an account of this server
	WhoEmail   WhoKind = "email"   // whoever proved this address
	WhoClaim   WhoKind = "claim"   // whoever holds this claim of this trusted issuer: organization, role, …
	WhoClient  WhoKind = "client"  // an app acting for itself
)

// Who names the party of a policy.
type Who struct {
	Kind    WhoKind
	Account AccountID
	Email   string
	Claim   Claim
	Client  ClientID
	Name    string // as the owner knows them, for her pages
}

// InForce reports whether the policy counts at a moment.
func (p Policy) InForce(now time.Time) bool {
	return p.Revoked.IsZero() && (p.NotAfter.IsZero() || now.Before(p.NotAfter))
}
