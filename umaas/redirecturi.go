package umaas

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// Bounds of client metadata.
const (
	maxURIs     = 20
	maxURI      = 2000
	maxContacts = 10
	maxName     = 200
)

// checkClient is the validation table of registration, for both doors. Messages name the member, never its content.
func checkClient(c Client) []mistake {
	var wrong []mistake
	add := func(bad bool, member, advice string) {
		if bad {
			wrong = append(wrong, mistake{member, advice})
		}
	}
	code, ticket := c.MayUse(uma.GrantTypeAuthorizationCode), c.MayUse(uma.GrantTypeTicket)
	credentials, refresh := c.MayUse(uma.GrantTypeClientCredentials), c.MayUse(uma.GrantTypeRefreshToken)

	add(c.Name == "" || len(c.Name) > maxName || strings.ContainsFunc(c.Name, invisible), "client_name", "want 1 to 200 visible characters")
	add(c.AuthMethod != AuthNone && c.AuthMethod != AuthSecretBasic && c.AuthMethod != AuthSecretPost && c.AuthMethod != AuthPrivateKeyJWT && !c.AuthMethod.byCertificate(),
		"token_endpoint_auth_method", "want none, client_secret_basic, client_secret_post or private_key_jwt")
	for _, g := range c.GrantTypes {
		add(g != uma.GrantTypeAuthorizationCode && g != uma.GrantTypeTicket && g != uma.GrantTypeClientCredentials && g != uma.GrantTypeRefreshToken,
			"grant_types", "holds one that this server does not offer")
	}
	add(c.Public() && credentials, "grant_types", "client_credentials need a client that can authenticate")
	add(refresh && !code && !ticket, "grant_types", "refresh_token comes only with authorization_code or uma-ticket")
	add(code && len(c.RedirectURIs) == 0, "redirect_uris", "needed for authorization_code")
	// Grant §2: public clients and clients of the interaction endpoint register where the requesting party returns to.
	add(ticket && c.Public() && len(c.ClaimsRedirectURIs) == 0, "claims_redirect_uris", "needed for a public client that uses uma-ticket")
	wrong = append(wrong, checkRedirects("redirect_uris", c.RedirectURIs, c.Public())...)
	wrong = append(wrong, checkRedirects("claims_redirect_uris", c.ClaimsRedirectURIs, c.Public())...)
	wrong = append(wrong, checkKeys(c)...)

	for _, page := range [][2]string{{"client_uri", c.ClientURI}, {"policy_uri", c.PolicyURI}, {"tos_uri", c.TOSURI}} {
		add(page[1] != "" && !webURL(page[1]), page[0], "want an https URL")
	}
	add(len(c.Contacts) > maxContacts || anyOf(c.Contacts, func(s string) bool { return len(s) > 254 || strings.ContainsFunc(s, invisible) }),
		"contacts", "want at most 10, each of at most 254 characters")
	add(c.RPTFormat != RPTOpaque && c.RPTFormat != RPTJWT, "rpt_format", "want opaque or jwt")
	add(c.IDTokenAlg != string(keys.RS256) && c.IDTokenAlg != string(keys.ES256), "id_token_signed_response_alg", "want RS256 or ES256")
	add(len(c.Audience) > 0 && !c.IsResourceServer(), "resource", "only a client with the scope uma_protection answers for resources")
	add(len(c.Audience) > maxURIs || anyOf(c.Audience, func(s string) bool { return !webURL(s) }), "resource", "want at most 20 https URLs without fragment")
	add(c.IsResourceServer() && c.Public(), "scope", "uma_protection needs a client that can authenticate")
	return wrong
}

func checkKeys(c Client) []mistake {
	if c.AuthMethod != AuthPrivateKeyJWT && c.AuthMethod != AuthTLSSelfSigned {
		if len(c.JWKS) > 0 {
			return []mistake{{"jwks", "only for private_key_jwt and self_signed_tls_client_auth"}}
		}
		return nil
	}
	if len(c.JWKS) > 32<<10 {
		return []mistake{{"jwks", "is larger than 32 kB"}}
	}
	if err := keys.CheckKeySet(c.JWKS); err != nil {
		return []mistake{{"jwks", err.Error()}}
	}
	return nil
}

func anyOf(list []string, bad func(string) bool) bool {
	for _, s := range list {
		if bad(s) {
			return true
		}
	}
	return false
}

// invisible are characters that could make a name look like another: controls, and the format characters that turn text
// around or hide.
func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
}

// webURL: https, or http on this machine.
func webURL(s string) bool {
	u, ok := strictURL(s)
	return ok && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

func checkRedirects(member string, uris []string, public bool) []mistake {
	if len(uris) > maxURIs {
		return []mistake{{member, fmt.Sprintf("want at most %d", maxURIs)}}
	}
	var wrong []mistake
	seen := map[string]bool{}
	for i, s := range uris {
		advice := redirectAdvice(s, public)
		if seen[s] {
			advice = "is there twice"
		}
		seen[s] = true
		if advice != "" {
			wrong = append(wrong, mistake{fmt.Sprintf("%s[%d]", member, i), advice})
		}
	}
	return wrong
}

// redirectAdvice says what is wrong with a redirect URI, "" if nothing: https; http for loopback alone (O-003, O-011); a
// private-use scheme with a dot for public clients (RFC 8252 §7.1); no fragment (RFC 6749 §3.1.2), user information,
// wildcard, or anything two parsers could read in two ways (SEC-62).
func redirectAdvice(s string, public bool) string {
	u, ok := strictURL(s)
	if !ok {
		return "want an absolute URI without fragment, user information, wildcard, dot segments or unusual characters"
	}
	for name := range u.Query() {
		switch name {
		case "code", "state", "iss", "error", "error_description", "ticket":
			return "its query uses a name that the answer needs"
		}
	}
	switch {
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return ""
	case u.Scheme == "http":
		return "want https (http is for the loopback interface alone)"
	case public && strings.Contains(u.Scheme, "."):
		return ""
	}
	return "want https, or for a public client a private-use scheme with a dot in it, such as org.example.app"
}

// strictURL parses an absolute URI and refuses every form that is not plainly what it seems.
func strictURL(s string) (*url.URL, bool) {
	if s == "" || len(s) > maxURI || strings.Trim(s, unreserved+":/?&=%[]+,;@!$'()") != "" {
		return nil, false
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Opaque != "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(s, "@") && u.Host == "" {
		return nil, false
	}
	web := u.Scheme == "http" || u.Scheme == "https"
	if web && (u.Hostname() == "" || strings.ToLower(u.Host) != u.Host || strings.HasSuffix(u.Host, ":")) {
		return nil, false
	}
	if strings.ToLower(s[:len(u.Scheme)]) != s[:len(u.Scheme)] {
		return nil, false
	}
	lower := strings.ToLower(u.EscapedPath())
	for _, trick := range []string{"%2e", "%2f", "%5c", "%25", "%00"} {
		if strings.Contains(lower, trick) {
			return nil, false
		}
	}
	for _, segment := range strings.Split(u.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, false
		}
	}
	return u, true
}

// matchRedirect reports whether a presented redirect URI is a registered one: byte for byte (O-001, SEC-62). The one
// exception: a public client registered on a loopback address may use any port, for a native app cannot choose it (RFC 8252
// §7.3, O-002).
func matchRedirect(c Client, registered []string, presented string) bool {
	if contains(registered, presented) {
		return true
	}
	if !c.Public() {
		return false
	}
	got, ok := loopbackWithoutPort(presented)
	if !ok {
		return false
	}
	for _, r := range registered {
		if want, ok := loopbackWithoutPort(r); ok && want == got {
			return true
		}
	}
	return false
}

// loopbackWithoutPort cuts the port out of an http URI on a loopback IP literal.
func loopbackWithoutPort(s string) (string, bool) {
	u, ok := strictURL(s)
	if !ok || u.Scheme != "http" || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
		return "", false
	}
	if port := u.Port(); port != "" {
		host := strings.TrimSuffix(u.Host, ":"+port) // with its brackets, for ::1
		s = strings.Replace(s, u.Host, host, 1)
	}
	return s, true
}
