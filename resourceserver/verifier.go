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

	"github.com/umaas/umaas/umaas/uma"
)

// VerifierConfig is what a Verifier needs.
type VerifierConfig struct {
	Clients AuthorizationServers
	Tokens  *Tokens
	Sets    Sets
	Issuer  string // where opaque tokens are introspected first: they do not say where they come from
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
// whoever owns them, or, at a foreign authorization server, with its owner's; JWT tokens by their signature before that. Each permission is joined with what its set means
// here, and one whose set is not known here grants nothing.
type Verifier struct {
	cfg     VerifierConfig
	flight  singleflight.Group
	cache   *tokenCache[verified]
	answers *tokenCache[answered] // what authorization servers said, for as long as their feeds prove it
	feeds   *feeds
	routes  *tokenRoutes
}

// NewVerifier checks cfg.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if cfg.Tokens == nil || cfg.Sets == nil || cfg.Now == nil || cfg.Clients == nil || !contains(cfg.Clients.Own(), cfg.Issuer) {
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
	return &Verifier{cfg: cfg, cache: newTokenCache[verified](cfg.Size), answers: newTokenCache[answered](cfg.Size), feeds: newFeeds(), routes: newTokenRoutes()}, nil
}

var _ TokenVerifier = (*Verifier)(nil)

// Verify implements TokenVerifier. The grant is shared between callers: treat it as read-only. A token that only a foreign
// authorization server can know is found if it names its issuer or was seen here before; VerifyAbout finds the others.
func (v *Verifier) Verify(ctx context.Context, token string) (Grant, error) {
	return v.verify(ctx, token, func(context.Context) (Owner, error) { return Owner{}, nil })
}

// through answers from memory while that is fresh, else asks, one question per key at a time, and falls back to the last
// answer for a moment while the server is away.
func (v *Verifier) through(ctx context.Context, key [32]byte, ask func(context.Context) (Grant, error)) (Grant, error) {
	now := v.cfg.Now()
	cached, ok := v.cache.get(key)
	if ok && v.fresh(cached, now) {
		return cached.at(now)
	}
	// The question is detached from the caller: the others wait for the same answer.
	answer := v.flight.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.cfg.Timeout)
		defer cancel()
		return v.remembered(ctx, key, ask)
	})
	select {
	case r := <-answer:
		if r.Err == nil {
			return r.Val.(verified).at(v.cfg.Now()) //nolint:forcetypeassert // remembered returns nothing else
		}
		if errors.Is(r.Err, ErrInactive) {
			return Grant{}, r.Err
		}
		if ok && v.cfg.Now().Sub(cached.grant.proved) < v.cfg.MaxStaleness {
			v.cfg.Logger.WarnContext(ctx, "authorization server unreachable, the last answer serves", "err", r.Err)
			return cached.at(v.cfg.Now())
		}
		return Grant{}, r.Err
	case <-ctx.Done():
		return Grant{}, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
}

// fresh reports an answer that serves without another look: put together a moment ago, proved not long before, and resting on
// nothing that is known to have changed since.
func (v *Verifier) fresh(r verified, now time.Time) bool {
	return now.Sub(r.fetched) < v.cfg.Fresh && now.Sub(r.grant.proved) < v.cfg.MaxStaleness &&
		!v.feeds.changedSince(r.grant.Issuer, r.grant.tags, r.fetched)
}

// Forget drops what is remembered of a token, so that the next use asks again. The resource server calls it after spending
// a single-use grant.
func (v *Verifier) Forget(token string) {
	hash := sha256.Sum256([]byte(token))
	v.cache.drop(hash)
	for _, issuer := range v.cfg.Clients.Own() {
		v.answers.drop(routed(hash, Owner{Issuer: issuer}))
	}
	if o, ok := v.routes.get(hash); ok {
		v.cache.drop(routed(hash, o))
	}
}

// remembered asks and keeps the answer. What is not active is not kept: it must not push out what is.
func (v *Verifier) remembered(ctx context.Context, key [32]byte, ask func(context.Context) (Grant, error)) (verified, error) {
	at := v.cfg.Now()
	g, err := ask(ctx)
	if err != nil {
		if errors.Is(err, ErrInactive) {
			v.cache.drop(key)
		}
		return verified{}, err
	}
	r := verified{grant: g, fetched: at}
	v.cache.put(key, r)
	return r, nil
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
	g := Grant{Issuer: issuer, JTI: a.JTI, Kind: TokenKind(a.Kind), ClientID: a.ClientID, Sub: a.Sub, tags: a.Tags, Expires: now.Add(v.cfg.Fresh)}
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

// verified is a grant with the moment it was last put together.
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
