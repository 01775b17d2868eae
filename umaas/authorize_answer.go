package umaas

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// authorizeView fills what the page of an authorization flow shows to the person who signed in: for a resource server that
// asks for its PAT what it will be allowed to do, for an app the person's own resource sets with the lines to tick.
// Resource scopes of this door reach her own sets alone; what she may see of others she owns as a set of her own
// (decisions 2). The page is shown every time: no consent is taken from an earlier one.
func (s *Service) authorizeView(r Reader, f Flow, a Account, v *FlowView) error {
	if f.Authorize == nil {
		return errors.New("authorization flow without parameters")
	}
	p := *f.Authorize
	v.Identity = identityScopes(p.Scope)
	v.Offline = contains(p.Scope, scopeOffline)
	if contains(p.Scope, uma.ScopeProtection) {
		v.Step = StepProtect
		return nil
	}
	v.Step = StepConsent
	if p.RS == "" {
		return nil
	}
	const page, pages = 100, 20
	var perms []uma.Permission
	resources := map[ResourceID]Resource{}
	var after ResourceID
	for range pages {
		sets, err := r.Resources(a.ID, p.RS, after, page)
		if err != nil {
			return fmt.Errorf("read resources: %w", err)
		}
		for _, set := range sets {
			after = set.ID
			for _, right := range s.translated(set, p.Scope) {
				perms = append(perms, uma.Permission{ResourceID: string(set.ID), Scopes: right.Scopes, Constraints: right.Constraints})
				resources[set.ID] = set
			}
		}
		if len(sets) < page {
			break
		}
	}
	records, err := s.records(r, perms, resources)
	if err != nil {
		return err
	}
	v.Records = slices.DeleteFunc(records, func(view RecordView) bool { return len(view.Items) == 0 })
	return nil
}

// translated is what scope strings ask of one set.
func (s *Service) translated(set Resource, scope []string) []Right {
	if set.Description.Context == nil || isDecoy(set.Description) {
		return nil
	}
	var rights []Right
	for _, text := range scope {
		level, right, ok := s.Scopes.Translate(text, set.Description.Scopes)
		if ok && atLevel(level, set.Description.Context.Level) && len(right.Scopes) > 0 {
			rights = mergeRight(rights, right)
		}
	}
	return rights
}

// atLevel: scopes about one patient fit the patient's own record and a user's access to a patient alike (flows.md A1).
func atLevel(scopes, set string) bool {
	return scopes == set || scopes == "record" && set == "patient"
}

// mergeRight joins scopes under equal constraints, each once.
func mergeRight(rights []Right, more Right) []Right {
	for i := range rights {
		if slices.Equal(rights[i].Constraints, more.Constraints) {
			rights[i].Scopes = union(rights[i].Scopes, more.Scopes)
			return rights
		}
	}
	return append(rights, Right{Scopes: slices.Clone(more.Scopes), Constraints: slices.Clone(more.Constraints)})
}

// finishAuthorize stores what the person gave and returns the authorization code for it (RFC 6749 §4.1.2). granted is what
// her ticks came to, carried by the policies just stored; offline is whether access may go on without her. Refusals are
// *uma.Error for the redirect.
func (s *Service) finishAuthorize(tx Tx, f Flow, a Account, sess Session, granted []Granted, offline bool, now time.Time) (string, error) {
	if f.Authorize == nil || sess.Account != a.ID {
		return "", errors.New("authorization flow without parameters or of another person")
	}
	p := *f.Authorize
	if f.needsSignIn(sess) {
		return "", &uma.Error{Status: 400, Code: "login_required", Description: "a fresh sign-in was asked for"}
	}
	g := Grant{
		Kind: GrantOAuth, Client: f.Client, Party: a.ID, Owner: a.ID, RS: p.RS, Permissions: granted, Audience: p.Resource,
		AuthTime: sess.AuthTime, AMR: sess.AMR, ACR: sess.ACR, Claims: sess.Claims, Created: now, Expires: now.Add(s.Limits.Code),
	}
	g.Scope = identityScopes(p.Scope)
	switch {
	case contains(p.Scope, uma.ScopeProtection):
		// A PAT needs no ticks, and it must outlive the owner's session (F-016): offline access is part of protecting.
		g.Kind, g.RS, g.Permissions = GrantPAT, "", nil
		g.Claims = nil // and it does not end with an issuer she signed in at
		offline = true
	case len(granted) == 0 && len(g.Scope) != len(p.Scope):
		return "", uma.ErrAccessDenied.With("nothing was given")
	}
	if !offline {
		g.Scope = slices.DeleteFunc(g.Scope, func(scope string) bool { return scope == scopeOffline })
	}
	var rights []Right
	for _, permission := range g.Permissions {
		rights = mergeRight(rights, Right{Scopes: permission.Scopes, Constraints: permission.Constraints})
	}
	if len(rights) > 0 {
		g.Scope = append(g.Scope, s.Scopes.Print(rights)...)
	}
	var err error
	if g.Key, err = s.handles.NewKey(now); err != nil {
		return "", err
	}
	if err := tx.PutGrant(g); err != nil {
		return "", fmt.Errorf("store grant: %w", err)
	}
	value, key, secret, err := s.handles.New(now)
	if err != nil {
		return "", err
	}
	err = tx.PutCode(Code{
		Key: key, Secret: secret, Client: f.Client, RedirectURI: f.RedirectURI, Challenge: p.Challenge, Nonce: p.Nonce, JKT: p.JKT,
		Grant: g.Key, Expires: now.Add(s.Limits.Code),
	})
	if err != nil {
		return "", fmt.Errorf("store code: %w", err)
	}
	return value, s.auditOAuth(tx, now, AuditEvent{
		Owner: a.ID, Type: "authorization-given", Outcome: OutcomeSuccess, Reason: string(g.Kind), Actor: a.ID, Client: f.Client, RS: p.RS,
		Grant: g.Key, Scopes: g.Scope,
	})
}
