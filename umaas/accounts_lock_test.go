package umaas_test

import (
	"errors"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// TestSEC_38_LocksWhomAnIssuerKnows: an account without a login is locked like every other one: her sessions and the tokens she
// asked for end at once, and her sign-ins do not come back when it is opened again.
func TestSEC_38_LocksWhomAnIssuerKnows(t *testing.T) {
	eachStore(t, func(w *world) {
		const nora = umaas.AccountID("a-nora")
		w.put(func(tx umaas.Tx) error {
			return tx.PutAccount(umaas.Account{ID: nora, Kind: umaas.KindPerson, Name: "Nora", Identities: []umaas.Identity{{Issuer: hospitalIssuer, Subject: "nora"}}, Created: w.now()})
		})
		cookie, sess, err := w.CreateSession(t.Context(), nora, []string{"pwd"})
		w.must(err)
		w.sessions[nora] = sess
		r := w.set(w.alice, rs1, "view")
		w.policy(w.alice, account(nora), []umaas.Rule{rule(rs1, r, "view")})
		token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), nora))
		w.sleep(time.Second)
		locked, err := w.SetAccountDisabled(t.Context(), nora, true, "")
		w.must(err)
		if !locked.Disabled || len(locked.Identities) != 1 || locked.Name != "Nora" {
			t.Fatalf("%+v", locked)
		}
		w.wantInactive(w.inspect(w.alice, rs1, token.AccessToken))
		if again, err := w.refresh(c1, token.RefreshToken); err == nil {
			t.Fatalf("refreshed: %+v", again)
		}
		if _, _, err := w.Session(t.Context(), cookie); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatalf("her session: %v", err)
		}
		if _, _, err := w.CreateSession(t.Context(), nora, nil); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatalf("signed in while locked: %v", err)
		}
		w.sleep(time.Second)
		opened, err := w.SetAccountDisabled(t.Context(), nora, false, "")
		if err != nil || opened.Disabled {
			t.Fatalf("%+v %v", opened, err)
		}
		if _, _, err := w.Session(t.Context(), cookie); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatalf("her old session came back: %v", err)
		}
		if _, err := w.SetAccountDisabled(t.Context(), "nobody", true, ""); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatalf("nobody: %v", err)
		}
	})
}
