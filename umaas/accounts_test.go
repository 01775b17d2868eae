package umaas_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

func TestAccounts(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		a, err := w.s.PutAccount(t.Context(), umaas.Account{Login: " Carol ", Name: "Carol", Email: "Carol@Example.org", EmailVerified: true}, w.alice.ID)
		w.must(err)
		if a.Login != "carol" || a.Email != "carol@example.org" || a.Kind != umaas.KindPerson || !strings.HasPrefix(string(a.ID), "u_") || !a.Created.Equal(w.now()) {
			t.Errorf("%+v", a)
		}
		for _, login := range []string{"carol", "CAROL", " carol@example.org"} {
			if got, err := w.s.AccountByLogin(t.Context(), login); err != nil || got.ID != a.ID {
				t.Errorf("%q: %+v, %v", login, got, err)
			}
		}
		a.EmailVerified = false
		_, err = w.s.PutAccount(t.Context(), a, "")
		w.must(err)
		if _, err := w.s.AccountByLogin(t.Context(), "carol@example.org"); !errors.Is(err, umaas.ErrNotFound) {
			t.Errorf("an address that is not verified signs in: %v", err)
		}
		_, err = w.s.PutAccount(t.Context(), umaas.Account{Login: "ALICE", Name: "Other"}, "")
		if !errors.Is(err, umaas.ErrExists) {
			t.Errorf("login taken: %v", err)
		}
		_, err = w.s.PutAccount(t.Context(), umaas.Account{ID: "c_x", Kind: "robot", Login: "a b", Email: "x", EmailVerified: true}, "")
		for _, part := range []string{"id:", "kind:", "login:", "name:", "email:"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("all mistakes at once: %v lacks %s", err, part)
			}
		}
	})
}

func TestSessions(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		cookie, sess, err := w.s.CreateSession(t.Context(), w.alice.ID, []string{"pwd"})
		w.must(err)
		got, a, err := w.s.Session(t.Context(), cookie)
		if err != nil || a.ID != w.alice.ID || got.Key != sess.Key || !got.AuthTime.Equal(w.now()) || got.AMR[0] != "pwd" {
			t.Fatalf("%+v, %v, %v", got, a, err)
		}
		none := func(name, cookie string) {
			t.Helper()
			if s, a, err := w.s.Session(t.Context(), cookie); !errors.Is(err, umaas.ErrNotFound) || s.Account != "" || a.ID != "" {
				t.Errorf("%s: %+v, %v", name, s, err)
			}
		}
		none("garbage", "x")
		none("cut", cookie[:len(cookie)-1])
		other, _, err := w.s.CreateSession(t.Context(), w.alice.ID, nil)
		w.must(err)
		head, _, _ := strings.Cut(cookie, ".")
		_, tail, _ := strings.Cut(other, ".")
		none("halves of two", head+"."+tail)
		w.must(w.s.EndSession(t.Context(), head+"."+tail))
		if _, _, err := w.s.Session(t.Context(), cookie); err != nil {
			t.Errorf("signed out by somebody without the secret: %v", err)
		}
		w.must(w.s.EndSession(t.Context(), cookie))
		w.must(w.s.EndSession(t.Context(), cookie))
		none("signed out", cookie)
		locked := w.alice
		locked.Disabled = true
		_, err = w.s.PutAccount(t.Context(), locked, "")
		w.must(err)
		none("SEC-38 locked", other)
		if _, _, err := w.s.CreateSession(t.Context(), w.alice.ID, nil); !errors.Is(err, umaas.ErrNotFound) {
			t.Errorf("a locked account signs in: %v", err)
		}
		bob, _, err := w.s.CreateSession(t.Context(), w.bob.ID, nil)
		w.must(err)
		w.pass(12 * time.Hour)
		none("expired", bob)
	})
}

// TestO046_PasswordChange ends sessions and the standing access of apps; protection goes on (SEC-57).
func TestO046_PasswordChange(t *testing.T) {
	w := oauthInMemory(t)
	rs, app := w.resourceServer(), w.register(appMetadata())
	pat := w.pat(rs, w.alice)
	r := w.tokens(app, w.alice, "scope", "openid offline_access")
	cookie, _, err := w.s.CreateSession(t.Context(), w.alice.ID, nil)
	w.must(err)
	bobs, _, err := w.s.CreateSession(t.Context(), w.bob.ID, nil)
	w.must(err)
	w.must(w.s.SetPassword(t.Context(), w.alice.ID, "$new", w.alice.ID))
	if _, _, err := w.s.Session(t.Context(), cookie); !errors.Is(err, umaas.ErrNotFound) {
		t.Errorf("old session: %v", err)
	}
	if _, _, err := w.s.Session(t.Context(), bobs); err != nil {
		t.Errorf("another person's session: %v", err)
	}
	_, err = w.s.Token(t.Context(), app.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken))
	wantOAuthError(t, "app's refresh token", err, 400, "invalid_grant", refreshBad)
	if _, err := w.s.AuthenticatePAT(t.Context(), pat.AccessToken); err != nil {
		t.Errorf("SEC-57 PAT: %v", err)
	}
	w.pass(time.Second)
	fresh, _, err := w.s.CreateSession(t.Context(), w.alice.ID, nil)
	w.must(err)
	if _, _, err := w.s.Session(t.Context(), fresh); err != nil {
		t.Errorf("session after the change: %v", err)
	}
	a, err := w.s.Account(t.Context(), w.alice.ID)
	w.must(err)
	if a.PasswordHash != "$new" {
		t.Errorf("stored %q", a.PasswordHash)
	}
	w.must(w.s.RehashPassword(t.Context(), a.ID, "$other", "$late"))
	w.must(w.s.RehashPassword(t.Context(), a.ID, "$new", "$rehashed"))
	if a, _ = w.s.Account(t.Context(), a.ID); a.PasswordHash != "$rehashed" {
		t.Errorf("rehash: %q", a.PasswordHash)
	}
	if _, _, err := w.s.Session(t.Context(), fresh); err != nil {
		t.Errorf("a rehash is no change of password: %v", err)
	}
}
