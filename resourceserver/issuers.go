package resourceserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
)

// AuthorizationServers are those this resource server works with now. Trust is looked up at each use: one that the operator
// takes off the list is asked nothing from then on, and what rests on it opens nothing (SEC-17).
type AuthorizationServers interface {
	// At is the client of one. ErrNotKept where this server does not work with it; no request is made to find out (SEC-16).
	At(ctx context.Context, issuer string) (*asclient.Client, error)
	// Known lists all of them, the operator's own first.
	Known(ctx context.Context) ([]string, error)
	// Own lists the operator's own, the default first: where people sign in.
	Own() []string
	// Trust says how far an issuer is trusted. It answers for any string.
	Trust(issuer string) Trust
}

// Trust is how far an authorization server is trusted with what passes through this one. The zero value is not at all.
type Trust int

// The degrees of trust.
const (
	TrustNone Trust = iota
	// TrustSigned is a stranger a patient brought. It decides about her record and hers alone. No opaque token is shown to
	// it, for that may be another server's: its own tokens name it and carry its signature.
	TrustSigned
	// TrustListed is one the operator listed. An opaque token is shown to it where its owner's record is asked for and the
	// operator's own servers do not know the token.
	TrustListed
	// TrustOwn is the operator's own: people sign in there, and each opaque token is shown to it.
	TrustOwn
)

// Clients are authorization servers of the operator's own, by issuer: a fixed AuthorizationServers.
type Clients map[string]*asclient.Client

var _ AuthorizationServers = Clients(nil)

// At implements AuthorizationServers.
func (c Clients) At(_ context.Context, issuer string) (*asclient.Client, error) {
	if client := c[issuer]; client != nil {
		return client, nil
	}
	return nil, ErrNotKept
}

// Known implements AuthorizationServers.
func (c Clients) Known(context.Context) ([]string, error) { return c.Own(), nil }

// Own implements AuthorizationServers, in alphabetical order.
func (c Clients) Own() []string { return slices.Sorted(maps.Keys(c)) }

// Trust implements AuthorizationServers.
func (c Clients) Trust(issuer string) Trust {
	if c[issuer] == nil {
		return TrustNone
	}
	return TrustOwn
}

// ForeignPolicy says which authorization servers a patient may bring. The zero value is ForeignNone.
type ForeignPolicy string

// The policies.
const (
	ForeignNone   ForeignPolicy = "none"   // the operator's own alone
	ForeignListed ForeignPolicy = "listed" // those the operator lists besides
	ForeignAny    ForeignPolicy = "any"    // any she names
)

// ListedIssuer is an authorization server the operator lists for patients to choose. Without ClientID this server registers
// itself there.
type ListedIssuer struct {
	Issuer   string
	ClientID string
	Secret   string
}

// IssuersConfig is what Issuers need.
type IssuersConfig struct {
	Own    []*asclient.Client // the default first
	Listed []ListedIssuer
	Policy ForeignPolicy
	// Template is the configuration of a client for a foreign server; Issuer, RedirectURI, credentials, transport and the
	// form of tokens are filled in.
	Template asclient.Config
	Base     string // {rs}
	Guard    asclient.GuardOptions
	State    IssuerTable
	Logger   *slog.Logger
}

// Issuers are the operator's own authorization servers, those it lists, and those patients have brought. Clients are made
// when they are first needed and discover lazily: a server that is away keeps nobody else from starting.
type Issuers struct {
	cfg    IssuersConfig
	own    map[string]*asclient.Client
	listed map[string]ListedIssuer
	guard  *asclient.Guard

	mu   sync.Mutex
	open map[string]*asclient.Client
}

// maxOpenIssuers bounds the clients kept in memory; above it they are made again when needed.
const maxOpenIssuers = 5_000

// NewIssuers checks cfg.
func NewIssuers(cfg IssuersConfig) (*Issuers, error) {
	if len(cfg.Own) == 0 || cfg.State == nil || cfg.Base == "" {
		return nil, errors.New("issuers: Own, State and Base are required")
	}
	switch cfg.Policy {
	case ForeignNone, ForeignListed, ForeignAny:
	case "":
		cfg.Policy = ForeignNone
	default:
		return nil, fmt.Errorf("issuers: policy %q: want %s, %s or %s", cfg.Policy, ForeignNone, ForeignListed, ForeignAny)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Issuers{cfg: cfg, own: map[string]*asclient.Client{}, listed: map[string]ListedIssuer{}, guard: asclient.NewGuard(cfg.Guard), open: map[string]*asclient.Client{}}
	for _, c := range cfg.Own {
		s.own[c.Issuer()] = c
	}
	for _, l := range cfg.Listed {
		if _, twice := s.own[l.Issuer]; twice {
			return nil, fmt.Errorf("issuers: %s is listed and the operator's own at once", l.Issuer)
		}
		s.listed[l.Issuer] = l
		if _, err := s.client(l.Issuer); err != nil {
			return nil, err
		}
	}
	return s, nil
}

var _ AuthorizationServers = (*Issuers)(nil)

// At implements AuthorizationServers.
func (s *Issuers) At(ctx context.Context, issuer string) (*asclient.Client, error) {
	if c := s.own[issuer]; c != nil {
		return c, nil
	}
	switch s.Trust(issuer) {
	case TrustListed:
		return s.client(issuer)
	case TrustSigned:
		if _, err := s.cfg.State.KnownIssuer(ctx, issuer); err != nil {
			return nil, err
		}
		return s.client(issuer)
	default:
		return nil, ErrNotKept
	}
}

// named is the client of a server that a patient names: it need not be known yet, only allowed.
func (s *Issuers) named(issuer string) (*asclient.Client, error) {
	switch s.Trust(issuer) {
	case TrustOwn:
		return s.own[issuer], nil
	case TrustListed, TrustSigned:
		return s.client(issuer)
	default:
		return nil, ErrNotKept
	}
}

// Known implements AuthorizationServers.
func (s *Issuers) Known(ctx context.Context) ([]string, error) {
	list := s.Own()
	if s.cfg.Policy != ForeignNone {
		list = append(list, slices.Sorted(maps.Keys(s.listed))...)
	}
	if s.cfg.Policy != ForeignAny {
		return list, nil
	}
	for after := ""; ; {
		page, err := s.cfg.State.KnownIssuers(ctx, after, reviewEvery)
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			if s.Trust(k.Issuer) == TrustSigned {
				list = append(list, k.Issuer)
			}
		}
		if len(page) < reviewEvery {
			return list, nil
		}
		after = page[len(page)-1].Issuer
	}
}

// Own implements AuthorizationServers.
func (s *Issuers) Own() []string {
	list := make([]string, len(s.cfg.Own))
	for i, c := range s.cfg.Own {
		list[i] = c.Issuer()
	}
	return list
}

// Trust implements AuthorizationServers.
func (s *Issuers) Trust(issuer string) Trust {
	switch _, listed := s.listed[issuer]; {
	case s.own[issuer] != nil:
		return TrustOwn
	case listed && s.cfg.Policy != ForeignNone:
		return TrustListed
	case !listed && s.cfg.Policy == ForeignAny && issuer != "":
		return TrustSigned
	default:
		return TrustNone
	}
}

// Policy is which foreign servers a patient may bring.
func (s *Issuers) Policy() ForeignPolicy { return s.cfg.Policy }

// Listed are the foreign servers a patient can choose without typing an address.
func (s *Issuers) Listed() []string {
	if s.cfg.Policy == ForeignNone {
		return nil
	}
	return slices.Sorted(maps.Keys(s.listed))
}

// client makes the client of a foreign server, once.
func (s *Issuers) client(issuer string) (*asclient.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.open[issuer]; c != nil {
		return c, nil
	}
	if err := s.nameable(issuer); err != nil {
		return nil, err
	}
	cfg := s.cfg.Template
	cfg.Issuer, cfg.RedirectURI, cfg.Foreign, cfg.Transport = issuer, s.cfg.Base+GuardPath(issuer), true, s.guard
	l := s.listed[issuer]
	cfg.ClientID, cfg.ClientSecret = l.ClientID, l.Secret
	if _, listed := s.listed[issuer]; !listed || cfg.RPTFormat == "" {
		cfg.RPTFormat = "jwt" // a foreign server's token should name its issuer
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = foreignTimeout
	}
	c, err := asclient.New(cfg)
	if err != nil {
		return nil, err
	}
	if len(s.open) >= maxOpenIssuers {
		clear(s.open)
	}
	s.open[issuer] = c
	return c, nil
}

// nameable holds for an issuer a person can read, compare and type: what parseAddress takes as it is, with a host name, no
// address literal but on a development machine.
func (s *Issuers) nameable(issuer string) error {
	a, err := parseAddress(issuer, s.cfg.Guard.InsecureHTTP)
	u, parsed := url.Parse(issuer)
	if err != nil || parsed != nil || a.Issuer != issuer {
		return fmt.Errorf("%w: issuer %q", asclient.ErrUntrusted, issuer)
	}
	if net.ParseIP(u.Hostname()) != nil && !s.cfg.Guard.InsecureHTTP {
		return fmt.Errorf("%w: issuer %q has no name", asclient.ErrUntrusted, issuer)
	}
	return nil
}

// foreignTimeout bounds one attempt at a foreign server: what it delays is somebody's request.
const foreignTimeout = 3 * time.Second

// GuardPath is where people come back to from a foreign authorization server, below {rs}: each has a path of its own, so
// that a response of one can never pass for another's (RFC 9700 §4.4.2.2).
func GuardPath(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return GuardBack + hex.EncodeToString(sum[:8])
}

// GuardBack is the part all these paths begin with.
const GuardBack = "/guard/back/"
