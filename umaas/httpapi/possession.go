package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// maxProofs bounds how many values of one header are looked at; more than one is refused anyway (RFC 9449 §4.3).
const maxProofs = 2

// presented collects what shows that the sender holds a key: the header DPoP, and the certificate of the connection, or of
// the header Client-Cert where the peer is a configured proxy.
func (a *api) presented(c *gin.Context) (umaas.Presented, error) {
	chain, err := a.Certificates.Of(c.Request)
	if err != nil {
		return umaas.Presented{}, uma.ErrInvalidRequest.With("the client certificate cannot be read").Because(err)
	}
	proofs := c.Request.Header.Values(pop.Header)
	return umaas.Presented{DPoP: proofs[:min(len(proofs), maxProofs)], Certificates: chain}, nil
}

// presentation is an access token with all that came with it.
func (a *api) presentation(c *gin.Context) (umaas.Presentation, error) {
	scheme, token, err := accessToken(c.Request.Header)
	if err != nil {
		return umaas.Presentation{}, err
	}
	p := umaas.Presentation{Scheme: scheme, Token: token, Method: c.Request.Method, Path: c.Request.URL.EscapedPath()}
	p.Presented, err = a.presented(c)
	return p, err
}

// tellNonce sends the nonce for the next proof (RFC 9449 §8).
func tellNonce(c *gin.Context, nonce string) {
	if nonce != "" {
		c.Header(pop.NonceHeader, nonce)
	}
}
