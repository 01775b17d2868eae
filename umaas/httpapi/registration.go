package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
)

// register is dynamic client registration (RFC 7591 §3). Unknown members are ignored (§2).
func (a *api) register(c *gin.Context) error {
	if err := a.mayStart(c); err != nil {
		return err
	}
	raw, err := readJSON(c.Request)
	if err != nil {
		return err
	}
	var m umaas.ClientMetadata
	if err := decode(raw, &m); err != nil {
		return err
	}
	info, err := a.Service.Register(c.Request.Context(), m, requestID(c))
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusCreated, info)
}
