package resourceserver_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_57_ContextURLFollows: a context URL minted before the move leads to the new server, and the app it was resolved
// for, which has another id there, is not in the way.
func TestSEC_57_ContextURLFollows(t *testing.T) {
	g := newGuarded(t, rs.ForeignListed, true)
	u := g.user(john)
	link := g.mint(u.Key, "john", "flu")
	g.move(u, there("john"))
	rec := g.do(http.MethodPost, link+"/authorize?scope=Observation.rs&client_id=flu-elsewhere", "")
	if rec.Code != http.StatusUnauthorized {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	reg, _ := g.state.RecordOf(t.Context(), "john")
	g.second.PutToken("opaque", uma.Introspection{Active: true, Kind: "rpt", ClientID: "flu-elsewhere", Permissions: []uma.Permission{{ResourceID: reg.ResourceID, Scopes: []string{"patient/Observation.r"}}}})
	rec = g.do(http.MethodGet, link, "", "Authorization", "Bearer opaque")
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	// Once seen there, the token is found again although the request names nobody.
	if grant, err := g.verifier.Verify(t.Context(), "opaque"); err != nil || len(grant.Permissions) != 1 || grant.Issuer != g.second.Issuer() {
		t.Errorf("%+v %v", grant, err)
	}
}

// TestSEC_57_RenewedUnattended: the token she gave her own server is renewed while she is away, also after a restart.
func TestSEC_57_RenewedUnattended(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	g.move(g.user(john), there("john"))
	for range 3 {
		before := g.second.Calls("POST /token")
		g.clock.forward(asclienttest.PATLife)
		g.reboot()
		g.guardedAt("john", g.second, g.account("john"))
		if n := g.second.Calls("POST /token"); n != before+1 {
			t.Errorf("%d calls, want one renewal", n-before)
		}
	}
}

// TestSEC_08_TokensOfOneServerOpenNothingOfAnother is the whole matrix: two servers, two patients, opaque and signed tokens,
// on either set, asked for with either patient or none. A server that speaks of another's sets opens nothing.
func TestSEC_08_TokensOfOneServerOpenNothingOfAnother(t *testing.T) {
	g := newGuarded(t, rs.ForeignListed, true)
	j, m := g.user(john), g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	_ = m
	g.move(j, there("john"))
	johns, _ := g.state.RecordOf(t.Context(), "john")
	marys, _ := g.state.RecordOf(t.Context(), "mary")
	servers := map[string]*asclienttest.Server{"first": g.as, "second": g.second}
	guards := map[string]string{johns.ResourceID: "second", marys.ResourceID: "first"}
	token := func(server, form, id string) string {
		as := servers[server]
		p := []uma.Permission{{ResourceID: id, Scopes: []string{"patient/Observation.r"}}}
		value := server + "-" + id
		if form == "signed" {
			value = as.Sign("at+jwt", map[string]any{
				"iss": as.Issuer(), "aud": fhirBase, "exp": g.clock.now().Add(time.Hour).Unix(), "jti": value, "client_id": "app", "permissions": p,
			})
		}
		as.PutToken(value, uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: p})
		return value
	}
	opened := 0
	for server := range servers {
		for _, form := range []string{"opaque", "signed"} {
			for id, guard := range guards {
				for _, about := range []string{"john", "mary", ""} {
					value := token(server, form, id)
					if form == "opaque" {
						value += about // not one that was seen before
						servers[server].PutToken(value, uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: []uma.Permission{{ResourceID: id, Scopes: []string{"patient/Observation.r"}}}})
					}
					grant, err := g.verifier.VerifyAbout(t.Context(), value, about)
					// An opaque token of the second server is found only where john's record is asked for.
					reachable := server == "first" || form == "signed" || about == "john"
					want := 0
					if reachable && guard == server {
						want = 1
					}
					if len(grant.Permissions) != want || want > 0 && (err != nil || grant.Issuer != servers[server].Issuer()) {
						t.Errorf("%s token of %s on a set at %s, asked for %q: %d permissions, %v; want %d", form, server, guard, about, len(grant.Permissions), err, want)
					}
					opened += want
				}
			}
		}
	}
	if opened != 3+3+3+1 {
		t.Errorf("%d combinations open something, want 10", opened)
	}
}

// TestSEC_16_NobodyIsShownAnothersToken counts who is asked about what.
func TestSEC_16_NobodyIsShownAnothersToken(t *testing.T) {
	const asked = "POST /introspect"
	t.Run("listed", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignListed, true)
		g.move(g.user(john), there("john"))
		g.as.PutToken("hers", uma.Introspection{Active: true, Kind: "rpt", ClientID: "app"})
		if _, err := g.verifier.VerifyAbout(t.Context(), "hers", "john"); err != nil {
			t.Fatal(err)
		}
		if n := g.second.Calls(asked); n != 0 {
			t.Errorf("a token of the first server was shown to the second %d times", n)
		}
		g.as.Down(true)
		if _, err := g.verifier.VerifyAbout(t.Context(), "unknown", "john"); !errors.Is(err, rs.ErrUnreachable) {
			t.Errorf("while the first is away: %v", err)
		}
		if n := g.second.Calls(asked); n != 0 {
			t.Errorf("a token that may be the first server's was shown to the second %d times", n)
		}
	})
	t.Run("stranger", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		g.move(g.user(john), there("john"))
		reg, _ := g.state.RecordOf(t.Context(), "john")
		g.second.PutToken("opaque", uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: []uma.Permission{{ResourceID: reg.ResourceID, Scopes: []string{"patient/Observation.r"}}}})
		if _, err := g.verifier.VerifyAbout(t.Context(), "opaque", "john"); !errors.Is(err, rs.ErrInactive) {
			t.Errorf("a stranger's opaque token: %v", err)
		}
		if n := g.second.Calls(asked); n != 0 {
			t.Errorf("a stranger was shown an opaque token %d times", n)
		}
	})
	t.Run("unknown issuer", func(t *testing.T) {
		g := newGuarded(t, rs.ForeignAny, false)
		signed := g.second.Sign("at+jwt", map[string]any{"iss": g.second.Issuer(), "aud": fhirBase, "exp": g.clock.now().Add(time.Hour).Unix(), "jti": "x", "client_id": "app"})
		if _, err := g.verifier.VerifyAbout(t.Context(), signed, "john"); !errors.Is(err, rs.ErrInactive) {
			t.Error(err)
		}
		if n := g.second.Calls("GET /.well-known/uma2-configuration"); n != 0 {
			t.Errorf("%d requests to an issuer nobody has brought", n)
		}
	})
}
