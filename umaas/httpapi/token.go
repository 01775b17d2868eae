package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
)

// token is the token endpoint (RFC 6749 §3.2, Grant §3.3.1).
func (a *api) token(c *gin.Context) error {
	r, err := a.tokenRequest(c)
	if err != nil {
		return err
	}
	answer, err := a.Service.Token(c.Request.Context(), r)
	if err != nil {
		return err
	}
	c.Header("Pragma", "no-cache") // RFC 6749 §5.1
	tellNonce(c, answer.DPoPNonce)
	return writeJSON(c, http.StatusOK, answer)
}

// revoke is the revocation endpoint: success has no body (RFC 7009 §2.2).
func (a *api) revoke(c *gin.Context) error {
	r, err := a.tokenRequest(c)
	if err != nil {
		return err
	}
	if err := a.Service.Revoke(c.Request.Context(), r); err != nil {
		return err
	}
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	return nil
}

func (a *api) tokenRequest(c *gin.Context) (umaas.TokenRequest, error) {
	if err := a.mayTry(c); err != nil {
		return umaas.TokenRequest{}, err
	}
	form, err := readForm(c.Request)
	if err != nil {
		return umaas.TokenRequest{}, err
	}
	r := umaas.TokenRequest{Form: form, RequestID: requestID(c)}
	if r.Presented, err = a.presented(c); err != nil {
		return umaas.TokenRequest{}, err
	}
	return r, basicCredentials(c.Request.Header, &r)
}

// userInfo is OpenID Connect Core §5.3.
func (a *api) userInfo(c *gin.Context) error {
	if err := a.mayTry(c); err != nil {
		return err
	}
	p, err := a.presentation(c)
	if err != nil {
		return err
	}
	claims, err := a.Service.PresentUserInfo(c.Request.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, claims)
}
