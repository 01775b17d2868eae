package store

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/umaas/umaas/fhir"
)

// pageSealer makes continuation links: the query and the place in it, encrypted and authenticated under a key of this file. A client can
// neither read, alter nor make one, and the server keeps no state for it.
type pageSealer struct{ aead cipher.AEAD }

// continuation is the content of a link.
type continuation struct {
	Kind     string      `json:"i"` // "search", "history", "everything"
	Path     string      `json:"p"`
	Pairs    []fhir.Pair `json:"q,omitempty"`
	Handling string      `json:"h,omitempty"`
	At       cursor      `json:"c"`
}

const maxPageToken = 12 << 10

func (p *pageSealer) setKey(key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("page key: %w", err)
	}
	p.aead, err = cipher.NewGCM(block)
	return err
}

// link gives the URL of the next page.
func (p *pageSealer) link(s *Store, kind, path string, pairs []fhir.Pair, prefer preference, at *cursor) (string, error) {
	plain, err := json.Marshal(continuation{Kind: kind, Path: path, Pairs: pairs, Handling: prefer.handling, At: *at})
	if err != nil {
		return "", fmt.Errorf("page link: %w", err)
	}
	nonce := make([]byte, p.aead.NonceSize())
	if _, err := io.ReadFull(s.opts.Rand, nonce); err != nil {
		return "", fmt.Errorf("page link: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(p.aead.Seal(nonce, nonce, plain, nil))
	if len(token) > maxPageToken {
		return "", refuse(http.StatusBadRequest, "too-long", "the parameters are too long to continue on a next page: ask for less at a time")
	}
	u := s.base
	if path != "" {
		u += "/" + path
	}
	return u + "?_page=" + token, nil
}

// resume gives the parameters of a request: its own, or those of the continuation it brings. A link of another path is refused.
func (p *pageSealer) resume(kind, path string, req *request) ([]fhir.Pair, preference, *cursor, error) {
	token, others := "", 0
	for _, pair := range req.pairs {
		switch pair.Name {
		case "_page":
			if token != "" || pair.Value == "" {
				others++
			}
			token = pair.Value
		case "_format", "_pretty":
		default:
			others++
		}
	}
	if token == "" && !hasPair(req.pairs, "_page") {
		return req.pairs, req.prefer, nil, nil
	}
	bad := invalid("the continuation link is not one of this server, or was altered: start the search again")
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || others > 0 || len(sealed) < p.aead.NonceSize() || req.method != http.MethodGet {
		return nil, preference{}, nil, bad
	}
	plain, err := p.aead.Open(nil, sealed[:p.aead.NonceSize()], sealed[p.aead.NonceSize():], nil)
	if err != nil {
		return nil, preference{}, nil, bad
	}
	var c continuation
	if err := json.Unmarshal(plain, &c); err != nil || c.Kind != kind || c.Path != path {
		return nil, preference{}, nil, bad
	}
	return c.Pairs, preference{handling: c.Handling}, &c.At, nil
}

func hasPair(pairs []fhir.Pair, name string) bool {
	for _, p := range pairs {
		if p.Name == name {
			return true
		}
	}
	return false
}
