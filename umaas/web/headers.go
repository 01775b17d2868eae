package web

import (
	"net/http"
	"net/url"
	"strings"
)

// headers sets what every page carries (PS-01, PS-05, PS-07).
func (s *Site) headers(h http.Header, portal bool) {
	h.Set("Content-Security-Policy", contentPolicy(""))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
	if s.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if portal { // flow pages may be opened by an app that waits for them (PS-05)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
}

// contentPolicy is PS-01; formTarget adds one source to form-action.
func contentPolicy(formTarget string) string {
	action := "'self'"
	if formTarget != "" {
		action += " " + formTarget
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action " + action +
		"; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// formTarget is what form-action needs so that a browser follows the answer to the app (PS-02): the origin of this flow's
// validated redirect URI, or its scheme. ok is false where a content policy cannot say it (an IPv6 host): then the answer
// is a page with a link.
func formTarget(redirect string) (source string, ok bool) {
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme == "" {
		return "", false
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		if strings.Trim(u.Scheme, "abcdefghijklmnopqrstuvwxyz0123456789+.-") != "" || scripting[u.Scheme] {
			return "", false
		}
		return u.Scheme + ":", true
	}
	host := strings.ToLower(u.Host)
	if host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" {
		return "", false
	}
	return u.Scheme + "://" + host, true
}

// scripting schemes are never a way back, whatever was registered.
var scripting = map[string]bool{"javascript": true, "data": true, "vbscript": true, "blob": true, "file": true, "about": true}
