package umaas

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// maxJWT is the size above which a signed access token is issued as an opaque one instead (decisions 1, SEC-36).
const maxJWT = 4 << 10

const typeAccessToken = "at+jwt" // RFC 9068 §2.1

// issued is what one decision gave out, kept between the transaction that stored it and the signatures after the commit.
type issued struct {
	grant     Grant
	rs        Client // of an RPT or an OAuth token for one resource server; zero otherwise
	access    string // opaque value
	accessKey Key
	refresh   string // "" none
	now       time.Time
	expires   time.Time
	scope     string // never with an RPT (Grant §3.3.5)
	patient   string
	upgraded  bool
	pct       string    // "" none
	identity  *identity // nil: no ID token
}

// issue stores a grant with a new access token and, if asked, a refresh token. A zero g.Key gets a key; a zero g.Expires
// is the access token's end. A grant with a refresh token lives at least to that token's idle end, which each refresh
// moves; fixed ends belong to the policies and to Granted.Expires.
func (s *Service) issue(tx Tx, g Grant, withRefresh bool, now time.Time) (issued, error) {
	out := issued{now: now, expires: now.Add(s.accessLife(g.Kind))}
	var err error
	if g.Key.IsZero() {
		if g.Key, err = s.handles.NewKey(now); err != nil {
			return issued{}, err
		}
		g.Created = now
	}
	if withRefresh {
		if idle := now.Add(s.refreshLife(g.Kind)); g.Expires.Before(idle) {
			g.Expires = idle
		}
	}
	if g.Expires.IsZero() {
		g.Expires = out.expires
	}
	if g.Expires.Before(out.expires) {
		out.expires = g.Expires
	}
	if err := tx.PutGrant(g); err != nil {
		return issued{}, fmt.Errorf("store grant: %w", err)
	}
	out.grant = g
	if out.access, out.accessKey, err = s.putToken(tx, g, TokenAccess, now, out.expires); err != nil {
		return issued{}, err
	}
	if withRefresh {
		if out.refresh, _, err = s.putToken(tx, g, TokenRefresh, now, now.Add(s.refreshLife(g.Kind))); err != nil {
			return issued{}, err
		}
	}
	if g.RS != "" {
		out.rs, err = tx.Client(g.RS)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return issued{}, fmt.Errorf("read resource server: %w", err)
		}
	}
	return out, nil
}

func (s *Service) putToken(tx Tx, g Grant, kind TokenKind, now, expires time.Time) (string, Key, error) {
	value, key, hash, err := s.handles.New(now)
	if err != nil {
		return "", Key{}, err
	}
	err = tx.PutToken(Token{Key: key, Secret: hash, Kind: kind, Grant: g.Key, Client: g.Client, Created: now, Expires: expires})
	if err != nil {
		return "", Key{}, fmt.Errorf("store %s token: %w", kind, err)
	}
	return value, key, nil
}

func (s *Service) accessLife(kind GrantKind) time.Duration {
	switch kind {
	case GrantRPT:
		return s.Limits.RPT
	case GrantPAT:
		return s.Limits.PAT
	case GrantOAuth:
		return s.Limits.Access
	}
	return 0
}

// response puts the answer together and signs what has to be signed. It must run after the commit: a signature costs more
// than the transaction.
func (i issued) response(s *Service) (uma.TokenResponse, error) {
	r := uma.TokenResponse{
		AccessToken: i.access, TokenType: i.grant.Confirm.tokenType(), ExpiresIn: int64(i.expires.Sub(i.now) / time.Second),
		RefreshToken: i.refresh, Scope: i.scope, Patient: i.patient, Upgraded: i.upgraded, PCT: i.pct,
	}
	if alg := s.signWith(i.rs); alg != "" {
		signed, err := s.signAccess(i, alg)
		if err != nil {
			return uma.TokenResponse{}, err
		}
		if signed != "" {
			r.AccessToken = signed
		}
	}
	if i.identity != nil {
		signed, err := s.signIDToken(*i.identity)
		if err != nil {
			return uma.TokenResponse{}, err
		}
		r.IDToken = signed
	}
	return r, nil
}

// accessClaims is the payload of a signed access token (RFC 9068 §2.2). Permissions is a JWE for the resource server:
// the client is not to learn which resource its context URL stands for (decisions 1).
type accessClaims struct {
	Iss         string            `json:"iss"`
	Sub         string            `json:"sub"`
	Aud         []string          `json:"aud"`
	Exp         int64             `json:"exp"`
	Iat         int64             `json:"iat"`
	Nbf         int64             `json:"nbf"`
	JTI         string            `json:"jti"`
	ClientID    ClientID          `json:"client_id"`
	Kind        string            `json:"urn:umaas:kind"`
	Azp         string            `json:"azp,omitempty"`             // HEART (H-07, H-08)
	Party       string            `json:"urn:umaas:party,omitempty"` // the requesting party, where sub is the owner
	Permissions string            `json:"urn:umaas:permissions,omitempty"`
	Cnf         *uma.Confirmation `json:"cnf,omitempty"` // RFC 9449 §6.1, RFC 8705 §3.1
}

// signAccess makes the JWT form. It returns "" where that form is not to be had: no audience to name, or too long.
func (s *Service) signAccess(i issued, alg keys.Algorithm) (string, error) {
	g := i.grant
	permissions := permissionsOf(g, i.now, i.expires)
	who := s.partiesOf(g, i.rs, resourcesOf(permissions))
	if len(who.aud) == 0 {
		return "", nil
	}
	c := accessClaims{
		Iss: s.Issuer, Sub: who.sub, Aud: who.aud, Azp: who.azp, Party: who.party, Exp: i.expires.Unix(), Iat: i.now.Unix(), Nbf: i.now.Unix(),
		JTI: s.handles.ID(i.accessKey), ClientID: g.Client, Kind: string(g.Kind), Cnf: g.Confirm.cnf(),
	}
	if c.Sub == "" {
		c.Sub = string(g.Client) // RFC 9068 §2.2: without a person, the client
	}
	if i.rs.SecretHash != (SecretHash{}) {
		sealed, err := keys.Encrypt(i.rs.SecretHash, permissions)
		if err != nil {
			return "", err
		}
		c.Permissions = sealed
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode access token: %w", err)
	}
	signed, err := s.Keys.Sign(alg, typeAccessToken, payload)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	if len(signed) > maxJWT {
		return "", nil
	}
	return signed, nil
}

// permissionsOf prints a grant's permissions as introspection would (FedAuthz §5.1.1); none ends after its token (F-070).
func permissionsOf(g Grant, now, expires time.Time) []uma.Permission {
	out := make([]uma.Permission, 0, len(g.Permissions))
	for _, p := range g.Permissions {
		end := expires
		if !p.Expires.IsZero() && p.Expires.Before(end) {
			end = p.Expires
		}
		if end.After(now) {
			out = append(out, uma.Permission{
				ResourceID: string(p.Resource), Scopes: p.Scopes, Constraints: p.Constraints, Exp: end.Unix(), Iat: now.Unix(),
			})
		}
	}
	return out
}

// bearer is a presented token value, split and (where it is signed) verified, not yet looked up.
type bearer struct {
	key    Key
	secret []byte // of an opaque value
	signed bool   // the signature stands for the secret
}

// openBearer takes an access or refresh token apart: an opaque handle, or a JWT of this server. It runs outside of
// transactions, for a signature may need keys from the store.
func (s *Service) openBearer(value string) (bearer, bool) {
	if strings.Count(value, ".") != 2 {
		key, secret, ok := s.handles.Open(value)
		return bearer{key: key, secret: secret}, ok
	}
	v, err := s.Keys.Verify(value, keys.ES256, typeAccessToken)
	if err != nil {
		v, err = s.Keys.Verify(value, keys.RS256, typeAccessToken) // a profile's; both are this server's own (H-06)
	}
	if err != nil {
		return bearer{}, false
	}
	var c accessClaims
	if err := json.Unmarshal(v.Payload, &c); err != nil || c.Iss != s.Issuer {
		return bearer{}, false
	}
	now := s.Now().Unix()
	if c.Exp <= now || c.Nbf > now {
		return bearer{}, false
	}
	key, ok := s.handles.OpenID(c.JTI)
	return bearer{key: key, signed: true}, ok
}

// find loads the token record, ErrNotFound unless the whole value is right (SEC-55).
func (b bearer) find(r Reader, now time.Time) (Token, error) {
	t, err := r.Token(b.key, now)
	if err != nil {
		return Token{}, err
	}
	if b.signed && t.Kind == TokenAccess || !b.signed && t.Secret.Matches(b.secret) {
		return t, nil
	}
	return Token{}, ErrNotFound
}
