package umaas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// Deps is everything the core needs; New checks it.
type Deps struct {
	Issuer  string // https, or http on loopback; no query, no fragment
	Store   Store
	Keys    *keys.Ring
	Scopes  ScopeLanguage
	Preview Previewer // nil: pages say that no preview can be had
	Mail    Mailer    // nil: invitations are links that their owner hands over herself
	Now     func() time.Time
	Random  io.Reader
	Logger  *slog.Logger
	Limits  Limits

	Push       PushRule   // which clients may push claims
	Formats    []Format   // claim token formats beside the server's own
	IssuerKeys IssuerKeys // nil: only issuers whose keys stand in their record count
	Statuses   Statuses   // nil: tokens that name a revocation list are refused
	Binding    Binding    // key-bound tokens: DPoP nonces, mutual TLS
	Profile    Profile
}

// Limits are lifetimes and bounds. DefaultLimits is safe; a zero member is refused by New.
type Limits struct {
	Ticket         time.Duration // 5 min (SEC-11)
	Waiting        time.Duration // how long a submitted request waits for its owner: 30 days
	Poll           time.Duration // interval asked of polling clients: 5 s
	Flow           time.Duration // 10 min
	Code           time.Duration // 60 s
	RPT            time.Duration // 5 min (SEC-37)
	Access         time.Duration // OAuth access tokens: 1 h
	PAT            time.Duration // PAT access token: 1 h
	Refresh        time.Duration // idle end of a refresh token: 90 days
	Session        time.Duration // 12 h
	Silence        time.Duration // after a denial: 30 days
	Undo           time.Duration // a wrong tap can be taken back: 10 min
	Emergency      time.Duration // access by a break-the-glass policy: 1 h
	Invitation     time.Duration // how long an invitation can be taken up: 7 days (SEC-45)
	MaxPermissions int           // in one request: 256 (SEC-48)
	MaxScopes      int           // in one resource: 2,000
	Attention      Attention     // how much may come before an owner (SEC-46)
}

// DefaultLimits are the documented defaults.
func DefaultLimits() Limits {
	const day = 24 * time.Hour
	return Limits{
		Ticket: 5 * time.Minute, Waiting: 30 * day, Poll: 5 * time.Second, Flow: 10 * time.Minute, Code: time.Minute,
		RPT: 5 * time.Minute, Access: time.Hour, PAT: time.Hour, Refresh: 90 * day, Session: 12 * time.Hour,
		Silence: 30 * day, Undo: 10 * time.Minute, Emergency: time.Hour, Invitation: 7 * day, MaxPermissions: 256, MaxScopes: 2000,
		Attention: DefaultAttention(),
	}
}

// Previewer asks a resource server what permissions on one of its sets would show today: counts per kind of information,
// never content.
type Previewer interface {
	Preview(ctx context.Context, r Resource, permissions []uma.Permission) (map[string]int, error)
}

// Service is the authorization server's core. Its methods are safe for concurrent use and hold no state of their own. Store is
// the given one with the feed of changes around it.
type Service struct {
	Deps
	handles *Handles
	changed *broadcast
	nonces  *pop.Nonces
	rules   rules // of the profile
}

// New checks the dependencies and opens the server's handle key, making one in an empty store.
func New(ctx context.Context, d Deps) (*Service, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	key, err := d.handleKey(ctx)
	if err != nil {
		return nil, err
	}
	handles, err := NewHandles(key, d.Random)
	if err != nil {
		return nil, err
	}
	changed := newBroadcast()
	d.Store = watchedStore{Store: d.Store, now: d.Now, changed: changed}
	return &Service{Deps: d, handles: handles, changed: changed, nonces: pop.NewNonces(key), rules: d.Profile.rules()}, nil
}

func (d Deps) check() error {
	u, err := url.Parse(d.Issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(d.Issuer, "/"):
		return errors.New("issuer: want an absolute URL without query, fragment and closing slash")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return errors.New("issuer: want https (http is accepted for localhost alone)")
	case d.Store == nil || d.Keys == nil || d.Scopes == nil || d.Now == nil || d.Random == nil || d.Logger == nil:
		return errors.New("core: Store, Keys, Scopes, Now, Random and Logger are required")
	case d.Limits.Ticket <= 0 || d.Limits.Waiting <= 0 || d.Limits.Poll <= 0 || d.Limits.Flow <= 0 || d.Limits.Code <= 0 ||
		d.Limits.RPT <= 0 || d.Limits.Access <= 0 || d.Limits.PAT <= 0 || d.Limits.Refresh <= 0 || d.Limits.Session <= 0 ||
		d.Limits.Silence <= 0 || d.Limits.MaxPermissions <= 0 || d.Limits.MaxScopes <= 0 || d.Limits.Undo <= 0 ||
		d.Limits.Emergency <= 0 || d.Limits.Invitation <= 0 || !d.Limits.Attention.set():
		return errors.New("core: every limit must be above zero; start from DefaultLimits")
	case d.Push != PushMarked && d.Push != PushConfidential:
		return fmt.Errorf("core: push rule %q is unknown", d.Push)
	}
	if err := d.Profile.check(d.Limits); err != nil {
		return err
	}
	if err := checkFormats(d.Formats); err != nil {
		return err
	}
	return d.Binding.check()
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

const settingHandleKey = "handle-key"

func (d Deps) handleKey(ctx context.Context) ([]byte, error) {
	fresh := make([]byte, 32)
	if _, err := io.ReadFull(d.Random, fresh); err != nil {
		return nil, err
	}
	var key []byte
	err := d.Store.Update(ctx, func(tx Tx) error {
		var err error
		key, err = tx.Setting(settingHandleKey)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		key = fresh
		return tx.PutSetting(settingHandleKey, fresh)
	})
	return key, err
}
