package resourceserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// CallbackPath is where people come back to from their authorization server. {rs}+CallbackPath is the redirect URI this
// resource server registers there.
const CallbackPath = "/signin/callback"

// SignInConfig is what SignIn needs.
type SignInConfig struct {
	State     State
	Clients   AuthorizationServers
	Tokens    *Tokens
	Registrar *Registrar
	Patients  PatientDirectory
	Issuer    string // default authorization server
	// FHIRUserIssuers may say which FHIR resource a person is; Issuer always may. Another server's word for it would let
	// whoever runs that server be any patient.
	FHIRUserIssuers []string
	FHIRBase        string
	SessionLife     time.Duration // default 8 h
	Now             func() time.Time
	Random          io.Reader
	Logger          *slog.Logger
}

// SignIn lets people sign in at this resource server's pages through their authorization server (flows.md A1, A3.2). The
// same step yields the PAT under which their resource sets are registered.
type SignIn struct {
	cfg SignInConfig
}

// NewSignIn checks cfg.
func NewSignIn(cfg SignInConfig) (*SignIn, error) {
	if cfg.State == nil || cfg.Tokens == nil || cfg.Registrar == nil || cfg.Patients == nil || cfg.Now == nil || cfg.Clients == nil || !contains(cfg.Clients.Own(), cfg.Issuer) {
		return nil, errors.New("sign-in: State, Tokens, Registrar, Patients, Now and a client for Issuer are required")
	}
	if cfg.SessionLife <= 0 {
		cfg.SessionLife = 8 * time.Hour
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &SignIn{cfg: cfg}, nil
}

// HandleKinds lists the kinds of handles kept by the resource server and its pages, for the sweep of state. What is not in it stays for
// ever.
func HandleKinds() []string {
	return []string{KindLogin, KindSession, KindResolve, KindShown, KindGuard, pageKind}
}

// Kinds of handles kept by the pages.
const (
	KindLogin   = "login"
	KindSession = "session"
	KindResolve = "resolve"
	KindShown   = "shown"
	KindGuard   = "guard"
)

// loginLife is how long a person has to sign in; reconcileWait how long she waits for her sets to be registered.
const (
	loginLife     = 10 * time.Minute
	reconcileWait = 5 * time.Second
)

// login is one pending sign-in, bound to the browser that began it.
type login struct {
	Issuer   string
	Nonce    string
	Verifier string
	Browser  [32]byte // SHA-256 of the browser's own cookie
	Return   string   // path of this server
}

// SignInError is a sign-in that did not come about. Code is one of the errors of flows.md A3.4; Return is where the
// person wanted to go, "" if that is not known.
type SignInError struct {
	Code   string
	Return string
	cause  error
}

func (e *SignInError) Error() string { return "sign-in: " + e.Code + ": " + e.cause.Error() }

func (e *SignInError) Unwrap() error { return e.cause }

// Start begins a sign-in at one of Issuers ("" is the default) and says where to send the browser. browser is the value of
// the browser's own cookie; returnTo is a path of this server; prompt is "" or "login". Errors: *SignInError.
func (s *SignIn) Start(ctx context.Context, issuer, browser, returnTo, prompt string) (string, error) {
	if browser == "" || !strings.HasPrefix(returnTo, "/") || strings.HasPrefix(returnTo, "//") {
		return "", &SignInError{Code: "server_error", cause: errors.New("a browser cookie and a local path are needed")}
	}
	if issuer == "" {
		issuer = s.cfg.Issuer
	}
	client, err := s.place(ctx, issuer)
	if err != nil {
		return "", &SignInError{Code: "invalid_request", Return: returnTo, cause: err}
	}
	l := login{Issuer: client.Issuer(), Browser: sha256.Sum256([]byte(browser)), Return: returnTo}
	if l.Nonce, err = s.secret(); err != nil {
		return "", err
	}
	if l.Verifier, err = s.secret(); err != nil {
		return "", err
	}
	state, err := s.cfg.State.Keep(ctx, KindLogin, l, s.cfg.Now().Add(loginLife))
	if err != nil {
		return "", &SignInError{Code: "server_error", Return: returnTo, cause: err}
	}
	to, err := client.AuthorizationURL(ctx, asclient.Authorization{State: state, Nonce: l.Nonce, Verifier: l.Verifier, Prompt: prompt})
	if err != nil {
		return "", &SignInError{Code: "temporarily_unavailable", Return: returnTo, cause: err}
	}
	return to, nil
}

func (s *SignIn) secret() (string, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(s.cfg.Random, raw); err != nil {
		return "", fmt.Errorf("sign-in: randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// Finish takes the authorization response (RFC 6749 §4.1.2, RFC 9207), stores person and PAT, has her sets registered and
// opens a session: cookie is its value. Each response works once and only in the browser that began. Errors: *SignInError.
func (s *SignIn) Finish(ctx context.Context, response url.Values, browser string) (cookie, returnTo string, err error) {
	fail := func(code, returnTo string, cause error) (string, string, error) {
		return "", "", &SignInError{Code: code, Return: returnTo, cause: cause}
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(response[name]) > 1 {
			return fail("invalid_request", "", fmt.Errorf("%s is repeated", name)) // SEC-63
		}
	}
	var l login
	if err := s.cfg.State.Look(ctx, KindLogin, response.Get("state"), &l); err != nil {
		return fail("login_required", "", fmt.Errorf("no such sign-in: %w", err))
	}
	sum := sha256.Sum256([]byte(browser))
	if browser == "" || subtle.ConstantTimeCompare(sum[:], l.Browser[:]) != 1 {
		return fail("login_required", "", errors.New("another browser began this sign-in")) // SEC-04, login CSRF
	}
	if err := s.cfg.State.Take(ctx, KindLogin, response.Get("state"), &l); err != nil {
		return fail("login_required", "", fmt.Errorf("sign-in was used: %w", err))
	}
	client, err := s.place(ctx, l.Issuer)
	if err != nil {
		return fail("server_error", l.Return, err)
	}
	if err := from(ctx, client, response); errors.Is(err, asclient.ErrUnreachable) {
		return fail("temporarily_unavailable", l.Return, err)
	} else if err != nil {
		return fail("server_error", l.Return, err)
	}
	if code := response.Get("error"); code != "" {
		return fail(ownError(code), l.Return, fmt.Errorf("authorization server answered %q", printable(code)))
	}
	u, err := s.admit(ctx, client, response.Get("code"), l)
	if err != nil {
		return fail(admitError(err), l.Return, err)
	}
	cookie, err = s.cfg.State.Keep(ctx, KindSession, session{User: u.Key, Started: s.cfg.Now()}, s.cfg.Now().Add(s.cfg.SessionLife))
	if err != nil {
		return fail("server_error", l.Return, err)
	}
	return cookie, l.Return, nil
}

// ownError lets only the codes of flows.md A3.4 through.
func ownError(code string) string {
	switch code {
	case "access_denied", "login_required", "temporarily_unavailable":
		return code
	case "interaction_required", "consent_required", "account_selection_required":
		return "login_required"
	default:
		return "server_error"
	}
}

func admitError(err error) string {
	switch {
	case errors.Is(err, asclient.ErrUnreachable):
		return "temporarily_unavailable"
	case errors.Is(err, uma.ErrAccessDenied):
		return "access_denied"
	default:
		return "server_error"
	}
}

// admit redeems the code, keeps who came and her PAT, and registers her sets: at once if that is quick, else soon.
func (s *SignIn) admit(ctx context.Context, client *asclient.Client, code string, l login) (User, error) {
	tokens, id, err := client.Exchange(ctx, code, l.Verifier, l.Nonce)
	if err != nil {
		return User{}, err
	}
	now := s.cfg.Now()
	u := User{Key: UserKey(id.Issuer, id.Subject), Issuer: id.Issuer, Subject: id.Subject, Name: id.Name, Created: now, Seen: now}
	if home, err := s.cfg.State.HomeOf(ctx, u.Key); err == nil {
		return s.linked(ctx, home, u.Key, id.Issuer, tokens) // an account that guards somebody's record is that person's
	} else if !errors.Is(err, ErrNotKept) {
		return User{}, fmt.Errorf("read linked account: %w", err)
	}
	if u.FHIRUser, err = s.believed(ctx, u.Key, id); err != nil {
		return User{}, err
	}
	if err := s.cfg.State.PutUser(ctx, u); err != nil {
		return User{}, fmt.Errorf("keep person: %w", err)
	}
	if err := s.cfg.Tokens.Keep(ctx, Owner{Issuer: u.Issuer, User: u.Key}, tokens); err != nil {
		return User{}, err
	}
	work, cancel := context.WithTimeout(ctx, reconcileWait)
	defer cancel()
	if err := s.cfg.Registrar.Reconcile(work, u.Key); err != nil {
		s.cfg.Logger.InfoContext(ctx, "a person's sets are registered later", "err", err)
		return u, s.cfg.Registrar.Enqueue(ctx, u.Key)
	}
	return u, nil
}

// Link says which FHIR resource a person is whose issuer may not say so: an administrator's act.
func (s *SignIn) Link(ctx context.Context, user, reference string) error {
	u, err := s.cfg.State.User(ctx, user)
	if err != nil {
		return fmt.Errorf("link person: %w", err)
	}
	kind, logical, ok := strings.Cut(reference, "/")
	if reference != "" && (!ok || !fhirUserTypes[kind] || !validLogicalID(logical)) {
		return fmt.Errorf("link person: %q is not Practitioner/id, PractitionerRole/id, RelatedPerson/id, Patient/id or Person/id", reference)
	}
	u.FHIRUser = reference
	if err := s.cfg.State.PutUser(ctx, u); err != nil {
		return fmt.Errorf("link person: %w", err)
	}
	return s.cfg.Registrar.Enqueue(ctx, user)
}

// believed is the FHIR resource a person is at this server: said by an issuer that may say it, of a type a person can be,
// relative or at this server's base, and a patient only where there is one. Of another issuer's people an administrator
// alone says it (Link), and that stays.
func (s *SignIn) believed(ctx context.Context, user string, id asclient.Identity) (string, error) {
	if id.Issuer != s.cfg.Issuer && !contains(s.cfg.FHIRUserIssuers, id.Issuer) {
		kept, err := s.cfg.State.User(ctx, user)
		if err != nil && !errors.Is(err, ErrNotKept) {
			return "", fmt.Errorf("read person: %w", err)
		}
		return kept.FHIRUser, nil
	}
	if id.FHIRUser == "" {
		return "", nil
	}
	reference := strings.TrimPrefix(id.FHIRUser, s.cfg.FHIRBase+"/")
	kind, logical, ok := strings.Cut(reference, "/")
	if !ok || !fhirUserTypes[kind] || !validLogicalID(logical) {
		s.cfg.Logger.InfoContext(ctx, "fhirUser is not a person at this server", "issuer", id.Issuer)
		return "", nil
	}
	if kind == "Patient" {
		_, err := s.cfg.Patients.Patient(ctx, logical)
		if errors.Is(err, ErrNotKept) {
			s.cfg.Logger.WarnContext(ctx, "fhirUser names a patient this server does not have", "issuer", id.Issuer)
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("read patient: %w", err)
		}
	}
	return reference, nil
}

// session is an open sign-in at the pages.
type session struct {
	User    string
	Started time.Time
}

// Session returns who is signed in. ErrNotKept: nobody.
func (s *SignIn) Session(ctx context.Context, cookie string) (User, error) {
	var open session
	if err := s.cfg.State.Look(ctx, KindSession, cookie, &open); err != nil {
		return User{}, err
	}
	return s.cfg.State.User(ctx, open.User)
}

// End closes a session; a second time is no error.
func (s *SignIn) End(ctx context.Context, cookie string) error {
	var open session
	err := s.cfg.State.Take(ctx, KindSession, cookie, &open)
	if errors.Is(err, ErrNotKept) {
		return nil
	}
	return err
}
