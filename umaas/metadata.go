package umaas

import (
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// The paths of the endpoints under the issuer. The transport's route table uses the same.
const (
	pathAuthorize     = "/authorize"
	pathToken         = "/token"
	pathRegister      = "/register"
	pathIntrospect    = "/introspect"
	pathRevoke        = "/revoke"
	pathJWKS          = "/jwks"
	pathUserInfo      = "/userinfo"
	pathPermission    = "/permission"
	pathResourceSet   = "/resource_set/"
	pathClaims        = "/claims"
	pathAccessEvents  = "/access-events"
	pathEvents        = "/events"
	pathGrantsConsume = "/grants/consume"
	pathOwner         = "/owner"
)

// Metadata is the discovery document (RFC 8414 §2, Grant §2, FedAuthz §2, OpenID Connect Discovery §3). It is the same for
// every caller and names only what works (SEC-74).
func (s *Service) Metadata() uma.Metadata {
	return s.profileMetadata(s.bindingMetadata(uma.Metadata{
		Issuer:                       s.Issuer,
		AuthorizationEndpoint:        s.Issuer + pathAuthorize,
		TokenEndpoint:                s.Issuer + pathToken,
		RegistrationEndpoint:         s.Issuer + pathRegister,
		IntrospectionEndpoint:        s.Issuer + pathIntrospect,
		RevocationEndpoint:           s.Issuer + pathRevoke,
		JWKSURI:                      s.Issuer + pathJWKS,
		UserinfoEndpoint:             s.Issuer + pathUserInfo,
		PermissionEndpoint:           s.Issuer + pathPermission,
		ResourceRegistrationEndpoint: s.Issuer + pathResourceSet,
		ClaimsInteractionEndpoint:    s.Issuer + pathClaims,
		AccessEventsEndpoint:         s.Issuer + pathAccessEvents,
		EventFeedEndpoint:            s.Issuer + pathEvents,
		GrantConsumptionEndpoint:     s.Issuer + pathGrantsConsume,
		OwnerEndpoint:                s.Issuer + pathOwner,
		UMAProfilesSupported:         s.formatURIs(), // Grant §2, G-038
		ScopesSupported:              []string{scopeOpenID, scopeProfile, scopeFHIRUser, scopeOffline, uma.ScopeProtection, ScopeOwner},
		ResponseTypesSupported:       []string{responseCode},
		ResponseModesSupported:       []string{responseModeQuery},
		GrantTypesSupported: []string{
			uma.GrantTypeTicket, uma.GrantTypeAuthorizationCode, uma.GrantTypeClientCredentials, uma.GrantTypeRefreshToken,
		},
		SubjectTypesSupported:            []string{"public"},
		IDTokenSigningAlgValuesSupported: []string{string(keys.RS256), string(keys.ES256)},
		TokenEndpointAuthMethodsSupported: []string{
			string(AuthSecretBasic), string(AuthSecretPost), string(AuthPrivateKeyJWT), string(AuthNone),
		},
		TokenEndpointAuthSigningAlgValuesSupported: keys.AssertionAlgorithms(),
		CodeChallengeMethodsSupported:              []string{"S256"},
		AuthorizationResponseIssParameterSupported: true,
		ClaimsSupported:                            []string{"sub", "iss", "aud", "azp", "exp", "iat", "auth_time", "acr", "nonce", "name", "fhirUser"},
		ACRValuesSupported:                         []string{ACRPassword}, // what signing in here can reach; others by trusted issuers
	}))
}

// JWKS is the public key set (RFC 7517 §5), ready to be sent.
func (s *Service) JWKS() []byte { return s.Keys.JWKS() }
