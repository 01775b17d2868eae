package resourceserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// Began reports whether a state belongs to a step of this kind, for a callback that serves several.
func (g *Guardian) Began(ctx context.Context, state string) bool {
	var step guardStep
	return g.cfg.State.Look(ctx, KindGuard, state, &step) == nil && step.Began
}

// Finish takes the authorization response at path, for the person who is signed in here in this browser, keeps the token
// she gave, registers her record there and switches. Each response works once. Errors: *GuardError; nothing has changed then.
func (g *Guardian) Finish(ctx context.Context, u User, path string, response url.Values, browser string) error {
	step, client, err := g.response(ctx, u, path, response, browser)
	if err != nil {
		return err
	}
	// What follows is finished even if the browser goes away meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), moveLimit)
	defer cancel()
	tokens, id, err := client.Exchange(ctx, response.Get("code"), step.Verifier, step.Nonce)
	switch {
	case errors.Is(err, uma.ErrAccessDenied):
		return guardFail(GuardSaidNo, err)
	case errors.Is(err, asclient.ErrUnreachable):
		return guardFail(GuardAway, err)
	case err != nil:
		return guardFail(GuardUnsound, err)
	}
	to := Owner{Issuer: id.Issuer, User: UserKey(id.Issuer, id.Subject)}
	if to.User != u.Key {
		// The job first: if this process dies after the link, the job finds an account that guards nothing and lets it go.
		if err := g.cfg.Registrar.review(ctx, to); err != nil {
			return err
		}
		if err := g.cfg.State.LinkAccount(ctx, to, u.Key); errors.Is(err, ErrTaken) {
			return guardFail(GuardTaken, err)
		} else if err != nil {
			return fmt.Errorf("link account: %w", err)
		}
	}
	if err := g.cfg.Tokens.Keep(ctx, to, tokens); err != nil {
		return err
	}
	return g.move(ctx, u, to)
}

// response checks an authorization response against the step it belongs to, and ends the step.
func (g *Guardian) response(ctx context.Context, u User, path string, response url.Values, browser string) (guardStep, *asclient.Client, error) {
	var step guardStep
	fail := func(code string, cause error) (guardStep, *asclient.Client, error) {
		return guardStep{}, nil, guardFail(code, cause)
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(response[name]) > 1 {
			return fail(GuardTooOld, fmt.Errorf("%s is repeated", name)) // SEC-63
		}
	}
	state := response.Get("state")
	if err := g.cfg.State.Look(ctx, KindGuard, state, &step); err != nil {
		return fail(GuardTooOld, err)
	}
	sum := sha256.Sum256([]byte(browser))
	if !step.Began || browser == "" || subtle.ConstantTimeCompare(sum[:], step.Browser[:]) != 1 || step.Home != u.Key {
		return fail(GuardTooOld, errors.New("another browser or person began this step")) // SEC-04, SEC-24
	}
	if own := g.cfg.Issuers.Trust(step.Issuer) == TrustOwn; own && path != CallbackPath || !own && path != GuardPath(step.Issuer) {
		return fail(GuardUnsound, errors.New("the response came back on another server's path"))
	}
	if err := g.cfg.State.Take(ctx, KindGuard, state, &step); err != nil {
		return fail(GuardTooOld, err)
	}
	client, err := g.cfg.Issuers.named(step.Issuer)
	if err != nil {
		return fail(GuardNotHere, err)
	}
	if err := from(ctx, client, response); errors.Is(err, asclient.ErrUnreachable) {
		return fail(GuardAway, err)
	} else if err != nil {
		return fail(GuardUnsound, err)
	}
	if code := response.Get("error"); code != "" {
		return fail(GuardSaidNo, fmt.Errorf("authorization server answered %q", printable(code)))
	}
	return step, client, nil
}

func (g *Guardian) move(ctx context.Context, u User, to Owner) error {
	from, err := g.cfg.Registrar.guard(ctx, u)
	if err != nil {
		return err
	}
	err = g.cfg.Registrar.Move(ctx, u, to)
	var refused *uma.Error
	switch {
	case err == nil:
		g.cfg.Logger.InfoContext(ctx, "another authorization server guards a record now", "issuer", to.Issuer)
		g.runDue(ctx, from, to)
		return nil
	case errors.Is(err, ErrTaken):
		return guardFail(GuardHeld, err)
	case errors.Is(err, ErrBusy):
		return guardFail(GuardWorking, err)
	case errors.Is(err, ErrNoPAT) && to == homeOwner(u):
		return guardFail(GuardSignIn, err)
	case errors.Is(err, ErrUnreachable):
		return guardFail(GuardImpatient, err)
	case errors.As(err, &refused), errors.Is(err, asclient.ErrUntrusted), errors.Is(err, ErrNoPAT):
		return guardFail(GuardUnsound, err)
	default:
		return guardFail(guardInternal, err)
	}
}

// runDue starts on what the switch made due for the two accounts, so that a person sees it soon; what is not done within a
// moment goes on in the queue.
func (g *Guardian) runDue(ctx context.Context, accounts ...Owner) {
	ctx, cancel := context.WithTimeout(ctx, moveSoon)
	defer cancel()
	if _, err := g.cfg.Registrar.runDueOf(ctx, accounts); err != nil {
		g.cfg.Logger.InfoContext(ctx, "reconciliation after a switch goes on later", "err", err)
	}
}

// Return makes a person's home account her guard again. No consent is needed: she gave it when she signed in. Errors:
// *GuardError.
func (g *Guardian) Return(ctx context.Context, u User) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), moveLimit)
	defer cancel()
	return g.move(ctx, u, homeOwner(u))
}
