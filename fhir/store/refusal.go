package store

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/umaas/umaas/fhir"
)

// refusal is an answer that is not a success: status of http.html, issue code of CodeSystem issue-type, text for the client.
type refusal struct {
	status int
	code   string
	text   string
	allow  string // Allow header of a 405
	etag   string // ETag of the tombstone of a 410
	expr   []string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.code, r.text) }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, text: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "invalid", format, args...)
}

func notSupported(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, "not-supported", format, args...)
}

func notFound(typ, id string) *refusal {
	return refuse(http.StatusNotFound, "not-found", "%s/%s is not known here", typ, id)
}

func tooCostly(format string, args ...any) *refusal {
	return refuse(http.StatusForbidden, "too-costly", format, args...)
}

// asRefusal maps every error to the one the client sees; what is not a refusal is a fault of the server and shows no detail.
func asRefusal(err error) (r *refusal, fault bool) {
	if errors.As(err, &r) {
		return r, false
	}
	return refuse(http.StatusInternalServerError, "exception", "the server could not complete the request"), true
}

func (r *refusal) outcome() []byte {
	return fhir.Outcome(fhir.Issue{Severity: "error", Code: r.code, Text: r.text, Expression: r.expr})
}

func information(text string) []byte {
	return fhir.Outcome(fhir.Issue{Severity: "information", Code: "informational", Text: text})
}
