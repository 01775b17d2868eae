package pop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Key is an app's DPoP key, ES256. Its methods are safe for concurrent use.
type Key struct {
	private    *ecdsa.PrivateKey
	head       string // the protected header, encoded: the same for every proof
	thumbprint string
	random     io.Reader
}

// NewKey makes a key. Whoever holds it and a token bound to it can use the token: keep it where it cannot be copied from.
func NewKey(random io.Reader) (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("make DPoP key: %w", err)
	}
	return KeyOf(private, random)
}

// KeyOf uses a P-256 key that exists.
func KeyOf(private *ecdsa.PrivateKey, random io.Reader) (*Key, error) {
	if private.Curve != elliptic.P256() {
		return nil, errors.New("DPoP key: want P-256")
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("DPoP key: %w", err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	jwk := `{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`
	sum := sha256.Sum256([]byte(jwk)) // RFC 7638 §3
	head := `{"typ":"` + proofType + `","alg":"ES256","jwk":` + jwk + `}`
	return &Key{
		private: private, random: random, head: base64.RawURLEncoding.EncodeToString([]byte(head)),
		thumbprint: base64.RawURLEncoding.EncodeToString(sum[:]),
	}, nil
}

// Thumbprint is what tokens are bound to: cnf.jkt (RFC 9449 §6.1) and dpop_jkt (§10).
func (k *Key) Thumbprint() string { return k.thumbprint }

// Statement is what one proof says.
type Statement struct {
	Method, URL string
	Token       string // the access token it comes with, "" at a token endpoint
	Nonce       string // as the server gave it last, "" none
	Now         time.Time
}

// Prove makes a proof for one request (RFC 9449 §4.2). Each call gives another one.
func (k *Key) Prove(s Statement) (string, error) {
	target, ok := Target(s.URL)
	if !ok {
		return "", errors.New("DPoP proof: want an http or https address")
	}
	var id [16]byte
	if _, err := io.ReadFull(k.random, id[:]); err != nil {
		return "", fmt.Errorf("DPoP proof: %w", err)
	}
	claims := struct {
		JTI   string `json:"jti"`
		HTM   string `json:"htm"`
		HTU   string `json:"htu"`
		IAT   int64  `json:"iat"`
		ATH   string `json:"ath,omitempty"`
		Nonce string `json:"nonce,omitempty"`
	}{JTI: base64.RawURLEncoding.EncodeToString(id[:]), HTM: s.Method, HTU: target, IAT: s.Now.Unix(), Nonce: s.Nonce}
	if s.Token != "" {
		claims.ATH = TokenHash(s.Token)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("DPoP proof: %w", err)
	}
	input := k.head + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(input))
	r, t, err := ecdsa.Sign(k.random, k.private, sum[:])
	if err != nil {
		return "", fmt.Errorf("DPoP proof: %w", err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	t.FillBytes(signature[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(signature[:]), nil
}
