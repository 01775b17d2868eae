package conformance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// methodKey is client authentication by a signed assertion (OpenID Connect Core §9, RFC 7523 §2.2), the only one of HEART.
const methodKey = "private_key_jwt"

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Key is a client's key pair for assertions.
type Key struct{ private jwk.Key }

// NewKey makes a key pair for ES256 or RS256; "" is ES256.
func NewKey(alg string) (*Key, error) {
	var raw crypto.PrivateKey
	var err error
	if alg == "RS256" {
		raw, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		alg = "ES256"
		raw, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, fmt.Errorf("make a client's key: %w", err)
	}
	k, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("make a client's key: %w", err)
	}
	err = errors.Join(k.Set(jwk.AlgorithmKey, jwa.SignatureAlgorithm(alg)), k.Set(jwk.KeyUsageKey, jwk.ForSignature), jwk.AssignKeyID(k))
	if err != nil {
		return nil, fmt.Errorf("make a client's key: %w", err)
	}
	return &Key{k}, nil
}

// readKey reads a private key: a JWK (RFC 7517) or PEM, for ES256 or RS256.
func readKey(raw []byte) (*Key, error) {
	isPEM := bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN"))
	k, err := jwk.ParseKey(raw, jwk.WithPEM(isPEM))
	if err != nil {
		return nil, errors.New("no private key as a JWK or PEM") // the cause may quote it
	}
	var alg jwa.SignatureAlgorithm
	switch key := k.(type) {
	case jwk.ECDSAPrivateKey:
		if key.Crv() == jwa.P256 {
			alg = jwa.ES256
		}
	case jwk.RSAPrivateKey:
		alg = jwa.RS256
	}
	if alg == "" {
		return nil, errors.New("want a private key for ES256 (P-256) or RS256 (RSA)")
	}
	if err := k.Set(jwk.AlgorithmKey, alg); err != nil {
		return nil, err
	}
	return &Key{k}, nil
}

func (h ClientHow) readKey() (*Key, error) {
	raw, err := os.ReadFile(h.KeyFile)
	if err != nil {
		return nil, err
	}
	k, err := readKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.KeyFile, err)
	}
	return k, nil
}

// JWKS is the public half as a key set, for registration (RFC 7591 §2).
func (k *Key) JWKS() (map[string]any, error) {
	public, err := k.private.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("a client's public key: %w", err)
	}
	return map[string]any{"keys": []any{public}}, nil
}

// assertion signs an assertion of a client for an audience; each is of one use.
func (k *Key) assertion(client, audience, id string, now time.Time) (string, error) {
	payload, err := json.Marshal(map[string]any{
		"iss": client, "sub": client, "aud": audience, "jti": id, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	out, err := jws.Sign(payload, jws.WithKey(k.private.Algorithm(), k.private))
	return string(out), err
}

// asserts makes the client authenticate by assertions for the token endpoint. A key that cannot sign sends no assertion, and
// the server's refusal is seen where the request was made.
func (e *Env) asserts(c Client, k *Key) Client {
	c.asserted = func(_ http.Header, form url.Values) {
		form.Set("client_id", c.ID)
		if text, err := k.assertion(c.ID, e.Metadata.TokenEndpoint, e.Fresh("jti-"), e.now()); err == nil {
			form.Set("client_assertion_type", assertionType)
			form.Set("client_assertion", text)
		}
	}
	return c
}

// givenKey is the key of a client that the profile gives.
func (e *Env) givenKey(how ClientHow) (*Key, error) {
	if how.Key != nil {
		return how.Key, nil
	}
	return how.readKey()
}

// keyed adds a new key to the metadata of a registration that asks for private_key_jwt and brings no key of its own.
func (e *Env) keyed(m map[string]any) (*Key, error) {
	if m["token_endpoint_auth_method"] != methodKey || m["jwks"] != nil || m["jwks_uri"] != nil {
		return nil, nil
	}
	k, err := NewKey(e.Profile.Clients.Signing)
	if err != nil {
		return nil, err
	}
	m["jwks"], err = k.JWKS()
	return k, err
}
