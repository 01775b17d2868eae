package httpapi

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// handler answers a request or returns an error, never both.
type handler func(*gin.Context) error

// handle is the only bridge from handlers to gin. Answers of protocol endpoints are never cached unless the handler says
// so (RFC 6749 §5.1, F-072).
func (a *api) handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-store")
		if err := refuseCredentialsInQuery(c.Request.URL); err != nil {
			a.fail(c, err)
			return
		}
		if err := h(c); err != nil {
			a.fail(c, err)
		}
	}
}

// protectedHandler runs with a verified PAT: the type says that the check was made.
type protectedHandler func(*gin.Context, umaas.PAT) error

// protected checks the PAT before a byte of the body is read (FedAuthz §1.3, F-009, F-034).
func (a *api) protected(h protectedHandler) gin.HandlerFunc {
	return a.handle(func(c *gin.Context) error {
		p, err := a.pat(c)
		if err != nil {
			return err
		}
		return h(c, p)
	})
}

func (a *api) pat(c *gin.Context) (umaas.PAT, error) {
	if err := a.mayTry(c); err != nil {
		return umaas.PAT{}, err
	}
	p, err := a.presentation(c)
	if err != nil {
		return umaas.PAT{}, err
	}
	return a.Service.PresentPAT(c.Request.Context(), p)
}

const requestIDHeader = "X-Request-Id"

// identify gives every request an id of ours. One sent by the client is not taken over: it would be foreign text in logs.
func (a *api) identify(c *gin.Context) {
	var b [15]byte
	if _, err := io.ReadFull(a.Random, b[:]); err != nil {
		a.Logger.Error("read randomness", slog.Any("error", err))
		c.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	h := c.Writer.Header()
	h.Set(requestIDHeader, base32.StdEncoding.EncodeToString(b[:]))
	h.Set("X-Content-Type-Options", "nosniff")
	if a.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	c.Next()
}

func requestID(c *gin.Context) string { return c.Writer.Header().Get(requestIDHeader) }

// recoverPanic turns a defect of ours into server_error. The stack goes to the log, nothing of the request does.
func (a *api) recoverPanic(c *gin.Context) {
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v) // net/http's own way to break off an answer
			}
			a.Logger.Error("panic", slog.String("request_id", requestID(c)), slog.String("route", c.FullPath()),
				slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
			a.fail(c, uma.ErrServer)
		}
	}()
	c.Next()
}
