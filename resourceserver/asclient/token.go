package asclient

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Tokens is a PAT with what is needed to renew it. Expires is when the access token ends; zero means unknown, to be
// treated as ended. Refresh is "" for client credentials.
type Tokens struct {
	Access  string
	Refresh string
	Expires time.Time
}

// Authorization is one sign-in of a person at the authorization server, started by this resource server. State, Nonce and
// Verifier are random values the caller keeps with the browser.
type Authorization struct {
	State    string
	Nonce    string
	Verifier string
	Prompt   string // "", "login", "consent"
}

// AuthorizationURL is where to send the browser so that a person signs in and lets this server protect her resources:
// authorization code with PKCE S256 (RFC 7636) and the scope of flows.md A1.
func (c *Client) AuthorizationURL(ctx context.Context, a Authorization) (string, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return "", err
	}
	to, err := endpoint("authorization_endpoint", m.AuthorizationEndpoint)
	if err != nil {
		return "", err
	}
	who, err := c.Credentials(ctx)
	if err != nil {
		return "", err
	}
	challenge := sha256.Sum256([]byte(a.Verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {who.ClientID}, "redirect_uri": {c.cfg.RedirectURI}, "scope": {c.scope()},
		"state": {a.State}, "nonce": {a.Nonce}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}
	if a.Prompt != "" {
		q.Set("prompt", a.Prompt)
	}
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	return to + separator + q.Encode(), nil
}

// Exchange redeems an authorization code and verifies the ID token against nonce (OpenID Connect Core §3.1.3.7). The scope
// uma_protection must have been granted: without it the access token is no PAT.
func (c *Client) Exchange(ctx context.Context, code, verifier, nonce string) (Tokens, Identity, error) {
	r, err := c.token(ctx, url.Values{
		"grant_type": {uma.GrantTypeAuthorizationCode}, "code": {code}, "redirect_uri": {c.cfg.RedirectURI}, "code_verifier": {verifier},
	}, false)
	if err != nil {
		return Tokens{}, Identity{}, fmt.Errorf("redeem code: %w", err)
	}
	if r.Scope != "" && !contains(strings.Fields(r.Scope), uma.ScopeProtection) {
		return Tokens{}, Identity{}, uma.ErrAccessDenied.With("the permission to protect the record was not given")
	}
	id, err := c.verifyIDToken(ctx, r.IDToken, nonce)
	if err != nil {
		return Tokens{}, Identity{}, err
	}
	return c.tokens(r), id, nil
}

// ClientCredentials obtains the PAT of this resource server itself, or of the organization it acts for (FedAuthz §1.3).
func (c *Client) ClientCredentials(ctx context.Context) (Tokens, error) {
	r, err := c.token(ctx, url.Values{"grant_type": {uma.GrantTypeClientCredentials}, "scope": {uma.ScopeProtection}}, true)
	if err != nil {
		return Tokens{}, fmt.Errorf("client credentials: %w", err)
	}
	return c.tokens(r), nil
}

// Refresh renews a person's PAT while she is away (F-016). It is sent once: refresh tokens rotate, and a repeat would look
// like theft.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (Tokens, error) {
	r, err := c.token(ctx, url.Values{"grant_type": {uma.GrantTypeRefreshToken}, "refresh_token": {refreshToken}}, false)
	if err != nil {
		return Tokens{}, fmt.Errorf("refresh PAT: %w", err)
	}
	t := c.tokens(r)
	if t.Refresh == "" {
		t.Refresh = refreshToken // RFC 6749 §6: the old one stays where no new one is given
	}
	return t, nil
}

func (c *Client) token(ctx context.Context, form url.Values, repeatable bool) (uma.TokenResponse, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return uma.TokenResponse{}, err
	}
	who, err := c.Credentials(ctx)
	if err != nil {
		return uma.TokenResponse{}, err
	}
	k := call{method: http.MethodPost, url: m.TokenEndpoint, form: form, repeatable: repeatable, accept: []int{http.StatusOK}}
	if err := c.authenticate(&k, who, m); err != nil {
		return uma.TokenResponse{}, err
	}
	var r uma.TokenResponse
	err = c.do(ctx, k, &r)
	if err != nil {
		return uma.TokenResponse{}, err
	}
	if r.AccessToken == "" || !strings.EqualFold(r.TokenType, "Bearer") {
		return uma.TokenResponse{}, fmt.Errorf("%w: token answer without a bearer access_token", ErrUntrusted)
	}
	return r, nil
}

func (c *Client) tokens(r uma.TokenResponse) Tokens {
	t := Tokens{Access: r.AccessToken, Refresh: r.RefreshToken}
	if r.ExpiresIn > 0 {
		t.Expires = c.cfg.Now().Add(time.Duration(r.ExpiresIn) * time.Second)
	}
	return t
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
