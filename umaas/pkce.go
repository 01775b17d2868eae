package umaas

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/umaas/umaas/umaas/uma"
)

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// validVerifier is the syntax of code_verifier (RFC 7636 §4.1).
func validVerifier(v string) bool {
	return len(v) >= 43 && len(v) <= 128 && strings.Trim(v, unreserved) == ""
}

// challengeS256 reads code_challenge and code_challenge_method. S256 is the only method, and it must be named: the default
// of RFC 7636 §4.3 is plain, which protects nothing where the request can be read (O-025, O-026, SEC-64).
func challengeS256(f form) (string, error) {
	challenge, err := f.need("code_challenge")
	if err != nil {
		return "", err
	}
	if f.get("code_challenge_method") != "S256" {
		return "", uma.ErrInvalidRequest.With("code_challenge_method: want S256")
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil || len(sum) != sha256.Size {
		return "", uma.ErrInvalidRequest.With("code_challenge: want the base64url form of a SHA-256 hash, 43 characters")
	}
	return challenge, nil
}

// verifierMatches compares a verifier with the challenge it must fit, in constant time (RFC 7636 §4.6). An absent challenge
// matches nothing (O-022).
func verifierMatches(challenge, verifier string) bool {
	if challenge == "" || !validVerifier(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
