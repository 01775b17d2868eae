package httpapi

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// accessToken takes the token from the Authorization header, the only place where one counts (RFC 6750 §2.1, RFC 9449 §7.1).
func accessToken(h http.Header) (scheme, value string, err error) {
	scheme, value, err = authorization(h)
	switch {
	case err != nil:
		return "", "", err
	case scheme == "":
		return "", "", uma.ErrInvalidToken.With("send the token as Authorization: Bearer …").Because(errNoCredentials)
	case scheme != "bearer" && scheme != "dpop" || !tokenChars(value):
		return "", "", uma.ErrInvalidToken.With("the Authorization header holds no bearer token")
	}
	return scheme, value, nil
}

// basicCredentials reads client_secret_basic: both halves are form-encoded before they are joined (RFC 6749 §2.3.1).
func basicCredentials(h http.Header, r *umaas.TokenRequest) error {
	scheme, value, err := authorization(h)
	if err != nil || scheme == "" {
		return err
	}
	if scheme != "basic" {
		return uma.ErrInvalidClient.Because(errors.New("another Authorization scheme"))
	}
	plain, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return uma.ErrInvalidClient.Because(err)
	}
	id, secret, found := strings.Cut(string(plain), ":")
	if !found {
		return uma.ErrInvalidClient.Because(errors.New("no colon in the Basic credentials"))
	}
	if id, err = url.QueryUnescape(id); err != nil {
		return uma.ErrInvalidClient.Because(err)
	}
	if secret, err = url.QueryUnescape(secret); err != nil {
		return uma.ErrInvalidClient.Because(err)
	}
	r.BasicID, r.BasicSecret, r.HasBasic = id, secret, true
	return nil
}

func authorization(h http.Header) (scheme, value string, err error) {
	lines := h.Values("Authorization")
	switch len(lines) {
	case 0:
		return "", "", nil
	case 1:
		scheme, value, _ = strings.Cut(lines[0], " ")
		return strings.ToLower(scheme), strings.TrimSpace(value), nil
	}
	return "", "", uma.ErrInvalidRequest.With("more than one Authorization header")
}

// tokenChars is b64token of RFC 6750 §2.1.
func tokenChars(s string) bool {
	return s != "" && len(s) <= 8192 && strings.IndexFunc(strings.TrimRight(s, "="), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	}) < 0
}
