package umaas

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

const (
	responseCode      = "code"
	responseModeQuery = "query"
	maxParameter      = 4 << 10 // bytes of one stored parameter
)

// Started is an interactive flow that was begun: ID goes into /flow/{id}, Browser into the browser-binding cookie.
// Redirect is set instead where the client is to be told of an error right away.
type Started struct {
	ID       string
	Browser  string
	Redirect *Redirect
}

// StartAuthorization checks an authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2) and
// stores it as a flow bound to this browser.
//
// An error before client and redirect URI are known to belong together is a page: *uma.Error, no redirect (O-004). After
// that it goes to the client by redirect with state and iss (RFC 9207), except for a client that registered itself and
// that nobody has checked: it gets no unattended redirect, or anybody could make this server send people anywhere (O-005,
// SEC-102). prompt=none is its own case: the client asked for an answer without a page and gets interaction_required,
// because consent is always asked.
func (s *Service) StartAuthorization(ctx context.Context, q url.Values, b Browser, _ string) (Started, error) {
	f, err := parseForm(q)
	if err != nil {
		return Started{}, err
	}
	c, uri, err := s.authorizationClient(ctx, f)
	if err != nil {
		return Started{}, err
	}
	params, err := s.authorizeParams(ctx, c, f)
	var refusal *uma.Error
	if errors.As(err, &refusal) {
		if c.Dynamic && params.Prompt != promptNone {
			return Started{}, refusal
		}
		return Started{Redirect: s.errorRedirect(uri, f.get("state"), refusal)}, nil
	}
	if err != nil {
		return Started{}, err
	}
	now := s.Now()
	flow := Flow{
		Kind: FlowAuthorize, Client: c.ID, RedirectURI: uri, State: f.get("state"), HasState: f.has("state"), Authorize: &params,
	}
	var started Started
	err = s.Store.Update(ctx, func(tx Tx) error {
		var err error
		started, err = s.startFlow(tx, flow, b, now)
		return err
	})
	if err != nil {
		return Started{}, fmt.Errorf("start authorization: %w", err)
	}
	return started, nil
}

// authorizationClient finds the client and a redirect URI of its own; every error is a page.
func (s *Service) authorizationClient(ctx context.Context, f form) (Client, string, error) {
	id, err := f.need("client_id")
	if err != nil {
		return Client{}, "", err
	}
	c, err := s.Client(ctx, ClientID(id))
	if errors.Is(err, ErrNotFound) || err == nil && c.Disabled {
		return Client{}, "", uma.ErrInvalidClient.With("this app is not known here")
	}
	if err != nil {
		return Client{}, "", err
	}
	uri, err := f.need("redirect_uri")
	if err != nil {
		return Client{}, "", err
	}
	if !matchRedirect(c, c.RedirectURIs, uri) {
		return Client{}, "", uma.ErrInvalidRequest.With("redirect_uri is not one that the app registered")
	}
	return c, uri, nil
}

const promptNone = "none"

// authorizeParams checks everything else. Prompt is set even beside an error.
func (s *Service) authorizeParams(ctx context.Context, c Client, f form) (AuthorizeParams, error) {
	p := AuthorizeParams{Nonce: f.get("nonce"), MaxAge: -1}
	prompt, err := parsePrompt(f.get("prompt"))
	p.Prompt = prompt
	if err != nil {
		return p, err
	}
	switch {
	case f.get("response_type") == "":
		return p, uma.ErrInvalidRequest.With("parameter missing: response_type")
	case f.get("response_type") != responseCode:
		return p, uma.ErrUnsupportedResponse.With("response_type: code is the only one offered") // O-031
	case !c.MayUse(uma.GrantTypeAuthorizationCode):
		return p, uma.ErrUnauthorizedClient.With("the client is not registered for authorization_code")
	case f.has("response_mode") && f.get("response_mode") != responseModeQuery:
		return p, uma.ErrInvalidRequest.With("response_mode: query is the only one offered") // SEC-116
	case f.has("request"):
		return p, &uma.Error{Status: 400, Code: "request_not_supported", Description: "send the parameters themselves"} // OIDC Core §6.1
	case f.has("request_uri"):
		return p, &uma.Error{Status: 400, Code: "request_uri_not_supported", Description: "send the parameters themselves"}
	case len(f.get("state")) > maxParameter || len(p.Nonce) > maxParameter:
		return p, uma.ErrInvalidRequest.With("state and nonce may have 4096 bytes each")
	}
	if p.JKT = f.get("dpop_jkt"); p.JKT != "" && !pop.IsThumbprint(p.JKT) { // RFC 9449 §10
		return p, uma.ErrInvalidRequest.With("dpop_jkt: want the SHA-256 thumbprint of the key (RFC 7638)")
	}
	if p.Challenge, err = challengeS256(f); err != nil {
		return p, err
	}
	if age := f.get("max_age"); age != "" {
		n, err := strconv.ParseUint(age, 10, 31)
		if err != nil {
			return p, uma.ErrInvalidRequest.With("max_age: want a number of seconds")
		}
		p.MaxAge = int(n)
	}
	if p.Scope, err = f.scopes(); err != nil {
		return p, err
	}
	if p.RS, p.Resource, err = s.target(ctx, f); err != nil {
		return p, err
	}
	if p.Scope, err = s.authorizeScope(c, p); err != nil {
		return p, err
	}
	if p.Prompt == promptNone {
		return p, &uma.Error{Status: 400, Code: "interaction_required", Description: "this server asks the person each time"} // OIDC Core §3.1.2.6
	}
	return p, nil
}

// parsePrompt is OpenID Connect Core §3.1.2.1: the strongest of the values given. consent is the rule here anyway.
func parsePrompt(text string) (string, error) {
	values := strings.Fields(text)
	strongest := ""
	for _, v := range values {
		switch v {
		case promptNone:
			if len(values) > 1 {
				return "", uma.ErrInvalidRequest.With("prompt: none stands alone")
			}
			strongest = v
		case "login", "select_account":
			strongest = "login"
		case "consent":
		default:
			return "", uma.ErrInvalidRequest.With("prompt: want none, login, consent or select_account")
		}
	}
	return strongest, nil
}

// target finds the resource server named by resource (RFC 8707 §2) or by SMART's aud; several names must mean one.
func (s *Service) target(ctx context.Context, f form) (ClientID, []string, error) {
	names := slices.Clone(f.all("resource"))
	if aud := f.get("aud"); aud != "" && !slices.Contains(names, aud) {
		names = append(names, aud)
	}
	if len(names) > maxURIs {
		return "", nil, uma.ErrInvalidTarget.With("too many resources")
	}
	var rs ClientID
	err := s.Store.View(ctx, func(r Reader) error {
		rs = ""
		for _, name := range names {
			c, err := clientByAudience(r, name)
			if errors.Is(err, ErrNotFound) || err == nil && rs != "" && c.ID != rs {
				return uma.ErrInvalidTarget.With("resource or aud: name one resource server that this server protects")
			}
			if err != nil {
				return fmt.Errorf("read resource server: %w", err)
			}
			rs = c.ID
		}
		return nil
	})
	return rs, names, err
}

// authorizeScope keeps the scopes this door can give and refuses what does not go together.
func (s *Service) authorizeScope(c Client, p AuthorizeParams) ([]string, error) {
	var kept []string
	protection, resources, sharing := false, false, false
	for _, scope := range p.Scope {
		switch {
		case scope == uma.ScopeProtection:
			if !c.IsResourceServer() {
				return nil, uma.ErrInvalidScope.With("the client is not registered for the scope uma_protection")
			}
			protection = true
		case scope == ScopeOwner:
			if err := mayManage(c); err != nil {
				return nil, err
			}
			sharing = true
		case isIdentityScope(scope):
		case s.isResourceScope(scope):
			resources = true
		default:
			continue // RFC 6749 §3.3 lets a server leave out what it does not know; the response names what was granted
		}
		kept = append(kept, scope)
	}
	switch {
	case protection && resources:
		return nil, uma.ErrInvalidScope.With("ask for uma_protection and for resource scopes in separate requests")
	case sharing && (protection || resources):
		return nil, uma.ErrInvalidScope.With("ask for owner in a request of its own") // a resource server must not hold such a token
	case resources && p.RS == "":
		return nil, uma.ErrInvalidTarget.With("name the FHIR server with aud or resource")
	case len(kept) == 0 || !protection && !resources && !sharing && !slices.Contains(kept, scopeOpenID):
		return nil, uma.ErrInvalidScope.With("ask for openid, uma_protection or scopes of a resource server")
	}
	return kept, nil
}

func (s *Service) isResourceScope(scope string) bool {
	_, _, ok := s.Scopes.Translate(scope, nil)
	return ok
}

// bindBrowser keeps a browser's binding value or makes one: 160 random bits, of which the flow stores the hash.
func (s *Service) bindBrowser(b Browser) (string, SecretHash, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != secretBytes {
		raw = make([]byte, secretBytes)
		if _, err := io.ReadFull(s.Random, raw); err != nil {
			return "", SecretHash{}, fmt.Errorf("read randomness: %w", err)
		}
	}
	return base64.RawURLEncoding.EncodeToString(raw), sha256.Sum256(raw), nil
}

// matches reports whether a browser presents the value a flow is bound to.
func (b Browser) matches(hash SecretHash) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	return err == nil && len(raw) == secretBytes && hash.Matches(raw)
}

// errorRedirect tells a client of an error (RFC 6749 §4.1.2.1, RFC 9207 §2: iss on errors too).
func (s *Service) errorRedirect(uri, state string, e *uma.Error) *Redirect {
	q := url.Values{"error": {e.Code}, "iss": {s.Issuer}}
	if e.Description != "" {
		q.Set("error_description", e.Description)
	}
	if state != "" {
		q.Set("state", state)
	}
	return &Redirect{URI: uri, Query: q}
}

// needsSignIn reports whether a session is too old for a flow: prompt=login wants a sign-in after the flow's start, max_age
// one not longer before it (OpenID Connect Core §3.1.2.1).
func (f Flow) needsSignIn(sess Session) bool {
	if f.Authorize == nil {
		return false
	}
	start := f.Key.Time()
	if f.Authorize.Prompt == "login" && sess.AuthTime.Before(start) {
		return true
	}
	age := f.Authorize.MaxAge
	return age >= 0 && sess.AuthTime.Before(start.Add(-time.Duration(age)*time.Second))
}
