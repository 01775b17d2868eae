package resourceserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/umaas/umaas/resourceserver/asclient"
)

// GuardianConfig is what a Guardian needs; Random and Logger have defaults.
type GuardianConfig struct {
	State     State
	Issuers   *Issuers
	Tokens    *Tokens
	Registrar *Registrar
	Relations *AdministeredRelations
	Now       func() time.Time
	Random    io.Reader
	Logger    *slog.Logger
}

// Guardian lets a signed-in patient name the authorization server that guards her record, and go back (FedAuthz §1.3, §3,
// F-024; HEART UMA2 §4.1, H-12):
//
//	Find ─▶ what will happen ─▶ Begin: registers there, sends her ─▶ she consents ─▶ Finish: token, sets, switch
//
// It owns the way; what is registered is the Registrar's, who guards is state's. A step that fails leaves the guard she had.
type Guardian struct {
	cfg   GuardianConfig
	tries *AddressLimiter
}

// NewGuardian checks cfg.
func NewGuardian(cfg GuardianConfig) (*Guardian, error) {
	if cfg.State == nil || cfg.Issuers == nil || cfg.Tokens == nil || cfg.Registrar == nil || cfg.Relations == nil || cfg.Now == nil {
		return nil, errors.New("guardian: State, Issuers, Tokens, Registrar, Relations and Now are required")
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	tries := NewAddressLimiter(1, lookupsAtOnce, cfg.Now)
	tries.every = rate.Every(lookupEvery)
	return &Guardian{cfg: cfg, tries: tries}, nil
}

// Bounds of one person's look-ups (SEC-75): each makes this server ask an address she chose.
const (
	lookupsAtOnce = 10
	lookupEvery   = time.Minute
	moveLimit     = 45 * time.Second
	moveSoon      = 5 * time.Second
)

// GuardError is a step that did not come about. Nothing has changed. Code is one of the constants below.
type GuardError struct {
	Code  string
	cause error
}

func (e *GuardError) Error() string { return "guardian: " + e.Code + ": " + e.cause.Error() }

func (e *GuardError) Unwrap() error { return e.cause }

// What can come in the way.
const (
	GuardNoRecord  = "no_record" // she has no record of her own here
	GuardAddress   = "address"   // what she typed is no address
	GuardNotFound  = "not_found" // nothing that could guard a record is there
	GuardNotHere   = "not_here"  // the operator does not work with that server
	GuardAway      = "away"      // it does not answer now
	GuardUnsound   = "unsound"   // it answers in a way that cannot be trusted
	GuardSame      = "same"      // it guards the record already
	GuardTooMany   = "too_many"  // too many look-ups
	GuardTooOld    = "too_old"   // the step is unknown, used, or began elsewhere
	GuardSaidNo    = "said_no"   // she did not consent there
	GuardTaken     = "taken"     // her account there is another person's here
	GuardHeld      = "held"      // another account holds the record
	GuardSignIn    = "sign_in"   // her own account's token has ended: she must sign in again
	GuardWorking   = "working"   // her sets are just being worked on
	GuardImpatient = "impatient" // it did not register everything in time
	guardInternal  = "server_error"
)

func guardFail(code string, cause error) error { return &GuardError{Code: code, cause: cause} }

// guardStep is one pending step, bound to a person and, once begun, to a browser.
type guardStep struct {
	Home     string
	Issuer   string
	Began    bool
	Nonce    string
	Verifier string
	Browser  [32]byte
}

const (
	proposalLife = 15 * time.Minute
)

// Find looks an address up and keeps what it found as a proposal for this person. Errors: *GuardError.
func (g *Guardian) Find(ctx context.Context, u User, typed string) (handle string, err error) {
	if u.Patient() == "" {
		return "", guardFail(GuardNoRecord, errors.New("no record of her own"))
	}
	if other, err := g.heldByAnother(ctx, u); err != nil {
		return "", err
	} else if other {
		return "", guardFail(GuardHeld, ErrTaken)
	}
	if !g.tries.limiter(u.Key).AllowN(g.cfg.Now(), 1) {
		return "", guardFail(GuardTooMany, errors.New("look-ups"))
	}
	issuer, err := g.cfg.Issuers.Find(ctx, typed)
	if err != nil {
		g.cfg.Logger.InfoContext(ctx, "an address leads to no authorization server", "err", err)
		return "", guardFail(findCode(err), err)
	}
	return g.propose(ctx, u, issuer)
}

func findCode(err error) string {
	switch {
	case errors.Is(err, ErrAddress):
		return GuardAddress
	case errors.Is(err, ErrNotKept):
		return GuardNotHere
	case errors.Is(err, asclient.ErrUnreachable):
		return GuardAway
	case errors.Is(err, asclient.ErrUntrusted):
		return GuardUnsound
	default:
		return GuardNotFound
	}
}

func (g *Guardian) propose(ctx context.Context, u User, issuer string) (string, error) {
	now, err := g.cfg.Registrar.guard(ctx, u)
	if err != nil {
		return "", err
	}
	if now.Issuer == issuer {
		dead, err := g.cfg.Tokens.Dead(ctx, now)
		if err != nil {
			return "", err
		}
		if !dead {
			return "", guardFail(GuardSame, errors.New("it guards the record already"))
		}
	}
	handle, err := g.cfg.State.Keep(ctx, KindGuard, guardStep{Home: u.Key, Issuer: issuer}, g.cfg.Now().Add(proposalLife))
	if err != nil {
		return "", fmt.Errorf("keep proposal: %w", err)
	}
	return handle, nil
}

// Renew proposes the server that guards now once more: its token was withdrawn and she wants to give it again.
func (g *Guardian) Renew(ctx context.Context, u User) (handle string, err error) {
	now, err := g.cfg.Registrar.guard(ctx, u)
	if err != nil {
		return "", err
	}
	return g.propose(ctx, u, now.Issuer)
}

// Proposal is what she is shown before she decides.
type Proposal struct {
	Issuer   string
	Stranger bool // neither the operator's nor on its list
	Related  bool // others have a relation to a record she holds, and would need her leave
}

// Proposal reads a person's proposal. Errors: *GuardError with GuardTooOld.
func (g *Guardian) Proposal(ctx context.Context, u User, handle string) (Proposal, error) {
	step, err := g.step(ctx, u, handle)
	if err != nil {
		return Proposal{}, err
	}
	related, err := g.cfg.Relations.UsersRelatedTo(ctx, u.Patient())
	if err != nil {
		return Proposal{}, err
	}
	return Proposal{Issuer: step.Issuer, Stranger: g.cfg.Issuers.Trust(step.Issuer) == TrustSigned, Related: len(related) > 0}, nil
}

func (g *Guardian) step(ctx context.Context, u User, handle string) (guardStep, error) {
	var step guardStep
	err := g.cfg.State.Look(ctx, KindGuard, handle, &step)
	if errors.Is(err, ErrNotKept) || err == nil && (step.Home != u.Key || step.Began) {
		return guardStep{}, guardFail(GuardTooOld, errors.New("no such proposal"))
	}
	return step, err
}

// Begin registers this server at the proposed one, if it has not yet (RFC 7591), and says where to send the browser for
// her consent: authorization code with PKCE, a state bound to the browser, a path to come back to that is this issuer's
// alone. browser is the value of the browser's own cookie. Errors: *GuardError.
func (g *Guardian) Begin(ctx context.Context, u User, handle, browser string) (to string, err error) {
	step, err := g.step(ctx, u, handle)
	if err != nil {
		return "", err
	}
	if browser == "" {
		return "", guardFail(GuardTooOld, errors.New("a browser cookie is needed"))
	}
	if err := g.cfg.State.Take(ctx, KindGuard, handle, &step); err != nil {
		return "", guardFail(GuardTooOld, err)
	}
	client, err := g.cfg.Issuers.named(step.Issuer)
	if err != nil {
		return "", guardFail(findCode(err), err)
	}
	step.Began, step.Browser = true, sha256.Sum256([]byte(browser))
	if step.Nonce, err = g.secret(); err != nil {
		return "", err
	}
	if step.Verifier, err = g.secret(); err != nil {
		return "", err
	}
	state, err := g.cfg.State.Keep(ctx, KindGuard, step, g.cfg.Now().Add(loginLife))
	if err != nil {
		return "", fmt.Errorf("keep step: %w", err)
	}
	if err := client.Confirm(ctx); err != nil {
		g.cfg.Logger.InfoContext(ctx, "registration could not be confirmed", "issuer", step.Issuer, "err", err)
	}
	to, err = client.AuthorizationURL(ctx, asclient.Authorization{State: state, Nonce: step.Nonce, Verifier: step.Verifier})
	if err != nil {
		g.cfg.Logger.WarnContext(ctx, "an authorization server did not take this one", "issuer", step.Issuer, "err", err)
		code := GuardUnsound
		if errors.Is(err, asclient.ErrUnreachable) {
			code = GuardAway
		}
		return "", guardFail(code, err)
	}
	return to, nil
}

func (g *Guardian) secret() (string, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(g.cfg.Random, raw); err != nil {
		return "", fmt.Errorf("guardian: randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}
