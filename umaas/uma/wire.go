package uma

import "encoding/json"

// Identifiers fixed by the specifications.
const (
	GrantTypeTicket            = "urn:ietf:params:oauth:grant-type:uma-ticket" // Grant §3.3.1
	GrantTypeAuthorizationCode = "authorization_code"
	GrantTypeClientCredentials = "client_credentials"
	GrantTypeRefreshToken      = "refresh_token"

	ScopeProtection = "uma_protection" // FedAuthz §1.2

	WellKnownUMA    = "/.well-known/uma2-configuration" // Grant §2, appended after the issuer's path
	WellKnownOAuth  = "/.well-known/oauth-authorization-server"
	WellKnownOpenID = "/.well-known/openid-configuration"

	HintPCT = "pct" // Grant §3.7

	TokenTypeBearer = "Bearer" // RFC 6750
	TokenTypeDPoP   = "DPoP"   // RFC 9449 §5
)

// Metadata is the discovery document of an authorization server: RFC 8414 §2 with the members of Grant §2, FedAuthz §2
// and OpenID Connect Discovery §3. One value serves all three well-known locations.
type Metadata struct {
	Issuer                                     string            `json:"issuer"`
	AuthorizationEndpoint                      string            `json:"authorization_endpoint,omitempty"`
	TokenEndpoint                              string            `json:"token_endpoint"`
	RegistrationEndpoint                       string            `json:"registration_endpoint,omitempty"`
	IntrospectionEndpoint                      string            `json:"introspection_endpoint,omitempty"`
	RevocationEndpoint                         string            `json:"revocation_endpoint,omitempty"`
	JWKSURI                                    string            `json:"jwks_uri,omitempty"`
	UserinfoEndpoint                           string            `json:"userinfo_endpoint,omitempty"`
	PermissionEndpoint                         string            `json:"permission_endpoint,omitempty"`
	ResourceRegistrationEndpoint               string            `json:"resource_registration_endpoint,omitempty"`
	ClaimsInteractionEndpoint                  string            `json:"claims_interaction_endpoint,omitempty"`
	UMAProfilesSupported                       []string          `json:"uma_profiles_supported,omitempty"`
	AccessEventsEndpoint                       string            `json:"urn:umaas:access_events_endpoint,omitempty"`
	EventFeedEndpoint                          string            `json:"urn:umaas:event_feed_endpoint,omitempty"`
	GrantConsumptionEndpoint                   string            `json:"urn:umaas:grant_consumption_endpoint,omitempty"`
	OwnerEndpoint                              string            `json:"urn:umaas:owner_endpoint,omitempty"` // the policy API; its paths go on from here
	ScopesSupported                            []string          `json:"scopes_supported,omitempty"`
	ResponseTypesSupported                     []string          `json:"response_types_supported"`
	ResponseModesSupported                     []string          `json:"response_modes_supported,omitempty"`
	GrantTypesSupported                        []string          `json:"grant_types_supported,omitempty"`
	SubjectTypesSupported                      []string          `json:"subject_types_supported,omitempty"`
	IDTokenSigningAlgValuesSupported           []string          `json:"id_token_signing_alg_values_supported,omitempty"`
	TokenEndpointAuthMethodsSupported          []string          `json:"token_endpoint_auth_methods_supported,omitempty"`
	TokenEndpointAuthSigningAlgValuesSupported []string          `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	CodeChallengeMethodsSupported              []string          `json:"code_challenge_methods_supported,omitempty"`
	AuthorizationResponseIssParameterSupported bool              `json:"authorization_response_iss_parameter_supported,omitempty"`
	ClaimsSupported                            []string          `json:"claims_supported,omitempty"`
	ACRValuesSupported                         []string          `json:"acr_values_supported,omitempty"`
	DPoPSigningAlgValuesSupported              []string          `json:"dpop_signing_alg_values_supported,omitempty"`          // RFC 9449 §5.1
	TLSClientCertificateBoundAccessTokens      bool              `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 §3.3
	MTLSEndpointAliases                        map[string]string `json:"mtls_endpoint_aliases,omitempty"`                      // RFC 8705 §5
}

// ResourceDescription is the body of FedAuthz §3.1. Context, DerivedFrom and PreviewURI are extension members of this
// project (FedAuthz §1.1 allows them): Context is shown to the owner only; DerivedFrom names the standing right the set
// rests on; PreviewURI answers the owner's question "what would this show today".
type ResourceDescription struct {
	ID          string           `json:"_id,omitempty"`
	Name        string           `json:"name,omitempty"`
	Type        string           `json:"type,omitempty"`
	Description string           `json:"description,omitempty"`
	IconURI     string           `json:"icon_uri,omitempty"`
	Scopes      []string         `json:"resource_scopes"`
	Context     *ResourceContext `json:"context,omitempty"`
	DerivedFrom *DerivedFrom     `json:"derived_from,omitempty"`
	PreviewURI  string           `json:"preview_uri,omitempty"`
	// Extra keeps every other member byte for byte (name#fr and the like), so that a read returns what was registered.
	Extra map[string]json.RawMessage `json:"-"`
}

// ResourceContext is what a set means at its resource server. It never leaves the server except to the set's owner and,
// after authorization, as launch context to the client it was granted to.
type ResourceContext struct {
	Level    string `json:"level"` // "record" | "patient" | "user"
	Label    string `json:"label,omitempty"`
	FHIRBase string `json:"fhir_base,omitempty"`
	Patient  string `json:"patient,omitempty"` // logical id at FHIRBase
}

// DerivedFrom names the right a (user, patient)-level set rests on: a record set at the same authorization server, or the
// custodian's relation, which the resource server enforces by itself.
type DerivedFrom struct {
	ResourceID string `json:"resource_id,omitempty"`
	Custodian  bool   `json:"custodian,omitempty"`
}

// Constraint narrows a permission. Only Type is known to the authorization server's core; the rest belongs to the type.
// A permission holds under all of its constraints; an unknown type refuses at the resource server.
type Constraint struct {
	Type  string `json:"type"`
	Value string `json:"value,omitempty"`
}

// Constraint types. Client and Once are enforced by the core, Query and Period by the resource server.
const (
	ConstraintClient = "client" // Value: the only client_id that may redeem the ticket (flows.md A2, decisions 9)
	ConstraintOnce   = "once"   // the grant is spent by one use
	ConstraintQuery  = "query"  // Value: a search expression of the scope's type, for example category=laboratory
	ConstraintPeriod = "period" // Value: clinical period START/END, dates, either may be empty
)

// Permission is one element of a permission request (FedAuthz §4.1) and of introspection (§5.1.1). Several permissions may
// name one resource where their constraints differ; scopes never travel from one to the other.
type Permission struct {
	ResourceID  string       `json:"resource_id"`
	Scopes      []string     `json:"resource_scopes"`
	Constraints []Constraint `json:"constraints,omitempty"`
	Exp         int64        `json:"exp,omitempty"`
	Iat         int64        `json:"iat,omitempty"`
	Nbf         int64        `json:"nbf,omitempty"`
}

// PermissionTicket is FedAuthz §4.2.
type PermissionTicket struct {
	Ticket string `json:"ticket"`
}

// TokenResponse is RFC 6749 §5.1 with the members of Grant §3.3.5 and OpenID Connect Core §3.1.3.3.
type TokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"` // never with an RPT (Grant §3.3.5)
	IDToken      string `json:"id_token,omitempty"`
	PCT          string `json:"pct,omitempty"`
	Upgraded     bool   `json:"upgraded,omitempty"`
	Patient      string `json:"patient,omitempty"` // SMART launch context
	DPoPNonce    string `json:"-"`                 // for the header DPoP-Nonce (RFC 9449 §8.2)
}

// RequiredClaim is one element of required_claims (Grant §3.3.6).
type RequiredClaim struct {
	ClaimTokenFormat []string `json:"claim_token_format,omitempty"`
	ClaimType        string   `json:"claim_type,omitempty"`
	FriendlyName     string   `json:"friendly_name,omitempty"`
	Issuer           []string `json:"issuer,omitempty"`
	Name             string   `json:"name,omitempty"`
}

// Introspection is RFC 7662 §2.2 with FedAuthz §5.1.1. An inactive answer has Active alone.
type Introspection struct {
	Active      bool          `json:"active"`
	Permissions []Permission  `json:"permissions,omitempty"` // RPT: present, and Scope absent
	Scope       string        `json:"scope,omitempty"`
	ClientID    string        `json:"client_id,omitempty"`
	Sub         string        `json:"sub,omitempty"` // requesting party
	Username    string        `json:"username,omitempty"`
	TokenType   string        `json:"token_type,omitempty"`
	Iss         string        `json:"iss,omitempty"`
	Aud         []string      `json:"aud,omitempty"`
	Exp         int64         `json:"exp,omitempty"`
	Iat         int64         `json:"iat,omitempty"`
	Nbf         int64         `json:"nbf,omitempty"`
	JTI         string        `json:"jti,omitempty"`
	Kind        string        `json:"urn:umaas:kind,omitempty"` // "rpt" | "oauth": selects the envelope of a refusal
	Owner       string        `json:"urn:umaas:owner,omitempty"`
	Patient     string        `json:"patient,omitempty"`
	Azp         string        `json:"azp,omitempty"`             // HEART: the client
	Party       string        `json:"urn:umaas:party,omitempty"` // HEART: the requesting party, for there sub is the resource owner
	Cnf         *Confirmation `json:"cnf,omitempty"`             // the key the token is bound to
	Tags        []string      `json:"urn:umaas:tags,omitempty"`  // what the answer rests on; the feed names changes by the same
}

// FeedRequest asks for changes since the last answer (a documented extension): After is its cursor, "" at first; WaitMS how
// long the server may wait for one, 20,000 at most.
type FeedRequest struct {
	After  string `json:"after,omitempty"`
	WaitMS int    `json:"wait_ms,omitempty"`
}

// Feed is the answer: security event tokens (RFC 8417), each naming what changed by tags. Reset means that earlier ones are
// missing, so that everything remembered must be asked about again.
type Feed struct {
	Sets  []string `json:"sets"`
	After string   `json:"after"`
	Reset bool     `json:"reset,omitempty"`
}

// AccessEvent tells an owner of one access at a resource server (a documented extension). ID makes reporting idempotent.
type AccessEvent struct {
	ID          string   `json:"id"`
	Time        string   `json:"time"` // RFC 3339, UTC, milliseconds
	JTI         string   `json:"jti,omitempty"`
	ClientID    string   `json:"client_id,omitempty"`
	Sub         string   `json:"sub,omitempty"`
	ResourceID  string   `json:"resource_id,omitempty"`
	Interaction string   `json:"interaction"` // read, search-type, create, …
	Types       []string `json:"types,omitempty"`
	Count       int      `json:"count,omitempty"`
	Outcome     string   `json:"outcome"` // "success" | "refused" | "failed"
	Reason      string   `json:"reason,omitempty"`
	RequestID   string   `json:"request_id,omitempty"`
}

// ProfileURIHEART is what a server under the HEART profile of UMA 2 names itself by in uma_profiles_supported (Grant §2).
const ProfileURIHEART = "http://openid.net/specs/openid-heart-uma2-1_0.html"
