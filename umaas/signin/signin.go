package signin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
)

// ErrWrong is every failed sign-in: which part was wrong is not told.
var ErrWrong = errors.New("login or password is not right")

// ErrSlowDown: too many tries from this address, or for this account.
var ErrSlowDown = errors.New("too many tries to sign in, wait a little")

// Accounts is what sign-in needs of the core; *umaas.Service has it.
type Accounts interface {
	AccountByLogin(ctx context.Context, login string) (umaas.Account, error)
	CreateSession(ctx context.Context, a umaas.AccountID, amr []string) (string, umaas.Session, error)
	SignInFailed(ctx context.Context, a umaas.AccountID) error
	RehashPassword(ctx context.Context, a umaas.AccountID, old, fresh string) error
}

var _ Accounts = (*umaas.Service)(nil)

// Config of New. Accounts, Random, Now and Logger are required.
type Config struct {
	Accounts Accounts
	Random   io.Reader
	Now      func() time.Time
	Logger   *slog.Logger
	Cost     Cost // zero: DefaultCost
	Parallel int  // hashes computed at once; default one per CPU. Memory in use is Parallel × Cost.Memory
}

// SignIn checks passwords. It is safe for concurrent use.
type SignIn struct {
	c      Config
	limits *limits
	slots  chan struct{}
	dummy  phc
}

// New checks the configuration.
func New(c Config) (*SignIn, error) {
	if c.Cost == (Cost{}) {
		c.Cost = DefaultCost()
	}
	if c.Parallel <= 0 {
		c.Parallel = runtime.NumCPU()
	}
	switch {
	case c.Accounts == nil || c.Random == nil || c.Now == nil || c.Logger == nil:
		return nil, errors.New("sign-in: Accounts, Random, Now and Logger are required")
	case !c.Cost.valid():
		return nil, errors.New("sign-in: cost is out of bounds")
	}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(c.Random, salt); err != nil {
		return nil, fmt.Errorf("sign-in: read randomness: %w", err)
	}
	// The dummy's hash is random: no password fits it.
	hash := make([]byte, hashBytes)
	if _, err := io.ReadFull(c.Random, hash); err != nil {
		return nil, fmt.Errorf("sign-in: read randomness: %w", err)
	}
	return &SignIn{c: c, limits: newLimits(), slots: make(chan struct{}, c.Parallel), dummy: phc{cost: c.Cost, salt: salt, hash: hash}}, nil
}

// Password signs a person in by login (or verified e-mail address) and password. cookie is the value for the session
// cookie. remoteAddr is the client's address, with or without port. Errors: ErrWrong, ErrSlowDown, or a fault.
func (s *SignIn) Password(ctx context.Context, login, password, remoteAddr string) (cookie string, sess umaas.Session, err error) {
	login = strings.ToLower(strings.TrimSpace(login))
	address := addressKey(remoteAddr)
	// Counted by the hash of what was typed: people type passwords into the wrong field. Existing or not makes no
	// difference, or the limit would tell which accounts exist.
	account := typed(login)
	if !s.limits.allow(account, address, s.c.Now()) {
		return "", umaas.Session{}, ErrSlowDown
	}
	a, err := s.c.Accounts.AccountByLogin(ctx, login)
	if err != nil && !errors.Is(err, umaas.ErrNotFound) {
		return "", umaas.Session{}, fmt.Errorf("sign in: %w", err)
	}
	usable := err == nil && !a.Disabled && a.PasswordHash != ""
	stored := s.dummy
	if usable {
		if stored, err = parsePHC(a.PasswordHash); err != nil {
			s.c.Logger.ErrorContext(ctx, "sign in", "account", a.ID, "err", err)
			stored, usable = s.dummy, false
		}
	}
	right, err := s.check(ctx, stored, password)
	if err != nil {
		return "", umaas.Session{}, err
	}
	if !right || !usable {
		if err := s.c.Accounts.SignInFailed(ctx, a.ID); err != nil {
			return "", umaas.Session{}, fmt.Errorf("sign in: %w", err)
		}
		return "", umaas.Session{}, ErrWrong
	}
	s.limits.succeeded(account, address, s.c.Now())
	s.rehash(ctx, a, stored, password)
	cookie, sess, err = s.c.Accounts.CreateSession(ctx, a.ID, []string{"pwd"})
	if errors.Is(err, umaas.ErrNotFound) { // closed in this moment
		return "", umaas.Session{}, ErrWrong
	}
	if err != nil {
		return "", umaas.Session{}, fmt.Errorf("sign in: %w", err)
	}
	return cookie, sess, nil
}

func typed(login string) string {
	sum := sha256.Sum256([]byte(login))
	return base64.RawStdEncoding.EncodeToString(sum[:12])
}

// check hashes when a slot is free: argon2 takes memory on purpose, and many sign-ins at once must not take it all.
func (s *SignIn) check(ctx context.Context, stored phc, password string) (bool, error) {
	if len(password) > MaxPassword {
		password = password[:MaxPassword]
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		return stored.matches(password), nil
	case <-ctx.Done():
		return false, fmt.Errorf("sign in: %w", ctx.Err())
	}
}

// rehash brings a stored password to today's cost while it is at hand. It is a courtesy: a failure is logged alone.
func (s *SignIn) rehash(ctx context.Context, a umaas.Account, stored phc, password string) {
	if stored.cost == s.c.Cost && len(stored.hash) == hashBytes && len(stored.salt) == saltBytes || len(password) < MinPassword {
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return // busy: at the next sign-in then
	}
	fresh, err := HashPassword(password, s.c.Cost, s.c.Random)
	if err == nil {
		err = s.c.Accounts.RehashPassword(ctx, a.ID, a.PasswordHash, fresh)
	}
	if err != nil {
		s.c.Logger.WarnContext(ctx, "rehash password", "account", a.ID, "err", err)
	}
}
