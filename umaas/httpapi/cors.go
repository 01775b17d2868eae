package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// open registers an endpoint that programs in browsers may call from any origin: metadata, keys, token, registration, and
// no others (SEC-114). It needs no cookie, so the wildcard gives nothing away.
func (a *api) open(r gin.IRoutes, method, path string, h handler) {
	handle := a.handle(h)
	run := func(c *gin.Context) {
		c.Header("Access-Control-Allow-Origin", "*")
		c.Header("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, DPoP-Nonce, "+requestIDHeader)
		handle(c)
	}
	r.Handle(method, path, run)
	if method == http.MethodGet {
		r.HEAD(path, run)
	}
	r.OPTIONS(path, func(c *gin.Context) {
		c.Header("Access-Control-Allow-Origin", "*")
		c.Header("Access-Control-Allow-Methods", method)
		c.Header("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
		c.Header("Access-Control-Max-Age", "600")
		c.Status(http.StatusNoContent)
	})
}
