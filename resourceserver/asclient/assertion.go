package asclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/umaas/uma"
)

const (
	privateKeyJWT = "private_key_jwt"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	assertionLife = time.Minute
)

// onlyKeys reports an authorization server that takes no shared secrets, such as one under the HEART profile (HEART UMA2
// §4.1.1): this resource server then registers a public key and keeps the private one.
func onlyKeys(m uma.Metadata) bool {
	list := m.TokenEndpointAuthMethodsSupported
	return contains(list, privateKeyJWT) && !contains(list, "client_secret_basic")
}

// newClientKey makes a P-256 key, as base64 of PKCS #8 and as the key set to register.
func newClientKey(random io.Reader) (key string, set json.RawMessage, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return "", nil, fmt.Errorf("make client key: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", nil, fmt.Errorf("make client key: %w", err)
	}
	key = base64.StdEncoding.EncodeToString(pkcs8)
	set, err = ClientKeySet(key)
	return key, set, err
}

// ClientKeySet is the public key set to register for a private key (base64 of PKCS #8, P-256 or RSA).
func ClientKeySet(key string) (json.RawMessage, error) {
	s, err := signerOf(key)
	if err != nil {
		return nil, err
	}
	public, err := jwk.FromRaw(s.key.Public())
	if err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	for name, value := range map[string]any{jwk.KeyIDKey: s.id, jwk.AlgorithmKey: s.alg, jwk.KeyUsageKey: jwk.ForSignature} {
		if err := public.Set(name, value); err != nil {
			return nil, fmt.Errorf("client key: %w", err)
		}
	}
	return json.Marshal(map[string]any{"keys": []any{public}})
}

// signer is a client's private key.
type signer struct {
	key crypto.Signer
	alg jwa.SignatureAlgorithm
	id  string // RFC 7638 thumbprint
}

func signerOf(key string) (signer, error) {
	pkcs8, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return signer{}, fmt.Errorf("client key: want base64 of PKCS #8")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return signer{}, fmt.Errorf("client key: want PKCS #8: %w", err)
	}
	var s signer
	switch k := parsed.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return signer{}, fmt.Errorf("client key: want P-256 or RSA")
		}
		s = signer{key: k, alg: jwa.ES256}
	case *rsa.PrivateKey:
		s = signer{key: k, alg: jwa.RS256}
	default:
		return signer{}, fmt.Errorf("client key: want P-256 or RSA")
	}
	public, err := jwk.FromRaw(s.key.Public())
	if err != nil {
		return signer{}, fmt.Errorf("client key: %w", err)
	}
	thumb, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return signer{}, fmt.Errorf("client key: %w", err)
	}
	s.id = base64.RawURLEncoding.EncodeToString(thumb)
	return s, nil
}

// authenticate puts this client's credentials into a token request: its secret, or a signed assertion for this request alone
// (RFC 7523 §3, HEART OAuth2 §2.2.2). An assertion is good once, so such a request is not repeated.
func (c *Client) authenticate(k *call, who Credentials, m uma.Metadata) error {
	if who.Key == "" {
		k.basic = [2]string{who.ClientID, who.ClientSecret}
		return nil
	}
	s, err := signerOf(who.Key)
	if err != nil {
		return err
	}
	var id [20]byte
	if _, err := io.ReadFull(c.cfg.Random, id[:]); err != nil {
		return fmt.Errorf("client assertion: %w", err)
	}
	now := c.cfg.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": who.ClientID, "sub": who.ClientID, "aud": m.TokenEndpoint, "jti": base64.RawURLEncoding.EncodeToString(id[:]),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return fmt.Errorf("client assertion: %w", err)
	}
	head := jws.NewHeaders()
	for name, value := range map[string]any{jws.KeyIDKey: s.id, jws.TypeKey: "JWT"} {
		if err := head.Set(name, value); err != nil {
			return fmt.Errorf("client assertion: %w", err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(s.alg, s.key, jws.WithProtectedHeaders(head)))
	if err != nil {
		return fmt.Errorf("client assertion: %w", err)
	}
	k.form.Set("client_id", who.ClientID)
	k.form.Set("client_assertion_type", assertionType)
	k.form.Set("client_assertion", string(signed))
	k.repeatable = false
	return nil
}
