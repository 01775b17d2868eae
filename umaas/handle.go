package umaas

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Key identifies a short-lived record: 6 bytes of Unix milliseconds, then 10 random bytes. Keys grow with time, so that
// writes land on one edge of the store's tree; they never leave the server in this form.
type Key [16]byte

// Time is the moment the key was made, to the millisecond.
func (k Key) Time() time.Time {
	var b [8]byte
	copy(b[2:], k[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))).UTC() //nolint:gosec // 48 bits
}

// IsZero reports the absent key.
func (k Key) IsZero() bool { return k == Key{} }

// String is lower-case hexadecimal, for identifiers that stay inside (audit, owner pages).
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ParseKey is the reverse of String.
func ParseKey(s string) (Key, error) {
	var k Key
	if len(s) != 2*len(k) {
		return Key{}, errors.New("a record id has 32 hexadecimal digits")
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return Key{}, fmt.Errorf("record id: %w", err)
	}
	return k, nil
}

// SecretHash is SHA-256 of the secret half of a handle. Generated secrets have 160 bits, so a plain hash suffices.
type SecretHash [32]byte

// Matches compares in constant time.
func (h SecretHash) Matches(secret []byte) bool {
	sum := sha256.Sum256(secret)
	return subtle.ConstantTimeCompare(h[:], sum[:]) == 1
}

// Handles makes and opens the bearer values of this server: tickets, codes, tokens, session cookies.
//
// A handle is base64url(AES(key)) "." base64url(secret): the first half looks the record up and shows nothing of it, not
// even its age; of the second, 160 random bits, only the hash is stored (Grant §5.4, SEC-09).
type Handles struct {
	block  cipher.Block
	random io.Reader
}

const secretBytes = 20

// NewHandles takes a 32-byte server key.
func NewHandles(key []byte, random io.Reader) (*Handles, error) {
	if len(key) != 32 {
		return nil, errors.New("handle key must have 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("handle key: %w", err)
	}
	return &Handles{block: block, random: random}, nil
}

// NewKey makes a record key for the given moment.
func (h *Handles) NewKey(now time.Time) (Key, error) {
	var k Key
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli()))
	copy(k[:6], b[2:])
	if _, err := io.ReadFull(h.random, k[6:]); err != nil {
		return Key{}, fmt.Errorf("read randomness: %w", err)
	}
	return k, nil
}

// New makes a handle: the value for the client, the key and the hash for the store.
func (h *Handles) New(now time.Time) (value string, key Key, hash SecretHash, err error) {
	key, err = h.NewKey(now)
	if err != nil {
		return "", Key{}, SecretHash{}, err
	}
	var secret [secretBytes]byte
	if _, err = io.ReadFull(h.random, secret[:]); err != nil {
		return "", Key{}, SecretHash{}, fmt.Errorf("read randomness: %w", err)
	}
	return h.ID(key) + "." + base64.RawURLEncoding.EncodeToString(secret[:]), key, sha256.Sum256(secret[:]), nil
}

// ID is the public half alone: the jti of tokens, the id of a grant.
func (h *Handles) ID(key Key) string {
	var sealed Key
	h.block.Encrypt(sealed[:], key[:])
	return base64.RawURLEncoding.EncodeToString(sealed[:])
}

// OpenID is the reverse of ID. Any well-formed id decrypts to some key; only the store knows whether it exists.
func (h *Handles) OpenID(id string) (Key, bool) {
	var sealed, key Key
	if len(id) != base64.RawURLEncoding.EncodedLen(len(sealed)) {
		return Key{}, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(sealed[:], []byte(id))
	if err != nil || n != len(sealed) {
		return Key{}, false
	}
	h.block.Decrypt(key[:], sealed[:])
	return key, true
}

// Open splits a handle. Exact length and strict encoding: a truncated or padded value is no value (SEC-55).
func (h *Handles) Open(value string) (key Key, secret []byte, ok bool) {
	id, tail, found := strings.Cut(value, ".")
	if !found || len(tail) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return Key{}, nil, false
	}
	key, ok = h.OpenID(id)
	if !ok {
		return Key{}, nil, false
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(tail)
	if err != nil {
		return Key{}, nil, false
	}
	return key, secret, true
}
