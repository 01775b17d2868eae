package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// previewPath is where an authorization server asks what permissions would show today.
const previewPath = "/uma/preview"

// Previews are asked with a JWT of this type, issued no longer ago than previewAge.
const (
	previewType = "preview-request+jwt"
	previewAge  = 60 * time.Second
	previewSize = 64 << 10
)

// Counter counts per resource type what permissions on a set would show now: the same judge, the same rows, no content.
type Counter interface {
	Count(ctx context.Context, set Set, permissions []uma.Permission) (map[string]int, error)
}

// Preview answers the owner's question "what would this show today" (pages.md PG-11), asked by her authorization server:
// POST {"request": JWT}, signed by that server for exactly this address.
type Preview struct {
	Clients AuthorizationServers
	Sets    Sets
	Counter Counter
	Base    string // {rs}
	Logger  *slog.Logger
}

// URL is the preview_uri of every set and the audience of every request.
func (p *Preview) URL() string { return p.Base + previewPath }

// ServeHTTP answers 200 {"counts": {"AllergyIntolerance": 3}}. Whatever is wrong with the request itself is one 401, so
// that nobody learns which sets exist; a set that is gone counts nothing.
func (p *Preview) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeJSONError(w, uma.ErrUnsupportedMethod.With("a preview is asked by POST"))
		return
	}
	set, permissions, err := p.request(r)
	if err != nil {
		if errors.Is(err, asclient.ErrUnreachable) {
			writeJSONError(w, uma.ErrUnavailable)
			return
		}
		p.Logger.InfoContext(r.Context(), "preview refused", "err", err)
		writeJSONError(w, uma.ErrInvalidToken.With("a preview request is signed by the authorization server, for this address, within the last minute"))
		return
	}
	counts := map[string]int{}
	if set.Level != "" {
		counts, err = p.Counter.Count(r.Context(), set, permissions)
		if err != nil {
			p.Logger.ErrorContext(r.Context(), "preview", "err", err)
			writeJSONError(w, uma.ErrUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"counts": counts})
}

func (p *Preview) request(r *http.Request) (Set, []uma.Permission, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return Set{}, nil, errors.New("preview: want application/json")
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, previewSize+1))
	if err != nil || len(raw) > previewSize {
		return Set{}, nil, errors.New("preview: body too large or cut short")
	}
	var body struct {
		Request string `json:"request"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return Set{}, nil, errors.New("preview: body is not JSON")
	}
	issuer, ok := asclient.UnverifiedIssuer(body.Request)
	if !ok {
		return Set{}, nil, errors.New("preview: no issuer")
	}
	client, err := p.Clients.At(r.Context(), issuer)
	if err != nil {
		return Set{}, nil, fmt.Errorf("preview: issuer: %w", err)
	}
	payload, err := client.VerifyRequest(r.Context(), body.Request, previewType, p.URL(), previewAge)
	if err != nil {
		return Set{}, nil, err
	}
	var claims struct {
		ResourceID  string           `json:"resource_id"`
		Permissions []uma.Permission `json:"permissions"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.ResourceID == "" {
		return Set{}, nil, errors.New("preview: claims")
	}
	set, err := p.Sets.SetByID(r.Context(), issuer, claims.ResourceID)
	if errors.Is(err, ErrNotKept) {
		return Set{}, nil, nil
	}
	return set, claims.Permissions, err
}
