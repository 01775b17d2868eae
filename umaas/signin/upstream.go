package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
)

// BackPath is where an issuer sends the browser back to, followed by the issuer's id: an address of its own for each issuer,
// so that an answer of one is never taken for another's, also where it does not name itself (RFC 9700 §4.4.2.2).
const BackPath = "/signin/back/"

// ErrDeclined: the issuer answered with an error, or the person said no there.
var ErrDeclined = errors.New("the issuer did not sign the person in")

// ErrUpstream: the issuer's answer is not one that can be believed, or it could not be reached.
var ErrUpstream = errors.New("the sign-in at the issuer failed")

// Trips is what sign-in at issuers needs of the core; *umaas.Service has it.
type Trips interface {
	StartTrip(ctx context.Context, q umaas.TripRequest, b umaas.Browser) (umaas.TripStart, error)
	TakeTrip(ctx context.Context, state string, b umaas.Browser) (umaas.TripBack, error)
	FinishTrip(ctx context.Context, t umaas.TripBack, w umaas.UpstreamWord, sess *umaas.Session) (string, error)
}

var _ Trips = (*umaas.Service)(nil)

// UpstreamConfig of NewUpstream; all members are required.
type UpstreamConfig struct {
	Trips  Trips
	Issuer string       // our own, the root of BackPath
	HTTP   *http.Client // a guarded one (outbound.Client.HTTP)
	Now    func() time.Time
	Logger *slog.Logger
}

// Upstream signs people in at trusted OpenID providers: authorization code with PKCE, state, nonce and the issuer's
// identification (OpenID Connect Core §3.1, RFC 7636, RFC 9207). Which issuers, with which addresses and keys, stands in their
// records alone (SEC-16). It is safe for concurrent use and keeps nothing but fetched keys.
type Upstream struct {
	c      UpstreamConfig
	limits *limits
	mu     sync.Mutex
	sets   map[string]oidc.KeySet // by address; they remember keys and fetch again for one they do not know
}

// NewUpstream checks the configuration.
func NewUpstream(c UpstreamConfig) (*Upstream, error) {
	if c.Trips == nil || c.HTTP == nil || c.Now == nil || c.Logger == nil || c.Issuer == "" {
		return nil, errors.New("upstream sign-in: Trips, Issuer, HTTP, Now and Logger are required")
	}
	return &Upstream{c: c, limits: newLimits(), sets: map[string]oidc.KeySet{}}, nil
}

// Departure is where the browser goes, and the value of its binding cookie.
type Departure struct {
	URL     string
	Browser string
}

// Arrival is a browser that came back. Cookie is a new session's, "" after linking. Flow is the id of the flow that waits, ""
// none: then To is the page to go to. Flow and To are set beside errors too, where they are known.
type Arrival struct {
	Cookie string
	Flow   string
	To     string
}

// Depart sends a browser to an issuer. remoteAddr is the client's address, with or without port. Errors: ErrSlowDown, and those
// of StartTrip.
func (u *Upstream) Depart(ctx context.Context, q umaas.TripRequest, b umaas.Browser, remoteAddr string) (Departure, error) {
	if !u.limits.mayBegin(addressKey(remoteAddr), u.c.Now()) {
		return Departure{}, ErrSlowDown
	}
	t, err := u.c.Trips.StartTrip(ctx, q, b)
	if err != nil {
		return Departure{}, fmt.Errorf("start sign-in at issuer: %w", err)
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)}
	if t.MaxAge >= 0 {
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(t.MaxAge)))
	}
	if t.Login {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	if len(t.ACRValues) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(t.ACRValues, " ")))
	}
	return Departure{URL: u.config(t.Issuer, t.ID, "").AuthCodeURL(t.State, options...), Browser: t.Browser}, nil
}

func (u *Upstream) config(i umaas.TrustedIssuer, id, secret string) *oauth2.Config {
	style := oauth2.AuthStyleInHeader // the default of OpenID Connect Core §9
	if secret == "" {
		style = oauth2.AuthStyleInParams
	}
	scopes := []string{oidc.ScopeOpenID, "profile"}
	for name, scope := range map[string]string{"email": "email", "fhirUser": "fhirUser"} {
		if slices.Contains(i.Claims, name) {
			scopes = append(scopes, scope)
		}
	}
	slices.Sort(scopes[2:])
	return &oauth2.Config{
		ClientID: i.ClientID, ClientSecret: secret, RedirectURL: u.c.Issuer + BackPath + id, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: i.Endpoints.Authorization, TokenURL: i.Endpoints.Token, AuthStyle: style},
	}
}

// Arrive takes an issuer's answer (OpenID Connect Core §3.1.2.5, §3.1.2.6). id is the last part of the address it came to. The
// state is spent whatever follows. Errors: ErrDeclined, ErrUpstream, and those of TakeTrip and FinishTrip.
func (u *Upstream) Arrive(ctx context.Context, id string, q url.Values, b umaas.Browser, sess *umaas.Session) (Arrival, error) {
	for _, values := range q {
		if len(values) != 1 {
			return Arrival{}, fmt.Errorf("%w: a parameter is repeated", ErrUpstream)
		}
	}
	t, err := u.c.Trips.TakeTrip(ctx, q.Get("state"), b)
	at := Arrival{Flow: t.Flow, To: t.To}
	if err != nil {
		return at, fmt.Errorf("answer of an issuer: %w", err)
	}
	switch {
	case t.ID != id, q.Has("iss") && q.Get("iss") != t.Issuer.Issuer: // RFC 9207 §2.4
		return at, fmt.Errorf("%w: the answer is of another issuer", ErrUpstream)
	case q.Has("error"):
		return at, fmt.Errorf("%w: %.60q", ErrDeclined, q.Get("error"))
	case q.Get("code") == "":
		return at, fmt.Errorf("%w: no code", ErrUpstream)
	}
	word, err := u.redeem(ctx, t, q.Get("code"))
	if err != nil {
		return at, err
	}
	if at.Cookie, err = u.c.Trips.FinishTrip(ctx, t, word, sess); err != nil {
		return at, fmt.Errorf("finish sign-in at issuer: %w", err)
	}
	return at, nil
}

// redeem exchanges the code and checks the ID token (OpenID Connect Core §3.1.3.7).
func (u *Upstream) redeem(ctx context.Context, t umaas.TripBack, code string) (umaas.UpstreamWord, error) {
	ctx = oidc.ClientContext(ctx, u.c.HTTP) // oauth2 reads it under the same name
	token, err := u.config(t.Issuer, t.ID, t.Secret).Exchange(ctx, code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) { // its text holds the answer's body
			return umaas.UpstreamWord{}, fmt.Errorf("%w: the token endpoint answered %.60q", ErrUpstream, refused.ErrorCode)
		}
		return umaas.UpstreamWord{}, fmt.Errorf("%w: %w", ErrUpstream, err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return umaas.UpstreamWord{}, fmt.Errorf("%w: no ID token", ErrUpstream)
	}
	algorithms := t.Issuer.Algorithms
	if len(algorithms) == 0 {
		algorithms = []string{oidc.ES256, oidc.RS256}
	}
	if slices.ContainsFunc(algorithms, func(alg string) bool { return !slices.Contains(keys.AssertionAlgorithms(), alg) }) {
		return umaas.UpstreamWord{}, fmt.Errorf("%w: an algorithm of its record is not asymmetric", ErrUpstream) // SEC-15
	}
	id, err := oidc.NewVerifier(t.Issuer.Issuer, u.keysOf(t.Issuer), &oidc.Config{ //nolint:contextcheck // fetched keys outlive the request
		ClientID: t.Issuer.ClientID, SupportedSigningAlgs: algorithms, Now: u.c.Now,
	}).Verify(ctx, raw)
	if err != nil {
		return umaas.UpstreamWord{}, fmt.Errorf("%w: %w", ErrUpstream, err)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return umaas.UpstreamWord{}, fmt.Errorf("%w: %w", ErrUpstream, err)
		}
	}
	return u.word(t, id)
}

// more are the members of an ID token that go-oidc does not judge.
type more struct {
	Azp      string   `json:"azp"`
	Name     string   `json:"name"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	AuthTime int64    `json:"auth_time"`
}

const (
	oldestToken = time.Minute // it was made for this exchange (SEC-58)
	skew        = time.Minute
)

func (u *Upstream) word(t umaas.TripBack, id *oidc.IDToken) (umaas.UpstreamWord, error) {
	var m more
	var payload json.RawMessage
	if err := errors.Join(id.Claims(&m), id.Claims(&payload)); err != nil {
		return umaas.UpstreamWord{}, fmt.Errorf("%w: %w", ErrUpstream, err)
	}
	now := u.c.Now()
	bad := func(what string) (umaas.UpstreamWord, error) {
		return umaas.UpstreamWord{}, fmt.Errorf("%w: %s", ErrUpstream, what)
	}
	switch {
	case id.Issuer != t.Issuer.Issuer: // the library forgives one issuer its missing scheme
		return bad("issued by another issuer")
	case id.Nonce != t.Nonce || t.Nonce == "":
		return bad("the nonce is not this browser's")
	case m.Azp != "" && m.Azp != t.Issuer.ClientID, len(id.Audience) > 1 && m.Azp == "":
		return bad("issued to another client")
	case id.Subject == "":
		return bad("no subject")
	case id.IssuedAt.After(now.Add(skew)) || id.IssuedAt.Before(now.Add(-oldestToken-skew)):
		return bad("issued at another time")
	}
	w := umaas.UpstreamWord{Subject: id.Subject, Name: m.Name, ACR: m.ACR, AMR: m.AMR, IssuedAt: id.IssuedAt, Payload: payload}
	if m.AuthTime > 0 {
		w.AuthTime = time.Unix(m.AuthTime, 0)
	}
	return w, nil
}

// keysOf are the keys of an issuer's record: as they stand there, or from the address that stands there.
func (u *Upstream) keysOf(i umaas.TrustedIssuer) oidc.KeySet {
	if i.JWKSURI == "" {
		return written(i.JWKS)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	set, ok := u.sets[i.JWKSURI]
	if !ok {
		set = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), u.c.HTTP), i.JWKSURI) // it outlives the request
		u.sets[i.JWKSURI] = set
	}
	return set
}

// written is a key set that stands in a record.
type written []byte

// VerifySignature implements oidc.KeySet.
func (w written) VerifySignature(_ context.Context, jwt string) ([]byte, error) {
	v, err := keys.VerifyWith(w, jwt)
	if err != nil {
		return nil, fmt.Errorf("key set of the issuer's record: %w", err)
	}
	return v.Payload, nil
}
