package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrUnknownApp says that no app, or more than one, registered this return address here.
var ErrUnknownApp = errors.New("unknown app or return address")

// CheckApp judges an app before it is registered (flows.md A3.1, SEC-62): exact addresses, https, http on loopback, or a
// private-use scheme with a dot (RFC 8252 §7.1); no fragment, no user information, no wildcard.
func CheckApp(a App) error {
	const most = 20
	switch {
	case a.ClientID == "" || len(a.ClientID) > 200 || strings.ContainsFunc(a.ClientID, func(r rune) bool { return r < 0x21 || r > 0x7e }):
		return fmt.Errorf("app: client_id %q: want 1 to 200 visible ASCII characters", a.ClientID)
	case strings.TrimSpace(a.Name) == "" || len(a.Name) > 100:
		return errors.New("app: a name of 1 to 100 bytes is required: people read it")
	case len(a.RedirectURIs) == 0 || len(a.RedirectURIs) > most:
		return fmt.Errorf("app: give 1 to %d redirect URIs", most)
	}
	for _, raw := range a.RedirectURIs {
		if err := checkRedirectURI(raw); err != nil {
			return err
		}
	}
	return nil
}

func checkRedirectURI(raw string) error {
	u, err := url.Parse(raw)
	bad := func(why string) error { return fmt.Errorf("app: redirect URI %q: %s", raw, why) }
	switch {
	case err != nil || len(raw) > 2000 || !u.IsAbs():
		return bad("want an absolute URI of at most 2000 bytes")
	case strings.ContainsFunc(raw, func(r rune) bool { return r < 0x21 || r > 0x7e || r == '\\' || r == '*' }):
		return bad("only visible ASCII characters without backslash and asterisk")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return bad("no fragment")
	case u.User != nil:
		return bad("no user information")
	}
	switch u.Scheme {
	case "https":
		if u.Host == "" {
			return bad("no host")
		}
	case "http":
		if host := u.Hostname(); host != "localhost" && host != "127.0.0.1" && host != "::1" {
			return bad("http is for loopback alone")
		}
	default:
		if !strings.Contains(u.Scheme, ".") {
			return bad("want https, http on loopback, or a private-use scheme such as org.example.app")
		}
	}
	q := u.Query()
	for _, taken := range []string{"resolved", "state", "iss", "error"} {
		if q.Has(taken) {
			return bad("its query may not hold " + taken)
		}
	}
	return nil
}

// AppFor finds the app a redirect_uri belongs to: the named one if it registered exactly this address, without a name the
// only one that did (flows.md A3.1). A native app's loopback IP address may come with any port (RFC 8252 §7.3).
func AppFor(ctx context.Context, apps Apps, redirectURI, clientID string) (App, error) {
	if checkRedirectURI(redirectURI) != nil {
		return App{}, ErrUnknownApp
	}
	ids, err := apps.AppsByRedirect(ctx, redirectURI)
	if err != nil {
		return App{}, fmt.Errorf("find app: %w", err)
	}
	if portless, ok := withoutPort(redirectURI); ok {
		more, err := apps.AppsByRedirect(ctx, portless)
		if err != nil {
			return App{}, fmt.Errorf("find app: %w", err)
		}
		for _, id := range more {
			if !contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if clientID != "" && contains(ids, clientID) {
		ids = []string{clientID}
	} else if clientID != "" {
		return App{}, ErrUnknownApp
	}
	if len(ids) != 1 {
		return App{}, ErrUnknownApp
	}
	a, err := apps.App(ctx, ids[0])
	if errors.Is(err, ErrNotKept) {
		return App{}, ErrUnknownApp
	}
	return a, err
}

func withoutPort(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return "", false
	}
	host := u.Hostname()
	if host != "127.0.0.1" && host != "::1" {
		return "", false
	}
	prefix := "http://" + u.Host
	rest, ok := strings.CutPrefix(raw, prefix)
	if !ok {
		return "", false
	}
	return "http://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + rest, true
}
