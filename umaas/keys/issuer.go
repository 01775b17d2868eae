package keys

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Sealed is a compact JWS that nobody has verified: what it says of itself, good for nothing but to look up who may have
// signed it.
type Sealed struct {
	Alg, Type, KeyID string
	Payload          []byte
}

// Peek takes a compact JWS apart without believing it. A header that carries a key or points to one (RFC 7515 §4.1.2,
// §4.1.3, §4.1.5, §4.1.6), has critical members (§4.1.11) or announces a nested token (RFC 7519 §5.2) is refused, as is one
// that names a member twice: what is not read cannot mislead (SEC-12, SEC-15).
func Peek(raw string) (Sealed, error) {
	parts := strings.Split(raw, ".")
	if len(raw) > maxJWS || len(parts) != 3 || parts[2] == "" {
		return Sealed{}, fmt.Errorf("%w: not a compact JWS of at most %d bytes", ErrUntrusted, maxJWS)
	}
	strict := base64.RawURLEncoding.Strict()
	head, err := strict.DecodeString(parts[0])
	if err != nil {
		return Sealed{}, fmt.Errorf("%w: header is not base64url", ErrUntrusted)
	}
	payload, err := strict.DecodeString(parts[1])
	if err != nil {
		return Sealed{}, fmt.Errorf("%w: payload is not base64url", ErrUntrusted)
	}
	members, err := Members(head)
	if err != nil {
		return Sealed{}, fmt.Errorf("%w: header: %w", ErrUntrusted, err)
	}
	for _, name := range []string{"jwk", "jku", "x5u", "x5c", "crit", "b64", "cty", "zip", "enc"} {
		if _, has := members[name]; has {
			return Sealed{}, fmt.Errorf("%w: header member %s is not accepted", ErrUntrusted, name)
		}
	}
	s := Sealed{Payload: payload}
	for name, to := range map[string]*string{"alg": &s.Alg, "typ": &s.Type, "kid": &s.KeyID} {
		if v, has := members[name]; has {
			if err := json.Unmarshal(v, to); err != nil {
				return Sealed{}, fmt.Errorf("%w: header member %s is no text", ErrUntrusted, name)
			}
		}
	}
	return s, nil
}

// Members reads a JSON object by exact names, each once: encoding/json would take "SUB" for "sub", and the last of two.
func Members(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object")
		}
		if _, twice := out[name]; twice {
			return nil, errors.New("a member is named twice")
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, errors.New("not a JSON object")
		}
		out[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return out, nil
}

// IssuerAlgorithms are those a trusted issuer can be configured with: asymmetric ones alone (SEC-15).
func IssuerAlgorithms() []string { return AssertionAlgorithms() }

// VerifyIssuer checks a compact JWS of another issuer with a key of its set, by one of the algorithms that issuer is
// configured with (SEC-15, RFC 8725 §3.1). The key must be of the algorithm's kind and strength and meant for signatures. A kid
// is required where more than one key fits. Keys of kinds this server does not know are left aside.
func VerifyIssuer(set []byte, raw string, algs []string) (Verified, error) {
	sealed, err := Peek(raw)
	if err != nil {
		return Verified{}, err
	}
	alg := jwa.SignatureAlgorithm(sealed.Alg)
	if _, ok := kindOf(alg); !ok || !slices.Contains(algs, sealed.Alg) {
		return Verified{}, fmt.Errorf("%w: the issuer does not sign with that algorithm", ErrUntrusted)
	}
	parsed, err := jwk.Parse(set, jwk.WithIgnoreParseError(true))
	if err != nil {
		return Verified{}, fmt.Errorf("%w: key set of the issuer: %w", ErrUntrusted, err)
	}
	var fitting []jwk.Key
	for i := range parsed.Len() {
		k, _ := parsed.Key(i)
		if (sealed.KeyID == "" || k.KeyID() == sealed.KeyID) && mayVerify(k, alg) && strong(k, alg) {
			fitting = append(fitting, k)
		}
	}
	if len(fitting) != 1 {
		return Verified{}, fmt.Errorf("%w: %d keys of the issuer fit", ErrUntrusted, len(fitting))
	}
	payload, err := jws.Verify([]byte(raw), jws.WithKey(alg, fitting[0]))
	if err != nil {
		return Verified{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return Verified{Payload: payload, Type: sealed.Type, KeyID: sealed.KeyID}, nil
}

// strong reports a public key that fits an algorithm: the curve of RFC 7518 §3.4, or RSA of 2048 bits (§3.3, §3.5).
func strong(k jwk.Key, alg jwa.SignatureAlgorithm) bool {
	switch k := k.(type) {
	case jwk.ECDSAPublicKey:
		return alg == jwa.ES256 && k.Crv() == jwa.P256 || alg == jwa.ES384 && k.Crv() == jwa.P384
	case jwk.RSAPublicKey:
		return !strings.HasPrefix(alg.String(), "ES") && len(k.N()) >= 256
	default:
		return false
	}
}

// CheckIssuerKeys says what is wrong with a key set given for an issuer: at least one key must be of use. Private and
// symmetric keys have no business there.
func CheckIssuerKeys(set []byte) error {
	parsed, err := jwk.Parse(set, jwk.WithIgnoreParseError(true))
	if err != nil {
		return errors.New("not a JSON Web Key Set")
	}
	useful := 0
	for i := range parsed.Len() {
		switch k, _ := parsed.Key(i); k.(type) {
		case jwk.ECDSAPublicKey, jwk.RSAPublicKey:
			for _, alg := range assertionAlgs {
				if mayVerify(k, alg) && strong(k, alg) {
					useful++
					break
				}
			}
		case jwk.ECDSAPrivateKey, jwk.RSAPrivateKey, jwk.SymmetricKey:
			return errors.New("holds a private or symmetric key: only public keys belong here")
		}
	}
	if useful == 0 {
		return errors.New("no key in it can verify: want public P-256, P-384 or RSA keys of 2048 bits or more")
	}
	return nil
}

// thumbprint is RFC 7638 with SHA-256, "" for a key that has none.
func thumbprint(k jwk.Key) string {
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}
