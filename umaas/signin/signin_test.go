package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// book is the core's side of sign-in, in memory.
type book struct {
	mu       sync.Mutex
	accounts map[string]umaas.Account
	fault    error
	sessions int
	failed   []umaas.AccountID
}

func (b *book) SignInFailed(_ context.Context, a umaas.AccountID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = append(b.failed, a)
	return nil
}

func (b *book) AccountByLogin(_ context.Context, login string) (umaas.Account, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault != nil {
		return umaas.Account{}, b.fault
	}
	if a, ok := b.accounts[login]; ok {
		return a, nil
	}
	return umaas.Account{}, umaas.ErrNotFound
}

func (b *book) CreateSession(_ context.Context, a umaas.AccountID, amr []string) (string, umaas.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions++
	return "cookie", umaas.Session{Account: a, AMR: amr}, nil
}

func (b *book) RehashPassword(_ context.Context, id umaas.AccountID, old, fresh string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for login, a := range b.accounts {
		if a.ID == id && a.PasswordHash == old {
			a.PasswordHash = fresh
			b.accounts[login] = a
		}
	}
	return nil
}

var tiny = Cost{Memory: 64, Time: 1, Threads: 1}

func setup(t *testing.T) (*SignIn, *book, *time.Time) {
	t.Helper()
	hash, err := HashPassword("correct horse", tiny, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := &book{accounts: map[string]umaas.Account{
		"alice":  {ID: "u_alice", PasswordHash: hash},
		"closed": {ID: "u_closed", PasswordHash: hash, Disabled: true},
		"none":   {ID: "u_none"},
		"broken": {ID: "u_broken", PasswordHash: "$argon2id$broken"},
	}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := New(Config{Accounts: b, Random: rand.Reader, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler), Cost: tiny})
	if err != nil {
		t.Fatal(err)
	}
	return s, b, &now
}

// TestFailedSignInsAreTold, with the account where there is one, and no good one is.
func TestFailedSignInsAreTold(t *testing.T) {
	s, b, _ := setup(t)
	for _, login := range []string{"alice", "nobody", "closed", "none", "broken"} {
		if _, _, err := s.Password(t.Context(), login, "wrong horse", "192.0.2.1"); !errors.Is(err, ErrWrong) {
			t.Errorf("%s: %v", login, err)
		}
	}
	if _, _, err := s.Password(t.Context(), "alice", "correct horse", "192.0.2.1"); err != nil {
		t.Error(err)
	}
	if want := []umaas.AccountID{"u_alice", "", "u_closed", "u_none", "u_broken"}; !slices.Equal(b.failed, want) {
		t.Errorf("told %q, want %q", b.failed, want)
	}
}

func TestPassword(t *testing.T) {
	s, b, _ := setup(t)
	for i, tc := range []struct {
		login, password string
		want            error
	}{
		{"alice", "correct horse", nil}, {" ALICE ", "correct horse", nil},
		{"alice", "wrong", ErrWrong}, {"alice", "", ErrWrong}, {"alice", "correct horse ", ErrWrong}, {"alice", "Correct horse", ErrWrong},
		{"nobody", "correct horse", ErrWrong}, {"closed", "correct horse", ErrWrong}, {"none", "", ErrWrong}, {"none", "correct horse", ErrWrong},
		{"broken", "correct horse", ErrWrong}, {"", "", ErrWrong}, {"alice", strings.Repeat("x", 1<<20), ErrWrong},
	} {
		cookie, sess, err := s.Password(t.Context(), tc.login, tc.password, "192.0.2.1:4711")
		if !errors.Is(err, tc.want) || (err == nil) != (cookie == "cookie" && sess.Account == "u_alice" && sess.AMR[0] == "pwd") {
			t.Errorf("%d: %q: %q, %v; want %v", i, tc.login, cookie, err, tc.want)
		}
	}
	if b.sessions != 2 {
		t.Errorf("%d sessions, want 2", b.sessions)
	}
	b.fault = errors.New("disk")
	if _, _, err := s.Password(t.Context(), "alice", "correct horse", "192.0.2.2"); err == nil || errors.Is(err, ErrWrong) {
		t.Errorf("a fault of the store was answered as %v", err)
	}
}

// Unknown accounts go through the same hashing: the dummy has the same cost, and nothing fits it.
func TestSEC_44_UnknownAccountsCostTheSame(t *testing.T) {
	s, _, _ := setup(t)
	if s.dummy.cost != tiny || len(s.dummy.hash) != hashBytes || len(s.dummy.salt) != saltBytes {
		t.Errorf("dummy %v", s.dummy)
	}
	for _, login := range []string{"nobody", "closed", "none", "broken"} {
		s.slots = make(chan struct{}) // no slot: whoever hashes must wait
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.Password(ctx, login, "x", "192.0.2.1"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s answered %v without hashing", login, err)
		}
	}
}

func TestRehashAtLogin(t *testing.T) {
	s, b, _ := setup(t)
	before := b.accounts["alice"].PasswordHash
	s.c.Cost = Cost{Memory: 128, Time: 2, Threads: 1}
	for range 2 {
		if _, _, err := s.Password(t.Context(), "alice", "correct horse", "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	after := b.accounts["alice"].PasswordHash
	if before == after || !strings.HasPrefix(after, "$argon2id$v=19$m=128,t=2,p=1$") {
		t.Errorf("stored %s", after)
	}
}

func TestGuessingIsSlow(t *testing.T) {
	s, _, now := setup(t)
	try := func(login, password, address string) error {
		_, _, err := s.Password(t.Context(), login, password, address)
		return err
	}
	count := func(tries int, login, address string) (wrong int) {
		for range tries {
			if errors.Is(try(login, "guess", address), ErrWrong) {
				wrong++
			}
		}
		return wrong
	}
	if got := count(30, "alice", "192.0.2.1"); got != perPair.burst {
		t.Errorf("one address may guess %d times at one account, want %d", got, perPair.burst)
	}
	if err := try("alice", "correct horse", "192.0.2.1"); !errors.Is(err, ErrSlowDown) {
		t.Errorf("the right password after too many tries: %v", err)
	}
	// The attacker has not locked her out: she signs in from her own address.
	if err := try("alice", "correct horse", "198.51.100.7"); err != nil {
		t.Errorf("the owner from elsewhere: %v", err)
	}
	// An unknown account is limited alike.
	if got := count(30, "nobody", "192.0.2.1"); got != perPair.burst {
		t.Errorf("unknown account: %d tries, want %d", got, perPair.burst)
	}
	// One address, many accounts.
	total := 0
	for _, l := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		total += count(8, l, "192.0.2.9")
	}
	if total != perAddress.burst {
		t.Errorf("one address: %d tries, want %d", total, perAddress.burst)
	}
	*now = now.Add(time.Hour)
	if err := try("alice", "correct horse", "192.0.2.1"); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

// Many addresses run the account's own limit dry; whoever signed in from an address before still can.
func TestOnePersonCannotLockAnotherOut(t *testing.T) {
	s, _, _ := setup(t)
	if _, _, err := s.Password(t.Context(), "alice", "correct horse", "198.51.100.7"); err != nil {
		t.Fatal(err)
	}
	slow := false
	for i := range 40 {
		for range 8 {
			_, _, err := s.Password(t.Context(), "alice", "guess", "203.0.113."+strconv.Itoa(i+1))
			slow = slow || errors.Is(err, ErrSlowDown)
		}
	}
	if !slow {
		t.Error("a distributed attack was never slowed")
	}
	if _, _, err := s.Password(t.Context(), "alice", "correct horse", "198.51.100.7:9"); err != nil {
		t.Errorf("alice at her own address: %v", err)
	}
}

func TestAddressKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64", "::ffff:192.0.2.1": "192.0.2.1",
		"fe80::1%eth0": "fe80::/64", "": "unknown", "x": "unknown",
	} {
		if got := addressKey(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLimitersAreBounded(t *testing.T) {
	l := newLimits()
	now := time.Unix(0, 0)
	for i := range maxLimiters + 100 {
		l.get("k"+time.Duration(i).String(), perPair, now)
	}
	if len(l.limiters) > maxLimiters {
		t.Errorf("%d limiters", len(l.limiters))
	}
}

func TestHashPassword(t *testing.T) {
	for name, tc := range map[string]struct {
		password string
		cost     Cost
	}{
		"short": {"1234567", tiny}, "long": {strings.Repeat("x", MaxPassword+1), tiny}, "no cost": {"long enough", Cost{}},
		"huge": {"long enough", Cost{Memory: maxMemory + 1, Time: 1, Threads: 1}},
	} {
		if h, err := HashPassword(tc.password, tc.cost, rand.Reader); err == nil || h != "" {
			t.Errorf("%s: %q", name, h)
		}
	}
	a, _ := HashPassword("correct horse", tiny, rand.Reader)
	b, _ := HashPassword("correct horse", tiny, rand.Reader)
	if a == b || a == "" {
		t.Error("salts must differ")
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g")
	f.Add("$argon2id$v=19$m=99999999,t=1,p=1$$")
	f.Add("$argon2i$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err != nil {
			if p.hash != nil || p.salt != nil {
				t.Error("a failed parse returned something")
			}
			return
		}
		if p.String() != s {
			t.Errorf("%q prints as %q", s, p)
		}
	})
}
