package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// fail is the only place that writes a protocol error. What is not a *uma.Error is a fault of ours: the client learns the
// request id, the log the cause.
func (a *api) fail(c *gin.Context, err error) {
	e := a.classify(c, err)
	if c.Writer.Written() {
		return // the answer had begun; the log has the rest
	}
	h := c.Writer.Header()
	h.Set("Cache-Control", "no-store")
	if e.Status == http.StatusUnauthorized || e.Code == uma.ErrInsufficientScope.Code {
		h.Set("WWW-Authenticate", challenge(e, err))
	}
	tellNonce(c, e.DPoPNonce)
	if e.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	if countsAsFailure(e) {
		a.failed.take(a.Now(), c.ClientIP())
	}
	if err := writeJSON(c, e.Status, e); err != nil {
		a.Logger.Info("write answer", slog.String("request_id", requestID(c)), slog.Any("error", err))
	}
	c.Abort()
}

func (a *api) classify(c *gin.Context, err error) *uma.Error {
	id := slog.String("request_id", requestID(c))
	route := slog.String("route", c.FullPath())
	var e *uma.Error
	switch {
	case errors.As(err, &e) && e.Status >= 400 && e.Code != "":
		level := slog.LevelInfo // an expected refusal
		if e.Status >= 500 {
			level = slog.LevelError
		}
		a.Logger.LogAttrs(c.Request.Context(), level, "refused", id, route, slog.Int("status", e.Status), slog.String("error", e.Code),
			slog.String("detail", e.Error()))
		if e.Status == http.StatusInternalServerError {
			return e.With(e.Description + " (request id " + requestID(c) + ")")
		}
		return e
	case errors.Is(err, umaas.ErrNotFound):
		return uma.ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		a.Logger.LogAttrs(c.Request.Context(), slog.LevelInfo, "given up", id, route, slog.String("error", err.Error()))
		return uma.ErrUnavailable
	default:
		a.Logger.LogAttrs(c.Request.Context(), slog.LevelError, "failed", id, route, slog.String("error", err.Error()))
		return uma.ErrServer.With("something went wrong on our side (request id " + requestID(c) + ")")
	}
}

// errNoCredentials is a request without any token: RFC 6750 §3.1 asks for a challenge without an error code then.
var errNoCredentials = errors.New("no credentials")

// challenge writes WWW-Authenticate (RFC 6750 §3, RFC 6749 §5.2).
func challenge(e *uma.Error, cause error) string {
	scheme := e.Challenge
	if scheme == "" {
		scheme = "Bearer"
	}
	out := scheme + ` realm="umaas"`
	if scheme == uma.TokenTypeDPoP {
		out += `, algs="` + strings.Join(pop.Algorithms(), " ") + `"` // RFC 9449 §7.1
	}
	if scheme == "Basic" || errors.Is(cause, errNoCredentials) {
		return out
	}
	out += `, error="` + quoted(e.Code) + `"`
	if e.Description != "" {
		out += `, error_description="` + quoted(e.Description) + `"`
	}
	if e.Scope != "" {
		out += `, scope="` + quoted(e.Scope) + `"`
	}
	return out
}

// quoted keeps what may stand in a quoted-string of RFC 6750 §3: printable ASCII without quotation mark and backslash.
func quoted(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}

// countsAsFailure tells guesses from ordinary refusals: only wrong credentials count against an address.
func countsAsFailure(e *uma.Error) bool {
	switch e.Code {
	case uma.ErrInvalidClient.Code, uma.ErrInvalidGrant.Code, uma.ErrInvalidToken.Code, uma.ErrInvalidDPoPProof.Code:
		return true
	}
	return false
}
