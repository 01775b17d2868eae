package resourceserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// This file chooses whom to ask about a token. A signed token names its issuer, and nobody else is asked. An opaque one
// does not, and showing it to a server that did not issue it hands it to that server; so
//
//  1. the operator's own servers are asked, the default first;
//  2. only if all of them say that they do not know it, the server that guards the record the request is about, and only
//     one the operator listed (TrustListed); a stranger's tokens must be signed (HEART UMA2 §2.2).
//
// A foreign server is asked with the protection token of the owner concerned, so that it tells of her sets alone, and her
// withdrawing that token ends every use (FedAuthz §5, F-075).

// AboutVerifier is a TokenVerifier that may use what a request is about to find the token's authorization server.
type AboutVerifier interface {
	VerifyAbout(ctx context.Context, token, patient string) (Grant, error)
}

var _ AboutVerifier = (*Verifier)(nil)

// VerifyAbout is Verify for a request that names a patient, "" if none.
func (v *Verifier) VerifyAbout(ctx context.Context, token, patient string) (Grant, error) {
	return v.verify(ctx, token, func(ctx context.Context) (Owner, error) {
		if patient == "" {
			return Owner{}, nil
		}
		reg, err := v.cfg.Sets.RecordOf(ctx, patient)
		if errors.Is(err, ErrNotKept) {
			return Owner{}, nil
		}
		if err != nil {
			return Owner{}, fmt.Errorf("read record set: %w", err)
		}
		return reg.Owner, nil
	})
}

// VerifyFor is Verify where the owner of the set in question is known.
func (v *Verifier) VerifyFor(ctx context.Context, token string, o Owner) (Grant, error) {
	return v.verify(ctx, token, func(context.Context) (Owner, error) { return o, nil })
}

func (v *Verifier) verify(ctx context.Context, token string, about func(context.Context) (Owner, error)) (Grant, error) {
	if !tokenSyntax(token) {
		return Grant{}, ErrInactive
	}
	hash := sha256.Sum256([]byte(token))
	if issuer, isJWT := asclient.UnverifiedIssuer(token); isJWT {
		return v.signedBy(ctx, token, hash, issuer, about)
	}
	if o, ok := v.routes.get(hash); ok {
		g, err := v.foreign(ctx, token, hash, o)
		if errors.Is(err, ErrInactive) {
			v.routes.drop(hash)
		}
		return g, err
	}
	g, err := v.through(ctx, hash, func(ctx context.Context) (Grant, error) { return v.own(ctx, token) })
	if !errors.Is(err, ErrInactive) {
		return g, err
	}
	o, aboutErr := about(ctx)
	if aboutErr != nil {
		return Grant{}, aboutErr
	}
	if o.Custodian() || v.cfg.Clients.Trust(o.Issuer) != TrustListed {
		return Grant{}, err
	}
	if g, err = v.foreign(ctx, token, hash, o); err == nil {
		v.routes.put(hash, o)
	}
	return g, err
}

// own asks the operator's own servers, the default first, each with this server's own token. One that is away leaves open
// whether it knows the token, unless another one does.
func (v *Verifier) own(ctx context.Context, token string) (Grant, error) {
	issuers := []string{v.cfg.Issuer}
	for _, issuer := range v.cfg.Clients.Own() {
		if issuer != v.cfg.Issuer {
			issuers = append(issuers, issuer)
		}
	}
	var away error
	for _, issuer := range issuers {
		g, err := v.introspect(ctx, token, Owner{Issuer: issuer}, nil)
		if err == nil {
			return g, nil
		}
		if !errors.Is(err, ErrInactive) {
			away = errors.Join(away, err)
		}
	}
	if away != nil {
		return Grant{}, away
	}
	return Grant{}, ErrInactive
}

// signedBy remembers the answer about a signed token. A foreign one that does not say whose sets it is about is asked about in the
// name of the owner of what is asked for, so its answer is hers alone: it is kept under her, never under the token, and she is
// remembered for requests that name nobody.
func (v *Verifier) signedBy(ctx context.Context, token string, hash [32]byte, issuer string, about func(context.Context) (Owner, error)) (Grant, error) {
	if trust := v.cfg.Clients.Trust(issuer); trust == TrustOwn || trust == TrustNone || asclient.UnverifiedSets(token) {
		return v.through(ctx, hash, func(ctx context.Context) (Grant, error) { return v.signed(ctx, token, issuer, about) })
	}
	o, err := about(ctx)
	if err != nil {
		return Grant{}, err
	}
	if o.User == "" || o.Issuer != issuer {
		var seen bool
		if o, seen = v.routes.get(hash); !seen || o.Issuer != issuer {
			o = Owner{}
		}
	}
	g, err := v.through(ctx, routed(hash, o), func(ctx context.Context) (Grant, error) {
		return v.signed(ctx, token, issuer, func(context.Context) (Owner, error) { return o, nil })
	})
	if err == nil && o.User != "" {
		v.routes.put(hash, o)
	}
	return g, err
}

// signed checks a JWT here first, so that a forged or foreign one costs no question; then it is asked about like any other,
// because a signature does not tell of a withdrawal (GW-38, SEC-34, decisions 4).
func (v *Verifier) signed(ctx context.Context, token, issuer string, about func(context.Context) (Owner, error)) (Grant, error) {
	client, err := v.cfg.Clients.At(ctx, issuer)
	if errors.Is(err, ErrNotKept) {
		return Grant{}, fmt.Errorf("%w: issued elsewhere", ErrInactive)
	}
	if err != nil {
		return Grant{}, err
	}
	says, err := client.VerifyAccessToken(ctx, token)
	if errors.Is(err, asclient.ErrUnreachable) {
		return Grant{}, unreachable(err)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrInactive, err)
	}
	if v.cfg.Clients.Trust(issuer) == TrustOwn {
		return v.introspect(ctx, token, Owner{Issuer: issuer}, says.Cnf)
	}
	o, err := v.concerned(ctx, issuer, says.Permissions, about)
	if err != nil {
		return Grant{}, err
	}
	return v.introspect(ctx, token, o, says.Cnf)
}

// concerned is the owner whose sets a foreign token is about: the first set of it that is known here decides, and hers
// alone count. A token that says nothing of sets is about the owner of what is asked for. None is nobody, and the token is
// good for nothing here.
func (v *Verifier) concerned(ctx context.Context, issuer string, permissions []uma.Permission, about func(context.Context) (Owner, error)) (Owner, error) {
	if len(permissions) == 0 {
		if o, err := about(ctx); err != nil || o.User != "" && o.Issuer == issuer {
			return o, err
		}
	}
	for _, p := range permissions {
		set, err := v.cfg.Sets.SetByID(ctx, issuer, p.ResourceID)
		if err == nil && set.User != "" {
			return Owner{Issuer: issuer, User: set.User}, nil
		}
		if err != nil && !errors.Is(err, ErrNotKept) {
			return Owner{}, fmt.Errorf("read set: %w", err)
		}
	}
	return Owner{}, fmt.Errorf("%w: a foreign token about nothing here", ErrInactive)
}

// foreign asks a listed server about an opaque token, with the owner's protection token.
func (v *Verifier) foreign(ctx context.Context, token string, hash [32]byte, o Owner) (Grant, error) {
	if v.cfg.Clients.Trust(o.Issuer) != TrustListed {
		return Grant{}, fmt.Errorf("%w: its issuer is not listed any more", ErrInactive)
	}
	return v.through(ctx, routed(hash, o), func(ctx context.Context) (Grant, error) { return v.introspect(ctx, token, o, nil) })
}

// introspect is what one authorization server says of a token with one owner's protection token (FedAuthz §5), joined with
// what the sets mean here. signed is the key that a signed token names. An owner who took her token back shows nothing any more.
func (v *Verifier) introspect(ctx context.Context, token string, o Owner, signed *uma.Confirmation) (Grant, error) {
	got, proved, err := v.answer(ctx, token, o)
	if err != nil {
		return Grant{}, err
	}
	if got.Cnf, err = sameBinding(signed, got); err != nil {
		return Grant{}, err
	}
	g, err := v.join(ctx, o.Issuer, got)
	g.proved = proved
	if err != nil || o.Custodian() {
		return g, err
	}
	kept := g.Permissions[:0]
	for _, p := range g.Permissions { // asked in one owner's name: what is another's does not count
		if p.Set.User == o.User {
			kept = append(kept, p)
		}
	}
	g.Permissions = kept
	return g, nil
}

// answer asks, or takes the last answer while the server's feed proves that it still holds. proved is the moment as of which
// it is known to be true.
func (v *Verifier) answer(ctx context.Context, token string, o Owner) (got uma.Introspection, proved time.Time, err error) {
	key := routed(sha256.Sum256([]byte(token)), o)
	now := v.cfg.Now()
	if a, ok := v.answers.get(key); ok {
		if proved, ok := v.feeds.current(o.Issuer, a.Tags, a.asked, now); ok {
			return a.Introspection, proved, nil
		}
	}
	err = v.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) (err error) {
		got, err = c.Introspect(ctx, pat, token)
		return err
	})
	switch {
	case errors.Is(err, ErrNoPAT) && !o.Custodian():
		return got, now, fmt.Errorf("%w: its owner does not let this server protect her record any more", ErrInactive)
	case err != nil:
		return got, now, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case !got.Active:
		v.answers.drop(key)
		return got, now, ErrInactive
	}
	if o.Custodian() { // the feed is read with this server's own token; an owner's may be taken back without a word in it
		v.answers.put(key, answered{Introspection: got, asked: now})
	}
	return got, now, nil
}

// answered is an introspection answer with the moment it was asked for.
type answered struct {
	uma.Introspection
	asked time.Time
}

// routed is the key under which one owner's view of a token is remembered.
func routed(hash [32]byte, o Owner) [32]byte {
	return sha256.Sum256(append(hash[:], o.Issuer+"\x00"+o.User...))
}

// tokenRoutes remembers, in a bounded number, whose a foreign token that does not say so was found to be, so that later requests need not
// name the record and the operator's own servers are not asked each time. It is a short cut, never an authority.
type tokenRoutes struct {
	mu         sync.Mutex
	young, old map[[32]byte]Owner
}

const maxRoutes = 20_000

func newTokenRoutes() *tokenRoutes { return &tokenRoutes{young: map[[32]byte]Owner{}} }

func (r *tokenRoutes) get(hash [32]byte) (Owner, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, ok := r.young[hash]; ok {
		return o, true
	}
	o, ok := r.old[hash]
	if ok {
		r.keep(hash, o)
	}
	return o, ok
}

func (r *tokenRoutes) put(hash [32]byte, o Owner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(hash, o)
}

// keep needs r.mu.
func (r *tokenRoutes) keep(hash [32]byte, o Owner) {
	if len(r.young) >= maxRoutes {
		r.old, r.young = r.young, map[[32]byte]Owner{}
	}
	r.young[hash] = o
}

func (r *tokenRoutes) drop(hash [32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, hash)
	delete(r.old, hash)
}
