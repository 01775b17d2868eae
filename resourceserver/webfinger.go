package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/umaas/umaas/resourceserver/asclient"
)

// RelIssuer is the link relation under which a person's authorization server is named (OpenID Connect Discovery §2).
// HEART UMA2 §4.1 asks for WebFinger to find the issuer and names no relation of its own.
const RelIssuer = "http://openid.net/specs/connect/1.0/issuer"

// ErrAddress says that what a person typed is no address one can look up.
var ErrAddress = errors.New("not an address of a person or a server")

// ErrNoIssuer says that the place a person named tells of no authorization server.
var ErrNoIssuer = errors.New("no authorization server is named there")

// address is what a person typed, normalised (OpenID Connect Discovery §2.1.2).
type address struct {
	Resource string // WebFinger resource: acct:user@host, or a URL
	Host     string // host, with a port where one was given
	Issuer   string // the URL itself without a closing slash, which may be the issuer; "" for accounts
}

const maxAddress = 300

// parseAddress reads alice@example.org, acct:alice@example.org, as.example.org/path and https://as.example.org. Plain http is
// a development machine's alone. Query, fragment, and whatever a browser could read in another way refuse.
func parseAddress(typed string, insecure bool) (address, error) {
	typed = strings.TrimSpace(typed)
	if typed == "" || len(typed) > maxAddress || strings.ContainsFunc(typed, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '"' || r == '<' || r == '>' }) {
		return address{}, ErrAddress
	}
	account, isAccount := strings.CutPrefix(typed, "acct:")
	if !isAccount && !strings.Contains(typed, "://") && strings.Contains(typed, "@") && !strings.ContainsAny(typed, "/?#") {
		account, isAccount = typed, true
	}
	if isAccount {
		return accountAddress(account, insecure)
	}
	if strings.ContainsAny(typed, "@=!") && !strings.Contains(typed, "://") {
		return address{}, ErrAddress
	}
	if !strings.Contains(typed, "://") {
		host, _, _ := strings.Cut(typed, "/")
		typed = address{Host: host}.scheme(insecure) + "://" + typed
	}
	u, err := url.Parse(typed)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "":
		return address{}, ErrAddress
	case strings.Contains(u.Path, "//") || strings.Contains(u.EscapedPath(), "%") || hasDots(u.Path):
		return address{}, ErrAddress
	case u.Scheme != "https" && (u.Scheme != "http" || !insecure || !loopbackHost(u.Host)):
		return address{}, ErrAddress
	case !hostName(u.Host, true):
		return address{}, ErrAddress
	}
	u.Host = strings.ToLower(u.Host)
	issuer := strings.TrimRight(u.String(), "/")
	return address{Resource: u.String(), Host: u.Host, Issuer: issuer}, nil
}

// accountAddress is RFC 7565: one name, one host. A port is a development machine's alone.
func accountAddress(account string, insecure bool) (address, error) {
	name, host, ok := strings.Cut(account, "@")
	host = strings.ToLower(host)
	if !ok || name == "" || strings.ContainsAny(name, ":/?#%[]") || !hostName(host, insecure && loopbackHost(host)) {
		return address{}, ErrAddress
	}
	return address{Resource: "acct:" + name + "@" + host, Host: host}, nil
}

// hostName takes letters, digits, hyphens and dots, with a port where one may stand.
func hostName(host string, port bool) bool {
	if h, p, err := net.SplitHostPort(host); err == nil {
		if !port || p == "" || strings.Trim(p, "0123456789") != "" || len(p) > 5 {
			return false
		}
		host = h
	}
	if host == "" || len(host) > 253 || strings.HasPrefix(host, ".") || strings.HasPrefix(host, "-") || strings.Contains(host, "..") {
		return false
	}
	return !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}

func hasDots(path string) bool {
	for _, segment := range strings.Split(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// scheme of the WebFinger query: https (RFC 7033 §4), but on a development machine.
func (a address) scheme(insecure bool) string {
	if insecure && loopbackHost(a.Host) {
		return "http"
	}
	return "https"
}

// Find turns what a person typed into the issuer of her authorization server. An address of a server is tried as the issuer
// itself first; then, and for a person's address at once, WebFinger is asked (RFC 7033, H-12). What comes back is only a
// name: the issuer's own metadata must then say the same, letter by letter. Errors: ErrAddress, ErrNoIssuer, ErrNotKept
// (not one this server may work with), asclient.ErrUnreachable, asclient.ErrUntrusted.
func (s *Issuers) Find(ctx context.Context, typed string) (string, error) {
	insecure := s.cfg.Guard.InsecureHTTP
	a, err := parseAddress(typed, insecure)
	if err != nil {
		return "", err
	}
	if s.Trust(a.Issuer) > TrustSigned { // the operator knows it: nothing has to be looked up
		return a.Issuer, nil
	}
	if s.cfg.Policy != ForeignAny {
		return s.findListed(ctx, a)
	}
	if a.Issuer != "" {
		if err := s.isIssuer(ctx, a.Issuer); err == nil || errors.Is(err, asclient.ErrUnreachable) {
			return a.Issuer, err
		}
	}
	issuer, err := s.webFinger(ctx, a)
	if err != nil {
		return "", err
	}
	return issuer, s.isIssuer(ctx, issuer)
}

// findListed serves a person's address where listed servers alone may be brought: only their own hosts are asked.
func (s *Issuers) findListed(ctx context.Context, a address) (string, error) {
	for _, known := range append(s.Own(), s.Listed()...) {
		u, err := url.Parse(known)
		if err != nil || !strings.EqualFold(u.Host, a.Host) {
			continue
		}
		issuer, err := s.webFinger(ctx, a)
		if err != nil {
			return "", err
		}
		if s.Trust(issuer) > TrustSigned {
			return issuer, nil
		}
	}
	return "", ErrNotKept
}

func (s *Issuers) webFinger(ctx context.Context, a address) (string, error) {
	q := url.Values{"resource": {a.Resource}, "rel": {RelIssuer}}
	target := a.scheme(s.cfg.Guard.InsecureHTTP) + "://" + a.Host + "/.well-known/webfinger?" + q.Encode()
	raw, status, err := s.guard.Get(ctx, target, "application/jrd+json", "application/json")
	if err != nil && status >= 400 && status < 500 {
		return "", ErrNoIssuer
	}
	if errors.Is(err, asclient.ErrRefused) {
		return "", fmt.Errorf("%w: WebFinger: %w", asclient.ErrUntrusted, err)
	}
	if err != nil {
		return "", fmt.Errorf("WebFinger: %w", err)
	}
	return parseJRD(raw)
}

// isIssuer asks a server for its metadata. It is asked as what it would be used as, with every check of that.
func (s *Issuers) isIssuer(ctx context.Context, issuer string) error {
	if s.Trust(issuer) == TrustOwn {
		return nil
	}
	c, err := s.named(issuer)
	if errors.Is(err, ErrNotKept) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", asclient.ErrUntrusted, err)
	}
	_, err = c.Metadata(ctx)
	return err
}
