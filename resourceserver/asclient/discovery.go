package asclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// metadataAge is how long a discovery document is used before it is fetched again. An older one still serves while the
// server cannot be reached.
const metadataAge = time.Hour

// Metadata fetches the authorization server's discovery document, appended after the issuer's path (Grant §2), and keeps
// it for an hour. The issuer in it must equal the configured one byte for byte (RFC 8414 §3.3), and the endpoints of the
// protection API must be there (FedAuthz §2).
func (c *Client) Metadata(ctx context.Context) (uma.Metadata, error) {
	c.mu.Lock()
	m, at := c.metadata, c.metadataAt
	c.mu.Unlock()
	if !at.IsZero() && c.cfg.Now().Sub(at) < metadataAge {
		return m, nil
	}
	fresh, err := c.discover(ctx)
	if err != nil {
		if !at.IsZero() {
			c.cfg.Logger.WarnContext(ctx, "discovery failed, the earlier document stays in use", "issuer", c.cfg.Issuer, "err", err)
			return m, nil
		}
		return uma.Metadata{}, err
	}
	c.mu.Lock()
	c.metadata, c.metadataAt = fresh, c.cfg.Now()
	c.mu.Unlock()
	return fresh, nil
}

func (c *Client) discover(ctx context.Context) (uma.Metadata, error) {
	var m uma.Metadata
	err := c.do(ctx, call{
		method: http.MethodGet, url: c.cfg.Issuer + uma.WellKnownUMA, repeatable: true, accept: []int{http.StatusOK},
	}, &m)
	if err != nil {
		return uma.Metadata{}, fmt.Errorf("discovery at %s: %w", c.cfg.Issuer, err)
	}
	if m.Issuer != c.cfg.Issuer {
		return uma.Metadata{}, fmt.Errorf("%w: discovery at %s names issuer %q", ErrUntrusted, c.cfg.Issuer, m.Issuer)
	}
	for name, value := range map[string]string{
		"token_endpoint": m.TokenEndpoint, "permission_endpoint": m.PermissionEndpoint,
		"resource_registration_endpoint": m.ResourceRegistrationEndpoint, "introspection_endpoint": m.IntrospectionEndpoint,
	} {
		if _, err := endpoint(name, value); err != nil {
			return uma.Metadata{}, err
		}
	}
	if c.cfg.Foreign {
		return m, c.atHome(m)
	}
	return m, nil
}

// atHome refuses a foreign server that names endpoints of somebody else (mix-up, RFC 9700 §4.4), or lacks one this server
// needs to register and to ask its owner.
func (c *Client) atHome(m uma.Metadata) error {
	issuer, err := url.Parse(c.cfg.Issuer)
	if err != nil {
		return fmt.Errorf("%w: issuer: %w", ErrUntrusted, err)
	}
	for name, value := range map[string]string{
		"token_endpoint": m.TokenEndpoint, "permission_endpoint": m.PermissionEndpoint, "introspection_endpoint": m.IntrospectionEndpoint,
		"resource_registration_endpoint": m.ResourceRegistrationEndpoint, "authorization_endpoint": m.AuthorizationEndpoint,
		"registration_endpoint": m.RegistrationEndpoint, "jwks_uri": m.JWKSURI,
		"urn:umaas:grant_consumption_endpoint": m.GrantConsumptionEndpoint, "urn:umaas:access_events_endpoint": m.AccessEventsEndpoint,
	} {
		optional := name == "urn:umaas:grant_consumption_endpoint" || name == "urn:umaas:access_events_endpoint" ||
			name == "registration_endpoint" && c.cfg.ClientID != ""
		if value == "" && optional {
			continue
		}
		raw, err := endpoint(name, value)
		if err != nil {
			return err
		}
		if u, err := url.Parse(raw); err != nil || u.Scheme != issuer.Scheme || u.Host != issuer.Host || u.User != nil {
			return fmt.Errorf("%w: metadata member %s is not at the server's own origin", ErrUntrusted, name)
		}
	}
	return nil
}
