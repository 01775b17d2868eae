package resourceserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// VerifierConfig is what a Verifier needs.
type VerifierConfig struct {
	Clients Clients
	Tokens  *Tokens
	Sets    Sets
	Issuer  string // where opaque tokens are introspected: they do not say where they come from
	// Fresh is how long a result is used without asking again, at most 500 ms (decisions 4); 0 means that.
	Fresh time.Duration
	// MaxStaleness is how long after the last answer a result serves while the authorization server is unreachable, at
	// most 2 s (decisions 4); 0 means that.
	MaxStaleness time.Duration
	Size         int           // results kept; default 50,000
	Timeout      time.Duration // of one verification; default 3 s
	Now          func() time.Time
	Logger       *slog.Logger
}

// Bounds of decisions 4. No configuration goes beyond them.
const (
	maxFresh     = 500 * time.Millisecond
	maxStaleness = 2 * time.Second
	maxToken     = 8 << 10
)

// Verifier implements TokenVerifier: by introspection with this server's own PAT, which shows the permissions on its sets
// whoever owns them; JWT tokens by their signature before that. Each permission is joined with what its set means
// here, and one whose set is not known here grants nothing.
type Verifier struct {
	cfg    VerifierConfig
	flight singleflight.Group
	cache  *grantCache
}

// NewVerifier checks cfg.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if cfg.Tokens == nil || cfg.Sets == nil || cfg.Now == nil || cfg.Clients[cfg.Issuer] == nil {
		return nil, errors.New("verifier: Tokens, Sets, Now and a client for Issuer are required")
	}
	if cfg.Fresh <= 0 || cfg.Fresh > maxFresh {
		cfg.Fresh = maxFresh
	}
	if cfg.MaxStaleness <= 0 || cfg.MaxStaleness > maxStaleness {
		cfg.MaxStaleness = maxStaleness
	}
	if cfg.Size <= 0 {
		cfg.Size = 50_000
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Verifier{cfg: cfg, cache: newGrantCache(cfg.Size)}, nil
}

var _ TokenVerifier = (*Verifier)(nil)

// Verify implements TokenVerifier. The grant is shared between callers: treat it as read-only.
func (v *Verifier) Verify(ctx context.Context, token string) (Grant, error) {
	if !tokenSyntax(token) {
		return Grant{}, ErrInactive
	}
	hash := sha256.Sum256([]byte(token))
	now := v.cfg.Now()
	cached, ok := v.cache.get(hash)
	if ok && now.Sub(cached.fetched) < v.cfg.Fresh {
		return cached.at(now)
	}
	// One question per token at a time. It is detached from the caller: the others wait for the same answer.
	answer := v.flight.DoChan(string(hash[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.cfg.Timeout)
		defer cancel()
		return v.ask(ctx, token, hash)
	})
	select {
	case r := <-answer:
		if r.Err == nil {
			return r.Val.(verified).at(v.cfg.Now()) //nolint:forcetypeassert // ask returns nothing else
		}
		if errors.Is(r.Err, ErrInactive) {
			return Grant{}, r.Err
		}
		if ok && v.cfg.Now().Sub(cached.fetched) < v.cfg.MaxStaleness {
			v.cfg.Logger.WarnContext(ctx, "authorization server unreachable, the last answer serves", "err", r.Err)
			return cached.at(v.cfg.Now())
		}
		return Grant{}, r.Err
	case <-ctx.Done():
		return Grant{}, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
}

// Forget drops what is remembered of a token, so that the next use asks again. The resource server calls it after spending
// a single-use grant.
func (v *Verifier) Forget(token string) { v.cache.drop(sha256.Sum256([]byte(token))) }

// ask obtains a fresh answer and remembers it. What is not active is not remembered: it must not push out what is.
func (v *Verifier) ask(ctx context.Context, token string, hash [32]byte) (verified, error) {
	at := v.cfg.Now()
	answer, issuer, err := v.answer(ctx, token)
	if err != nil {
		if errors.Is(err, ErrInactive) {
			v.cache.drop(hash)
		}
		return verified{}, err
	}
	g, err := v.join(ctx, issuer, answer)
	if err != nil {
		return verified{}, err
	}
	r := verified{grant: g, fetched: at}
	v.cache.put(hash, r)
	return r, nil
}

// answer is what the token's authorization server says of it (FedAuthz §5). A JWT is verified here first, so that a forged
// or foreign one costs no question; then it is asked about like any other, because a signature does not tell of a
// withdrawal and there is no feed of them (GW-38, SEC-34, decisions 4).
func (v *Verifier) answer(ctx context.Context, token string) (uma.Introspection, string, error) {
	issuer := v.cfg.Issuer
	var signed *uma.Confirmation
	if named, isJWT := asclient.UnverifiedIssuer(token); isJWT {
		client, known := v.cfg.Clients[named]
		if !known {
			return uma.Introspection{}, "", fmt.Errorf("%w: issued elsewhere", ErrInactive)
		}
		issuer = named
		verified, err := client.VerifyAccessToken(ctx, token)
		if errors.Is(err, asclient.ErrUnreachable) {
			return uma.Introspection{}, "", unreachable(err)
		}
		if err != nil {
			return uma.Introspection{}, "", fmt.Errorf("%w: %w", ErrInactive, err)
		}
		signed = verified.Cnf
	}
	var got uma.Introspection
	err := v.cfg.Tokens.With(ctx, Owner{Issuer: issuer}, func(c *asclient.Client, pat string) (err error) {
		got, err = c.Introspect(ctx, pat, token)
		return err
	})
	if err != nil {
		return uma.Introspection{}, "", fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if !got.Active {
		return uma.Introspection{}, "", ErrInactive
	}
	if got.Cnf, err = sameBinding(signed, got); err != nil {
		return uma.Introspection{}, "", err
	}
	return got, issuer, nil
}

// sameBinding is the key a token is bound to by what is signed and what is introspected: neither can take the binding off
// that the other tells of (SEC-33).
func sameBinding(signed *uma.Confirmation, got uma.Introspection) (*uma.Confirmation, error) {
	switch {
	case signed != nil && got.Cnf != nil && *signed != *got.Cnf:
		return nil, fmt.Errorf("%w: bound to two keys", ErrInactive)
	case got.Cnf != nil:
		return got.Cnf, nil
	case signed != nil:
		return signed, nil
	case strings.EqualFold(got.TokenType, uma.TokenTypeDPoP):
		return &uma.Confirmation{Unknown: true}, nil
	}
	return nil, nil
}

// join makes a Grant of an answer. Times are judged with no leeway (GW-49: our own clock); a permission of a set that is
// not known here, or outside its time, is left out.
func (v *Verifier) join(ctx context.Context, issuer string, a uma.Introspection) (Grant, error) {
	now := v.cfg.Now()
	g := Grant{Issuer: issuer, JTI: a.JTI, Kind: TokenKind(a.Kind), ClientID: a.ClientID, Sub: a.Sub, Expires: now.Add(v.cfg.Fresh)}
	if a.Exp != 0 {
		g.Expires = time.Unix(a.Exp, 0)
	}
	if !now.Before(g.Expires) || a.Nbf != 0 && now.Before(time.Unix(a.Nbf, 0)) {
		return Grant{}, ErrInactive
	}
	if a.Cnf != nil {
		g.Confirm = *a.Cnf
	}
	if a.Party != "" {
		g.Sub = a.Party // HEART: sub is the resource owner
	}
	if g.Kind == "pat" {
		return Grant{}, ErrInactive // a protection token gives access to nothing here
	}
	if g.Kind != KindOAuth {
		g.Kind = KindRPT // what carries permissions and says no kind is an RPT (FedAuthz §5.1.1)
	}
	for _, p := range a.Permissions {
		if p.Nbf != 0 && now.Before(time.Unix(p.Nbf, 0)) || p.Exp != 0 && !now.Before(time.Unix(p.Exp, 0)) {
			continue
		}
		set, err := v.cfg.Sets.SetByID(ctx, issuer, p.ResourceID)
		if errors.Is(err, ErrNotKept) || err == nil && set.Level == levelDecoy {
			continue
		}
		if err != nil {
			return Grant{}, fmt.Errorf("read set: %w", err)
		}
		permitted := Permitted{Set: set, Scopes: p.Scopes, Constraints: p.Constraints}
		if p.Exp != 0 {
			permitted.Expires = time.Unix(p.Exp, 0)
		}
		g.Permissions = append(g.Permissions, permitted)
	}
	return g, nil
}

// verified is a grant with the moment it was asked for.
type verified struct {
	grant   Grant
	fetched time.Time
}

// at gives the grant as it stands at a moment: an ended one is inactive, ended permissions are gone.
func (r verified) at(now time.Time) (Grant, error) {
	if !now.Before(r.grant.Expires) {
		return Grant{}, ErrInactive
	}
	g := r.grant
	ended := func(p Permitted) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }
	if slices.ContainsFunc(g.Permissions, ended) {
		g.Permissions = slices.DeleteFunc(slices.Clone(g.Permissions), ended)
	}
	return g, nil
}

// tokenSyntax is RFC 6750 §2.1's b64token within a bound: anything else is not worth a question.
func tokenSyntax(token string) bool {
	if token == "" || len(token) > maxToken {
		return false
	}
	for i := range len(token) {
		switch c := token[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '.', c == '_', c == '~', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}
