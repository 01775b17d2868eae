package umaas

import "time"

// AccountID names a person or an organization at this server. It is random and never reused.
type AccountID string

// AccountKind tells natural from legal persons (Grant §1.2: a resource owner may be either).
type AccountKind string

// The kinds of account.
const (
	KindPerson       AccountKind = "person"
	KindOrganization AccountKind = "organization"
)

// Role is a right of an account at this server.
type Role string

// RoleAdmin may use the administration commands and pages.
const RoleAdmin Role = "admin"

// Account is someone who can own resources or be a requesting party.
type Account struct {
	ID            AccountID
	Kind          AccountKind
	Login         string // unique, lower case
	Name          string
	Email         string // lower case; counts in policies only when verified
	EmailVerified bool
	PasswordHash  string // PHC string, "" when the account has no password
	FHIRUser      string // relative reference at the deployment's FHIR base, e.g. Patient/p1; the claim of the same name
	Claims        []Claim
	Roles         []Role
	Identities    []Identity // how trusted issuers know this person; each belongs to one account
	Disabled      bool
	Created       time.Time
}

// Has reports a role.
func (a Account) Has(role Role) bool {
	for _, r := range a.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Identity names a person at a trusted issuer: only both members together do (OpenID Connect Core §5.7). Somebody who came by
// pushed claims or by an upstream sign-in alone has an account with an identity and no login.
type Identity struct {
	Issuer  string
	Subject string
}

// Claim is a statement about a requesting party by an issuer. A claim counts only together with its issuer (HEART
// FHIR-UMA2 §3, SEC-20). Claims on an account are stated by this server itself.
type Claim struct {
	Issuer string
	Name   string // "org", "pro", "role", "email", …
	Value  string
}
