package umaas

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// statedClaims are the claims of a verified ID token that its issuer is believed for (SEC-20), each with its issuer; an address
// only in the domains it stands for. A token that states one in a form that is none says nothing.
func statedClaims(i TrustedIssuer, payload []byte) []Claim {
	var m Members
	if json.Unmarshal(payload, &m) != nil {
		return nil
	}
	list, err := m.stated(i.Claims)
	if err != nil {
		return nil
	}
	out := make([]Claim, 0, len(list))
	for _, c := range list {
		if c.Issuer = i.Issuer; c.Name != "email" || i.standsFor(c.Value) {
			out = append(out, c)
		}
	}
	return out
}

// SealSecret seals a client secret of ours at an issuer for TrustedIssuer.ClientSecret: AES-256-GCM under a key derived from
// this server's handle key, bound to the issuer.
func (s *Service) SealSecret(issuer, secret string) ([]byte, error) {
	aead, err := s.handles.sealer("issuer secret ")
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := io.ReadFull(s.Random, nonce); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	return aead.Seal(nonce, nonce, []byte(secret), []byte(issuer)), nil
}

func (s *Service) openSecret(i TrustedIssuer) (string, error) {
	if len(i.ClientSecret) == 0 {
		return "", nil
	}
	aead, err := s.handles.sealer("issuer secret ")
	if err != nil {
		return "", err
	}
	if len(i.ClientSecret) < aead.NonceSize() {
		return "", errors.New("client secret at an issuer: the stored value is cut short; set it again")
	}
	nonce, sealed := i.ClientSecret[:aead.NonceSize()], i.ClientSecret[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, sealed, []byte(i.Issuer))
	if err != nil {
		return "", errors.New("client secret at an issuer: the stored value was not made by this server for this issuer; set it again")
	}
	return string(plain), nil
}

// sealer derives a key for one use from the handle key: the block cipher as a random function on labels that are no record
// keys. label has 14 bytes.
func (h *Handles) sealer(label string) (cipher.AEAD, error) {
	var key [2 * aes.BlockSize]byte
	for n := range byte(2) {
		var block [aes.BlockSize]byte
		copy(block[:], label)
		block[aes.BlockSize-1] = n
		h.block.Encrypt(key[int(n)*aes.BlockSize:], block[:])
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return cipher.NewGCM(block)
}
