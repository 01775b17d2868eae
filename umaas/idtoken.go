package umaas

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/keys"
)

// Identity scopes (OpenID Connect Core §5.4, §11; SMART App Launch, scopes for identity data).
const (
	scopeOpenID   = "openid"
	scopeProfile  = "profile"
	scopeFHIRUser = "fhirUser"
	scopeOffline  = "offline_access"
)

func isIdentityScope(s string) bool {
	return s == scopeOpenID || s == scopeProfile || s == scopeFHIRUser || s == scopeOffline
}

// identityScopes is the part of a grant's scope that is no resource scope, uma_protection and owner included.
func identityScopes(scope []string) []string {
	var out []string
	for _, s := range scope {
		if isIdentityScope(s) || s == scopeProtection || s == ScopeOwner {
			out = append(out, s)
		}
	}
	return out
}

// identity is what an ID token will say; alg is the client's choice.
type identity struct {
	alg    keys.Algorithm
	claims idClaims
}

// idClaims is OpenID Connect Core §2 with SMART's fhirUser.
type idClaims struct {
	Iss      string    `json:"iss"`
	Sub      AccountID `json:"sub"`
	Aud      ClientID  `json:"aud"`
	Azp      ClientID  `json:"azp"`
	Exp      int64     `json:"exp"`
	Iat      int64     `json:"iat"`
	AuthTime int64     `json:"auth_time"`
	AMR      []string  `json:"amr,omitempty"`
	ACR      string    `json:"acr,omitempty"`
	Nonce    string    `json:"nonce,omitempty"`
	Name     string    `json:"name,omitempty"`
	FHIRUser string    `json:"fhirUser,omitempty"`
}

const idTokenLife = 5 * time.Minute

// identityOf prepares the ID token of a code exchange. Claims beside the subject follow the scopes that were granted.
func (s *Service) identityOf(c Client, a Account, g Grant, nonce string, now time.Time) *identity {
	id := &identity{alg: keys.RS256, claims: idClaims{
		Iss: s.Issuer, Sub: a.ID, Aud: c.ID, Azp: c.ID, Exp: now.Add(idTokenLife).Unix(), Iat: now.Unix(), Nonce: nonce,
		AuthTime: g.AuthTime.Unix(), AMR: g.AMR, ACR: g.ACR,
	}}
	if c.IDTokenAlg == string(keys.ES256) {
		id.alg = keys.ES256
	}
	if contains(g.Scope, scopeProfile) {
		id.claims.Name = a.Name
	}
	if contains(g.Scope, scopeFHIRUser) {
		id.claims.FHIRUser = a.FHIRUser
	}
	return id
}

func (s *Service) signIDToken(id identity) (string, error) {
	payload, err := json.Marshal(id.claims)
	if err != nil {
		return "", fmt.Errorf("encode ID token: %w", err)
	}
	signed, err := s.Keys.Sign(id.alg, "JWT", payload)
	if err != nil {
		return "", fmt.Errorf("sign ID token: %w", err)
	}
	return signed, nil
}
