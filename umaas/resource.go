package umaas

import (
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// ResourceID names a registered resource to its resource server. Identity is (this server, resource server, owner, id);
// names never identify (SEC-42).
type ResourceID string

// Resource is a registered resource set of one owner at one resource server.
type Resource struct {
	ID          ResourceID
	Owner       AccountID
	RS          ClientID
	Description uma.ResourceDescription // Scopes is the finite registered list
	Created     time.Time
	Updated     time.Time
}
