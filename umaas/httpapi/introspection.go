package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas/uma"
)

// introspect is RFC 7662 §2 with a PAT as the caller's authentication (FedAuthz §5.1). token_type_hint is only a hint.
func (a *api) introspect(c *gin.Context) error {
	p, err := a.pat(c)
	if err != nil {
		return err
	}
	token, err := formToken(c.Request)
	if err != nil {
		return err
	}
	answer, err := a.Service.Introspect(c.Request.Context(), p, token)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, answer)
}

func formToken(r *http.Request) (string, error) {
	form, err := readForm(r)
	if err != nil {
		return "", err
	}
	token := form.Get("token")
	if token == "" {
		return "", uma.ErrInvalidRequest.With("the parameter token is missing")
	}
	return token, nil
}
