package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// metadata answers all discovery addresses with one document, the same for every caller (RFC 8414 §3.2, Grant §2, SEC-74).
func (a *api) metadata(c *gin.Context) error {
	c.Header("Cache-Control", "public, max-age=300")
	return writeJSON(c, http.StatusOK, a.Service.Metadata())
}

// jwks answers with the public keys. Rotation publishes a key before it signs, so five minutes of caching are safe.
func (a *api) jwks(c *gin.Context) error {
	c.Header("Cache-Control", "public, max-age=300")
	c.Header("Content-Type", "application/jwk-set+json")
	c.Status(http.StatusOK)
	_, err := c.Writer.Write(a.Service.JWKS())
	return err
}
