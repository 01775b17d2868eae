package resourceserver

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// answer is one response before it is written. Its fields are the header allow-list (GW-45).
type answer struct {
	status       int
	body         []byte
	etag         string
	lastModified string
	location     string
	allow        string
	warning      string
	retryAfter   int
	authenticate []string
	nonce        string // DPoP-Nonce (RFC 9449 §9)
	plain        bool   // JSON that is no FHIR resource
}

// audited proves that what must be recorded of an answer is recorded (audit.md AU-02). Only the two functions in
// enforce_audit.go make one, so that no answer can be written without.
type audited struct{ done bool }

// write sends an answer. Every one carries the request id and no-store; a body is FHIR JSON.
func write(w http.ResponseWriter, a answer, requestID string, head bool, proof audited) {
	if !proof.done {
		a = answer{status: http.StatusInternalServerError, body: fhir.Outcome(fhir.Issue{Code: "exception", Text: textFault})}
	}
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Request-Id"] = []string{requestID}
	h["X-Content-Type-Options"] = noSniff
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	set("Etag", a.etag)
	set("Last-Modified", a.lastModified)
	set("Location", a.location)
	set("Allow", a.allow)
	set("Warning", a.warning)
	set("Dpop-Nonce", a.nonce)
	if a.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	if len(a.authenticate) > 0 {
		h["Www-Authenticate"] = a.authenticate
	}
	if len(a.body) > 0 {
		h["Content-Type"] = fhirJSON
		if a.plain {
			h["Content-Type"] = plainJSON
		}
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	if len(a.body) > 0 && !head {
		_, _ = w.Write(a.body) // the client may have gone; nothing is left to be done for it
	}
}

// Shared header values; net/http only reads them.
var (
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
	fhirJSON  = []string{"application/fhir+json"}
	plainJSON = []string{"application/json"}
)

// The fixed texts of refusals. They name no id and nothing of what is stored (GW-37, GW-45).
const (
	textToken       = "Authorization is required."
	textTicket      = "More authorization is required. The challenge in WWW-Authenticate says where to get it."
	textScope       = "The token does not cover this request."
	textHidden      = "There is no such resource."
	textContext     = "The content is outside of what the token covers."
	textReference   = "A reference in the content does not name a resource that can be referred to."
	textPrecond     = "The condition of the request is not met."
	textUnreachable = "The authorization server cannot be reached."
	textUpstream    = "The data server did not answer."
	textFault       = "Something went wrong on this server."
	textRefused     = "The data server does not accept the content."
	textCostly      = "The request is too costly: narrow it."
	textAudit       = "The access cannot be recorded, so it is not made."
)

// tokenState is which column of the response table applies.
type tokenState int

const (
	tokenMissing tokenState = iota
	tokenInvalid
	tokenRPT
	tokenOAuth
)

// refusalInput is everything a refusal depends on. Two requests with equal input get equal bytes, ticket aside.
type refusalInput struct {
	Row      Row
	Token    tokenState
	Asked    []scopes.Scope
	Ticket   *Challenge // nil: none was asked for
	Bare     bool       // an entry of a Bundle: statuses without a challenge
	Realm    string
	Metadata string    // URL of the protected resource metadata
	Unproven *unproven // nil unless a live token was presented without its key
}

// refusal is the response table of GW-37: the one place where a decision becomes a status.
func refusal(in refusalInput) answer {
	if in.Token == tokenMissing || in.Token == tokenInvalid {
		return refuseTokenless(in)
	}
	switch in.Row {
	case RowToken:
		in.Token = tokenInvalid
		return refuseTokenless(in)
	case RowReference:
		return outcome(http.StatusUnprocessableEntity, "invariant", textReference)
	case RowPrecond:
		return outcome(http.StatusPreconditionFailed, "conflict", textPrecond)
	case RowUnreachable:
		return unreachableAnswer(in)
	case RowUnset, RowScope, RowHidden, RowNone, RowContext:
	}
	if in.Token == tokenRPT && in.Ticket == nil && in.Row == RowContext && !in.Bare {
		return outcome(http.StatusForbidden, "forbidden", textContext)
	}
	if in.Token == tokenRPT {
		if in.Ticket == nil && !in.Bare {
			return unreachableAnswer(in)
		}
		a := outcome(http.StatusUnauthorized, "login", textTicket)
		if in.Ticket != nil {
			a.authenticate = []string{UMAChallenge(*in.Ticket)}
		}
		return a
	}
	switch in.Row {
	case RowHidden:
		return outcome(http.StatusNotFound, "not-found", textHidden)
	case RowContext:
		return outcome(http.StatusForbidden, "forbidden", textContext)
	default:
	}
	a := outcome(http.StatusForbidden, "forbidden", textScope)
	a.authenticate = []string{bearerChallenge(in.Realm, "insufficient_scope", in.Asked, in.Metadata)}
	return a
}

// refuseTokenless is R1.
func refuseTokenless(in refusalInput) answer {
	if in.Row == RowUnreachable {
		return unreachableAnswer(in)
	}
	a := outcome(http.StatusUnauthorized, "login", textToken)
	if in.Ticket != nil {
		a.authenticate = append(a.authenticate, UMAChallenge(*in.Ticket))
	}
	if in.Unproven != nil {
		a.authenticate, a.nonce = append(a.authenticate, in.Unproven.challenges(in.Realm, in.Metadata)...), in.Unproven.nonce
		return a
	}
	code := ""
	if in.Token == tokenInvalid {
		code = "invalid_token"
	}
	a.authenticate = append(a.authenticate, bearerChallenge(in.Realm, code, nil, in.Metadata))
	return a
}

// unreachableAnswer is R8; the warning is the words of Grant §3.2.2.
func unreachableAnswer(in refusalInput) answer {
	if in.Token == tokenOAuth {
		a := outcome(http.StatusServiceUnavailable, "transient", textUnreachable)
		a.retryAfter = 5
		return a
	}
	a := outcome(http.StatusForbidden, "transient", textUnreachable)
	a.warning = `199 - "UMA Authorization Server Unreachable"`
	return a
}

func outcome(status int, code, text string) answer {
	return answer{status: status, body: fhir.Outcome(fhir.Issue{Severity: "error", Code: code, Text: text})}
}

func (r *Refusal) answer() answer {
	a := outcome(r.Status, r.Code, r.Text)
	a.allow = r.Allow
	return a
}

// ErrTooCostly says that judging a request would take more rows or look-ups than are allowed.
var ErrTooCostly = errors.New("request too costly to judge")

// faultAnswer hides what went wrong; the log has it (GW-45).
func faultAnswer(err error) answer {
	switch {
	case errors.Is(err, ErrTooCostly):
		return outcome(http.StatusForbidden, "too-costly", textCostly)
	case errors.Is(err, ErrUpstream):
		a := outcome(http.StatusServiceUnavailable, "transient", textUpstream)
		a.retryAfter = 5
		return a
	case errors.Is(err, ErrUnreachable):
		a := outcome(http.StatusServiceUnavailable, "transient", textUnreachable)
		a.retryAfter = 5
		return a
	case errors.Is(err, context.Canceled):
		return outcome(http.StatusServiceUnavailable, "transient", textFault)
	}
	return outcome(http.StatusInternalServerError, "exception", textFault)
}
