package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

// A handle is one AES block that decrypts to (end, random), which is the key, and 24 bytes of secret, of which only the
// hash is kept. It shows nothing, and keys grow with time.
const (
	handleBlock  = 16
	handleSecret = 24
)

type handleRecord struct {
	Secret [32]byte        `json:"s"`
	Value  json.RawMessage `json:"v"`
}

// Keep implements resourceserver.Handles.
func (s *Store) Keep(ctx context.Context, kind string, value any, expires time.Time) (string, error) {
	if err := checked(kind); err != nil {
		return "", err
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("state: encode: %w", err)
	}
	var block [handleBlock]byte
	binary.BigEndian.PutUint64(block[:8], uint64(expires.UnixNano()))
	var secret [handleSecret]byte
	if _, err := io.ReadFull(s.random, block[8:]); err != nil {
		return "", fmt.Errorf("state: randomness: %w", err)
	}
	if _, err := io.ReadFull(s.random, secret[:]); err != nil {
		return "", fmt.Errorf("state: randomness: %w", err)
	}
	at := key("t", kind, hex.EncodeToString(block[:]))
	err = s.engine.Update(ctx, func(tx kv.Tx) error {
		return s.saveSealed(tx, at, handleRecord{Secret: sha256.Sum256(secret[:]), Value: raw})
	})
	if err != nil {
		return "", err
	}
	out := make([]byte, handleBlock+handleSecret)
	s.handles.Encrypt(out, block[:])
	copy(out[handleBlock:], secret[:])
	return base64.RawURLEncoding.EncodeToString(out), nil
}

// open finds the key of a handle. Whatever is not a living handle of this kind is ErrNotKept.
func (s *Store) open(kind, handle string) (at []byte, secret [32]byte, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(handle)
	if err != nil || len(raw) != handleBlock+handleSecret || checked(kind) != nil {
		return nil, secret, rs.ErrNotKept
	}
	var block [handleBlock]byte
	s.handles.Decrypt(block[:], raw[:handleBlock])
	end := time.Unix(0, int64(binary.BigEndian.Uint64(block[:8]))) //nolint:gosec // any value is compared only
	if !s.now().Before(end) {
		return nil, secret, rs.ErrNotKept
	}
	return key("t", kind, hex.EncodeToString(block[:])), sha256.Sum256(raw[handleBlock:]), nil
}

func (s *Store) find(tx kv.Tx, at []byte, secret [32]byte) (handleRecord, error) {
	var r handleRecord
	if err := s.loadSealed(tx, at, &r); err != nil {
		return r, err
	}
	if subtle.ConstantTimeCompare(r.Secret[:], secret[:]) != 1 {
		return r, rs.ErrNotKept
	}
	return r, nil
}

// Look implements resourceserver.Handles.
func (s *Store) Look(ctx context.Context, kind, handle string, into any) error {
	at, secret, err := s.open(kind, handle)
	if err != nil {
		return err
	}
	var r handleRecord
	err = s.engine.View(ctx, func(tx kv.Tx) (err error) {
		r, err = s.find(tx, at, secret)
		return err
	})
	if err != nil {
		return err
	}
	return json.Unmarshal(r.Value, into)
}

// Take implements resourceserver.Handles.
func (s *Store) Take(ctx context.Context, kind, handle string, into any) error {
	at, secret, err := s.open(kind, handle)
	if err != nil {
		return err
	}
	var r handleRecord
	err = s.engine.Update(ctx, func(tx kv.Tx) (err error) {
		if r, err = s.find(tx, at, secret); err != nil {
			return err
		}
		return tx.Delete(at)
	})
	if err != nil {
		return err
	}
	return json.Unmarshal(r.Value, into)
}

// Change implements resourceserver.Handles.
func (s *Store) Change(ctx context.Context, kind, handle string, value any) error {
	at, secret, err := s.open(kind, handle)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("state: encode: %w", err)
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		r, err := s.find(tx, at, secret)
		if err != nil {
			return err
		}
		r.Value = raw
		return s.saveSealed(tx, at, r)
	})
}

// Sweep deletes what has expired: handles and context URLs, at most limit of each, and reports how many went. Expired
// things are not found even before: sweeping only frees room.
func (s *Store) Sweep(ctx context.Context, kinds []string, limit int) (int, error) {
	swept := 0
	for _, kind := range kinds {
		n, err := s.sweepHandles(ctx, kind, limit)
		swept += n
		if err != nil {
			return swept, err
		}
	}
	n, err := s.sweepContexts(ctx, limit)
	return swept + n, err
}

func (s *Store) sweepHandles(ctx context.Context, kind string, limit int) (int, error) {
	if err := checked(kind); err != nil {
		return 0, err
	}
	prefix := under("t", kind)
	horizon := append(bytes.Clone(prefix), timed(s.now(), [8]byte{})...)
	swept := 0
	for swept < limit {
		n := 0
		err := s.engine.Update(ctx, func(tx kv.Tx) error {
			n = 0
			pairs, err := tx.Scan(prefix, nil, perTransaction)
			if err != nil {
				return err
			}
			for _, p := range pairs {
				if bytes.Compare(p.Key, horizon) >= 0 {
					break
				}
				if err := tx.Delete(p.Key); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		swept += n
		if err != nil || n < perTransaction {
			return swept, err
		}
	}
	return swept, nil
}

func (s *Store) sweepContexts(ctx context.Context, limit int) (int, error) {
	swept := 0
	for after := ""; swept < limit; {
		var gone []string
		var users []string
		seen := 0
		err := s.engine.View(ctx, func(tx kv.Tx) error {
			gone, users, seen = nil, nil, 0
			return scan(tx, under("x"), after, kv.MaxScan, func(p kv.Pair) error {
				var r contextRecord
				if err := decode(p.Value, &r); err != nil {
					return err
				}
				seen++
				after = string(p.Key[len(under("x")):])
				if r.expired(s.now()) {
					gone, users = append(gone, after), append(users, r.User)
				}
				return nil
			})
		})
		if err != nil {
			return swept, err
		}
		for i := range gone {
			err := s.engine.Update(ctx, func(tx kv.Tx) error {
				var r contextRecord
				err := load(tx, key("x", gone[i]), &r)
				if errors.Is(err, rs.ErrNotKept) || err == nil && !r.expired(s.now()) {
					return nil
				}
				if err != nil {
					return err
				}
				return dropContext(tx, users[i], gone[i])
			})
			if err != nil {
				return swept, err
			}
			swept++
		}
		if seen < kv.MaxScan {
			break
		}
	}
	return swept, nil
}
