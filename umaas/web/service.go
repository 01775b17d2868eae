package web

import (
	"context"
	"net/url"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
)

// Service is what the pages need of the core; *umaas.Service has all of it.
type Service interface {
	Sessions
	Flows
	Owning
	Invited
	Asking
	Memory
	Identities
}

// Sessions finds and ends sign-ins.
type Sessions interface {
	Session(ctx context.Context, cookie string) (umaas.Session, umaas.Account, error)
	EndSession(ctx context.Context, cookie string) error
}

// Flows is the interactive part of both doors.
type Flows interface {
	Flow(ctx context.Context, id string, b umaas.Browser, sess *umaas.Session) (umaas.FlowView, error)
	AnswerConsent(ctx context.Context, id string, b umaas.Browser, sess umaas.Session, a umaas.ConsentAnswer) (umaas.Redirect, error)
	Gathering
	CancelFlow(ctx context.Context, id string, b umaas.Browser) (umaas.Redirect, error)
}

// Gathering is what a requesting party answers, step by step.
type Gathering interface {
	AnswerGather(ctx context.Context, id string, b umaas.Browser, sess umaas.Session, a umaas.GatherAnswer) error
	AnswerTerms(ctx context.Context, id string, b umaas.Browser, sess umaas.Session, a umaas.TermsAnswer) error
	SkipStepUp(ctx context.Context, id string, b umaas.Browser, sess umaas.Session, shown string) error
	ReopenGather(ctx context.Context, id string, b umaas.Browser, sess umaas.Session, shown string) error
	ConfirmGather(ctx context.Context, id string, b umaas.Browser, sess umaas.Session, a umaas.ConfirmAnswer) (umaas.Redirect, error)
}

// Memory is what apps may remember of a requesting party.
type Memory interface {
	Remembered(ctx context.Context, party umaas.AccountID) ([]umaas.RememberedView, error)
	Forget(ctx context.Context, party umaas.AccountID, key umaas.Key, requestID string) error
}

// Identities is how a person can sign in.
type Identities interface {
	SignInIssuers(ctx context.Context) ([]umaas.SignInIssuer, error)
	SignIns(ctx context.Context, sess umaas.Session) (umaas.SignInView, error)
	Unlink(ctx context.Context, account umaas.AccountID, id, requestID string) error
}

// Owning is the owner's side: requests, shares, invitations, delegations and history, always of one owner named by the caller.
type Owning interface {
	Acting(actor, owner umaas.AccountID) umaas.Acting
	ActingFor(ctx context.Context, actor umaas.AccountID) ([]umaas.DelegationView, error)
	DelegatedInbox(ctx context.Context, actor umaas.AccountID) ([]umaas.DelegatedRequest, error)
	ResignDelegation(ctx context.Context, actor, owner umaas.AccountID, id umaas.PolicyID, requestID string) (umaas.Effect, error)
	TrustedIssuers(ctx context.Context, after string, limit int) ([]umaas.TrustedIssuer, error)
}

// Invited is the side of somebody who holds the link of an invitation.
type Invited interface {
	OpenInvitation(ctx context.Context, handle string, sess *umaas.Session) (umaas.InvitationOffer, error)
	AcceptInvitation(ctx context.Context, handle string, sess umaas.Session, digest, requestID string) error
}

// Asking is the requesting party's own list.
type Asking interface {
	Asked(ctx context.Context, party umaas.AccountID) ([]umaas.RequestView, error)
	WithdrawRequest(ctx context.Context, party umaas.AccountID, key umaas.Key) error
}

// SignIn checks a password. The cookie belongs to a new session. Errors say the same for unknown people and wrong
// passwords (SEC-44, TX-24).
type SignIn interface {
	Password(ctx context.Context, login, password, remoteAddr string) (cookie string, sess umaas.Session, err error)
}

// Upstream sends people to a trusted issuer to sign in and takes them back; *signin.Upstream does it.
type Upstream interface {
	Depart(ctx context.Context, q umaas.TripRequest, b umaas.Browser, remoteAddr string) (signin.Departure, error)
	Arrive(ctx context.Context, id string, q url.Values, b umaas.Browser, sess *umaas.Session) (signin.Arrival, error)
}
