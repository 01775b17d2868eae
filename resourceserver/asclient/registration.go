package asclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/umaas/umaas/umaas/uma"
)

// patScope is what a person is asked for at her first sign-in (flows.md A1): who she is, which FHIR resource she is, and
// that this server may protect her resources while she is away (FedAuthz §1.3, F-016).
const patScope = "openid profile fhirUser " + uma.ScopeProtection + " offline_access"

// foreignScope is what a person is asked for at a server she brought: that this server may protect her resources, and who
// she is there. Her name and which FHIR resource she is are not that server's to say here.
const foreignScope = "openid " + uma.ScopeProtection + " offline_access"

// scope is what this resource server registers for and asks people for.
func (c *Client) scope() string {
	if c.cfg.Foreign {
		return foreignScope
	}
	return patScope
}

// registration is the client metadata of RFC 7591 §2 this resource server sends, with the extension rpt_format.
type registration struct {
	Name         string          `json:"client_name,omitempty"`
	RedirectURIs []string        `json:"redirect_uris"`
	GrantTypes   []string        `json:"grant_types"`
	Responses    []string        `json:"response_types"`
	AuthMethod   string          `json:"token_endpoint_auth_method"`
	JWKS         json.RawMessage `json:"jwks,omitempty"`
	Scope        string          `json:"scope"`
	Application  string          `json:"application_type"`
	RPTFormat    string          `json:"rpt_format,omitempty"`
	Audience     []string        `json:"resource,omitempty"`
}

// Credentials returns this resource server's identity at the authorization server and registers it first where there is
// none: configured, then stored, then dynamic registration (RFC 7591 §3.1).
func (c *Client) Credentials(ctx context.Context) (Credentials, error) {
	if c.cfg.ClientID != "" {
		return Credentials{Issuer: c.cfg.Issuer, ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret, Key: c.cfg.ClientKey}, nil
	}
	c.mu.Lock()
	kept := c.credentials
	c.mu.Unlock()
	if kept.ClientID != "" {
		return kept, nil
	}
	kept, err := c.cfg.Store.LoadCredentials(ctx, c.cfg.Issuer)
	if errors.Is(err, ErrNoCredentials) {
		kept, err = c.register(ctx)
	}
	if err != nil {
		return Credentials{}, err
	}
	c.mu.Lock()
	c.credentials = kept
	c.mu.Unlock()
	return kept, nil
}

// CredentialDropper is a CredentialStore that can forget a registration, so that another takes its place.
type CredentialDropper interface {
	// DropCredentials forgets the registration with this client id; another one that is kept meanwhile stays.
	DropCredentials(ctx context.Context, issuer, clientID string) error
}

// Confirm makes sure that the authorization server still knows this resource server, before a person is sent there: a
// registration it has forgotten is dropped, and the next call registers anew. Only invalid_client counts as forgotten; a
// server that offers no client credentials tells nothing. Credentials an administrator configured stay.
func (c *Client) Confirm(ctx context.Context) error {
	store, ok := c.cfg.Store.(CredentialDropper)
	if c.cfg.ClientID != "" || !ok {
		return nil
	}
	_, err := c.ClientCredentials(ctx)
	if !errors.Is(err, uma.ErrInvalidClient) {
		return err
	}
	c.mu.Lock()
	forgotten := c.credentials.ClientID
	c.credentials = Credentials{}
	c.mu.Unlock()
	if err := store.DropCredentials(ctx, c.cfg.Issuer, forgotten); err != nil {
		return fmt.Errorf("forget registration: %w", err)
	}
	return nil
}

func (c *Client) register(ctx context.Context) (Credentials, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return Credentials{}, err
	}
	to, err := endpoint("registration_endpoint", m.RegistrationEndpoint)
	if err != nil {
		return Credentials{}, fmt.Errorf("%w (an administrator can give client_id and secret instead)", err)
	}
	r := registration{
		Name: c.cfg.Name, RedirectURIs: []string{c.cfg.RedirectURI}, Responses: []string{"code"},
		GrantTypes: []string{uma.GrantTypeAuthorizationCode, uma.GrantTypeRefreshToken, uma.GrantTypeClientCredentials},
		AuthMethod: "client_secret_basic", Scope: c.scope(), Application: "web", RPTFormat: c.cfg.RPTFormat,
	}
	if c.cfg.Audience != "" {
		r.Audience = []string{c.cfg.Audience}
	}
	key := ""
	if onlyKeys(m) {
		if key, r.JWKS, err = newClientKey(c.cfg.Random); err != nil {
			return Credentials{}, err
		}
		r.AuthMethod = privateKeyJWT
	}
	var got Credentials
	err = c.do(ctx, call{method: http.MethodPost, url: to, json: r, accept: []int{http.StatusCreated}}, &got)
	if err != nil {
		return Credentials{}, fmt.Errorf("register at %s: %w", c.cfg.Issuer, err)
	}
	if got.ClientID == "" || got.ClientSecret == "" && key == "" {
		return Credentials{}, fmt.Errorf("%w: registration answered without client_id and client_secret", ErrUntrusted)
	}
	if key != "" {
		got.ClientSecret = ""
	}
	got.Issuer, got.Key = c.cfg.Issuer, key
	return c.cfg.Store.SaveNewCredentials(ctx, got)
}
