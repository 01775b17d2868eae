package resourceserver

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// ContextURLConfig is what ContextURLs need.
type ContextURLConfig struct {
	State      State
	Registrar  *Registrar
	Desk       *PermissionDesk
	Verifier   TokenVerifier
	Possession *Possession // nil: DPoP proofs for addresses under Base
	Relations  Relations
	Base       string // {rs}, no closing slash
	FHIRBase   string // {fhir}
	Types      []string
	Limiter    *AddressLimiter // nil: no limit here
	Now        func() time.Time
	Random     io.Reader
	Logger     *slog.Logger
}

// ContextURLs are the opaque addresses apps start from (flows.md A2, seed 004). One says nothing and gives nothing: it only
// allows asking the right owner. Many lead to one set, and nobody but this server knows to which.
type ContextURLs struct {
	cfg ContextURLConfig
}

// NewContextURLs checks cfg.
func NewContextURLs(cfg ContextURLConfig) (*ContextURLs, error) {
	if cfg.State == nil || cfg.Registrar == nil || cfg.Desk == nil || cfg.Verifier == nil || cfg.Relations == nil || cfg.Now == nil ||
		cfg.Random == nil || cfg.Base == "" || cfg.FHIRBase == "" || len(cfg.Types) == 0 {
		return nil, errors.New("context URLs: every member but Possession, Limiter and Logger is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Possession == nil {
		var err error
		if cfg.Possession, err = possessionAt(cfg.Base, cfg.Now); err != nil {
			return nil, fmt.Errorf("context URLs: %w", err)
		}
	}
	return &ContextURLs{cfg: cfg}, nil
}

// contextPath is where context URLs live under {rs}.
const contextPath = "/uma-context/"

// handleBytes is 160 random bits, 32 characters of base32.
const handleBytes = 20

var handleEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Mint makes a new context URL for what user may see: one patient, or with patient "" everything. client binds it to one
// app, "" to none; label is the owner's own word for it. It is new each time (S004-28), and only its hash is kept.
// ErrNotKept means that the user may not see the patient.
func (c *ContextURLs) Mint(ctx context.Context, user, patient, client, label string) (string, error) {
	u, err := c.cfg.State.User(ctx, user)
	if err != nil {
		return "", fmt.Errorf("mint context URL: %w", err)
	}
	level := LevelUser
	if patient != "" {
		level = LevelPatient
		_, ok, err := c.cfg.Relations.MaySee(ctx, user, patient)
		if err != nil {
			return "", fmt.Errorf("mint context URL: %w", err)
		}
		if !ok {
			return "", ErrNotKept
		}
	}
	raw := make([]byte, handleBytes)
	if _, err := io.ReadFull(c.cfg.Random, raw); err != nil {
		return "", fmt.Errorf("mint context URL: randomness: %w", err)
	}
	h := handleEncoding.EncodeToString(raw)
	err = c.cfg.State.PutContextURL(ctx, ContextURL{
		Hash: sha256.Sum256([]byte(h)), Level: level, User: user, Patient: patient, Issuer: u.Issuer, Client: client, Label: label, Created: c.cfg.Now(),
	})
	if err != nil {
		return "", fmt.Errorf("mint context URL: %w", err)
	}
	// Registering ahead spares the app's first request the wait; without success that request does it.
	if _, err := c.cfg.Registrar.EnsureFor(ctx, user, patient); err != nil && !errors.Is(err, ErrNotKept) {
		c.cfg.Logger.InfoContext(ctx, "set of a new context URL is registered later", "err", err)
		if err := c.cfg.Registrar.Enqueue(ctx, user); err != nil {
			return "", err
		}
	}
	return c.cfg.Base + contextPath + h, nil
}

// find reads what a handle means. Unknown, expired and malformed are ErrNotKept.
func (c *ContextURLs) find(ctx context.Context, h string) (ContextURL, error) {
	return c.cfg.State.ContextURL(ctx, sha256.Sum256([]byte(h)))
}

// registration is the set a context URL leads to now. A person who may not see the patient any more has none.
func (c *ContextURLs) registration(ctx context.Context, u ContextURL) (Registration, error) {
	if u.Level == LevelPatient {
		_, ok, err := c.cfg.Relations.MaySee(ctx, u.User, u.Patient)
		if err != nil {
			return Registration{}, err
		}
		if !ok {
			return Registration{}, ErrNotKept
		}
	}
	return c.cfg.Registrar.EnsureFor(ctx, u.User, u.Patient)
}

// touch keeps a URL alive, to the hour: most uses write nothing.
func (c *ContextURLs) touch(ctx context.Context, u ContextURL) error {
	now := c.cfg.Now()
	if !u.Used.IsZero() && now.Sub(u.Used) < time.Hour {
		return nil
	}
	return c.cfg.State.TouchContextURL(ctx, u.Hash, now)
}

// clientConstraint carries the app a URL was resolved for into the ticket (decisions 9). Client ids are the default
// authorization server's: at another one the same app has another id, so there the URL is bound to no app, and whoever
// guards the record decides.
func (c *ContextURLs) clientConstraint(u ContextURL, issuer string) []uma.Constraint {
	if u.Client == "" || !c.names(issuer) {
		return nil
	}
	return []uma.Constraint{{Type: uma.ConstraintClient, Value: u.Client}}
}

// names reports whether the app registry's client ids are those of an issuer.
func (c *ContextURLs) names(issuer string) bool { return issuer == c.cfg.Registrar.cfg.Issuer }

// Handler serves POST /uma-context/{h}/authorize and GET /uma-context/{h}.
func (c *ContextURLs) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if c.cfg.Limiter != nil && !c.cfg.Limiter.Allow(r) {
			w.Header().Set("Retry-After", "10")
			writeJSONError(w, uma.ErrTooMany)
			return
		}
		h, ok := strings.CutPrefix(r.URL.EscapedPath(), contextPath)
		if !ok {
			writeJSONError(w, errUnknownContext)
			return
		}
		if handle, isAuthorize := strings.CutSuffix(h, "/authorize"); isAuthorize {
			c.serveAuthorize(w, r, handle)
			return
		}
		c.serveContext(w, r, h)
	})
}

// errUnknownContext is the one answer for an unknown, expired, withdrawn or foreign context URL.
var errUnknownContext = uma.ErrNotFound.With("no such context")

func (c *ContextURLs) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *uma.Error
	switch {
	case errors.Is(err, ErrNotKept):
		writeJSONError(w, errUnknownContext)
	case errors.Is(err, ErrUnreachable), errors.Is(err, ErrBusy), errors.Is(err, ErrNoPAT):
		// R8 of gateway_rules.md: no ticket can be had.
		c.cfg.Logger.WarnContext(r.Context(), "no permission ticket", "err", err)
		w.Header().Set("Warning", `199 - "UMA Authorization Server Unreachable"`)
		writeJSONError(w, uma.ErrAccessDenied.With("the authorization server cannot be reached now, try again later"))
	case errors.As(err, &e):
		writeJSONError(w, e)
	default:
		c.cfg.Logger.ErrorContext(r.Context(), "context URL", "err", err)
		writeJSONError(w, uma.ErrServer)
	}
}

// names lists the scopes of a set in their canonical form, for the JSON copy of a challenge.
func names(list []scopes.Scope) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.String()
	}
	return strings.Join(out, " ")
}
