package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/outbound"
	"github.com/umaas/umaas/umaas/uma"
)

// settings keeps the key ring's one value in the store's settings.
type settings struct{ store umaas.Store }

const ringSetting = "signing-keys"

// Load implements keys.Storage.
func (s settings) Load(ctx context.Context) (raw []byte, err error) {
	err = s.store.View(ctx, func(r umaas.Reader) error {
		raw, err = r.Setting(ringSetting)
		if errors.Is(err, umaas.ErrNotFound) {
			raw, err = nil, nil
		}
		return err
	})
	return raw, err
}

// Swap implements keys.Storage.
func (s settings) Swap(ctx context.Context, old, fresh []byte) error {
	return s.store.Update(ctx, func(tx umaas.Tx) error {
		now, err := tx.Setting(ringSetting)
		if err != nil && !errors.Is(err, umaas.ErrNotFound) {
			return err
		}
		if !bytes.Equal(now, old) {
			return keys.ErrConflict
		}
		return tx.PutSetting(ringSetting, fresh)
	})
}

// previewer asks the resource server what permissions would show today, with a request signed for that address alone.
type previewer struct {
	issuer string
	store  umaas.Store
	keys   *keys.Ring
	client *outbound.Client
	now    func() time.Time
}

var _ umaas.Previewer = previewer{}

const previewType = "preview-request+jwt"

// Preview implements umaas.Previewer.
func (p previewer) Preview(ctx context.Context, r umaas.Resource, permissions []uma.Permission) (map[string]int, error) {
	var rs umaas.Client
	err := p.store.View(ctx, func(read umaas.Reader) error {
		var err error
		rs, err = read.Client(r.RS)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	now := p.now().Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": p.issuer, "aud": r.Description.PreviewURI, "iat": now, "exp": now + 60, "resource_id": r.ID, "permissions": permissions,
	})
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	request, err := p.keys.Sign(keys.ES256, previewType, payload)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	return p.client.Preview(ctx, r.Description.PreviewURI, rs.Audience, request)
}
