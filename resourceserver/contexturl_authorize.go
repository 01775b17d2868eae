package resourceserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// Bounds of an authorize request.
const (
	maxAuthorizeBody  = 16 << 10
	maxAuthorizeScope = 8 << 10
)

// authorizeRequest is what an app asks at a context URL (flows.md A2.1).
type authorizeRequest struct {
	Scope     string // "" is a permission with zero scopes (A2.3)
	ClientID  string // optional: an app that says who it is gets the foreign answer at once
	Challenge string // PKCE S256, "" none (SEC-03)
}

// parseAuthorize reads query and form of a POST. No token and no cookie is looked at. A parameter given twice, in whichever
// place, refuses (SEC-63); unknown ones are ignored.
func parseAuthorize(query, contentType string, body io.Reader) (authorizeRequest, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return authorizeRequest{}, uma.ErrInvalidRequest.With("the query string is malformed")
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxAuthorizeBody+1))
	if err != nil || len(raw) > maxAuthorizeBody {
		return authorizeRequest{}, uma.ErrInvalidRequest.With("the body is too large or was cut short")
	}
	if len(raw) > 0 {
		if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/x-www-form-urlencoded" {
			return authorizeRequest{}, uma.ErrInvalidRequest.With("a body must be application/x-www-form-urlencoded")
		}
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return authorizeRequest{}, uma.ErrInvalidRequest.With("the body is malformed")
		}
		for name, list := range form {
			values[name] = append(values[name], list...)
		}
	}
	if values.Has("access_token") {
		return authorizeRequest{}, uma.ErrInvalidRequest.With("a token never travels in a query or form (GW-47)")
	}
	var q authorizeRequest
	var method string
	for name, to := range map[string]*string{"scope": &q.Scope, "client_id": &q.ClientID, "code_challenge": &q.Challenge, "code_challenge_method": &method} {
		switch list := values[name]; len(list) {
		case 0:
		case 1:
			*to = list[0]
		default:
			return authorizeRequest{}, uma.ErrInvalidRequest.With("the parameter " + name + " is repeated")
		}
	}
	if len(q.Scope) > maxAuthorizeScope {
		return authorizeRequest{}, uma.ErrInvalidScope.With("scope is longer than 8192 bytes")
	}
	return q, q.checkChallenge(method)
}

// checkChallenge takes the S256 form alone: 43 characters of base64url (RFC 7636 §4.2).
func (q authorizeRequest) checkChallenge(method string) error {
	if method != "" && (method != "S256" || q.Challenge == "") {
		return uma.ErrInvalidRequest.With("code_challenge_method must be S256 and comes with code_challenge")
	}
	if q.Challenge == "" {
		return nil
	}
	if sum, err := base64.RawURLEncoding.Strict().DecodeString(q.Challenge); err != nil || len(sum) != 32 {
		return uma.ErrInvalidRequest.With("code_challenge must be 43 characters of base64url, the SHA-256 of the verifier")
	}
	return nil
}

// parseScopes reads the asked scopes at the level of a URL: short form, or full form with the matching prefix
// (gateway_rules.md (a)). One that is malformed, of the other level, or of a type not served refuses the whole request and
// is named.
func parseScopes(list string, level scopes.Context, types []string) ([]scopes.Scope, error) {
	var asked []scopes.Scope
	var bad []string
	for _, word := range strings.Split(list, " ") {
		if word == "" {
			continue
		}
		s, err := scopes.ParseShort(word, level)
		if err != nil || s.Context != level || s.Type != "*" && !contains(types, s.Type) {
			bad = append(bad, printable(word))
			continue
		}
		asked = append(asked, s)
	}
	if len(bad) > 0 {
		return nil, uma.ErrInvalidScope.With("not a scope this context URL can be asked for: " + strings.Join(bad, " "))
	}
	return asked, nil
}

// printable makes a foreign string fit for error_description (RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E) and short.
func printable(s string) string {
	const most = 100
	clean := strings.Map(func(r rune) rune {
		if r < 0x21 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
	if len(clean) > most {
		return clean[:most] + "..."
	}
	return clean
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// serveAuthorize answers POST {context}/authorize: 401 with a ticket for exactly the scopes asked, whether or not anything
// will ever be granted.
func (c *ContextURLs) serveAuthorize(w http.ResponseWriter, r *http.Request, h string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeJSONError(w, uma.ErrUnsupportedMethod.With("ask by POST"))
		return
	}
	q, err := parseAuthorize(r.URL.RawQuery, r.Header.Get("Content-Type"), r.Body)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	challenge, asked, err := c.authorize(r.Context(), h, q)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	writeChallenge(w, challenge, names(asked))
}

func (c *ContextURLs) authorize(ctx context.Context, h string, q authorizeRequest) (Challenge, []scopes.Scope, error) {
	u, err := c.find(ctx, h)
	if err != nil {
		return Challenge{}, nil, err
	}
	reg, err := c.registration(ctx, u)
	if q.ClientID != "" && u.Client != "" && q.ClientID != u.Client && (err != nil || c.names(reg.Owner.Issuer)) {
		return Challenge{}, nil, ErrNotKept // a foreign client's URL does not exist
	}
	asked, badScope := parseScopes(q.Scope, contextOf(u.Level), c.cfg.Types)
	if badScope != nil {
		return Challenge{}, nil, badScope
	}
	if errors.Is(err, ErrNoPAT) {
		// The owner took back what this server may do for her: it looks as if she did not answer.
		challenge, err := c.cfg.Desk.decoy(ctx, contextOf(u.Level), asked, c.clientConstraint(u, c.cfg.Registrar.cfg.Issuer), q.Challenge)
		return challenge, asked, err
	}
	if err != nil {
		return Challenge{}, nil, err
	}
	challenge, err := c.cfg.Desk.ask(ctx, reg, asked, c.clientConstraint(u, reg.Owner.Issuer), q.Challenge)
	if err != nil {
		return Challenge{}, nil, err
	}
	return challenge, asked, c.touch(ctx, u)
}

// writeChallenge is Grant §3.2.1 with a JSON copy for apps that cannot read the header (flows.md A2.2).
func writeChallenge(w http.ResponseWriter, ch Challenge, scope string) {
	w.Header().Set("WWW-Authenticate", UMAChallenge(ch))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(struct {
		ASURI  string `json:"as_uri"`
		Ticket string `json:"ticket"`
		Scope  string `json:"scope"`
	}{ch.ASURI, ch.Ticket, scope})
}

// writeJSONError writes a protocol error as RFC 6749 §5.2 shapes it.
func writeJSONError(w http.ResponseWriter, e *uma.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge+` error="`+e.Code+`"`)
	}
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e)
}
