package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// feed is a resource server's poll for changes (decisions 4); it answers when there is one, or when the time asked for is over.
func (a *api) feed(c *gin.Context, p umaas.PAT) error {
	raw, err := readJSON(c.Request)
	if err != nil {
		return err
	}
	var f uma.FeedRequest
	if err := decode(raw, &f); err != nil {
		return err
	}
	answer, err := a.Service.Feed(c.Request.Context(), p, f)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, answer)
}
