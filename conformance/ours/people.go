package ours

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/uma"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

func withStore(ctx context.Context, e kv.Engine, f func(umaas.Store) error) error {
	st, err := store.New(ctx, kept{e}, store.Options{})
	if err != nil {
		return err
	}
	if err := f(st); err != nil {
		return err
	}
	return st.Close()
}

// populate adds the people and clients that the suite's profile names.
func (s *Server) populate(ctx context.Context) error {
	s.profile = conformance.Profile{
		Server: "umaas", Issuer: s.Issuer, Scopes: []string{"view", "print", "add", "crop"}, People: conformance.People{},
		Clients: conformance.Clients{Dynamic: true, Given: map[string]conformance.ClientHow{}, CallbackHost: "https://conformance.example"},
		PAT:     conformance.PATHow{How: "authorization_code", Scope: uma.ScopeProtection},
		Party:   conformance.PartyHow{How: "gather"}, Pages: Pages(), Home: "{{issuer}}/me",
		Offers:    []conformance.Need{conformance.NeedSubmitted, conformance.NeedUpgrade, conformance.NeedScopeParam, conformance.NeedCORS, conformance.NeedPKCE, conformance.NeedPCT},
		Lifetimes: conformance.Lives{Ticket: conformance.Duration(s.Core().Limits.Ticket), RPT: conformance.Duration(s.Core().Limits.RPT)},
	}
	for _, name := range []string{conformance.Alice, conformance.Carol, conformance.Bob, conformance.Dave} {
		if err := s.person(ctx, name); err != nil {
			return fmt.Errorf("add %s: %w", name, err)
		}
	}
	clients := []string{conformance.C1, conformance.C2, conformance.P1, conformance.RS1, conformance.RS2}
	if s.heart {
		clients = slices.Delete(clients, 2, 3)
		s.profile.Clients.Method, s.profile.Offers = string(umaas.AuthPrivateKeyJWT), append(s.profile.Offers, conformance.NeedHEART)
		s.profile.Absent = conformance.Absences{conformance.NeedPublicClient: "under HEART every client has a key"}
	}
	for _, name := range clients {
		if err := s.client(ctx, name); err != nil {
			return fmt.Errorf("add %s: %w", name, err)
		}
	}
	return nil
}

func (s *Server) person(ctx context.Context, name string) error {
	const password = "correct horse battery staple"
	hash, err := signin.HashPassword(password, cheap, rand.Reader)
	if err != nil {
		return err
	}
	a, err := s.Core().PutAccount(ctx, umaas.Account{
		Kind: umaas.KindPerson, Login: name, Name: strings.ToUpper(name[:1]) + name[1:], Email: name + "@conformance.example", EmailVerified: true,
		PasswordHash: hash, Identities: s.identities(name),
	}, "")
	if err != nil {
		return err
	}
	s.people[name] = a
	s.profile.People[name] = conformance.PersonHow{Login: name, Password: password, Sub: string(a.ID), Email: a.Email}
	return nil
}

func (s *Server) client(ctx context.Context, name string) error {
	base := s.profile.Clients.CallbackHost + "/" + strings.ToLower(name)
	c := umaas.Client{
		Name: "Conformance " + name, AuthMethod: umaas.AuthSecretBasic, RedirectURIs: []string{base + "/callback"}, GrantTypes: grants,
		ClaimsRedirectURIs: []string{base + "/claims"}, RPTFormat: umaas.RPTOpaque, IDTokenAlg: "RS256",
	}
	switch name {
	case conformance.C1:
		c.ClaimsRedirectURIs = append(c.ClaimsRedirectURIs, base+"/claims?kept=1&empty=")
		c.Scopes = []string{s.profile.Scopes[3]}
	case conformance.P1:
		c.AuthMethod = umaas.AuthNone
	case conformance.RS1, conformance.RS2:
		c.ClaimsRedirectURIs, c.Scopes = nil, []string{uma.ScopeProtection}
		c.GrantTypes = []string{uma.GrantTypeAuthorizationCode, uma.GrantTypeRefreshToken}
	}
	var key *conformance.Key
	if s.heart {
		var err error
		if key, err = keyed(&c); err != nil {
			return err
		}
	}
	c, secret, err := s.Core().AddClient(ctx, c, "")
	if err != nil {
		return err
	}
	s.profile.Clients.Given[name] = conformance.ClientHow{
		ID: string(c.ID), Secret: secret, Method: string(c.AuthMethod), RedirectURIs: c.RedirectURIs, ClaimsRedirects: c.ClaimsRedirectURIs, Scopes: c.Scopes, Key: key,
	}
	return nil
}

// keyed gives a client a key in place of a secret.
func keyed(c *umaas.Client) (*conformance.Key, error) {
	key, err := conformance.NewKey("ES256")
	if err != nil {
		return nil, err
	}
	set, err := key.JWKS()
	if err != nil {
		return nil, err
	}
	c.AuthMethod, c.RPTFormat = umaas.AuthPrivateKeyJWT, ""
	c.JWKS, err = json.Marshal(set)
	return key, err
}

// Profile is what the suite needs to know of this server.
func (s *Server) Profile() conformance.Profile { return s.profile }

// Pages are the steps of this server's pages; docs/conformance/profiles/umaas.yaml says the same.
func Pages() []conformance.Step {
	return []conformance.Step{
		{Name: "sign in", Inputs: []string{"login", "password"}, Fill: map[string]string{"login": "{{login}}", "password": "{{password}}"}},
		{Name: "decline", For: []string{"cancel"}, Button: "answer=refuse"},
		{Name: "protect", For: []string{"pat"}, Button: "answer=allow"},
		{Name: "consent", For: []string{"gather", "code"}, Button: "answer=share", Tick: "all", Fill: map[string]string{"until": "today"}},
		{Name: "details", For: []string{"gather"}, Inputs: []string{"purpose"}, Button: "answer=next", Fill: map[string]string{"purpose": "PATRQT"}},
		{Name: "remember", For: []string{"pct"}, Inputs: []string{"remember"}, Button: "answer=send", Fill: map[string]string{"remember": "yes"}},
		{Name: "send", For: []string{"gather"}, Inputs: []string{"remember"}, Button: "answer=send"},
	}
}

// Options are what NewEnv needs beside the profile, with h in place of the server's own handler where it is not nil.
func (s *Server) Options(h *conformance.Options) conformance.Options {
	o := conformance.Options{Transport: Transport(s.Handler), Hooks: s, Provider: s.provider, Now: s.Clock.Now, Sleep: s.Clock.Sleep, Random: rand.Reader}
	if len(s.Core().Metadata().UMAProfilesSupported) == 0 {
		o.Provider = nil // no claim token format is accepted
	}
	if h != nil && h.Transport != nil {
		o.Transport = h.Transport
	}
	if h != nil && h.Hooks != nil {
		o.Hooks = h.Hooks
	}
	return o
}

// Random is the randomness of the process.
func Random() io.Reader { return rand.Reader }
