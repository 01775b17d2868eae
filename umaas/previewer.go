package umaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// PreviewCall carries one signed question to a resource server. origins are those the server is known to answer for; the
// call must refuse any other. outbound.Client.Preview is one.
type PreviewCall func(ctx context.Context, uri string, origins []string, request string) (map[string]int, error)

// NewPreviewer makes a Previewer that asks the resource server at a set's preview_uri with a request signed by this server
// (ES256, audience the address itself, one minute).
func NewPreviewer(issuer string, store Store, ring *keys.Ring, now func() time.Time, call PreviewCall) (Previewer, error) {
	if issuer == "" || store == nil || ring == nil || now == nil || call == nil {
		return nil, errors.New("previewer: issuer, store, keys, clock and call are required")
	}
	return &previewer{issuer: issuer, store: store, ring: ring, now: now, call: call}, nil
}

type previewer struct {
	issuer string
	store  Store
	ring   *keys.Ring
	now    func() time.Time
	call   PreviewCall
}

// PreviewType is the typ of a preview request.
const PreviewType = "preview-request+jwt"

type previewClaims struct {
	Iss         string           `json:"iss"`
	Aud         string           `json:"aud"`
	Iat         int64            `json:"iat"`
	Exp         int64            `json:"exp"`
	ResourceID  ResourceID       `json:"resource_id"`
	Permissions []uma.Permission `json:"permissions"`
}

// Preview implements Previewer.
func (p *previewer) Preview(ctx context.Context, r Resource, permissions []uma.Permission) (map[string]int, error) {
	uri := r.Description.PreviewURI
	if uri == "" {
		return nil, fmt.Errorf("preview: %w", ErrNotFound)
	}
	var rs Client
	err := p.store.View(ctx, func(reader Reader) error {
		var err error
		rs, err = reader.Client(r.RS)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preview: resource server: %w", err)
	}
	if rs.Disabled || len(rs.Audience) == 0 {
		return nil, errors.New("preview: the resource server is disabled or has registered no URL of its own")
	}
	now := p.now()
	payload, err := json.Marshal(previewClaims{
		Iss: p.issuer, Aud: uri, Iat: now.Unix(), Exp: now.Add(time.Minute).Unix(), ResourceID: r.ID, Permissions: permissions,
	})
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	request, err := p.ring.Sign(keys.ES256, PreviewType, payload)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	counts, err := p.call(ctx, uri, rs.Audience, request)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	return counts, nil
}

// settingKeys is where the signing keys lie in the store.
const settingKeys = "signing-keys"

// KeyStorage keeps a key ring's value among the settings of a store.
func KeyStorage(store Store) keys.Storage { return keyStorage{store} }

type keyStorage struct{ store Store }

// Load implements keys.Storage.
func (k keyStorage) Load(ctx context.Context) ([]byte, error) {
	var raw []byte
	err := k.store.View(ctx, func(r Reader) error {
		var err error
		raw, err = r.Setting(settingKeys)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	return raw, nil
}

// Swap implements keys.Storage.
func (k keyStorage) Swap(ctx context.Context, old, fresh []byte) error {
	err := k.store.Update(ctx, func(tx Tx) error {
		current, err := tx.Setting(settingKeys)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if string(current) != string(old) {
			return keys.ErrConflict
		}
		return tx.PutSetting(settingKeys, fresh)
	})
	if err != nil {
		return fmt.Errorf("write signing keys: %w", err)
	}
	return nil
}
