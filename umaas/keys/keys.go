package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// Algorithm is a signature algorithm of RFC 7518 §3.1 this server signs with.
type Algorithm string

// The algorithms.
const (
	ES256 Algorithm = "ES256"
	RS256 Algorithm = "RS256"
)

// ErrConflict is returned by Storage.Swap when another service has written in between.
var ErrConflict = errors.New("keys were changed by another service")

// ErrUntrusted is wrapped by every refusal of a signed value.
var ErrUntrusted = errors.New("signature not accepted")

// Storage keeps the ring's one value. Load returns nil without error where nothing was stored. Swap replaces old by fresh
// durably, or returns ErrConflict when the stored value is no longer old.
type Storage interface {
	Load(ctx context.Context) ([]byte, error)
	Swap(ctx context.Context, old, fresh []byte) error
}

// Options of a ring. Storage, Now and Random are required.
type Options struct {
	Storage Storage
	Now     func() time.Time
	Random  io.Reader
	Seal    []byte        // 32-byte key-encryption key; nil keeps keys in the clear
	Reload  time.Duration // how old the view of the storage may be; default 5 s
	Period  time.Duration // how long a key signs before Maintain rotates it; default 90 days
	Lead    time.Duration // how long the next key is published before it signs; default 1 day
	Overlap time.Duration // how long a retired key still verifies; default 1 day. Not below the longest signed token's life
}

// Ring is the set of signing keys of one issuer. Its methods are safe for concurrent use.
type Ring struct {
	o Options
	// life is the ring's own context: a re-reading serves every caller, so the end of the request that happened to start it
	// must not cut it short.
	life    context.Context
	loading sync.Mutex
	state   atomic.Pointer[state]
	proved  remembered
}

// state is one immutable reading of the storage.
type state struct {
	raw    []byte // as stored: the old value of the next Swap
	keys   []*key
	jwks   []byte
	loaded time.Time
}

// Open reads the ring, and makes the first keys where the storage is empty. Two services that open an empty storage at the
// same time end with the same keys.
func Open(ctx context.Context, o Options) (*Ring, error) {
	switch {
	case o.Storage == nil || o.Now == nil || o.Random == nil:
		return nil, errors.New("keys: Storage, Now and Random are required")
	case len(o.Seal) != 0 && len(o.Seal) != 32:
		return nil, errors.New("keys: the key-encryption key must have 32 bytes")
	}
	const day = 24 * time.Hour
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&o.Reload, 5 * time.Second}, {&o.Period, 90 * day}, {&o.Lead, day}, {&o.Overlap, day}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	r := &Ring{o: o, life: context.WithoutCancel(ctx)}
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if err := r.change(ctx, r.complete); err != nil {
		return nil, fmt.Errorf("make signing keys: %w", err)
	}
	return r, nil
}

// Sign makes a compact JWS (RFC 7515 §7.1) over a prepared payload with the active key. typ goes into the header: it keeps
// one kind of token from being taken for another (RFC 8725 §3.11).
func (r *Ring) Sign(alg Algorithm, typ string, payload []byte) (string, error) {
	r.refresh()
	k := r.state.Load().active(alg)
	if k == nil {
		return "", fmt.Errorf("no active %s key", alg)
	}
	signed, err := k.sign(r.o.Random, typ, payload)
	if err == nil {
		r.proved.put(signed, header{alg: jwa.SignatureAlgorithm(alg), typ: typ, kid: k.ID})
	}
	return signed, err
}

func (s *state) active(alg Algorithm) *key {
	for _, k := range s.keys {
		if k.Alg == alg && k.State == Active {
			return k
		}
	}
	return nil
}

func (k *key) sign(random io.Reader, typ string, payload []byte) (string, error) {
	head := k.header(typ)
	encode := base64.RawURLEncoding
	out := make([]byte, 0, len(head)+1+encode.EncodedLen(len(payload))+1+encode.EncodedLen(k.signatureSize()))
	out = append(out, head...)
	out = append(out, '.')
	out = encode.AppendEncode(out, payload)
	digest := sha256.Sum256(out)
	var sig []byte
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey: // crypto/ecdsa directly: through the JOSE library the same costs 1.45 times as much
		a, b, err := ecdsa.Sign(random, private, digest[:])
		if err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
		sig = make([]byte, 64) // RFC 7518 §3.4: R and S as 32 octets each
		a.FillBytes(sig[:32])
		b.FillBytes(sig[32:])
	case *rsa.PrivateKey:
		var err error
		if sig, err = rsa.SignPKCS1v15(random, private, crypto.SHA256, digest[:]); err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
	default:
		return "", errors.New("sign: unknown kind of key")
	}
	out = append(out, '.')
	return string(encode.AppendEncode(out, sig)), nil
}

// JWKS is the public key set (RFC 7517 §5): active, next and retiring keys. The bytes must not be changed.
func (r *Ring) JWKS() []byte {
	r.refresh()
	return r.state.Load().jwks
}

// Info describes a key for administration.
type Info struct {
	ID      string
	Alg     Algorithm
	State   State
	Created time.Time
	Since   time.Time // when it came into its state
}

// Keys lists the keys, active first.
func (r *Ring) Keys() []Info {
	r.refresh()
	var out []Info
	for _, want := range []State{Active, Next, Retiring} {
		for _, k := range r.state.Load().keys {
			if k.State == want {
				out = append(out, Info{ID: k.ID, Alg: k.Alg, State: k.State, Created: k.Created, Since: k.Since})
			}
		}
	}
	return out
}

// refresh re-reads the storage when the last reading is older than Options.Reload. A storage that fails leaves the reading
// in use: a server that can read nothing issues nothing anyway.
func (r *Ring) refresh() {
	now := r.o.Now()
	if age := now.Sub(r.state.Load().loaded); age >= 0 && age < r.o.Reload || !r.loading.TryLock() {
		return
	}
	defer r.loading.Unlock()
	if err := r.load(r.life); err != nil {
		s := *r.state.Load()
		s.loaded = now
		r.state.Store(&s)
	}
}

// Reload re-reads the storage at once.
func (r *Ring) Reload(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	return r.load(ctx)
}
