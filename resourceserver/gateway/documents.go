package gateway

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// resourceMetadata is RFC 9728 §2 with the members of flows.md A for finding context URLs.
type resourceMetadata struct {
	Resource                  string   `json:"resource"`
	AuthorizationServers      []string `json:"authorization_servers"`
	BearerMethodsSupported    []string `json:"bearer_methods_supported"`
	ResourceName              string   `json:"resource_name"`
	DPoPAlgorithms            []string `json:"dpop_signing_alg_values_supported"`
	CertificateBound          bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	ContextResolutionEndpoint string   `json:"uma_context_resolution_endpoint,omitempty"`
	ContextLevels             []string `json:"uma_context_levels,omitempty"`
}

func (g *Gateway) protectedResource() ([]byte, error) {
	m := resourceMetadata{
		Resource: g.Base, AuthorizationServers: g.cfg.Issuers, BearerMethodsSupported: []string{"header"}, ResourceName: "FHIR R4 under the patient's control",
		DPoPAlgorithms: pop.Algorithms(), CertificateBound: g.cfg.CertificateBound,
	}
	if g.cfg.ContextResolver != "" {
		m.ContextResolutionEndpoint, m.ContextLevels = g.cfg.ContextResolver, []string{"user", "patient"}
	}
	return json.Marshal(m)
}

// smartConfig is the discovery document of SMART App Launch 2.2, members the gateway can stand for.
type smartConfig struct {
	Issuer                            string   `json:"issuer"`
	JWKSURI                           string   `json:"jwks_uri,omitempty"`
	AuthorizationEndpoint             string   `json:"authorization_endpoint,omitempty"`
	TokenEndpoint                     string   `json:"token_endpoint,omitempty"`
	RegistrationEndpoint              string   `json:"registration_endpoint,omitempty"`
	RevocationEndpoint                string   `json:"revocation_endpoint,omitempty"`
	IntrospectionEndpoint             string   `json:"introspection_endpoint,omitempty"`
	TokenEndpointAuthMethodsSupported []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	GrantTypesSupported               []string `json:"grant_types_supported,omitempty"`
	ScopesSupported                   []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported            []string `json:"response_types_supported,omitempty"`
	CodeChallengeMethodsSupported     []string `json:"code_challenge_methods_supported"`
	DPoPSigningAlgValuesSupported     []string `json:"dpop_signing_alg_values_supported,omitempty"`
	Capabilities                      []string `json:"capabilities"`
	ContextResolutionEndpoint         string   `json:"urn:umaas:uma_context_resolution_endpoint,omitempty"`
	ContextLevels                     []string `json:"urn:umaas:uma_context_levels,omitempty"`
}

func (g *Gateway) smartConfiguration(ctx context.Context) ([]byte, error) {
	m := uma.Metadata{Issuer: g.cfg.Issuers[0]}
	if g.cfg.Metadata != nil {
		var err error
		if m, err = g.cfg.Metadata(ctx); err != nil {
			return nil, fmt.Errorf("authorization server metadata: %w", err)
		}
	}
	s := smartConfig{
		Issuer: m.Issuer, JWKSURI: m.JWKSURI, AuthorizationEndpoint: m.AuthorizationEndpoint, TokenEndpoint: m.TokenEndpoint,
		RegistrationEndpoint: m.RegistrationEndpoint, RevocationEndpoint: m.RevocationEndpoint, IntrospectionEndpoint: m.IntrospectionEndpoint,
		TokenEndpointAuthMethodsSupported: m.TokenEndpointAuthMethodsSupported, GrantTypesSupported: m.GrantTypesSupported,
		ScopesSupported: m.ScopesSupported, ResponseTypesSupported: m.ResponseTypesSupported, CodeChallengeMethodsSupported: []string{"S256"},
		DPoPSigningAlgValuesSupported: m.DPoPSigningAlgValuesSupported,
		Capabilities: append([]string{
			"permission-patient", "permission-user", "permission-v1", "permission-v2", "client-public", "client-confidential-symmetric", "sso-openid-connect",
		}, g.cfg.Capabilities...),
	}
	if g.cfg.ContextResolver != "" {
		s.ContextResolutionEndpoint, s.ContextLevels = g.cfg.ContextResolver, []string{"user", "patient"}
	}
	return json.Marshal(s)
}
