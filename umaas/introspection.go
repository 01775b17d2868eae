package umaas

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Introspect tells a resource server what a token is good for now (FedAuthz §5.1.1, RFC 7662 §2.2). Unknown, expired,
// withdrawn and foreign tokens are {"active":false} and nothing more (F-064, F-071, SEC-52, SEC-54); so are refresh tokens
// and PATs, which are not for resource servers. It reads a handful of records and writes none.
//
// A PAT of a person learns of tokens on that person's resources at its resource server. A PAT of the resource server's own
// account learns of every token for that resource server, for an RPT does not say whose resources it is about.
func (s *Service) Introspect(ctx context.Context, p PAT, token string) (uma.Introspection, error) {
	b, ok := s.openBearer(token)
	if !ok {
		return uma.Introspection{}, nil
	}
	now := s.Now()
	var out uma.Introspection
	err := s.Store.View(ctx, func(r Reader) error {
		out = uma.Introspection{}
		t, g, l, err := s.inspect(r, p, b, now)
		if gone, err := absent(err); gone || err != nil {
			return err
		}
		if l.reason != "" {
			return nil
		}
		out = s.describeToken(t, g, l, now)
		return nil
	})
	if err != nil {
		return uma.Introspection{}, fmt.Errorf("introspect: %w", err)
	}
	return out, nil
}

// inspect finds a token that is a PAT holder's to know, with its grant as it stands. Everything else is ErrNotFound.
func (s *Service) inspect(r Reader, p PAT, b bearer, now time.Time) (Token, Grant, liveness, error) {
	t, err := b.find(r, now)
	if err != nil {
		return Token{}, Grant{}, liveness{}, err
	}
	if t.Kind != TokenAccess || now.Before(t.Created) || !now.Before(t.Expires) {
		return Token{}, Grant{}, liveness{}, ErrNotFound
	}
	g, err := r.Grant(t.Grant, now)
	if err != nil {
		return Token{}, Grant{}, liveness{}, err
	}
	meant, err := meantFor(r, p, g)
	if err != nil {
		return Token{}, Grant{}, liveness{}, err
	}
	if !meant && s.rules.introspectPAT {
		meant = g.Kind == GrantPAT && g.Client == p.RS && g.Owner == p.Owner // H-07
	}
	if !meant {
		return Token{}, Grant{}, liveness{}, ErrNotFound
	}
	l, err := s.liveness(r, g, now)
	return t, g, l, err
}

// meantFor reports whether a grant is for the holder of this PAT.
func meantFor(r ClientReader, p PAT, g Grant) (bool, error) {
	if p.RS == "" || p.Owner == "" || g.RS != p.RS || g.Kind != GrantRPT && g.Kind != GrantOAuth {
		return false, nil
	}
	if g.Owner == p.Owner {
		return true, nil
	}
	return ownAccount(r, p)
}

// ownAccount reports a PAT of the resource server itself.
func ownAccount(r ClientReader, p PAT) (bool, error) {
	rs, err := r.Client(p.RS)
	if gone, err := absent(err); gone || err != nil {
		return false, err
	}
	return rs.Account != "" && rs.Account == p.Owner, nil
}

// describeToken prints a live token.
func (s *Service) describeToken(t Token, g Grant, l liveness, now time.Time) uma.Introspection {
	expires := t.Expires
	if g.Expires.Before(expires) {
		expires = g.Expires
	}
	out := uma.Introspection{
		Active: true, ClientID: string(g.Client), Sub: string(g.Party), TokenType: g.Confirm.tokenType(), Cnf: g.Confirm.cnf(), Iss: s.Issuer,
		Aud: g.Audience, Exp: expires.Unix(), Iat: t.Created.Unix(), Nbf: t.Created.Unix(), JTI: s.handles.ID(t.Key),
		Kind: string(g.Kind), Owner: string(g.Owner), Tags: s.tagsOf(g),
	}
	if out.Exp <= now.Unix() {
		return uma.Introspection{} // ends are told in whole seconds, so they count in whole seconds: never active with an exp gone by
	}
	patients := map[string]bool{}
	var rights []Right
	for i, p := range l.effective {
		end := earlier(p.Expires, expires)
		if end.Unix() <= now.Unix() {
			continue
		}
		scopes := p.Scopes
		if scopes == nil {
			scopes = []string{} // FedAuthz §5.1.1: present, with zero or more members
		}
		out.Permissions = append(out.Permissions, uma.Permission{
			ResourceID: string(p.Resource), Scopes: scopes, Constraints: p.Constraints, Exp: end.Unix(), Iat: t.Created.Unix(),
		})
		rights = append(rights, Right{Scopes: p.Scopes, Constraints: p.Constraints})
		if c := l.sets[i].Description.Context; c != nil && c.Patient != "" {
			patients[c.Patient] = true
		}
	}
	if len(patients) == 1 {
		for patient := range patients {
			out.Patient = patient
		}
	}
	who := s.partiesOf(g, l.rs, resourcesOf(out.Permissions))
	out.Sub, out.Aud, out.Azp, out.Party = who.sub, who.aud, who.azp, who.party
	switch {
	case g.Kind == GrantPAT:
		out.Scope = uma.ScopeProtection
	case g.Kind == GrantRPT && len(out.Permissions) == 0:
		return uma.Introspection{}
	case g.Kind == GrantOAuth: // F-062; an RPT has no scope (F-065)
		scope := identityScopes(g.Scope)
		if len(rights) > 0 {
			scope = append(scope, s.Scopes.Print(rights)...)
		}
		out.Scope = strings.Join(scope, " ")
	}
	return out
}
