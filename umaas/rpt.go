package umaas

import (
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// GrantKind tells through which door a grant was given.
type GrantKind string

// The kinds of grant.
const (
	GrantRPT   GrantKind = "rpt"   // the uma-ticket grant
	GrantOAuth GrantKind = "oauth" // authorization code or client credentials
	GrantPAT   GrantKind = "pat"   // an OAuth grant whose scope is uma_protection (FedAuthz §1.2)
)

// Grant is what was decided, once; tokens point to it. A grant is live while it is not revoked or spent, its client, party
// and owner are enabled, and every permission still rests on a policy in force. Effective scopes are the granted ones
// intersected with what those policies give now, so a narrowed or withdrawn policy reaches live tokens at once and a
// widened one adds nothing (Grant §3.6, G-102, G-133, SEC-32, SEC-35).
type Grant struct {
	Key         Key
	Kind        GrantKind
	Client      ClientID
	Party       AccountID // requesting party (RPT), signed-in person (OAuth), resource owner (PAT); "" client alone
	Owner       AccountID // RPT: resource owner; PAT: the same as Party
	RS          ClientID  // RPT: the one resource server it is good at
	Permissions []Granted
	Scope       []string // OAuth and PAT
	Audience    []string
	Process     Key
	Once        bool
	Spent       time.Time
	Revoked     time.Time
	AuthTime    time.Time
	AMR         []string // how the party signed in (RFC 8176)
	ACR         string
	Claims      []Claim      // what trusted issuers stated about the party; each counts while its issuer is trusted (SEC-17)
	Confirm     Confirmation // every token of the grant is bound to this key
	BreakGlass  bool         // given in an emergency the party declared; told to the owner first
	Purpose     string       // purpose of use the party stated
	Created     time.Time
	Expires     time.Time // end of the grant; refresh tokens do not outlive it
}

// Granted is one permission of a grant with the policies that carry it. Base names the standing right under it (a
// derived_from set): its policies must carry the scopes too.
type Granted struct {
	Resource    ResourceID
	Scopes      []string
	Constraints []uma.Constraint
	Policies    []PolicyID
	Expires     time.Time // zero: the grant's
	Base        *Base
}

// Base is the record set a (user, patient)-level permission rests on, with the record owner's policies for the user.
type Base struct {
	Owner    AccountID
	RS       ClientID
	Resource ResourceID
	Policies []PolicyID
}

// TokenKind is what a stored token is.
type TokenKind string

// The kinds of token.
const (
	TokenAccess  TokenKind = "access"
	TokenRefresh TokenKind = "refresh"
)

// Token is an access or refresh token of a grant. Refresh tokens rotate; a used one stays, marked, until it expires, so that
// a replay revokes the grant (SEC-109).
type Token struct {
	Key     Key
	Secret  SecretHash
	Kind    TokenKind
	Grant   Key
	Client  ClientID
	Used    time.Time
	Created time.Time
	Expires time.Time
}

// Code is an authorization code (RFC 6749 §4.1.2), bound to client, redirect URI and PKCE challenge. A used one stays
// until it expires, so that a replay revokes what it gave (RFC 6749 §4.1.2, SEC-104).
type Code struct {
	Key         Key
	Secret      SecretHash
	Client      ClientID
	RedirectURI string
	Challenge   string
	Nonce       string
	Grant       Key    // already stored, not yet given out
	JKT         string // thumbprint of the DPoP key the request was bound to (RFC 9449 §10)
	Used        time.Time
	Expires     time.Time
}
