package asclient

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/umaas/umaas/umaas/uma"
)

// openPermissions reads the member of a token that is sealed for this resource server: a compact JWE with direct
// encryption and A256GCM (RFC 7516 §3.1, RFC 7518 §4.5, §5.3) under SHA-256 of the client secret (OpenID Connect Core
// §10.2). Nothing in its header chooses anything else.
func (c *Client) openPermissions(ctx context.Context, sealed string) ([]uma.Permission, error) {
	who, err := c.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := openJWE(sealed, sha256.Sum256([]byte(who.ClientSecret)))
	if err != nil {
		return nil, fmt.Errorf("%w: sealed permissions: %w", ErrUntrusted, err)
	}
	permissions := []uma.Permission{}
	if err := json.Unmarshal(plain, &permissions); err != nil {
		return nil, fmt.Errorf("%w: sealed permissions: %w", ErrUntrusted, err)
	}
	return permissions, nil
}

func openJWE(compact string, key [32]byte) ([]byte, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 5 || parts[1] != "" {
		return nil, errors.New("want five parts and no encrypted key")
	}
	decoded := make([][]byte, len(parts))
	for i, p := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil {
			return nil, errors.New("want base64url")
		}
	}
	var header map[string]any
	if err := json.Unmarshal(decoded[0], &header); err != nil || header["alg"] != "dir" || header["enc"] != "A256GCM" {
		return nil, errors.New("want alg dir and enc A256GCM")
	}
	for name := range header {
		if name == "crit" || name == "zip" {
			return nil, fmt.Errorf("header member %s is not taken", name)
		}
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(decoded[2]) != aead.NonceSize() || len(decoded[4]) != aead.Overhead() {
		return nil, errors.New("nonce or tag has the wrong length")
	}
	plain, err := aead.Open(nil, decoded[2], append(decoded[3], decoded[4]...), []byte(parts[0]))
	if err != nil {
		return nil, errors.New("does not open with this server's secret")
	}
	return plain, nil
}
