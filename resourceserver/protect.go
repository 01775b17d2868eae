package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// Request is one request to an API that is not FHIR, in the words of its registered sets.
type Request struct {
	// Patient is whose record the request is about. An API without patients may put any name its sets carry.
	Patient string
	// Scopes are the registered scopes the request needs, all of them, in one set. None refuses.
	Scopes []string
	// Interaction and Type describe the access in the owner's history.
	Interaction string
	Type        string
}

// APIClassifier knows an API: it says what a request needs. An error refuses with 404, so return one for whatever is not
// offered; what is not classified is never let through.
type APIClassifier interface {
	Classify(r *http.Request) (Request, error)
}

// APIClassifierFunc is a function as an APIClassifier.
type APIClassifierFunc func(r *http.Request) (Request, error)

// Classify implements APIClassifier.
func (f APIClassifierFunc) Classify(r *http.Request) (Request, error) { return f(r) }

// Config is what Protect needs. All fields but Spender, Realm, ResourceMetadata and Possession are needed.
type Config struct {
	Classifier       APIClassifier
	Verifier         TokenVerifier
	Ticketer         Ticketer
	Relations        Relations
	Recorder         Recorder
	Spender          Spender
	Now              func() time.Time
	Logger           *slog.Logger
	Realm            string
	ResourceMetadata string
	// Possession checks key-bound tokens; nil: they are refused, for the address a proof must name is not known.
	Possession *Possession
}

// Protect puts an API under its owners' control: requests reach next only under a permission, and after the access is recorded.
// Refusals are those of the response table (GW-37) with plain JSON bodies. It panics on an incomplete configuration, because a
// program that starts without one would serve unprotected data; use NewProtection to get an error instead.
func Protect(next http.Handler, c Config) http.Handler {
	p, err := NewProtection(c)
	if err != nil {
		panic(err)
	}
	return p.Wrap(next)
}

// Protection is a checked Config.
type Protection struct{ cfg Config }

// NewProtection checks the configuration.
func NewProtection(c Config) (*Protection, error) {
	if c.Classifier == nil || c.Verifier == nil || c.Ticketer == nil || c.Relations == nil || c.Recorder == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("protect: Classifier, Verifier, Ticketer, Relations, Recorder, Now and Logger are needed")
	}
	if c.Realm == "" {
		c.Realm = "api"
	}
	return &Protection{c}, nil
}

// Granted is what a request was let through with.
type Granted struct {
	Patient  string
	ClientID string
	Sub      string // requesting party, "" for a client acting for itself
	Set      Set
	Filter   Filter // the decision is complete: all rows of what was asked for
}

type grantedKey struct{}

// GrantedFrom gives what Protect let a request through with. False where the handler does not stand behind Protect.
func GrantedFrom(ctx context.Context) (Granted, bool) {
	g, ok := ctx.Value(grantedKey{}).(Granted)
	return g, ok
}

// Wrap returns next behind the protection.
func (p *Protection) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed, ok := p.Check(w, r); ok {
			next.ServeHTTP(w, allowed)
		}
	})
}

// Check decides on one request. When it is refused the answer is written and ok is false; else the request to go on with
// carries what was granted. It is for adapters of other routers.
func (p *Protection) Check(w http.ResponseWriter, r *http.Request) (allowed *http.Request, ok bool) {
	c := &apiCall{Protection: p, requestID: requestID(r.Header.Get("X-Request-Id"))}
	req, err := p.cfg.Classifier.Classify(r)
	if err != nil || len(req.Scopes) == 0 {
		c.write(w, answer{status: http.StatusNotFound}, "not_found", "no such endpoint")
		return nil, false
	}
	c.req = req
	granted, refused := c.decide(r.Context(), present(r))
	if refused != nil {
		code, text := "access_denied", "access was not given"
		if refused.status == http.StatusUnauthorized {
			code, text = "invalid_token", "authorization is required"
		}
		c.write(w, *refused, code, text)
		return nil, false
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Request-Id", c.requestID)
	out := r.WithContext(context.WithValue(r.Context(), grantedKey{}, granted))
	out.Header = r.Header.Clone()
	for _, name := range []string{"Authorization", pop.Header, pop.CertificateHeader, pop.ChainHeader} {
		out.Header.Del(name) // the token and its proof are not the handler's business (GW-47)
	}
	return out, true
}

type apiCall struct {
	*Protection
	req       Request
	state     tokenState
	unproven  *unproven
	requestID string
}

// decide verifies, judges and records. refused is the answer where that ends.
func (c *apiCall) decide(ctx context.Context, p presented) (Granted, *answer) {
	c.state = tokenMissing
	if p.sent {
		c.state = tokenInvalid
	}
	if p.token == "" {
		return Granted{}, c.refuse(ctx, Deny{Row: RowToken})
	}
	var g Grant
	var err error
	if v, about := c.cfg.Verifier.(AboutVerifier); about {
		g, err = v.VerifyAbout(ctx, p.token, c.req.Patient)
	} else {
		g, err = c.cfg.Verifier.Verify(ctx, p.token)
	}
	if err == nil {
		err = c.cfg.Possession.check(p, g)
	}
	switch {
	case errors.As(err, &c.unproven):
		return Granted{}, c.refuse(ctx, Deny{Row: RowToken})
	case errors.Is(err, ErrInactive):
		return Granted{}, c.refuse(ctx, Deny{Row: RowToken})
	case errors.Is(err, ErrUnreachable):
		return Granted{}, c.refuse(ctx, Deny{Row: RowUnreachable})
	case err != nil:
		return Granted{}, c.fault(ctx, err)
	}
	if c.state = tokenOAuth; g.Kind == KindRPT {
		c.state = tokenRPT
	} else if g.Kind != KindOAuth {
		c.state = tokenInvalid
		return Granted{}, c.refuse(ctx, Deny{Row: RowToken})
	}
	permitted, d, err := c.judge(ctx, g)
	if err != nil {
		return Granted{}, c.fault(ctx, err)
	}
	permit, ok := d.(Permit)
	if !ok {
		return Granted{}, c.refuse(ctx, d)
	}
	if permit.Spend {
		switch err := c.spend(ctx, g, p.token); {
		case errors.Is(err, ErrInactive):
			return Granted{}, c.refuse(ctx, Deny{Row: RowToken})
		case err != nil:
			return Granted{}, c.fault(ctx, err)
		}
	}
	event := Event{Set: permitted.Set, Patient: c.req.Patient, AccessEvent: uma.AccessEvent{
		ID: requestID(""), Time: c.cfg.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"), JTI: g.JTI, ClientID: g.ClientID, Sub: g.Sub,
		ResourceID: permitted.Set.ResourceID, Interaction: c.req.Interaction, Count: 1, Outcome: "success", RequestID: c.requestID,
	}}
	if c.req.Type != "" {
		event.Types = []string{c.req.Type}
	}
	if err := c.cfg.Recorder.Record(ctx, []Event{event}); err != nil {
		return Granted{}, c.fault(ctx, fmt.Errorf("record access: %w", err))
	}
	return Granted{Patient: c.req.Patient, ClientID: g.ClientID, Sub: g.Sub, Set: permitted.Set, Filter: permit.Filter}, nil
}

func (c *apiCall) spend(ctx context.Context, g Grant, token string) error {
	if c.cfg.Spender == nil {
		return ErrInactive
	}
	return c.cfg.Spender.Spend(ctx, g.Issuer, token)
}

func (c *apiCall) refuse(ctx context.Context, d Decision) *answer {
	in := refusalInput{Row: RowScope, Token: c.state, Realm: c.cfg.Realm, Metadata: c.cfg.ResourceMetadata, Asked: c.asked(), Unproven: c.unproven}
	var set *Set
	ask := false
	switch d := d.(type) {
	case Deny:
		in.Row = d.Row
	case NeedTicket:
		in.Row, set, ask = d.Row, d.Set, c.state == tokenRPT
	}
	if (c.state == tokenMissing || c.state == tokenInvalid) && in.Row == RowToken {
		ask = c.req.Patient != "" && (c.unproven == nil || c.unproven.nonce == "")
	}
	if ask {
		var ticket Challenge
		var err error
		if set != nil {
			ticket, err = c.cfg.Ticketer.TicketFor(ctx, *set, in.Asked)
		} else {
			ticket, err = c.cfg.Ticketer.Ticket(ctx, c.req.Patient, in.Asked)
		}
		if err != nil {
			c.cfg.Logger.WarnContext(ctx, "no permission ticket", "request_id", c.requestID, "error", err)
			in.Row = RowUnreachable
		} else {
			if ticket.Realm == "" {
				ticket.Realm = c.cfg.Realm
			}
			in.Ticket = &ticket
		}
	}
	a := refusal(in)
	return &a
}

func (c *apiCall) fault(ctx context.Context, err error) *answer {
	c.cfg.Logger.ErrorContext(ctx, "request failed", "request_id", c.requestID, "error", err)
	a := faultAnswer(err)
	return &a
}

// write sends a refusal with a plain JSON body in place of the OperationOutcome.
func (c *apiCall) write(w http.ResponseWriter, a answer, code, text string) {
	a.plain = true
	a.body = []byte(`{"error":"` + code + `","error_description":"` + text + `"}`)
	write(w, a, c.requestID, false, unowned())
}
