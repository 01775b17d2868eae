package resolver

import (
	"net/url"
	"strings"
)

// formAction is where the forms of a flow may lead: here, to the authorization servers one can sign in at, and to the
// address of this very request (PS-02).
func (s *Resolver) formAction(f flow) string {
	sources := []string{"'self'"}
	for _, issuer := range s.cfg.SignIn.Issuers() {
		if source, ok := originSource(issuer); ok {
			sources = append(sources, source)
		}
	}
	if f.RedirectURI != "" {
		if source, ok := originSource(f.RedirectURI); ok {
			sources = append(sources, source)
		}
	}
	return strings.Join(sources, " ")
}

// originSource writes an address as a CSP source: scheme://host:port, or scheme: for an app's own scheme. ok is false for
// what CSP cannot express (an IPv6 host).
func originSource(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return "", false
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return u.Scheme + ":", true
	}
	host := u.Host
	if host == "" || strings.ContainsAny(host, "[]; ,'\"") {
		return "", false
	}
	return u.Scheme + "://" + host, true
}

// addressHost is what people see of an app's address: its host, or its scheme.
func addressHost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	if u.Host != "" {
		return u.Host
	}
	return u.Scheme
}
