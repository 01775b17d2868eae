package keys

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const maxJWS = 16 << 10

// Verified is a compact JWS whose signature holds. Claims are still to be judged by the caller.
type Verified struct {
	Payload []byte
	Type    string // typ of the header
	KeyID   string
	Key     string // RFC 7638 thumbprint of the key, from VerifyWith alone
}

// Verify checks a value this ring signed, with exactly the algorithm and typ given: what the value says about itself
// chooses nothing (RFC 8725 §3.1, §3.11).
func (r *Ring) Verify(raw string, alg Algorithm, typ string) (Verified, error) {
	if h, ok := r.proved.get(raw); ok && h.alg == jwa.SignatureAlgorithm(alg) && h.typ == typ {
		r.refresh()
		if k := r.state.Load().byID(h.kid); k != nil && k.Alg == alg {
			p, err := payload(raw)
			return Verified{Payload: p, Type: h.typ, KeyID: h.kid}, err
		}
	}
	h, err := readHeader(raw)
	if err != nil {
		return Verified{}, err
	}
	if h.alg != jwa.SignatureAlgorithm(alg) || h.typ != typ {
		return Verified{}, fmt.Errorf("%w: want %s with typ %s", ErrUntrusted, alg, typ)
	}
	r.refresh()
	k := r.state.Load().byID(h.kid)
	if k == nil && r.o.Now().Sub(r.state.Load().loaded) >= time.Second {
		// Another service may have rotated a moment ago.
		if err := r.Reload(r.life); err != nil {
			return Verified{}, fmt.Errorf("verify: %w", err)
		}
		k = r.state.Load().byID(h.kid)
	}
	if k == nil || k.Alg != alg {
		return Verified{}, fmt.Errorf("%w: unknown key", ErrUntrusted)
	}
	verified, err := jws.Verify([]byte(raw), jws.WithKey(jwa.SignatureAlgorithm(alg), k.public))
	if err != nil {
		return Verified{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	r.proved.put(raw, h)
	return Verified{Payload: verified, Type: h.typ, KeyID: h.kid}, nil
}

func (s *state) byID(id string) *key {
	for _, k := range s.keys {
		if k.ID == id && id != "" {
			return k
		}
	}
	return nil
}

type header struct {
	alg      jwa.SignatureAlgorithm
	typ, kid string
}

func readHeader(raw string) (header, error) {
	if len(raw) > maxJWS || strings.Count(raw, ".") != 2 {
		return header{}, fmt.Errorf("%w: not a compact JWS", ErrUntrusted)
	}
	m, err := jws.Parse([]byte(raw), jws.WithCompact())
	if err != nil || len(m.Signatures()) != 1 {
		return header{}, fmt.Errorf("%w: not a compact JWS", ErrUntrusted)
	}
	h := m.Signatures()[0].ProtectedHeaders()
	if len(h.Critical()) > 0 { // RFC 7515 §4.1.11
		return header{}, fmt.Errorf("%w: critical header members are not understood", ErrUntrusted)
	}
	return header{alg: h.Algorithm(), typ: h.Type(), kid: h.KeyID()}, nil
}

// assertionAlgs are what clients may sign with: asymmetric ones alone (RFC 7523 §3; SMART client-confidential-asymmetric
// asks for RS384 and ES384).
var assertionAlgs = [...]jwa.SignatureAlgorithm{jwa.ES256, jwa.ES384, jwa.RS256, jwa.RS384, jwa.PS256, jwa.PS384}

// AssertionAlgorithms lists the algorithms VerifyWith accepts.
func AssertionAlgorithms() []string {
	var out []string
	for _, a := range assertionAlgs {
		out = append(out, a.String())
	}
	return out
}

// VerifyWith checks a client's compact JWS with a key of its registered set. A kid is required where the set has more than
// one key of a fitting kind.
func VerifyWith(set []byte, raw string) (Verified, error) {
	h, err := readHeader(raw)
	if err != nil {
		return Verified{}, err
	}
	kind, ok := kindOf(h.alg)
	if !ok {
		return Verified{}, fmt.Errorf("%w: algorithm is not accepted", ErrUntrusted)
	}
	parsed, err := jwk.Parse(set)
	if err != nil {
		return Verified{}, fmt.Errorf("%w: registered key set: %w", ErrUntrusted, err)
	}
	var fitting []jwk.Key
	for i := range parsed.Len() {
		k, _ := parsed.Key(i)
		if k.KeyType() == kind && (h.kid == "" || k.KeyID() == h.kid) && mayVerify(k, h.alg) {
			fitting = append(fitting, k)
		}
	}
	if len(fitting) != 1 {
		return Verified{}, fmt.Errorf("%w: %d registered keys fit", ErrUntrusted, len(fitting))
	}
	payload, err := jws.Verify([]byte(raw), jws.WithKey(h.alg, fitting[0]))
	if err != nil {
		return Verified{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return Verified{Payload: payload, Type: h.typ, KeyID: h.kid, Key: thumbprint(fitting[0])}, nil
}

func kindOf(alg jwa.SignatureAlgorithm) (jwa.KeyType, bool) {
	for _, a := range assertionAlgs {
		if a == alg {
			if strings.HasPrefix(alg.String(), "ES") {
				return jwa.EC, true
			}
			return jwa.RSA, true
		}
	}
	return "", false
}

func mayVerify(k jwk.Key, alg jwa.SignatureAlgorithm) bool {
	if u := k.KeyUsage(); u != "" && u != "sig" {
		return false
	}
	return k.Algorithm() == nil || k.Algorithm().String() == "" || k.Algorithm().String() == alg.String()
}

// CheckKeySet says what is wrong with a key set a client registers: at least one key that VerifyWith can use, public keys
// only, RSA of 2048 bits or more, every kid once.
func CheckKeySet(set []byte) error {
	parsed, err := jwk.Parse(set)
	if err != nil {
		return fmt.Errorf("not a JSON Web Key Set")
	}
	if parsed.Len() == 0 || parsed.Len() > 20 {
		return fmt.Errorf("want 1 to 20 keys")
	}
	seen := map[string]bool{}
	for i := range parsed.Len() {
		k, _ := parsed.Key(i)
		if id := k.KeyID(); id != "" && seen[id] {
			return fmt.Errorf("a kid occurs twice")
		}
		seen[k.KeyID()] = true
		switch k := k.(type) {
		case jwk.ECDSAPublicKey:
			if c := k.Crv(); c != jwa.P256 && c != jwa.P384 {
				return fmt.Errorf("elliptic keys must be P-256 or P-384")
			}
		case jwk.RSAPublicKey:
			if len(k.N()) < 256 {
				return fmt.Errorf("RSA keys must have at least 2048 bits")
			}
		default:
			return fmt.Errorf("want public EC or RSA keys")
		}
	}
	return nil
}

// Encrypt seals a JSON value for a party that shares a 256-bit key with this server: a compact JWE with direct encryption
// and A256GCM (RFC 7518 §4.5, §5.3). OpenID Connect Core §10.2 derives such a key as SHA-256 of the client secret.
func Encrypt(key [32]byte, value any) (string, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	sealed, err := jwe.Encrypt(plain, jwe.WithKey(jwa.DIRECT, key[:]), jwe.WithContentEncryption(jwa.A256GCM))
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return string(sealed), nil
}
