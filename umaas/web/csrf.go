package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
)

// errOutOfDate is a form that is not this person's, this window's or this step's (TX-21).
var errOutOfDate = errors.New("form is out of date")

// sameOrigin refuses a form that another site sent (PS-03). The token in the form is the second lock.
func (s *Site) sameOrigin(h page) page {
	return func(v *visit) error {
		if err := s.cross.Check(v.Request); err != nil {
			return errors.Join(errOutOfDate, err)
		}
		return h(v)
	}
}

// formToken binds a form to sign-in, owner, purpose (flow, step, record) and the digest of what is shown (PS-03, SEC-47, SEC-71).
func (v *visit) formToken(purpose, digest string) string {
	owner := ""
	if v.principal != nil {
		owner = string(v.principal.ID)
	}
	return v.boundToken(owner, purpose, digest)
}

func (v *visit) boundToken(owner, purpose, digest string) string {
	mac := hmac.New(sha256.New, v.site.CSRFKey)
	for _, part := range []string{v.binding(), owner, purpose, digest} {
		mac.Write(binary.AppendUvarint(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// checkToken compares in constant time.
func (v *visit) checkToken(purpose, digest string) error {
	if !hmac.Equal([]byte(v.form.Get("form")), []byte(v.formToken(purpose, digest))) {
		return errOutOfDate
	}
	return nil
}

// binding is the sign-in, or before it a random cookie of its own: the sign-in form needs protection too.
func (v *visit) binding() string {
	if v.session != nil {
		return "session " + v.session.Key.String()
	}
	if v.fresh != "" {
		return "browser " + v.fresh
	}
	if cookie, err := v.Request.Cookie(v.preName()); err == nil && len(cookie.Value) == base64.RawURLEncoding.EncodedLen(preSize) {
		return "browser " + cookie.Value
	}
	return ""
}

const preSize = 20

func (v *visit) preName() string { return v.site.SessionCookie + "-form" }

// ensureBinding gives a browser without a sign-in the cookie that its forms are bound to.
func (v *visit) ensureBinding() error {
	if v.binding() != "" {
		return nil
	}
	var b [preSize]byte
	if _, err := io.ReadFull(v.site.Random, b[:]); err != nil {
		return err
	}
	v.fresh = base64.RawURLEncoding.EncodeToString(b[:])
	v.setCookie(v.preName(), v.fresh)
	return nil
}
