package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// key is one signing key. The exported fields are its stored form.
type key struct {
	ID      string    `json:"kid"` // RFC 7638 thumbprint
	Alg     Algorithm `json:"alg"`
	State   State     `json:"state"`
	Created time.Time `json:"created"`
	Since   time.Time `json:"since"`
	PKCS8   []byte    `json:"pkcs8"`

	private crypto.Signer
	public  jwk.Key
	headers map[string]string // prepared protected headers by typ; never written after the key is made
}

// The types this server signs; their headers are prepared once per key.
var knownTypes = [...]string{"JWT", "at+jwt"}

func newKey(alg Algorithm, s State, private crypto.Signer, now time.Time) (*key, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	k := &key{Alg: alg, State: s, Created: now.UTC(), Since: now.UTC(), PKCS8: der}
	return k, k.prepare()
}

// prepare derives everything that is not stored. It fails unless the key fits its algorithm.
func (k *key) prepare() error {
	parsed, err := x509.ParsePKCS8PrivateKey(k.PKCS8)
	if err != nil {
		return fmt.Errorf("stored key: %w", err)
	}
	switch private := parsed.(type) {
	case *ecdsa.PrivateKey:
		k.private = private
		if k.Alg != ES256 || private.Curve.Params().BitSize != 256 {
			return errors.New("stored key: an elliptic key must be P-256 for ES256")
		}
	case *rsa.PrivateKey:
		k.private = private
		if k.Alg != RS256 || private.N.BitLen() < 2048 {
			return errors.New("stored key: an RSA key must have 2048 bits for RS256")
		}
	default:
		return errors.New("stored key: unknown kind")
	}
	if k.public, err = jwk.FromRaw(k.private.Public()); err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	thumb, err := k.public.Thumbprint(crypto.SHA256)
	if err != nil {
		return fmt.Errorf("key thumbprint: %w", err)
	}
	k.ID = base64.RawURLEncoding.EncodeToString(thumb)
	for name, value := range map[string]any{
		jwk.KeyIDKey: k.ID, jwk.AlgorithmKey: jwa.SignatureAlgorithm(k.Alg), jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := k.public.Set(name, value); err != nil {
			return fmt.Errorf("public key %s: %w", name, err)
		}
	}
	k.headers = make(map[string]string, len(knownTypes))
	for _, typ := range knownTypes {
		k.headers[typ] = k.makeHeader(typ)
	}
	return nil
}

func (k *key) header(typ string) string {
	if h, ok := k.headers[typ]; ok {
		return h
	}
	return k.makeHeader(typ)
}

func (k *key) makeHeader(typ string) string {
	h, err := json.Marshal(struct {
		Alg Algorithm `json:"alg"`
		Typ string    `json:"typ,omitempty"`
		Kid string    `json:"kid"`
	}{k.Alg, typ, k.ID})
	if err != nil {
		return "" // strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(h)
}

func (k *key) signatureSize() int {
	if k.Alg == RS256 {
		return 256
	}
	return 64
}

// The first byte of the stored value tells its form; its meaning never changes.
const (
	formClear  = 1
	formSealed = 2
)

type stored struct {
	Keys []*key `json:"keys"`
}

// load reads the storage into a fresh state; the caller holds the loading lock (or is Open).
func (r *Ring) load(ctx context.Context) error {
	raw, err := r.o.Storage.Load(ctx)
	if err != nil {
		return fmt.Errorf("load keys: %w", err)
	}
	now := r.o.Now()
	if old := r.state.Load(); old != nil && bytes.Equal(old.raw, raw) {
		same := *old
		same.loaded = now
		r.state.Store(&same)
		return nil
	}
	s := &state{raw: raw, loaded: now}
	if len(raw) > 0 {
		if s.keys, err = r.unseal(raw); err != nil {
			return err
		}
	}
	set := jwk.NewSet()
	for _, k := range s.keys {
		if err := set.AddKey(k.public); err != nil {
			return fmt.Errorf("key set: %w", err)
		}
	}
	if s.jwks, err = json.Marshal(set); err != nil {
		return fmt.Errorf("key set: %w", err)
	}
	r.state.Store(s)
	return nil
}

func (r *Ring) seal(keys []*key) ([]byte, error) {
	plain, err := json.Marshal(stored{Keys: keys})
	if err != nil {
		return nil, fmt.Errorf("encode keys: %w", err)
	}
	if r.o.Seal == nil {
		return append([]byte{formClear}, plain...), nil
	}
	aead, err := newAEAD(r.o.Seal)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := io.ReadFull(r.o.Random, nonce); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	out := append([]byte{formSealed}, nonce...)
	return aead.Seal(out, nonce, plain, []byte{formSealed}), nil
}

func (r *Ring) unseal(raw []byte) ([]*key, error) {
	body := raw[1:]
	switch raw[0] {
	case formClear:
		if r.o.Seal != nil {
			return nil, errors.New("load keys: the stored keys are not encrypted but a key-encryption key is configured; remove it, or start with an empty key store")
		}
	case formSealed:
		if r.o.Seal == nil {
			return nil, errors.New("load keys: the stored keys are encrypted; configure the key-encryption key they were made with")
		}
		aead, err := newAEAD(r.o.Seal)
		if err != nil {
			return nil, err
		}
		if len(body) < aead.NonceSize() {
			return nil, errors.New("load keys: the stored value is cut short")
		}
		if body, err = aead.Open(nil, body[:aead.NonceSize()], body[aead.NonceSize():], raw[:1]); err != nil {
			return nil, errors.New("load keys: the key-encryption key does not open the stored keys")
		}
	default:
		return nil, fmt.Errorf("load keys: form %d is unknown; was a newer version used on this store?", raw[0])
	}
	var s stored
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	for _, k := range s.Keys {
		if err := k.prepare(); err != nil {
			return nil, err
		}
	}
	return s.Keys, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %w", err)
	}
	return aead, nil
}
