package resourceserver

import (
	"context"
	"fmt"
	"net/url"

	"github.com/umaas/umaas/resourceserver/asclient"
)

// place is an authorization server one can sign in at: the operator's own, never one that a patient brought.
func (s *SignIn) place(ctx context.Context, issuer string) (*asclient.Client, error) {
	if s.cfg.Clients.Trust(issuer) != TrustOwn {
		return nil, fmt.Errorf("issuer %q is no place to sign in here", issuer)
	}
	return s.cfg.Clients.At(ctx, issuer)
}

// from is the mix-up defence (RFC 9207 §2.4): an authorization response says whom it comes from.
func from(ctx context.Context, client *asclient.Client, response url.Values) error {
	m, err := client.Metadata(ctx)
	if err != nil {
		return err
	}
	if iss := response.Get("iss"); iss != client.Issuer() && (iss != "" || m.AuthorizationResponseIssParameterSupported) {
		return fmt.Errorf("%w: authorization response of issuer %q", asclient.ErrUntrusted, iss)
	}
	return nil
}

// linked admits the person an account was linked to when she let it guard her record, and keeps the fresh token.
func (s *SignIn) linked(ctx context.Context, home, account, issuer string, tokens asclient.Tokens) (User, error) {
	u, err := s.cfg.State.User(ctx, home)
	if err != nil {
		return User{}, fmt.Errorf("read person: %w", err)
	}
	if err := s.cfg.Tokens.Keep(ctx, Owner{Issuer: issuer, User: account}, tokens); err != nil {
		return User{}, err
	}
	return u, s.cfg.Registrar.Enqueue(ctx, home)
}

// Issuers lists where a person can sign in, the default first. With more than one she chooses: her authorization server is
// hers to choose among those this server works with.
func (s *SignIn) Issuers() []string {
	list := []string{s.cfg.Issuer}
	for _, issuer := range s.cfg.Clients.Own() {
		if issuer != s.cfg.Issuer {
			list = append(list, issuer)
		}
	}
	return list
}
