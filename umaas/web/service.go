package web

import (
	"context"
	"net/url"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
)

// Service is what the pages need of the core; *umaas.Service has all of it.
type Service interface {
	Sessions
	Flows
	Inbox
	Sharing
	Asking
	Memory
	Identities
	History(ctx context.Context, owner umaas.AccountID, before umaas.Key, limit int) ([]umaas.HistoryEntry, error)
	Home(ctx context.Context, owner umaas.AccountID) (umaas.HomeView, error)
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

// Inbox is the owner's side of requests.
type Inbox interface {
	Inbox(ctx context.Context, owner umaas.AccountID, before umaas.Key) ([]umaas.RequestView, error)
	RequestView(ctx context.Context, owner umaas.AccountID, key umaas.Key) (umaas.RequestView, error)
	Preview(ctx context.Context, owner umaas.AccountID, key umaas.Key, items []string) (map[string]int, error)
	AnswerRequest(ctx context.Context, owner umaas.AccountID, key umaas.Key, a umaas.RequestAnswer, requestID string) (umaas.RequestView, error)
}

// Sharing is the owner's side of shares.
type Sharing interface {
	Shares(ctx context.Context, owner umaas.AccountID) ([]umaas.ShareView, error)
	Share(ctx context.Context, owner umaas.AccountID, id umaas.PolicyID) (umaas.ShareView, error)
	CreateShare(ctx context.Context, owner umaas.AccountID, n umaas.NewShare, requestID string) (umaas.PolicyID, error)
	NarrowShare(ctx context.Context, owner umaas.AccountID, id umaas.PolicyID, items []string, until time.Time, requestID string) error
	StopShare(ctx context.Context, owner umaas.AccountID, id umaas.PolicyID, requestID string) (umaas.ShareView, error)
	Shareable(ctx context.Context, owner umaas.AccountID) ([]umaas.RecordView, error)
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
