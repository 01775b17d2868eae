package pop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"math/big"
)

// algorithms are the signatures a proof may have: asymmetric ones alone (RFC 9449 §4.2).
var algorithms = [...]string{"ES256", "ES384", "EdDSA", "PS256", "RS256"}

// Algorithms lists them, for dpop_signing_alg_values_supported (RFC 9449 §5.1) and challenges (§7.1).
func Algorithms() []string { return append([]string(nil), algorithms[:]...) }

// RSA keys outside of these sizes are refused: weaker ones prove little, larger ones cost much to check.
const minRSA, maxRSA = 2048, 4096

// publicKey is the jwk of a proof, with the algorithm it was named with.
type publicKey struct {
	alg        string
	key        crypto.PublicKey
	thumbprint string
}

// readKey reads a public jwk that fits the algorithm. A private or symmetric part refuses: whoever sends it has lost it (RFC
// 9449 §4.2, check 7).
func readKey(alg string, jwk map[string]json.RawMessage) (publicKey, error) {
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := jwk[secret]; there {
			return publicKey{}, refused("the jwk must hold the public key alone")
		}
	}
	k := publicKey{alg: alg}
	fits := false
	switch alg {
	case "ES256":
		fits = k.elliptic(jwk, "P-256", elliptic.P256())
	case "ES384":
		fits = k.elliptic(jwk, "P-384", elliptic.P384())
	case "EdDSA":
		fits = k.edwards(jwk)
	case "PS256", "RS256":
		fits = k.rsa(jwk)
	}
	if !fits {
		return publicKey{}, refused("the jwk is no key for " + alg)
	}
	return k, nil
}

// word reads a string member.
func word(jwk map[string]json.RawMessage, name string) string {
	var s string
	if json.Unmarshal(jwk[name], &s) != nil {
		return ""
	}
	return s
}

func octets(jwk map[string]json.RawMessage, name string, size int) ([]byte, bool) {
	b, err := encoding.DecodeString(word(jwk, name))
	return b, err == nil && (len(b) == size || size == 0 && len(b) > 0)
}

// print sets the RFC 7638 thumbprint: the required members in order. Their values passed a strict decoding, so they hold
// nothing to escape.
func (k *publicKey) print(canonical string) {
	sum := sha256.Sum256([]byte(canonical))
	k.thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
}

func (k *publicKey) elliptic(jwk map[string]json.RawMessage, name string, curve elliptic.Curve) bool {
	size := (curve.Params().BitSize + 7) / 8
	x, okX := octets(jwk, "x", size) // RFC 7518 §6.2.1.2: full size
	y, okY := octets(jwk, "y", size)
	if word(jwk, "kty") != "EC" || word(jwk, "crv") != name || !okX || !okY {
		return false
	}
	point := append(append([]byte{4}, x...), y...)
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return false
	}
	k.key = pub
	k.print(`{"crv":"` + name + `","kty":"EC","x":"` + word(jwk, "x") + `","y":"` + word(jwk, "y") + `"}`)
	return true
}

func (k *publicKey) edwards(jwk map[string]json.RawMessage) bool {
	x, ok := octets(jwk, "x", ed25519.PublicKeySize)
	if word(jwk, "kty") != "OKP" || word(jwk, "crv") != "Ed25519" || !ok {
		return false
	}
	k.key = ed25519.PublicKey(x)
	k.print(`{"crv":"Ed25519","kty":"OKP","x":"` + word(jwk, "x") + `"}`)
	return true
}

func (k *publicKey) rsa(jwk map[string]json.RawMessage) bool {
	n, okN := octets(jwk, "n", 0)
	e, okE := octets(jwk, "e", 0)
	if word(jwk, "kty") != "RSA" || !okN || !okE || n[0] == 0 || e[0] == 0 || len(e) > 4 {
		return false // a leading zero would be a second form of the same key
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e).Int64()
	if modulus.BitLen() < minRSA || modulus.BitLen() > maxRSA || exponent < 3 || exponent%2 == 0 || exponent >= 1<<31 {
		return false
	}
	k.key = &rsa.PublicKey{N: modulus, E: int(exponent)}
	k.print(`{"e":"` + word(jwk, "e") + `","kty":"RSA","n":"` + word(jwk, "n") + `"}`)
	return true
}

// verify checks a signature over the signing input (RFC 7518 §3.3–3.5, RFC 8037 §3.1).
func (k publicKey) verify(input, signature []byte) bool {
	switch pub := k.key.(type) {
	case *ecdsa.PublicKey:
		half := (pub.Curve.Params().BitSize + 7) / 8
		if len(signature) != 2*half {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		if k.alg == "ES384" {
			sum := sha512.Sum384(input)
			return ecdsa.Verify(pub, sum[:], r, s)
		}
		sum := sha256.Sum256(input)
		return ecdsa.Verify(pub, sum[:], r, s)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, input, signature)
	case *rsa.PublicKey:
		sum := sha256.Sum256(input)
		if k.alg == "PS256" {
			return rsa.VerifyPSS(pub, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: sha256.Size}) == nil
		}
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}

// IsThumbprint reports the form of a thumbprint: base64url of a SHA-256 value (dpop_jkt, RFC 9449 §10; x5t#S256).
func IsThumbprint(s string) bool {
	b, err := encoding.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}
