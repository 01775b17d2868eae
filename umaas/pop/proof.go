package pop

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Header is the name of the request header a proof travels in (RFC 9449 §4.1), NonceHeader that of the answer's nonce (§8).
const (
	Header      = "DPoP"
	NonceHeader = "DPoP-Nonce"
)

// Window is how far iat of a proof may lie from now, before and after: phones' clocks are not better. A proof's JTI has to be
// remembered until End, because so long it could be presented again.
const Window = time.Minute

// Bounds of a proof.
const (
	maxProof  = 4 << 10
	maxJTI    = 128
	proofType = "dpop+jwt"
)

// ErrProof is wrapped by every refusal of a proof (invalid_dpop_proof, RFC 9449 §5). Its text may be shown to the client: it
// says what to do and repeats nothing that was sent.
var ErrProof = errors.New("DPoP proof not accepted")

// ErrNonce says that the proof lacks a nonce this server gave lately (use_dpop_nonce, RFC 9449 §8). It wraps ErrProof.
var ErrNonce = fmt.Errorf("%w: repeat it with the nonce of the header DPoP-Nonce", ErrProof)

func refused(words string) error { return fmt.Errorf("%w: %s", ErrProof, words) }

// Want is what a proof has to speak of. The zero value accepts nothing.
type Want struct {
	Method string   // of the request
	URLs   []string // the request's own, as the outside sees it; a server with an alias endpoint lists both
	Token  string   // the access token that is presented with it; "" at a token endpoint: then ath must be absent
	Now    time.Time
	Nonces *Nonces // nil: none is asked for
}

// Proof is a proof that holds for the request it came with. It may have been used before: see JTI.
type Proof struct {
	JKT  string    // RFC 7638 thumbprint of its key: what tokens are bound to (RFC 9449 §6.1)
	JTI  string    // 1 to 128 bytes, single use per key until End
	Time time.Time // iat
	End  time.Time // from here on no server with the same clock takes it
}

// proofHeader is RFC 9449 §4.2, first part.
type proofHeader struct {
	Typ  string                     `json:"typ"`
	Alg  string                     `json:"alg"`
	JWK  map[string]json.RawMessage `json:"jwk"`
	Crit json.RawMessage            `json:"crit"`
}

// proofClaims is RFC 9449 §4.2, second part.
type proofClaims struct {
	JTI   string   `json:"jti"`
	HTM   string   `json:"htm"`
	HTU   string   `json:"htu"`
	IAT   *float64 `json:"iat"` // NumericDate: a fraction is allowed
	ATH   *string  `json:"ath"`
	Nonce string   `json:"nonce"`
}

// FromHeader takes the one proof of a request: "" for none, an error for more than one (RFC 9449 §4.3, check 1).
func FromHeader(values []string) (string, error) {
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || strings.ContainsAny(values[0], ", \t"):
		return "", refused("send exactly one")
	case values[0] == "":
		return "", refused("the header is empty")
	}
	return values[0], nil
}

// Verify judges a proof by the checks of RFC 9449 §4.3. Errors are ErrProof, or ErrNonce where everything else holds.
func Verify(raw string, w Want) (Proof, error) {
	key, claims, err := parse(raw)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{JKT: key.thumbprint, JTI: claims.JTI}
	switch {
	case claims.JTI == "" || len(claims.JTI) > maxJTI:
		return Proof{}, refused("jti must have 1 to 128 bytes")
	case w.Method == "" || claims.HTM != w.Method:
		return Proof{}, refused("htm is not the method of the request")
	case !sameTarget(claims.HTU, w.URLs):
		return Proof{}, refused("htu is not the address of the request")
	case claims.IAT == nil:
		return Proof{}, refused("iat is missing")
	}
	if *claims.IAT < 0 || *claims.IAT > 1<<40 {
		return Proof{}, refused("iat is not a time")
	}
	p.Time = time.UnixMilli(int64(*claims.IAT * 1000))
	p.End = p.Time.Add(Window)
	if !w.Now.Before(p.End) || p.Time.After(w.Now.Add(Window)) {
		return Proof{}, refused("iat is not within a minute of now: make a new proof for each request, and check the clock")
	}
	if err := boundTo(claims.ATH, w.Token); err != nil {
		return Proof{}, err
	}
	if w.Nonces != nil && !w.Nonces.accept(claims.Nonce, w.Now) {
		return Proof{}, ErrNonce
	}
	return p, nil
}

// boundTo is check 11: ath is the hash of the very token the proof comes with.
func boundTo(ath *string, token string) error {
	switch {
	case token == "" && ath == nil:
		return nil
	case token == "":
		return refused("ath has no place in a token request")
	case ath == nil:
		return refused("ath is missing: the hash of the access token")
	case subtle.ConstantTimeCompare([]byte(*ath), []byte(TokenHash(token))) != 1:
		return refused("ath belongs to another access token")
	}
	return nil
}

// TokenHash is the value of ath for an access token (RFC 9449 §4.2).
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// encoding is strict: a value has one form, so a key has one thumbprint.
var encoding = base64.RawURLEncoding.Strict()

// parse reads a compact JWS with its own key and checks the signature (checks 2 to 7).
func parse(raw string) (publicKey, proofClaims, error) {
	if len(raw) > maxProof {
		return publicKey{}, proofClaims{}, refused("longer than 4 kB")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return publicKey{}, proofClaims{}, refused("not a compact signed JWT")
	}
	var head proofHeader
	var claims proofClaims
	if !object(parts[0], &head) || !object(parts[1], &claims) {
		return publicKey{}, proofClaims{}, refused("not a compact signed JWT")
	}
	switch {
	case head.Typ != proofType:
		return publicKey{}, proofClaims{}, refused("typ must be dpop+jwt")
	case head.Crit != nil: // RFC 7515 §4.1.11
		return publicKey{}, proofClaims{}, refused("critical header members are not understood")
	case !slices.Contains(algorithms[:], head.Alg): // never none, never symmetric (check 5)
		return publicKey{}, proofClaims{}, refused("alg must be one of " + strings.Join(algorithms[:], ", "))
	}
	key, err := readKey(head.Alg, head.JWK)
	if err != nil {
		return publicKey{}, proofClaims{}, err
	}
	signature, err := encoding.DecodeString(parts[2])
	if err != nil || !key.verify([]byte(raw[:len(raw)-len(parts[2])-1]), signature) {
		return publicKey{}, proofClaims{}, refused("the signature does not verify with the jwk")
	}
	return key, claims, nil
}

// object decodes one base64url JSON object.
func object(part string, into any) bool {
	raw, err := encoding.DecodeString(part)
	return err == nil && len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, into) == nil
}
