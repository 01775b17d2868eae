package asclient

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// ErrUnreachable says that the authorization server did not answer, or answered with a fault of its own (5xx). The request
// may be tried again later.
var ErrUnreachable = errors.New("authorization server unreachable")

// ErrUntrusted says that an answer or a token failed a check: another issuer, a bad signature, a missing member. Trying
// again does not help.
var ErrUntrusted = errors.New("authorization server's answer is not acceptable")

// Credentials are what this resource server is at one authorization server (RFC 7591 §3.2.1). They are secret.
type Credentials struct {
	Issuer            string `json:"issuer"`
	ClientID          string `json:"client_id"`
	ClientSecret      string `json:"client_secret"`
	Key               string `json:"-"` // base64 of PKCS #8, for private_key_jwt in place of a secret
	RegistrationToken string `json:"registration_access_token,omitempty"`
	RegistrationURI   string `json:"registration_client_uri,omitempty"`
}

// CredentialStore keeps the outcome of dynamic registration. Load answers ErrNoCredentials where nothing is kept.
// SaveNew stores only if nothing is kept yet and returns what is kept afterwards, so that two processes that register at
// the same time end with one identity.
type CredentialStore interface {
	LoadCredentials(ctx context.Context, issuer string) (Credentials, error)
	SaveNewCredentials(ctx context.Context, c Credentials) (Credentials, error)
}

// ErrNoCredentials says that this resource server has not registered at the issuer yet.
var ErrNoCredentials = errors.New("no client credentials for this issuer")

// Config is everything a Client needs. Issuer, RedirectURI, and either ClientID with ClientSecret or Store are required.
type Config struct {
	Issuer       string // exact issuer identifier, no closing slash
	Name         string // client_name people read on the consent page
	RedirectURI  string // where a person comes back to after granting a PAT
	Audience     string // URL this resource server answers for (RFC 8707 resource, aud of JWT tokens)
	ClientID     string // configured by an administrator; empty: dynamic registration
	ClientSecret string
	ClientKey    string // base64 of PKCS #8 in place of ClientSecret: private_key_jwt
	RPTFormat    string // "", "opaque" or "jwt": asked at registration (decisions 1)
	// ResourceAudience takes signed tokens in HEART's form, whose aud names resources (HEART UMA2 §3.3.2): whether these are
	// this server's own is then told by introspection alone. It need not be set for a server that names the profile in its
	// metadata (uma_profiles_supported).
	ResourceAudience bool
	Store            CredentialStore
	Timeout          time.Duration // of one attempt; default 5 s
	Transport        http.RoundTripper
	// Foreign is set for a server that somebody else chose: every endpoint it names must stand at its own origin, so that
	// it can send this server, and what this server knows, nowhere else.
	Foreign bool
	Now     func() time.Time
	Random  io.Reader
	Logger  *slog.Logger
}

// Client speaks to one authorization server. Its methods are safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
	keys *keySet

	mu          sync.Mutex
	metadata    uma.Metadata
	metadataAt  time.Time
	credentials Credentials
}

// New checks cfg and returns a Client. It makes no request: the authorization server may come up later.
func New(cfg Config) (*Client, error) {
	if err := checkIssuer(cfg.Issuer); err != nil {
		return nil, err
	}
	if cfg.RedirectURI == "" {
		return nil, errors.New("asclient: RedirectURI is required")
	}
	if (cfg.ClientID == "") != (cfg.ClientSecret == "" && cfg.ClientKey == "") || cfg.ClientSecret != "" && cfg.ClientKey != "" {
		return nil, errors.New("asclient: ClientID goes with ClientSecret or with ClientKey")
	}
	if cfg.ClientKey != "" {
		if _, err := signerOf(cfg.ClientKey); err != nil {
			return nil, err
		}
	}
	if cfg.ClientID == "" && cfg.Store == nil {
		return nil, errors.New("asclient: give ClientID and ClientSecret, or a Store for dynamic registration")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport()
	}
	c := &Client{cfg: cfg, http: &http.Client{
		Transport: cfg.Transport,
		// A redirect of a protection API call would carry a PAT to another place (GW-47): it is an error, not a hint.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.keys = &keySet{client: c}
	return c, nil
}

// checkIssuer accepts https, and http for loopback alone, without query, fragment or closing slash (RFC 8414 §2).
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(issuer, "/"):
		return fmt.Errorf("issuer %q: want an absolute URL without query, fragment and closing slash", issuer)
	case !secureOrLoopback(u):
		return fmt.Errorf("issuer %q: want https (http is accepted for localhost alone)", issuer)
	}
	return nil
}

func secureOrLoopback(u *url.URL) bool {
	switch host := u.Hostname(); {
	case u.Scheme == "https":
		return true
	case u.Scheme == "http":
		return host == "localhost" || host == "127.0.0.1" || host == "::1"
	default:
		return false
	}
}

// Issuer is the identifier this client was made for.
func (c *Client) Issuer() string { return c.cfg.Issuer }

// Audience is the URL this resource server answers for, "" if none was configured.
func (c *Client) Audience() string { return c.cfg.Audience }
