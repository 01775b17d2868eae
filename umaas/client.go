package umaas

import "time"

// ClientID is chosen by this server from a namespace of its own, disjoint from subjects (SEC-112).
type ClientID string

// AuthMethod is a token_endpoint_auth_method (RFC 7591 §2).
type AuthMethod string

// Client authentication methods.
const (
	AuthNone          AuthMethod = "none"
	AuthSecretBasic   AuthMethod = "client_secret_basic"
	AuthSecretPost    AuthMethod = "client_secret_post"
	AuthPrivateKeyJWT AuthMethod = "private_key_jwt"
	AuthTLS           AuthMethod = "tls_client_auth"             // RFC 8705 §2.1
	AuthTLSSelfSigned AuthMethod = "self_signed_tls_client_auth" // RFC 8705 §2.2
)

// RPTFormat is the form of token a resource server wants (decisions 1).
type RPTFormat string

// The token forms.
const (
	RPTOpaque RPTFormat = "opaque"
	RPTJWT    RPTFormat = "jwt"
)

// Client is an app or a resource server. A resource server is a client that may ask for uma_protection.
type Client struct {
	ID                 ClientID
	Name               string
	AuthMethod         AuthMethod
	SecretHash         SecretHash // zero for public clients and private_key_jwt
	RedirectURIs       []string   // RFC 6749 §3.1.2, exact match
	ClaimsRedirectURIs []string   // Grant §2: a registry of its own, never mixed with RedirectURIs
	GrantTypes         []string
	Scopes             []string // pre-registered scopes (Grant §3.3.1); a resource server has uma_protection
	JWKS               []byte   // JSON Web Key Set for private_key_jwt
	ClientURI          string
	PolicyURI          string
	TOSURI             string
	Contacts           []string
	RPTFormat          RPTFormat
	Audience           []string  // resource server: the URLs it answers for (RFC 8707 resource)
	Account            AccountID // organization the client acts for with client_credentials, "" for none
	IDTokenAlg         string    // RS256 (default) or ES256
	Dynamic            bool      // registered itself; pages say that nobody has checked it
	CheckedBy          string    // who vouches, shown on consent pages
	CheckedAt          time.Time
	PushClaims         bool   // may push claims (SEC-22)
	DPoPBound          bool   // dpop_bound_access_tokens (RFC 9449 §5.2): never gets a bearer token
	TLSBound           bool   // tls_client_certificate_bound_access_tokens (RFC 8705 §3.4)
	TLSSubject         string // tls_client_auth_subject_dn (RFC 8705 §2.1.2)
	TLSName            string // the subject alternative name in its place: "dns:", "uri:", "ip:" or "email:" and its value
	Disabled           bool
	Created            time.Time
}

// Public reports a client that cannot authenticate.
func (c Client) Public() bool { return c.AuthMethod == AuthNone }

// MayUse reports whether a grant type is registered for the client.
func (c Client) MayUse(grantType string) bool { return contains(c.GrantTypes, grantType) }

// IsResourceServer reports a client that may hold a PAT.
func (c Client) IsResourceServer() bool { return contains(c.Scopes, "uma_protection") }

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
