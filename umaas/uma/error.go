package uma

import (
	"errors"
	"net/http"
)

// Error is a protocol error as a value: what the client sees (Code, Description and the members of Grant §3.3.6) and, in
// Cause, what only the log sees. Its methods return copies, so package-level values may be refined safely.
type Error struct {
	Status         int             `json:"-"`
	Code           string          `json:"error"`
	Description    string          `json:"error_description,omitempty"`
	Ticket         string          `json:"ticket,omitempty"`          // need_info, request_submitted
	RequiredClaims []RequiredClaim `json:"required_claims,omitempty"` // need_info
	RedirectUser   string          `json:"redirect_user,omitempty"`   // need_info
	Interval       int             `json:"interval,omitempty"`        // request_submitted, seconds
	Challenge      string          `json:"-"`                         // WWW-Authenticate scheme for 401: "Basic", "Bearer" or "DPoP"
	Scope          string          `json:"-"`                         // for insufficient_scope
	DPoPNonce      string          `json:"-"`                         // use_dpop_nonce: for the header DPoP-Nonce
	cause          error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Description + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Description
}

func (e *Error) Unwrap() error { return e.cause }

// Is compares by code, so errors.Is(err, ErrInvalidGrant) holds for every refinement.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// With returns a copy with another description for the client.
func (e *Error) With(description string) *Error {
	c := *e
	c.Description = description
	return &c
}

// Because returns a copy that carries a cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// The errors of RFC 6749 §5.2, RFC 6750 §3.1, RFC 7591 §3.2.2, Grant §3.3.6 and FedAuthz §3.2, §4.3.
var (
	ErrInvalidRequest       = &Error{Status: http.StatusBadRequest, Code: "invalid_request"}
	ErrInvalidClient        = &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "client authentication failed", Challenge: "Basic"}
	ErrInvalidGrant         = &Error{Status: http.StatusBadRequest, Code: "invalid_grant"}
	ErrUnauthorizedClient   = &Error{Status: http.StatusBadRequest, Code: "unauthorized_client"}
	ErrUnsupportedGrantType = &Error{Status: http.StatusBadRequest, Code: "unsupported_grant_type"}
	ErrUnsupportedResponse  = &Error{Status: http.StatusBadRequest, Code: "unsupported_response_type"}
	ErrInvalidDPoPProof     = &Error{Status: http.StatusBadRequest, Code: "invalid_dpop_proof"} // RFC 9449 §5
	ErrUseDPoPNonce         = &Error{Status: http.StatusBadRequest, Code: "use_dpop_nonce"}     // RFC 9449 §8
	ErrInvalidScope         = &Error{Status: http.StatusBadRequest, Code: "invalid_scope"}
	ErrInvalidTarget        = &Error{Status: http.StatusBadRequest, Code: "invalid_target"}
	ErrAccessDenied         = &Error{Status: http.StatusForbidden, Code: "access_denied"}
	ErrServer               = &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: "something went wrong on our side"}
	ErrUnavailable          = &Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: "try again later"}
	ErrInvalidToken         = &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "the access token is missing, expired or revoked", Challenge: "Bearer"}
	ErrInsufficientScope    = &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Challenge: "Bearer"}
	ErrInvalidRedirectURI   = &Error{Status: http.StatusBadRequest, Code: "invalid_redirect_uri"}
	ErrInvalidMetadata      = &Error{Status: http.StatusBadRequest, Code: "invalid_client_metadata"}
	ErrNeedInfo             = &Error{Status: http.StatusForbidden, Code: "need_info", Description: "a few details are needed before this can be decided"}
	ErrRequestDenied        = &Error{Status: http.StatusForbidden, Code: "request_denied", Description: "access was not given"}
	ErrRequestSubmitted     = &Error{Status: http.StatusForbidden, Code: "request_submitted", Description: "the request was sent to a person who decides"}
	ErrNotFound             = &Error{Status: http.StatusNotFound, Code: "not_found", Description: "no such resource"}
	ErrUnsupportedMethod    = &Error{Status: http.StatusMethodNotAllowed, Code: "unsupported_method_type"}
	ErrInvalidResourceID    = &Error{Status: http.StatusBadRequest, Code: "invalid_resource_id", Description: "a resource_id is unknown"}
	ErrTooMany              = &Error{Status: http.StatusTooManyRequests, Code: "slow_down", Description: "too many tries, wait and try again"}
)
