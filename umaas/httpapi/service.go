package httpapi

import (
	"context"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// Service is what this package needs of the core; *umaas.Service has all of it.
type Service interface {
	Discovery
	Tokens
	Protection
	Resources
	Interaction
	Possession
	OwnerAPI
	Statuses
}

// Statuses are the revocation lists of exported permission tickets.
type Statuses interface {
	StatusList(ctx context.Context, number uint64) ([]byte, error)
}

// Discovery tells what the server is.
type Discovery interface {
	Metadata() uma.Metadata
	JWKS() []byte
}

// Tokens is the client-facing side: registration, token endpoint, revocation, userinfo.
type Tokens interface {
	Register(ctx context.Context, m umaas.ClientMetadata, requestID string) (umaas.ClientInformation, error)
	Token(ctx context.Context, r umaas.TokenRequest) (uma.TokenResponse, error)
	Revoke(ctx context.Context, r umaas.TokenRequest) error
}

// Protection is the protection API without resource registration (FedAuthz §4, §5 and this project's extensions).
type Protection interface {
	RequestPermission(ctx context.Context, p umaas.PAT, permissions []uma.Permission, challenge, requestID string) (string, error)
	Introspect(ctx context.Context, p umaas.PAT, token string) (uma.Introspection, error)
	ConsumeGrant(ctx context.Context, p umaas.PAT, token string) error
	Feed(ctx context.Context, p umaas.PAT, f uma.FeedRequest) (uma.Feed, error)
	RecordAccess(ctx context.Context, p umaas.PAT, events []uma.AccessEvent) error
}

// Resources is resource registration (FedAuthz §3.2).
type Resources interface {
	CreateResource(ctx context.Context, p umaas.PAT, d uma.ResourceDescription, requestID string) (umaas.ResourceID, error)
	ReadResource(ctx context.Context, p umaas.PAT, id umaas.ResourceID) (uma.ResourceDescription, error)
	UpdateResource(ctx context.Context, p umaas.PAT, id umaas.ResourceID, d uma.ResourceDescription, requestID string) error
	DeleteResource(ctx context.Context, p umaas.PAT, id umaas.ResourceID, requestID string) error
	ListResources(ctx context.Context, p umaas.PAT) ([]umaas.ResourceID, error)
}

// Possession is where access tokens are presented to this server itself.
type Possession interface {
	PresentPAT(ctx context.Context, p umaas.Presentation) (umaas.PAT, error)
	PresentUserInfo(ctx context.Context, p umaas.Presentation) (map[string]any, error)
}

// Interaction starts the flows that have a person before them.
type Interaction interface {
	StartClaims(ctx context.Context, q url.Values, b umaas.Browser, requestID string) (umaas.Started, error)
	StartAuthorization(ctx context.Context, q url.Values, b umaas.Browser, requestID string) (umaas.Started, error)
}

// Pages adds people's pages under the issuer's path and draws the page for an error that must not be sent back to a client
// (Grant §3.3.3, RFC 6749 §4.1.2.1). ErrorPage sets status and headers itself and shows nothing that came with the request.
type Pages interface {
	Mount(r gin.IRouter)
	ErrorPage(c *gin.Context, err error)
}
