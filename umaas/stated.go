package umaas

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	mostStated  = 50  // claims of one token
	longestWord = 500 // bytes of one value
)

// statedClaims are the claims of an ID token that its issuer is believed for (SEC-20): text, true, or lists of text. An e-mail
// address counts only when the issuer verified it and stands for its domain.
func statedClaims(i TrustedIssuer, payload []byte) []Claim {
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil {
		return nil
	}
	var out []Claim
	add := func(name, value string) {
		if value != "" && len(value) <= longestWord && utf8.ValidString(value) && len(out) < mostStated {
			out = append(out, Claim{Issuer: i.Issuer, Name: name, Value: value})
		}
	}
	for _, name := range i.Claims {
		if name == claimSignIn {
			continue // this server's own mark
		}
		values := textsOf(members[name])
		if name == "email" {
			values = i.canonical(values, members["email_verified"])
		}
		for _, v := range values {
			add(name, v)
		}
	}
	return out
}

func textsOf(raw json.RawMessage) []string {
	var one string
	var many []string
	var yes bool
	switch {
	case len(raw) == 0:
		return nil
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}
	case json.Unmarshal(raw, &many) == nil:
		return many
	case json.Unmarshal(raw, &yes) == nil && yes:
		return []string{"true"}
	}
	return nil
}

// canonical keeps verified addresses in the domains an issuer stands for.
func (i TrustedIssuer) canonical(addresses []string, verified json.RawMessage) []string {
	var yes bool
	if len(verified) == 0 || json.Unmarshal(verified, &yes) != nil || !yes {
		return nil
	}
	var out []string
	for _, a := range addresses {
		a = normalLogin(a)
		if at := strings.LastIndexByte(a, '@'); at > 0 && contains(i.EmailDomains, a[at+1:]) {
			out = append(out, a)
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
