package inproc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/umaas/uma"
)

// access is what the OAuth door gave.
type access struct {
	Token string
	Scope string
}

// oauth takes the authorization code flow with PKCE (RFC 7636) for who's own record.
func (w *world) oauth(t *testing.T, login, scope string, ticks ...string) access {
	t.Helper()
	const verifier = "a-verifier-of-at-least-forty-three-characters-01234"
	sum := sha256.Sum256([]byte(verifier))
	callback := w.World.Clinic + "/callback"
	q := url.Values{
		"response_type": {"code"}, "client_id": {w.World.App.ClientID}, "redirect_uri": {callback}, "state": {"st"}, "scope": {scope}, "resource": {w.World.FHIRBase},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	who := w.who(t, login)
	v := w.visitor(t, who.Name)
	check(t, v.Open(t.Context(), w.World.Issuer+"/authorize?"+q.Encode()))
	check(t, v.Forward(t.Context(), who))
	check(t, v.Press(t.Context(), "Share with", map[string]string{"until": "today"}, ticks...))
	back, err := url.Parse(v.Page.Left)
	check(t, err)
	if !strings.HasPrefix(v.Page.Left, callback+"?") || back.Query().Get("state") != "st" || back.Query().Get("code") == "" {
		t.Fatalf("came back to %q: %s", v.Page.Left, v.Page.Text)
	}
	a := post(t, w.World.Issuer+"/token", w.World.App, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
	})
	var r uma.TokenResponse
	check(t, json.Unmarshal(a.Body, &r))
	if a.Status != http.StatusOK || r.AccessToken == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return access{Token: r.AccessToken, Scope: sortedScopes(r.Scope)}
}

// redeem presents a ticket by hand.
func (w *world) redeem(t *testing.T, ticket, rpt string) (string, uma.TokenResponse) {
	t.Helper()
	a, _ := w.redeemInfo(t, ticket, rpt)
	var r uma.TokenResponse
	var e uma.Error
	check(t, json.Unmarshal(a.Body, &r))
	check(t, json.Unmarshal(a.Body, &e))
	return e.Code, r
}

func (w *world) redeemInfo(t *testing.T, ticket, rpt string) (answer, needInfo) {
	t.Helper()
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}}
	if rpt != "" {
		form.Set("rpt", rpt)
	}
	a := post(t, w.World.Issuer+"/token", w.World.App, form)
	var n needInfo
	check(t, json.Unmarshal(a.Body, &n))
	return a, n
}

// challenged reads the ticket of a refusal.
func challenged(t *testing.T, a answer) string {
	t.Helper()
	for _, h := range a.Header.Values("WWW-Authenticate") {
		if _, after, ok := strings.Cut(h, `ticket="`); ok && strings.HasPrefix(h, "UMA ") {
			ticket, _, _ := strings.Cut(after, `"`)
			return ticket
		}
	}
	t.Fatalf("%d without a ticket: %q %s", a.Status, a.Header.Values("WWW-Authenticate"), a.Body)
	return ""
}

// pat is the resource server's own protection token.
func (w *world) pat(t *testing.T, id demo.AppIdentity) string {
	t.Helper()
	a := post(t, w.World.Issuer+"/token", id, url.Values{"grant_type": {"client_credentials"}, "scope": {uma.ScopeProtection}})
	var r uma.TokenResponse
	check(t, json.Unmarshal(a.Body, &r))
	if r.AccessToken == "" {
		t.Fatalf("no PAT: %d %s", a.Status, a.Body)
	}
	return r.AccessToken
}

func (w *world) introspect(t *testing.T, token string) answer {
	t.Helper()
	return w.introspectAs(t, w.World.Server, token)
}

func (w *world) introspectAs(t *testing.T, rs demo.AppIdentity, token string) answer {
	t.Helper()
	h := http.Header{"Authorization": {"Bearer " + w.pat(t, rs)}, "Content-Type": {"application/x-www-form-urlencoded"}}
	return send(t, http.MethodPost, w.World.Issuer+"/introspect", h, strings.NewReader(url.Values{"token": {token}}.Encode()))
}
