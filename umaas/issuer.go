package umaas

import "time"

// TrustedIssuer is somebody whose word about people counts here, and for what (Grant §5.7). There is no trust without such a
// record: an issuer that is only named in a token is never asked for keys (SEC-16). Trust is looked up at every use, so
// disabling ends sign-ins, pushed claims, PCTs and grants that rest on it at once (SEC-17).
type TrustedIssuer struct {
	Issuer       string // exactly as in iss
	Name         string // as people know it
	Uses         []IssuerUse
	Claims       []string // claim names it is believed for: org, pro, email, er, fhirUser, role, … (SEC-20)
	EmailDomains []string // domains it is canonical for: an address in one of them identifies a person here (SEC-20)
	Algorithms   []string // JWS algorithms, asymmetric ones alone (SEC-15); empty: ES256 and RS256
	JWKSURI      string   // where its keys are, "" they stand in JWKS
	JWKS         []byte
	Audience     string // of its tokens for us; "" our issuer identifier
	// ClientAudience: its tokens for one of our clients count when that client pushes them: the issuer and this server share
	// their clients (closely bound, SEC-14).
	ClientAudience bool
	ClientID       string // sign-in: us as its client
	ClientSecret   []byte // sealed, nil for a public client
	Endpoints      IssuerEndpoints
	ACRs           []string // acr values of it that count as ours for step-up
	Disabled       bool
	InFile         bool // it came from the configuration file, which wins over commands
	Dropped        bool // Disabled since the file stopped naming it; ends when the file does again
	Created        time.Time
}

// IssuerEndpoints are the addresses found when the issuer was configured; they are never taken from a token.
type IssuerEndpoints struct {
	Authorization string
	Token         string
	UserInfo      string
}

// IssuerUse is what an issuer is trusted for.
type IssuerUse string

// The uses.
const (
	UseIDToken          IssuerUse = "id-token"          // pushed OpenID Connect ID Tokens
	UseClaims           IssuerUse = "claims"            // pushed JWTs with claims about a subject
	UsePermissionTicket IssuerUse = "permission-ticket" // SMART Permission Tickets
	UseSignIn           IssuerUse = "sign-in"           // people sign in there
)

// Trusts reports a use of an issuer that is in force.
func (i TrustedIssuer) Trusts(use IssuerUse) bool {
	if i.Disabled || i.Issuer == "" {
		return false
	}
	for _, u := range i.Uses {
		if u == use {
			return true
		}
	}
	return false
}

// IssuerReader finds trusted issuers.
type IssuerReader interface {
	TrustedIssuer(issuer string) (TrustedIssuer, error)
	TrustedIssuers(after string, limit int) ([]TrustedIssuer, error)
}

// IssuerWriter keeps them.
type IssuerWriter interface {
	PutTrustedIssuer(i TrustedIssuer) error
	DeleteTrustedIssuer(issuer string) error
}
