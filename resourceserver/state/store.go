package state

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

// Options configure Open. Key is 32 bytes of secret configuration: it encrypts PATs, client secrets and what stands behind
// handles. Losing it means that every owner has to sign in again.
type Options struct {
	Key    []byte
	Now    func() time.Time
	Random io.Reader
}

// Store implements resourceserver.State.
type Store struct {
	engine  kv.Engine
	now     func() time.Time
	random  io.Reader
	sealer  cipher.AEAD
	handles cipher.Block
}

var _ rs.State = (*Store)(nil)

const schemaVersion = 1

// Open returns a Store over engine, which stays the caller's to close. Data of a newer schema are refused untouched; data
// sealed with another key are refused, too.
func Open(ctx context.Context, engine kv.Engine, o Options) (*Store, error) {
	if len(o.Key) != 32 {
		return nil, fmt.Errorf("state: the key has %d bytes, want 32 (make one with: head -c32 /dev/urandom | base64)", len(o.Key))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	s := &Store{engine: engine, now: o.Now, random: o.Random}
	sealing, err := hkdf.Key(sha256.New, o.Key, nil, "umaas resource server: sealed records", 32)
	if err != nil {
		return nil, fmt.Errorf("state: derive key: %w", err)
	}
	handle, err := hkdf.Key(sha256.New, o.Key, nil, "umaas resource server: handles", 32)
	if err != nil {
		return nil, fmt.Errorf("state: derive key: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("state: cipher: %w", err)
	}
	if s.sealer, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("state: cipher: %w", err)
	}
	if s.handles, err = aes.NewCipher(handle); err != nil {
		return nil, fmt.Errorf("state: cipher: %w", err)
	}
	return s, s.checkSchema(ctx)
}

// schema is the first record: it tells the version, and its sealed part whether the key fits.
type schema struct {
	Version int    `json:"v"`
	Probe   []byte `json:"k"`
}

func (s *Store) checkSchema(ctx context.Context) error {
	at := key("!")
	probe, err := s.seal(at, []byte("probe"))
	if err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var found schema
		err := load(tx, at, &found)
		if errors.Is(err, rs.ErrNotKept) {
			return save(tx, at, schema{Version: schemaVersion, Probe: probe})
		}
		if err != nil {
			return err
		}
		if found.Version > schemaVersion {
			return errSchema
		}
		if _, err := s.unseal(at, found.Probe); err != nil {
			return errors.New("state: the configured key does not fit these data: configure the key they were written with")
		}
		return nil
	})
}

// recordVersion is the first byte of every record.
const recordVersion = 1

func save(tx kv.Tx, at []byte, record any) error {
	raw, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("state: encode: %w", err)
	}
	return tx.Put(at, append([]byte{recordVersion}, raw...))
}

func load(tx kv.Tx, at []byte, record any) error {
	raw, err := tx.Get(at)
	if errors.Is(err, kv.ErrNotFound) {
		return rs.ErrNotKept
	}
	if err != nil {
		return err
	}
	return decode(raw, record)
}

func decode(raw []byte, record any) error {
	if len(raw) == 0 || raw[0] != recordVersion {
		return errSchema
	}
	if err := json.Unmarshal(raw[1:], record); err != nil {
		return fmt.Errorf("state: decode: %w", err)
	}
	return nil
}

// seal encrypts a secret record (AES-256-GCM) and binds it to its key, so that it cannot be moved to another owner's.
func (s *Store) seal(at, plain []byte) ([]byte, error) {
	nonce := make([]byte, s.sealer.NonceSize(), s.sealer.NonceSize()+len(plain)+s.sealer.Overhead())
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return nil, fmt.Errorf("state: randomness: %w", err)
	}
	return s.sealer.Seal(nonce, nonce, plain, at), nil
}

func (s *Store) unseal(at, sealed []byte) ([]byte, error) {
	n := s.sealer.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("state: sealed record is cut short")
	}
	plain, err := s.sealer.Open(nil, sealed[:n], sealed[n:], at)
	if err != nil {
		return nil, errors.New("state: sealed record cannot be opened with the configured key")
	}
	return plain, nil
}

func (s *Store) saveSealed(tx kv.Tx, at []byte, record any) error {
	raw, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("state: encode: %w", err)
	}
	sealed, err := s.seal(at, raw)
	if err != nil {
		return err
	}
	return tx.Put(at, append([]byte{recordVersion}, sealed...))
}

func (s *Store) loadSealed(tx kv.Tx, at []byte, record any) error {
	raw, err := tx.Get(at)
	if errors.Is(err, kv.ErrNotFound) {
		return rs.ErrNotKept
	}
	if err != nil {
		return err
	}
	if len(raw) == 0 || raw[0] != recordVersion {
		return errSchema
	}
	plain, err := s.unseal(at, raw[1:])
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, record); err != nil {
		return fmt.Errorf("state: decode: %w", err)
	}
	return nil
}
