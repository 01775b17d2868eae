package umaas

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// Bounds of a client assertion.
const (
	assertionLife = 5 * time.Minute  // RFC 7523 §3, SEC-61
	clockSkew     = 30 * time.Second // for iat and nbf
	maxJTI        = 255
)

// assertionClaims is RFC 7523 §3.
type assertionClaims struct {
	Iss ClientID `json:"iss"`
	Sub ClientID `json:"sub"`
	Aud audience `json:"aud"`
	Exp int64    `json:"exp"`
	Iat int64    `json:"iat"`
	Nbf int64    `json:"nbf"`
	JTI string   `json:"jti"`
}

// audience reads aud: one string or several (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON takes both forms.
func (a *audience) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte{'"'}) {
		*a = audience{""}
		return json.Unmarshal(raw, &(*a)[0])
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// assertionSubject reads sub without any check: it tells which client's keys to verify with, and nothing else.
func assertionSubject(raw string) ClientID {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || len(raw) > maxJWT*4 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var c assertionClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return ""
	}
	return c.Sub
}

// verifyAssertion judges a private_key_jwt assertion and spends its jti. The audience is this issuer or its token endpoint:
// SMART clients name the latter. key is the thumbprint of the key that signed.
func (s *Service) verifyAssertion(ctx context.Context, c Client, raw string) (key string, err error) {
	v, err := keys.VerifyWith(c.JWKS, raw)
	if err != nil {
		return "", uma.ErrInvalidClient.Because(err)
	}
	var claims assertionClaims
	if err := json.Unmarshal(v.Payload, &claims); err != nil {
		return "", uma.ErrInvalidClient.Because(err)
	}
	now := s.Now()
	exp := time.Unix(claims.Exp, 0)
	var wrong string
	switch {
	case claims.Iss != c.ID || claims.Sub != c.ID:
		wrong = "iss and sub must be the client_id"
	case len(claims.Aud) != 1 || claims.Aud[0] != s.Issuer && claims.Aud[0] != s.Issuer+pathToken:
		wrong = "aud must be this issuer or its token endpoint, and nothing else"
	case claims.Exp == 0 || !now.Before(exp):
		wrong = "has expired"
	case exp.After(now.Add(assertionLife + clockSkew)):
		wrong = "exp is more than five minutes ahead"
	case claims.Nbf != 0 && time.Unix(claims.Nbf, 0).After(now.Add(clockSkew)), claims.Iat != 0 && time.Unix(claims.Iat, 0).After(now.Add(clockSkew)):
		wrong = "is not valid yet"
	case claims.JTI == "" || len(claims.JTI) > maxJTI:
		wrong = "jti must have 1 to 255 characters"
	}
	if wrong != "" {
		return "", uma.ErrInvalidClient.Because(fmt.Errorf("client assertion: %s", wrong))
	}
	// One use per client until it expires (SEC-61). It is spent even where the grant then fails: an assertion that was seen
	// is not worth keeping.
	err = s.Store.Update(ctx, func(tx Tx) error {
		return tx.Spend("assertion:"+string(c.ID), claims.JTI, now, exp.Add(clockSkew))
	})
	if errors.Is(err, ErrExists) {
		return "", uma.ErrInvalidClient.Because(errors.New("client assertion: jti was used before"))
	}
	if err != nil {
		return "", fmt.Errorf("spend assertion: %w", err)
	}
	return v.Key, nil
}
