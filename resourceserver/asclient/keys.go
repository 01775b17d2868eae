package asclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/umaas/uma"
)

// This file and assertion.go are the only ones on the resource server's side that see the JOSE library.

// Keys are fetched again at most this often, whatever key ids tokens name, and at the latest after keysAge.
const (
	keysPause  = 10 * time.Second
	keysAge    = 10 * time.Minute
	maxJWTSize = 64 << 10
)

// keySet holds the authorization server's published keys.
type keySet struct {
	client *Client

	fetching sync.Mutex // one fetch at a time
	mu       sync.Mutex
	set      jwk.Set
	fetched  time.Time
	tried    time.Time
}

// VerifySignature is go-oidc's KeySet for ID tokens.
func (k *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	payload, _, err := k.verify(ctx, raw, jwa.ES256, jwa.RS256)
	return payload, err
}

// verify checks the signature of a compact JWS with a key of the issuer and one of the algorithms given.
func (k *keySet) verify(ctx context.Context, raw string, algs ...jwa.SignatureAlgorithm) (payload []byte, typ string, err error) {
	if len(raw) > maxJWTSize || strings.Count(raw, ".") != 2 {
		return nil, "", fmt.Errorf("%w: not a compact signed token", ErrUntrusted)
	}
	message, err := jws.Parse([]byte(raw), jws.WithCompact())
	if err != nil || len(message.Signatures()) != 1 {
		return nil, "", fmt.Errorf("%w: not a compact signed token", ErrUntrusted)
	}
	header := message.Signatures()[0].ProtectedHeaders()
	alg, ok := oneOf(header.Algorithm(), algs)
	if !ok {
		return nil, "", fmt.Errorf("%w: signature algorithm %q is not accepted", ErrUntrusted, header.Algorithm())
	}
	if len(header.Critical()) > 0 {
		return nil, "", fmt.Errorf("%w: critical header members are not understood", ErrUntrusted)
	}
	key, err := k.key(ctx, header.KeyID(), alg)
	if err != nil {
		return nil, "", err
	}
	payload, err = jws.Verify([]byte(raw), jws.WithKey(alg, key))
	if err != nil {
		return nil, "", fmt.Errorf("%w: signature does not verify", ErrUntrusted)
	}
	return payload, header.Type(), nil
}

func oneOf(alg jwa.SignatureAlgorithm, algs []jwa.SignatureAlgorithm) (jwa.SignatureAlgorithm, bool) {
	for _, a := range algs {
		if a == alg {
			return a, true
		}
	}
	return "", false
}

// key finds the key a token names. An unknown id leads to one fetch, but not more often than keysPause: otherwise anybody
// could make this server hammer the other one.
func (k *keySet) key(ctx context.Context, id string, alg jwa.SignatureAlgorithm) (jwk.Key, error) {
	now := k.client.cfg.Now()
	k.mu.Lock()
	set, fetched, tried := k.set, k.fetched, k.tried
	k.mu.Unlock()
	if key, ok := lookup(set, id, alg); ok && now.Sub(fetched) < keysAge {
		return key, nil
	} else if now.Sub(tried) < keysPause {
		if ok {
			return key, nil
		}
		return nil, fmt.Errorf("%w: signed with an unknown key", ErrUntrusted)
	}
	fresh, err := k.fetch(ctx, tried)
	if err != nil {
		if key, ok := lookup(set, id, alg); ok {
			return key, nil
		}
		return nil, err
	}
	if key, ok := lookup(fresh, id, alg); ok {
		return key, nil
	}
	return nil, fmt.Errorf("%w: signed with an unknown key", ErrUntrusted)
}

func lookup(set jwk.Set, id string, alg jwa.SignatureAlgorithm) (jwk.Key, bool) {
	if set == nil || id == "" {
		return nil, false
	}
	for i := range set.Len() {
		key, ok := set.Key(i)
		if !ok || key.KeyID() != id {
			continue
		}
		want := jwa.EC
		if alg == jwa.RS256 {
			want = jwa.RSA
		}
		usable := key.KeyUsage() == "" || key.KeyUsage() == "sig"
		if key.KeyType() == want && usable && (key.Algorithm() == nil || key.Algorithm().String() == "" || key.Algorithm().String() == alg.String()) {
			return key, true
		}
	}
	return nil, false
}

// fetch gets the keys, unless somebody else has since. The pause counts from the end of a fetch: those who come while one
// is under way wait for what it brings.
func (k *keySet) fetch(ctx context.Context, since time.Time) (jwk.Set, error) {
	k.fetching.Lock()
	defer k.fetching.Unlock()
	k.mu.Lock()
	set, tried := k.set, k.tried
	k.mu.Unlock()
	if tried.After(since) && set != nil {
		return set, nil // somebody else has just fetched
	}
	defer func() {
		k.mu.Lock()
		k.tried = k.client.cfg.Now()
		k.mu.Unlock()
	}()
	c := k.client
	m, err := c.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	from, err := endpoint("jwks_uri", m.JWKSURI)
	if err != nil {
		return nil, err
	}
	var raw json.RawMessage
	err = c.do(ctx, call{method: http.MethodGet, url: from, repeatable: true, accept: []int{http.StatusOK}}, &raw)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	set, err = jwk.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: key set: %w", ErrUntrusted, err)
	}
	k.mu.Lock()
	k.set, k.fetched = set, c.cfg.Now()
	k.mu.Unlock()
	return set, nil
}

// AccessToken is the verified content of a JWT access token (RFC 9068 §2.2) with UMA permissions. It tells nothing of a
// withdrawal since: liveness is asked by introspection.
type AccessToken struct {
	uma.Introspection
}

// audiences reads aud, which is a string or an array of strings (RFC 7519 §4.1.3).
type audiences []string

func (a *audiences) UnmarshalJSON(raw []byte) error {
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// VerifyAccessToken checks a JWT access token: ES256 or RS256 by a key of the issuer, typ at+jwt, iss, aud holding this server's
// audience, exp in the future (RFC 9068 §4). An absent claim refuses. Permissions are read from the member sealed for this
// server (decisions 1), or from a plain one.
func (c *Client) VerifyAccessToken(ctx context.Context, raw string) (AccessToken, error) {
	payload, typ, err := c.keys.verify(ctx, raw, jwa.ES256, jwa.RS256)
	if err != nil {
		return AccessToken{}, err
	}
	if t := strings.ToLower(typ); t != "at+jwt" && t != "application/at+jwt" {
		return AccessToken{}, fmt.Errorf("%w: token type %q, want at+jwt", ErrUntrusted, typ)
	}
	claims := struct {
		Iss         string            `json:"iss"`
		Azp         string            `json:"azp"`
		Sub         string            `json:"sub"`
		Aud         audiences         `json:"aud"`
		Exp         int64             `json:"exp"`
		Nbf         int64             `json:"nbf"`
		Iat         int64             `json:"iat"`
		JTI         string            `json:"jti"`
		ClientID    string            `json:"client_id"`
		Kind        string            `json:"urn:umaas:kind"`
		Permissions []uma.Permission  `json:"permissions"`
		Sealed      string            `json:"urn:umaas:permissions"`
		Cnf         *uma.Confirmation `json:"cnf"`
	}{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return AccessToken{}, fmt.Errorf("%w: token claims: %w", ErrUntrusted, err)
	}
	now := c.cfg.Now().Unix()
	switch {
	case claims.Iss != c.cfg.Issuer:
		return AccessToken{}, fmt.Errorf("%w: token of issuer %q", ErrUntrusted, claims.Iss)
	case len(claims.Aud) == 0 || !(claims.Azp != "" && c.resourceAudience(ctx)) && (c.cfg.Audience == "" || !contains(claims.Aud, c.cfg.Audience)):
		return AccessToken{}, fmt.Errorf("%w: token for another audience", ErrUntrusted)
	case claims.Exp <= now:
		return AccessToken{}, fmt.Errorf("%w: token has expired", ErrUntrusted)
	case claims.Nbf > now:
		return AccessToken{}, fmt.Errorf("%w: token is not valid yet", ErrUntrusted)
	case claims.JTI == "" || claims.ClientID == "":
		return AccessToken{}, fmt.Errorf("%w: token without jti or client_id", ErrUntrusted)
	}
	if claims.Sealed != "" {
		if claims.Permissions, err = c.openPermissions(ctx, claims.Sealed); err != nil {
			return AccessToken{}, err
		}
	}
	return AccessToken{
		Introspection: uma.Introspection{
			Active: true, Permissions: claims.Permissions, ClientID: claims.ClientID, Sub: claims.Sub, Iss: claims.Iss,
			Aud: claims.Aud, Exp: claims.Exp, Nbf: claims.Nbf, Iat: claims.Iat, JTI: claims.JTI, Kind: claims.Kind, Cnf: claims.Cnf,
		},
	}, nil
}

// resourceAudience holds for a server under the HEART profile: configured as one, or naming the profile itself.
func (c *Client) resourceAudience(ctx context.Context) bool {
	if c.cfg.ResourceAudience {
		return true
	}
	m, err := c.Metadata(ctx)
	return err == nil && contains(m.UMAProfilesSupported, uma.ProfileURIHEART)
}

// UnverifiedIssuer reads iss of a JWT without any check. It serves only to choose the Client that verifies the token.
func UnverifiedIssuer(raw string) (string, bool) {
	if len(raw) > maxJWTSize || strings.Count(raw, ".") != 2 || !strings.HasPrefix(raw, "ey") {
		return "", false
	}
	message, err := jws.Parse([]byte(raw), jws.WithCompact())
	if err != nil {
		return "", false
	}
	var claims struct {
		Iss string `json:"iss"`
	}
	if err := json.Unmarshal(message.Payload(), &claims); err != nil || claims.Iss == "" {
		return "", false
	}
	return claims.Iss, true
}

// UnverifiedSets reports whether a JWT names permissions in plain, without any check. It serves only to choose under what the
// answer about the token is remembered.
func UnverifiedSets(raw string) bool {
	if len(raw) > maxJWTSize {
		return false
	}
	message, err := jws.Parse([]byte(raw), jws.WithCompact())
	if err != nil {
		return false
	}
	var claims struct {
		Permissions []json.RawMessage `json:"permissions"`
	}
	return json.Unmarshal(message.Payload(), &claims) == nil && len(claims.Permissions) > 0
}

// VerifyRequest checks a short-lived request the authorization server signed for this server: ES256, iss, aud equal to
// audience, typ, issued no longer ago than maxAge (and at most 5 s ahead). It returns the claims.
func (c *Client) VerifyRequest(ctx context.Context, raw, typ, audience string, maxAge time.Duration) (json.RawMessage, error) {
	payload, gotTyp, err := c.keys.verify(ctx, raw, jwa.ES256)
	if err != nil {
		return nil, err
	}
	var claims struct {
		Iss string    `json:"iss"`
		Aud audiences `json:"aud"`
		Iat int64     `json:"iat"`
		Exp int64     `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("%w: request claims: %w", ErrUntrusted, err)
	}
	now := c.cfg.Now()
	issued := time.Unix(claims.Iat, 0)
	var cause string
	switch {
	case !strings.EqualFold(gotTyp, typ):
		cause = "is of another type"
	case claims.Iss != c.cfg.Issuer:
		cause = "comes from another issuer"
	case len(claims.Aud) != 1 || claims.Aud[0] != audience:
		cause = "is meant for another address"
	case claims.Iat == 0 || now.Sub(issued) > maxAge || issued.Sub(now) > 5*time.Second:
		cause = "is not fresh"
	case claims.Exp != 0 && now.Unix() >= claims.Exp:
		cause = "has expired"
	}
	if cause != "" {
		return nil, fmt.Errorf("%w: the signed request %s", ErrUntrusted, cause)
	}
	return payload, nil
}
