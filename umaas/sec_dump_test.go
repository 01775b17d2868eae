package umaas_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// dumped is every key and value of an engine, one after the other.
func dumped(t *testing.T, engine kv.Engine) []byte {
	t.Helper()
	var all []byte
	err := engine.View(t.Context(), func(tx kv.Tx) error {
		var after []byte
		for {
			page, err := tx.Scan(nil, after, kv.MaxScan)
			if err != nil {
				return err
			}
			for _, p := range page {
				all = append(append(append(all, p.Key...), p.Value...), '\n')
				after = p.Key
			}
			if len(page) < kv.MaxScan {
				return nil
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantHashesOnly looks for values that clients hold: neither the value, nor its secret half as text or as bytes is there. With
// live, their hashes must be: so it is seen that the dump would show them.
func wantHashesOnly(t *testing.T, dump []byte, live bool, values map[string]string) {
	t.Helper()
	for name, value := range values {
		tail := value[strings.LastIndexByte(value, '.')+1:]
		raw, err := base64.RawURLEncoding.DecodeString(tail)
		if err != nil || len(raw) < 20 || value == "" {
			t.Fatalf("%s: %q holds no secret of 160 bits", name, value)
		}
		for form, clear := range map[string][]byte{"whole": []byte(value), "secret half": []byte(tail), "secret's bytes": raw} {
			if bytes.Contains(dump, clear) {
				t.Errorf("%s: the store holds it in clear: %s", name, form)
			}
		}
		sum := sha256.Sum256(raw)
		if live && !bytes.Contains(dump, sum[:]) {
			t.Errorf("%s: its hash is not there, so this dump shows nothing", name)
		}
	}
}

// issuedByUMA gives out one of everything that UMA's processes hand to somebody: what is live at the end, and what is spent.
func issuedByUMA(w *world) (live, spent map[string]string) {
	live, spent = map[string]string{}, map[string]string{}
	r, _, _, _ := w.shared()
	live["permission ticket"] = w.ticket(perm(r, "view"))
	spent["presented ticket"] = w.ticket(perm(r, "view"))
	live["ticket after need_info"] = w.refused(c1, spent["presented ticket"], 403, "need_info", "").Ticket
	live["ticket after the claims page"] = w.gather(c1, w.ticket(perm(r, "view")), w.bob)
	live["ticket of a request"] = w.refused(c1, w.gather(c1, w.ticket(perm(w.set(w.alice, rs1, "view"), "view")), w.bob), 403, "request_submitted", "").Ticket
	first := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
	spent["refreshed RPT"], spent["rotated refresh token"] = first.AccessToken, first.RefreshToken
	next, err := w.refresh(c1, first.RefreshToken)
	w.must(err)
	live["RPT"], live["refresh token"] = next.AccessToken, next.RefreshToken
	live["PCT"] = w.remembered(c1, w.bob)
	cookie, _, err := w.CreateSession(w.t.Context(), w.carol, []string{"pwd"})
	w.must(err)
	live["session"] = cookie
	started, err := w.StartClaims(w.t.Context(), form("client_id", string(c1), "ticket", w.ticket(perm(r, "view")), "claims_redirect_uri", back1), "", "")
	w.must(err)
	live["browser of a flow"] = started.Browser
	return live, spent
}

// TestSEC_09_StoreHoldsNoSecret reads every byte of the store after one of everything was given out: nobody who reads the
// store, a copy or an old page of its file can present any of it (Grant §5.4).
func TestSEC_09_StoreHoldsNoSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "as.db")
	bolt, err := boltkv.Open(file, boltkv.Options{InsecureNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, engine := range map[string]kv.Engine{"memkv": memkv.New(memkv.Options{}), "boltkv": bolt} {
		t.Run("UMA on "+name, func(t *testing.T) {
			w := newWorld(t, engine)
			live, spent := issuedByUMA(w)
			i, err := w.herself(w.alice).Invite(t.Context(), give(email("new@example.org"), rule("", w.set(w.alice, rs1, "view"), "view")), "")
			w.must(err)
			live["invitation"] = handleOf(t, i)
			wantHashesOnly(t, dumped(t, engine), true, live)
			wantHashesOnly(t, dumped(t, engine), false, spent)
			if bytes.Contains(dumped(t, engine), []byte(secret)) {
				t.Error("a client's secret in clear")
			}
			if name != "boltkv" {
				return
			}
			raw, err := os.ReadFile(file) // freed pages too
			w.must(err)
			wantHashesOnly(t, raw, true, live)
			wantHashesOnly(t, raw, false, spent)
		})
	}
	t.Run("OAuth", func(t *testing.T) {
		engine := memkv.New(memkv.Options{})
		w := newOAuthWorld(t, engine)
		rs := w.resourceServer()
		pat := w.pat(rs, w.alice)
		own, err := w.s.Token(t.Context(), rs.ask("grant_type", uma.GrantTypeClientCredentials, "scope", uma.ScopeProtection))
		w.must(err)
		dump := map[string]string{
			"PAT": pat.AccessToken, "refresh token of a PAT": pat.RefreshToken, "PAT of the resource server itself": own.AccessToken,
			"authorization code": w.code(rs, w.bob, "scope", "openid"),
		}
		wantHashesOnly(t, dumped(t, engine), true, dump)
		if bytes.Contains(dumped(t, engine), []byte(rs.ClientSecret)) || rs.ClientSecret == "" {
			t.Error("a registered client's secret in clear")
		}
	})
}

// TestSEC_48_LimitPlusOne: 256 permissions are asked for in one request, 257 are not, and leave no ticket, whether
// they are of 257 resources or 257 times of one.
func TestSEC_48_LimitPlusOne(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		pat := umaas.PAT{Owner: w.alice, RS: rs1}
		for _, c := range []struct {
			name string
			ask  func(i int) uma.Permission
		}{
			{"of resources of their own", func(int) uma.Permission { return perm(w.set(w.alice, rs1, "view"), "view") }},
			{"of one resource", func(int) uma.Permission { return perm(r, "view") }},
		} {
			var many []uma.Permission
			for i := range 257 {
				many = append(many, c.ask(i))
			}
			ticket, err := w.RequestPermission(w.t.Context(), pat, many, "", "")
			w.wantError(ticket, err, 400, "invalid_request", "more than 256 permissions in one request")
			if ticket != "" {
				w.t.Errorf("%s: a ticket beside the error", c.name)
			}
			ticket, err = w.RequestPermission(w.t.Context(), pat, many[:256], "", "")
			w.must(err)
			w.refused(c1, ticket, 403, "need_info", "")
		}
	})
}

// TestSEC_53_EveryPath: before its beginning a token counts nowhere, be it introspection, userinfo, refresh or the protection
// API; the try spends nothing, and from its beginning on it counts.
func TestSEC_53_EveryPath(t *testing.T) {
	t.Run("RPT", func(t *testing.T) {
		w := inMemory(t)
		r, _, names, _ := w.shared()
		got := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		w.sleep(-10 * time.Minute)
		w.wantInactive(w.inspect(w.alice, rs1, got.AccessToken))
		_, err := w.refresh(c1, got.RefreshToken)
		w.wantError(nil, err, 400, "invalid_grant", "")
		w.sleep(10 * time.Minute)
		w.wantRights(got.AccessToken, "r{view}", names)
		_, err = w.refresh(c1, got.RefreshToken)
		w.must(err)
	})
	t.Run("OAuth", func(t *testing.T) {
		w := oauthInMemory(t)
		rs := w.resourceServer()
		pat := w.pat(rs, w.alice)
		refresh := rs.ask("grant_type", uma.GrantTypeRefreshToken, "refresh_token", pat.RefreshToken)
		w.pass(-10 * time.Minute)
		_, err := w.s.UserInfo(t.Context(), pat.AccessToken)
		wantOAuthError(t, "userinfo", err, 401, "invalid_token", "")
		_, err = w.s.AuthenticatePAT(t.Context(), pat.AccessToken)
		wantOAuthError(t, "protection API", err, 401, "invalid_token", "")
		_, err = w.s.Token(t.Context(), refresh)
		wantOAuthError(t, "refresh", err, 400, "invalid_grant", "")
		w.pass(10 * time.Minute)
		_, err = w.s.UserInfo(t.Context(), pat.AccessToken)
		w.must(err)
		_, err = w.s.AuthenticatePAT(t.Context(), pat.AccessToken)
		w.must(err)
		_, err = w.s.Token(t.Context(), refresh)
		w.must(err)
	})
}

// TestSEC_56_ReadBackElsewhere: what one server said was revoked, every other on the store says is inactive from then on; what
// could not be stored is 503 on each, and the token counts on each.
func TestSEC_56_ReadBackElsewhere(t *testing.T) {
	w := inMemory(t)
	disk := &brokenStore{Store: w.store}
	w.store = disk
	servers := []*umaas.Service{w.service(), w.service(), w.service()}
	r, _, _, _ := w.shared()
	pat := umaas.PAT{Owner: w.alice, RS: rs1}
	everywhere := func(token string, want bool) {
		t.Helper()
		for n, s := range servers {
			i, err := s.Introspect(t.Context(), pat, token)
			w.must(err)
			if i.Active != want {
				t.Errorf("server %d: active %v", n, i.Active)
			}
		}
	}
	for n := range servers {
		got := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		everywhere(got.AccessToken, true) // caches warm
		for _, token := range []string{got.AccessToken, got.RefreshToken} {
			request := umaas.TokenRequest{Form: form("client_id", string(c1), "client_secret", secret, "token", token)}
			disk.broken = true
			w.wantError(nil, servers[n].Revoke(t.Context(), request), 503, "temporarily_unavailable", "")
			disk.broken = false
		}
		everywhere(got.AccessToken, true)
		w.must(servers[n].Revoke(t.Context(), umaas.TokenRequest{Form: form("client_id", string(c1), "client_secret", secret, "token", got.RefreshToken)}))
		everywhere(got.AccessToken, false)
		_, err := servers[(n+1)%3].Token(t.Context(), umaas.TokenRequest{Form: form(
			"grant_type", uma.GrantTypeRefreshToken, "client_id", string(c1), "client_secret", secret, "refresh_token", got.RefreshToken)})
		w.wantError(nil, err, 400, "invalid_grant", "")
	}
}
