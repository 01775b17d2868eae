package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// errNoPage is the answer for what does not exist and what is somebody else's: the same bytes (TX-20).
var errNoPage = uma.ErrNotFound

// message is one row of the fixed table: nothing of an error or a request is ever shown (SEC-67).
type message struct {
	status int
	key    string // text keys key.title and key.body
}

// messageFor chooses the row.
func messageFor(err error) message {
	switch {
	case errors.Is(err, umaas.ErrFlowGone), errors.Is(err, umaas.ErrOtherBrowser), errors.Is(err, umaas.ErrStep):
		return message{http.StatusBadRequest, "tx16"}
	case errors.Is(err, umaas.ErrUntrusted):
		return message{http.StatusBadRequest, "tx16"}
	case errors.Is(err, umaas.ErrOtherPerson):
		return message{http.StatusForbidden, "tx24-other"}
	case errors.Is(err, errOutOfDate), errors.Is(err, umaas.ErrChanged), errors.Is(err, umaas.ErrBadAnswer), errors.Is(err, umaas.ErrNothingChosen),
		errors.Is(err, umaas.ErrTooLate), errors.Is(err, umaas.ErrNothingToUndo), errors.Is(err, umaas.ErrOwnInterest):
		return message{http.StatusBadRequest, "tx21"}
	case errors.Is(err, umaas.ErrNotFound):
		return message{http.StatusNotFound, "tx20"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return message{http.StatusServiceUnavailable, "tx22-unavailable"}
	}
	var e *uma.Error
	if !errors.As(err, &e) {
		return message{http.StatusInternalServerError, "tx22-fault"}
	}
	switch e.Code {
	case uma.ErrNotFound.Code:
		return message{http.StatusNotFound, "tx20"}
	case uma.ErrInvalidGrant.Code:
		return message{http.StatusBadRequest, "tx16"}
	case uma.ErrInvalidClient.Code, uma.ErrUnauthorizedClient.Code, uma.ErrInvalidRedirectURI.Code, uma.ErrInvalidRequest.Code:
		return message{http.StatusBadRequest, "tx18"}
	case uma.ErrInvalidScope.Code, uma.ErrInvalidTarget.Code, uma.ErrUnsupportedResponse.Code, "request_not_supported", "request_uri_not_supported":
		return message{http.StatusBadRequest, "tx12"}
	case uma.ErrAccessDenied.Code:
		return message{http.StatusForbidden, "tx20-forbidden"}
	case uma.ErrTooMany.Code:
		return message{http.StatusTooManyRequests, "tx22-many"}
	case uma.ErrUnavailable.Code:
		return message{http.StatusServiceUnavailable, "tx22-unavailable"}
	}
	if e.Status >= 400 && e.Status < 500 {
		return message{http.StatusBadRequest, "tx18"}
	}
	return message{http.StatusInternalServerError, "tx22-fault"}
}

// fail draws the page for an error and writes the log line with its cause.
func (s *Site) fail(v *visit, err error) {
	m := messageFor(err)
	level := slog.LevelInfo
	if m.status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.Logger.LogAttrs(v.Request.Context(), level, "page refused", slog.String("request_id", v.requestID()), slog.String("route", v.FullPath()),
		slog.Int("status", m.status), slog.String("error", err.Error()))
	if v.Writer.Written() {
		return
	}
	s.drawError(v, m)
	v.Abort()
}

func (s *Site) drawError(v *visit, m message) {
	if m.status == http.StatusTooManyRequests {
		v.Header("Retry-After", "60")
	}
	err := s.render(v, m.status, "error", frame{Title: m.key + ".title", IsError: true}, errorView{Key: m.key, RequestID: v.requestID()})
	if err != nil {
		s.Logger.Error("draw error page", slog.Any("error", err))
		v.String(http.StatusInternalServerError, "Something went wrong on our side.")
	}
}

type errorView struct {
	Key       string
	RequestID string
}

// ErrorPage draws an error for routes that are not this package's: the authorization and claims endpoints, and unknown
// addresses. It sets all headers and shows only the fixed words of the table and the request id.
func (s *Site) ErrorPage(c *gin.Context, err error) {
	s.headers(c.Writer.Header(), false)
	s.drawError(&visit{Context: c, site: s}, messageFor(err))
}
