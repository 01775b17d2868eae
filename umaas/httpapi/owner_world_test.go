package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// ownerWorld is the authorization server with owners, one app that manages sharing and one that asks for access.
type ownerWorld struct {
	*as
	router                routers.Router
	alice, bob, mia       umaas.AccountID
	manager, app          umaas.Client
	managerKey, appKey    string
	record, other         umaas.ResourceID
	aliceToken, bobsToken string
}

func newOwnerWorld(t *testing.T) *ownerWorld {
	t.Helper()
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.FileBodyDecoder)
	w := &ownerWorld{as: newAS(t)}
	raw, err := os.ReadFile("owner_openapi.json")
	must(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	must(t, err)
	doc.Servers = openapi3.Servers{{URL: w.url}}
	w.router, err = legacy.NewRouter(doc)
	must(t, err)
	w.alice, w.bob, w.mia = w.person("alice"), w.person("bob"), w.person("mia")
	w.manager, w.managerKey, err = w.core.AddClient(t.Context(), umaas.Client{
		Name: "Sharing Manager", AuthMethod: umaas.AuthSecretPost, RedirectURIs: []string{"https://manager.example/cb"}, Scopes: []string{"openid", "owner"},
		GrantTypes: []string{uma.GrantTypeAuthorizationCode},
	}, "")
	must(t, err)
	w.app, w.appKey, err = w.core.AddClient(t.Context(), umaas.Client{
		Name: "App", AuthMethod: umaas.AuthSecretPost, ClaimsRedirectURIs: []string{"https://app.example/cb"}, GrantTypes: []string{uma.GrantTypeTicket},
	}, "")
	must(t, err)
	w.record = w.set(w.alice)
	w.other = w.set(w.bob)
	w.aliceToken, w.bobsToken = w.ownerToken(w.alice), w.ownerToken(w.bob)
	return w
}

func (w *ownerWorld) person(login string) umaas.AccountID {
	w.t.Helper()
	a, err := w.core.PutAccount(w.t.Context(), umaas.Account{Login: login, Name: strings.ToUpper(login[:1]) + login[1:], Email: login + "@example.org", EmailVerified: true}, "")
	must(w.t, err)
	return a.ID
}

func (w *ownerWorld) set(owner umaas.AccountID) umaas.ResourceID {
	w.t.Helper()
	id, err := w.core.CreateResource(w.t.Context(), umaas.PAT{Owner: owner, RS: w.rs.ID}, uma.ResourceDescription{
		Name: "Record", Scopes: []string{"patient/Observation.r", "patient/Observation.s", "patient/Condition.r", "patient/Condition.u", "btg"},
		Context: &uma.ResourceContext{Level: "record", Label: "My record", Patient: "p1"},
	}, "")
	must(w.t, err)
	return id
}

func (w *ownerWorld) session(who umaas.AccountID) umaas.Session {
	w.t.Helper()
	_, sess, err := w.core.CreateSession(w.t.Context(), who, []string{"pwd"})
	must(w.t, err)
	return sess
}

// authorize walks the OAuth door for one scope and returns the access token.
func (w *ownerWorld) authorize(client umaas.Client, key string, who umaas.AccountID, scope string) string {
	w.t.Helper()
	ctx := w.t.Context()
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	sum := sha256.Sum256([]byte(verifier))
	started, err := w.core.StartAuthorization(ctx, url.Values{
		"response_type": {"code"}, "client_id": {string(client.ID)}, "redirect_uri": {client.RedirectURIs[0]}, "scope": {scope}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}, "", "")
	must(w.t, err)
	if started.Redirect != nil {
		w.t.Fatalf("%v", started.Redirect.Query)
	}
	sess := w.session(who)
	v, err := w.core.Flow(ctx, started.ID, umaas.Browser(started.Browser), &sess)
	must(w.t, err)
	back, err := w.core.AnswerConsent(ctx, started.ID, umaas.Browser(started.Browser), sess, umaas.ConsentAnswer{Digest: v.Digest})
	must(w.t, err)
	r, err := w.core.Token(ctx, umaas.TokenRequest{Form: url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query.Get("code")}, "redirect_uri": {client.RedirectURIs[0]}, "code_verifier": {verifier},
		"client_id": {string(client.ID)}, "client_secret": {key},
	}})
	must(w.t, err)
	return r.AccessToken
}

func (w *ownerWorld) ownerToken(who umaas.AccountID) string {
	w.t.Helper()
	return w.authorize(w.manager, w.managerKey, who, "owner")
}

// answered is one answer of the server.
type answered struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (r answered) text(path ...string) string {
	var v any = r.body
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[p]
	}
	s, _ := v.(string)
	return s
}

func (r answered) list(name string) []map[string]any {
	var out []map[string]any
	all, _ := r.body[name].([]any)
	for _, x := range all {
		m, _ := x.(map[string]any)
		out = append(out, m)
	}
	return out
}

// call makes a request of the policy API and holds both it and its answer against the OpenAPI document: each answer, and each
// request that succeeded.
func (w *ownerWorld) call(token, method, path, body string, header ...string) answered {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	must(w.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", jsonType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer func() { _ = res.Body.Close() }()
	out := answered{status: res.StatusCode, header: res.Header}
	out.raw, err = io.ReadAll(res.Body)
	must(w.t, err)
	if len(out.raw) > 0 && out.raw[0] == '{' && !strings.Contains(res.Header.Get("Content-Type"), "ndjson") {
		must(w.t, json.Unmarshal(out.raw, &out.body))
	}
	w.validate(r, body, out)
	return out
}

func (w *ownerWorld) validate(r *http.Request, body string, out answered) {
	w.t.Helper()
	again := r.Clone(context.Background())
	again.Body = io.NopCloser(strings.NewReader(body))
	route, params, err := w.router.FindRoute(again)
	if err != nil {
		if out.status < 400 {
			w.t.Errorf("%s %s is not in the OpenAPI document: %v", r.Method, r.URL.Path, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: again, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if out.status < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			w.t.Errorf("%s %s %s: the request does not fit the document: %v", r.Method, r.URL, body, err)
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: out.status, Header: out.header, Body: io.NopCloser(bytes.NewReader(out.raw)),
		Options: in.Options,
	})
	if err != nil {
		w.t.Errorf("%s %s: the answer %d %s does not fit the document: %v", r.Method, r.URL, out.status, out.raw, err)
	}
}

// want calls and must get this status, and where it is an error this code and sentence.
func (w *ownerWorld) want(status int, code, sentence, token, method, path, body string, header ...string) answered {
	w.t.Helper()
	out := w.call(token, method, path, body, header...)
	if out.status != status || status >= 400 && (out.text("error") != code || sentence != "" && out.text("error_description") != sentence) {
		w.t.Errorf("%s %s %s: %d %s, want %d %s %q", method, path, body, out.status, out.raw, status, code, sentence)
	}
	return out
}

// asks brings bob's request for alice's record into her inbox and returns the waiting ticket.
func (w *ownerWorld) asks(who umaas.AccountID, scopes ...string) string {
	w.t.Helper()
	ctx := w.t.Context()
	ticket, err := w.core.RequestPermission(ctx, umaas.PAT{Owner: w.alice, RS: w.rs.ID}, []uma.Permission{{ResourceID: string(w.record), Scopes: scopes}}, "", "")
	must(w.t, err)
	started, err := w.core.StartClaims(ctx, url.Values{"client_id": {string(w.app.ID)}, "ticket": {ticket}}, "", "")
	must(w.t, err)
	b, sess := umaas.Browser(started.Browser), w.session(who)
	v, err := w.core.Flow(ctx, started.ID, b, &sess)
	must(w.t, err)
	must(w.t, w.core.AnswerGather(ctx, started.ID, b, sess, umaas.GatherAnswer{Digest: v.Digest, Purpose: "TREAT", Note: "please"}))
	v, err = w.core.Flow(ctx, started.ID, b, &sess)
	must(w.t, err)
	back, err := w.core.ConfirmGather(ctx, started.ID, b, sess, umaas.ConfirmAnswer{Digest: v.Digest})
	must(w.t, err)
	_, err = w.redeem(back.Query.Get("ticket"))
	var e *uma.Error
	if !asError(err, &e) || e.Ticket == "" {
		w.t.Fatalf("%v", err)
	}
	return e.Ticket
}

func (w *ownerWorld) redeem(ticket string) (uma.TokenResponse, error) {
	return w.core.Token(w.t.Context(), umaas.TokenRequest{Form: url.Values{
		"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}, "client_id": {string(w.app.ID)}, "client_secret": {w.appKey},
	}})
}

func soon(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
