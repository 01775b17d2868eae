package httpapi

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// OwnerAPI is what the policy API needs of the core: who holds a token of the scope owner, and that person at work on her own
// sharing or on that of somebody she acts for.
type OwnerAPI interface {
	PresentOwner(ctx context.Context, p umaas.Presentation) (umaas.OwnerToken, error)
	Acting(actor, owner umaas.AccountID) umaas.Acting
	ActingFor(ctx context.Context, actor umaas.AccountID) ([]umaas.DelegationView, error)
	DelegatedInbox(ctx context.Context, actor umaas.AccountID) ([]umaas.DelegatedRequest, error)
}

// Consents puts policies into FHIR Consents and back.
type Consents interface {
	// Export writes one policy as a Consent, or with an empty id all that are in force as a Bundle.
	Export(ctx context.Context, a umaas.Acting, id umaas.PolicyID) ([]byte, error)
	// Import reads a Consent or a Bundle of them. It stores all or, where anything is not understood, nothing: the error then
	// is umaas.ErrBadAnswer with the element's path. check stores nothing and tells what it would mean.
	Import(ctx context.Context, a umaas.Acting, raw []byte, check bool, requestID string) ([]umaas.PolicyID, []umaas.ShareView, error)
}

//go:embed owner_openapi.json
var openAPI []byte

// ownerRoutes is the policy API: what owners do on their pages, for programs. Every route is in the OpenAPI document, which a
// test keeps true.
func (a *api) ownerRoutes(r gin.IRouter) {
	o := r.Group("/owner")
	o.GET("/openapi.json", a.handle(func(c *gin.Context) error {
		c.Data(http.StatusOK, "application/json", openAPI)
		return nil
	}))
	for _, route := range []struct {
		method, path string
		do           ownerHandler
		query        string // the parameters it takes beside "for"
	}{
		{http.MethodGet, "/policies", a.listPolicies, "in_force _format"},
		{http.MethodPost, "/policies", a.createPolicy, "check"},
		{http.MethodGet, "/policies/:id", a.readPolicy, "_format"},
		{http.MethodPatch, "/policies/:id", a.narrowPolicy, ""},
		{http.MethodDelete, "/policies/:id", a.stopPolicy, ""},
		{http.MethodPost, "/policies/:id/restore", a.restorePolicy, ""},
		{http.MethodPost, "/consents", a.importConsents, "check"},
		{http.MethodGet, "/resources", a.listShareable, ""},
		{http.MethodGet, "/requests", a.listRequests, "before state"},
		{http.MethodGet, "/requests/:id", a.readRequest, ""},
		{http.MethodPost, "/requests/:id/answer", a.answerRequest, ""},
		{http.MethodPost, "/requests/:id/undo", a.undoAnswer, ""},
		{http.MethodPost, "/requests/:id/end", a.endEmergency, ""},
		{http.MethodGet, "/history", a.readHistory, "kind party client resource_server resource policy from to before limit _format"},
		{http.MethodGet, "/invitations", a.listInvitations, ""},
		{http.MethodPost, "/invitations", a.invite, ""},
		{http.MethodDelete, "/invitations/:id", a.revokeInvitation, ""},
		{http.MethodGet, "/delegations", a.listDelegations, ""},
		{http.MethodPost, "/delegations", a.delegate, ""},
		{http.MethodDelete, "/delegations/:id", a.revokeDelegation, ""},
		{http.MethodGet, "/acting-for", a.actingFor, ""},
		{http.MethodGet, "/delegated-requests", a.delegatedRequests, ""},
	} {
		o.Handle(route.method, route.path, a.owned(route.do, strings.Fields(route.query)))
	}
}

// ownerCall is a request of the policy API with a verified token: whose sharing, by whom, and the query it may have.
type ownerCall struct {
	*gin.Context
	umaas.Acting
	query url.Values
}

// ctx is the request's context; gin's own keeps other keys.
func (c ownerCall) ctx() context.Context { return c.Request.Context() }

type ownerHandler func(ownerCall) error

// owned checks the token before a byte of the body is read, and refuses parameters the address does not take: a filter with a
// slip in its name must not show more than was asked for.
func (a *api) owned(h ownerHandler, parameters []string) gin.HandlerFunc {
	return a.handle(func(c *gin.Context) error {
		if err := a.mayTry(c); err != nil {
			return err
		}
		p, err := a.presentation(c)
		if err != nil {
			return err
		}
		token, err := a.Service.PresentOwner(c.Request.Context(), p)
		if err != nil {
			return err
		}
		query, err := readQuery(c.Request.URL)
		if err != nil {
			return err
		}
		for name := range query {
			if name != "for" && !contains(parameters, name) {
				return uma.ErrInvalidRequest.With("this address takes no such parameter; it takes: " + strings.Join(append([]string{"for"}, parameters...), ", "))
			}
		}
		owner := token.Person
		if other := query.Get("for"); other != "" {
			owner = umaas.AccountID(other)
		}
		return ownerError(h(ownerCall{Context: c, Acting: a.Service.Acting(token.Person, owner), query: query}))
	})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// The errors of the policy API beside the common ones. Each carries a sentence that says what to do.
var (
	errConflict     = &uma.Error{Status: http.StatusConflict, Code: "conflict"}
	errPrecondition = &uma.Error{Status: http.StatusPreconditionFailed, Code: "precondition_failed", Description: "it changed since you read it: read it again"}
)

// ownerError puts the core's refusals on the wire. A record of somebody else is not_found like one that never was (SEC-40).
func ownerError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, umaas.ErrBadAnswer):
		_, text, _ := strings.Cut(err.Error(), umaas.ErrBadAnswer.Error()+": ")
		if text == "" {
			text = "the request says something this address does not take"
		}
		return uma.ErrInvalidRequest.With(text)
	case errors.Is(err, umaas.ErrNothingChosen):
		return uma.ErrInvalidRequest.With("nothing is chosen: name items or rules")
	case errors.Is(err, umaas.ErrChanged):
		return errConflict.With("what is asked changed since you read it: read it again")
	case errors.Is(err, umaas.ErrOwnInterest):
		return uma.ErrAccessDenied.With("somebody who acts for another person cannot give herself access")
	case errors.Is(err, umaas.ErrTooLate):
		return errConflict.With("this can no longer be taken back")
	case errors.Is(err, umaas.ErrNothingToUndo):
		return errConflict.With("there is no answer of yours to take back")
	case errors.Is(err, umaas.ErrTooMuch):
		return uma.ErrTooMany.With("too many invitations in one day: go on tomorrow")
	case errors.Is(err, umaas.ErrNoPreview):
		return errConflict.With("no preview can be had")
	default:
		return err
	}
}

// recordKey reads the id of a request or an invitation; one that is not well-formed names nothing.
func recordKey(c ownerCall) (umaas.Key, error) {
	key, err := umaas.ParseKey(c.Param("id"))
	if err != nil || key.IsZero() {
		return umaas.Key{}, umaas.ErrNotFound
	}
	return key, nil
}

// moment reads an RFC 3339 time; "" is none.
func moment(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.IsZero() {
		return time.Time{}, uma.ErrInvalidRequest.With(name + ": want a time like 2027-01-31T18:00:00Z")
	}
	return at.UTC(), nil
}

// yes reads a flag of the query.
func yes(c ownerCall, name string) (bool, error) {
	switch c.query.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, uma.ErrInvalidRequest.With(name + ": want true or false")
	}
}

// effectAnswer tells when something that ends access counts everywhere.
type effectAnswer struct {
	At       time.Time `json:"at"`
	WithinMS int64     `json:"within_ms"` // at every resource server, after at
	Words    string    `json:"words"`
}

func effectOf(e umaas.Effect) effectAnswer {
	return effectAnswer{At: e.At.UTC(), WithinMS: e.Within.Milliseconds(), Words: e.Words()}
}
