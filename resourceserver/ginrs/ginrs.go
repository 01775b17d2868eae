// Package ginrs puts gin routes under package resourceserver's protection. It holds no logic: deciding is the library's.
package ginrs

import (
	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/resourceserver"
)

// Protect is a middleware that lets requests on only under a permission. Handlers behind it find what was granted by
// Granted.
func Protect(p *resourceserver.Protection) gin.HandlerFunc {
	return func(c *gin.Context) {
		allowed, ok := p.Check(c.Writer, c.Request)
		if !ok {
			c.Abort()
			return
		}
		c.Request = allowed
		c.Next()
	}
}

// Granted gives what Protect let the request through with; false where it did not stand before the handler.
func Granted(c *gin.Context) (resourceserver.Granted, bool) {
	return resourceserver.GrantedFrom(c.Request.Context())
}
