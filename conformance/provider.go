package conformance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Provider is an OpenID provider of the suite's own, for claims that clients push (Grant §3.3.1): a discovery document, a
// key set and ID tokens signed with ES256. The server under test has to trust its issuer.
type Provider struct {
	Issuer string
	Reads  atomic.Int64 // how often the key set was read

	key, other *ecdsa.PrivateKey
	now        func() time.Time
	random     io.Reader
	server     *http.Server
}

// NewProvider serves on a loopback address ("127.0.0.1:0" takes a free port). issuer is what the tokens say; "" is http://
// and the address. A path in issuer is served too.
func NewProvider(ctx context.Context, listen, issuer string, now func() time.Time, random io.Reader) (*Provider, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("the suite's OpenID provider: %w", err)
	}
	if issuer == "" {
		issuer = "http://" + l.Addr().String()
	}
	p := &Provider{Issuer: issuer, now: now, random: random}
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), random); err == nil {
		p.other, err = ecdsa.GenerateKey(elliptic.P256(), random)
	}
	u, urlErr := url.Parse(issuer)
	if err = errors.Join(err, urlErr); err != nil {
		return nil, errors.Join(fmt.Errorf("the suite's OpenID provider: %w", err), l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+u.Path+"/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET "+u.Path+"/jwks", p.jwks)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = p.server.Serve(l) }() // ends with Close
	return p, nil
}

// Close stops serving.
func (p *Provider) Close() error { return p.server.Close() }

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": p.Issuer, "jwks_uri": p.Issuer + "/jwks", "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	p.Reads.Add(1)
	answer(w, p.JWKS())
}

// JWKS is the provider's key set.
func (p *Provider) JWKS() map[string]any {
	point, err := p.key.PublicKey.Bytes()
	if err != nil || len(point) != 65 {
		return map[string]any{"keys": []any{}}
	}
	return map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "conformance-1", "x": b64(point[1:33]), "y": b64(point[33:]),
	}}}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the reader may be gone
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// Claims are the usual claims of an ID token about a person, valid for five minutes; members are set over them, and a nil
// value removes one.
func (p *Provider) Claims(who Person, audience string, members map[string]any) map[string]any {
	now := p.now()
	nonce := make([]byte, 12)
	_, _ = io.ReadFull(p.random, nonce) // a repeated jti would show as a replay
	c := map[string]any{
		"iss": p.Issuer, "sub": who.Login, "aud": audience, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": b64(nonce),
		"auth_time": now.Unix(), "email": who.Email, "email_verified": true, "name": who.Name,
	}
	maps.Copy(c, members)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// IDToken is a good ID token about a person.
func (p *Provider) IDToken(t *T, who Person, audience string, members map[string]any) string {
	return p.Sign(t, "", p.Claims(who, audience, members))
}

// Ways of Sign that a server must not accept.
const (
	ForgeKey  = "key"  // signed with a key that the provider does not publish
	ForgeNone = "none" // alg none, no signature
	ForgeHMAC = "hmac" // HS256 with the public key's bytes as the secret
	ForgeBody = "body" // the signature of other claims
)

// Sign signs claims: well with "", or in one of the bad ways.
func (p *Provider) Sign(t *T, how string, claims map[string]any) string {
	alg := "ES256"
	switch how {
	case ForgeNone:
		alg = "none"
	case ForgeHMAC:
		alg = "HS256"
	}
	head, err1 := json.Marshal(map[string]any{"alg": alg, "typ": "JWT", "kid": "conformance-1"})
	body, err2 := json.Marshal(claims)
	if err := errors.Join(err1, err2); err != nil {
		t.Blockf("a token cannot be written: %v", err)
	}
	signed := b64(head) + "." + b64(body)
	switch how {
	case ForgeNone:
		return signed + "."
	case ForgeHMAC:
		public, _ := p.key.PublicKey.Bytes() // it was made by ecdsa.GenerateKey
		m := hmac.New(sha256.New, public)
		m.Write([]byte(signed))
		return signed + "." + b64(m.Sum(nil))
	case ForgeBody:
		return signed + "." + p.signature(t, p.key, b64(head)+"."+b64([]byte(`{"other":true}`)))
	case ForgeKey:
		return signed + "." + p.signature(t, p.other, signed)
	default:
		return signed + "." + p.signature(t, p.key, signed)
	}
}

func (p *Provider) signature(t *T, key *ecdsa.PrivateKey, signed string) string {
	sum := sha256.Sum256([]byte(signed))
	var r, s *big.Int
	r, s, err := ecdsa.Sign(p.random, key, sum[:])
	if err != nil {
		t.Blockf("a token cannot be signed: %v", err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return b64(raw)
}
