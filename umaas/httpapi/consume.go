package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
)

// consume spends a single-use grant before the resource server acts on it (decisions 8). Form parameter: token.
func (a *api) consume(c *gin.Context, p umaas.PAT) error {
	token, err := formToken(c.Request)
	if err != nil {
		return err
	}
	if err := a.Service.ConsumeGrant(c.Request.Context(), p, token); err != nil {
		return err
	}
	return noContent(c)
}

func noContent(c *gin.Context) error {
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}
