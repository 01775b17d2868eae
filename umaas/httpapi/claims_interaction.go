package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
)

// claims is the claims interaction endpoint (Grant §3.3.2): a browser arrives with client_id, ticket, claims_redirect_uri
// and state in the query.
func (a *api) claims(c *gin.Context) {
	a.start(c, func() (umaas.Started, error) {
		q, err := readQuery(c.Request.URL)
		if err != nil {
			return umaas.Started{}, err
		}
		return a.Service.StartClaims(c.Request.Context(), q, a.browser(c), requestID(c))
	})
}
